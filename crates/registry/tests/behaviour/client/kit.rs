//! A client, the registry that it talks to, and what it heard.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, stream};
use http::StatusCode;
use image_syncer_registry::auth::{Credential, Keychain, KeychainEntry, Secret};
use image_syncer_registry::transport::{
    Observer, RequestRecord, RetryPolicy, Timeouts, Transport, TransportOptions,
};
use image_syncer_registry::{
    BlobSize, BlobSource, BlobStream, Client, Descriptor, Digest, Error, OpenedUpload, Options,
    Registries, Registry, Repository, Tag, Target, Upload,
};
use testkit::{Auth, Blob, Kind, Profile};

pub(crate) const MIB: u64 = 1024 * 1024;
/// A request that opens an upload session.
pub(crate) const POST: (Kind, u16) = (Kind::Mount, 202);
/// A request that closes an upload.
pub(crate) const PUT: (Kind, u16) = (Kind::UploadPut, 201);
/// A request that adds bytes to an upload.
pub(crate) const PATCH: (Kind, u16) = (Kind::UploadPatch, 202);

/// A client and its registry.
pub(crate) struct Kit {
    pub(crate) server: testkit::Registry,
    pub(crate) client: Client,
    pub(crate) heard: Arc<Heard>,
}

/// Records what the observer received.
#[derive(Default)]
pub(crate) struct Heard {
    warnings: Mutex<Vec<String>>,
    retries: AtomicUsize,
    sent_away: AtomicUsize,
}

impl Heard {
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap().clone()
    }
    pub(crate) fn retries(&self) -> usize {
        self.retries.load(Ordering::SeqCst)
    }
    /// Requests that were answered 401, those by which the transport finds out about TLS left aside.
    pub(crate) fn sent_away(&self) -> usize {
        self.sent_away.load(Ordering::SeqCst)
    }
}

impl Observer for Heard {
    fn warning(&self, _host: &str, text: &str) {
        self.warnings.lock().unwrap().push(text.to_owned());
    }
    fn retry(&self, _host: &str, _error: &str, _tries: u32, _delay: Duration) {
        self.retries.fetch_add(1, Ordering::SeqCst);
    }
    fn request(&self, record: &RequestRecord<'_>) {
        if record.status == Some(StatusCode::UNAUTHORIZED) && !record.url().ends_with("/v2/") {
            self.sent_away.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Retries that cost a test no time.
pub(crate) fn retry() -> RetryPolicy {
    RetryPolicy::default()
        .with_retries(3)
        .with_initial(Duration::from_millis(1))
        .with_max(Duration::from_millis(2))
}

/// A client of the registry at `host`, which speaks plain http, as `credential`.
pub(crate) fn client_of(host: &str, credential: Credential) -> (Client, Arc<Heard>) {
    let options = TransportOptions::default()
        .with_timeouts(Timeouts::default().with_stall(Duration::from_secs(2)));
    client_over(host, credential, options)
}

pub(crate) fn client_over(
    host: &str,
    credential: Credential,
    options: TransportOptions,
) -> (Client, Arc<Heard>) {
    client_with(host, credential, options, |options| options)
}

/// The same, with changed options.
pub(crate) fn client_with(
    host: &str,
    credential: Credential,
    options: TransportOptions,
    change: impl FnOnce(Options) -> Options,
) -> (Client, Arc<Heard>) {
    let heard = Arc::new(Heard::default());
    let transport = Transport::new(options.with_observer(heard.clone())).unwrap();
    let entry = KeychainEntry::new(host, credential, "the test").with_insecure(true);
    let keychain = Arc::new(Keychain::new(vec![entry], None).unwrap());
    let options = Options::new(Arc::new(transport), keychain).with_retry(retry());
    let registries = Registries::new(change(options));
    (registries.client(&Registry::parse(host).unwrap()), heard)
}

pub(crate) fn basic(username: &str, password: &str) -> Credential {
    Credential::Basic {
        username: username.to_owned(),
        password: Secret::new(password),
    }
}

impl Kit {
    /// With a registry that is open to everybody.
    pub(crate) async fn open(profile: Profile) -> Self {
        Self::of(
            testkit::Registry::start(profile).await,
            Credential::Anonymous,
        )
    }
    /// Starts a registry that requires `auth`, and knows `ada` with the password `pw`.
    pub(crate) async fn guarded(profile: Profile, auth: Auth) -> Self {
        let server = testkit::Registry::builder().profile(profile).auth(auth);
        Self::of(server.start().await, basic("ada", "pw"))
    }
    pub(crate) fn of(server: testkit::Registry, credential: Credential) -> Self {
        let (client, heard) = client_of(&server.host(), credential);
        Self {
            server,
            client,
            heard,
        }
    }
    /// With a transport of these settings.
    pub(crate) fn over(server: testkit::Registry, options: TransportOptions) -> Self {
        let (client, heard) = client_over(&server.host(), Credential::Anonymous, options);
        Self {
            server,
            client,
            heard,
        }
    }
    pub(crate) fn repository(&self, path: &str) -> Repository {
        Repository::new(self.client.registry().clone(), path).unwrap()
    }
    /// The requests so far, and forgets them: kind and status of each, in order.
    pub(crate) fn took(&self) -> Vec<(Kind, u16)> {
        let requests = self.server.requests();
        self.server.clear_requests();
        requests.iter().map(|r| (r.kind, r.status)).collect()
    }
    /// The requests so far as lines, and forgets them.
    pub(crate) fn lines(&self) -> Vec<String> {
        let requests = self.server.requests();
        self.server.clear_requests();
        requests.iter().map(testkit::Request::line).collect()
    }
    /// Sends `blob` to `path`, mounting from nowhere.
    pub(crate) async fn send(&self, path: &str, blob: &Blob) -> Result<bool, Error> {
        self.send_from(path, blob, &Given::of(blob)).await
    }
    /// The same, out of `source`; `false` when nothing had to be sent.
    pub(crate) async fn send_from(
        &self,
        path: &str,
        blob: &Blob,
        source: &dyn BlobSource,
    ) -> Result<bool, Error> {
        let repository = self.repository(path);
        match self
            .client
            .open_upload(&repository, &descriptor(blob), None)
            .await?
        {
            OpenedUpload::Present { .. } => Ok(false),
            OpenedUpload::Session(upload) => {
                self.client.upload(upload, source).await?;
                Ok(true)
            }
        }
    }
    /// An open session for `blob`; forgets the request that opened it.
    pub(crate) async fn session(&self, path: &str, blob: &Blob) -> Upload {
        let repository = self.repository(path);
        let opened = self
            .client
            .open_upload(&repository, &descriptor(blob), None)
            .await;
        self.server.clear_requests();
        match opened {
            Ok(OpenedUpload::Session(upload)) => upload,
            Ok(OpenedUpload::Present { .. }) => panic!("the blob is there"),
            Err(error) => panic!("{error}"),
        }
    }
    /// Asserts that the registry holds the blob with the right bytes, and that nothing was done to it that a good
    /// client never does.
    pub(crate) fn assert_arrived(&self, path: &str, blob: &Blob) {
        let stored = self.server.state().blob(path, blob.digest());
        assert!(stored == blob.bytes(), "the blob is not there, or differs");
        assert_eq!(self.server.problems(), [""; 0]);
    }
}

pub(crate) fn descriptor(blob: &Blob) -> Descriptor {
    descriptor_of(blob.digest(), Some(blob.size()))
}

pub(crate) fn descriptor_of(digest: &str, size: Option<u64>) -> Descriptor {
    Descriptor {
        media_type: "application/octet-stream".to_owned(),
        digest: Digest::parse(digest).unwrap(),
        size,
        platform: None,
        annotations: std::collections::BTreeMap::default(),
        urls: Vec::new(),
        artifact_type: None,
    }
}

pub(crate) fn tag(text: &str) -> Target {
    Target::Tag(Tag::parse(text).unwrap())
}

pub(crate) fn by_digest(text: &str) -> Target {
    Target::Digest(Digest::parse(text).unwrap())
}

/// A source at hand, which remembers where it was opened.
pub(crate) struct Given {
    bytes: Bytes,
    chunk: usize,
    /// Error after the bytes.
    end: Option<Error>,
    size: BlobSize,
    opened: Mutex<Vec<u64>>,
}

impl Given {
    pub(crate) fn of(blob: &Blob) -> Self {
        Self::bytes(blob.bytes().unwrap())
    }
    pub(crate) fn bytes(bytes: Bytes) -> Self {
        Self {
            bytes,
            chunk: 64 * 1024,
            end: None,
            size: BlobSize::default(),
            opened: Mutex::default(),
        }
    }
    /// Says how many bytes there are.
    pub(crate) fn sized(mut self) -> Self {
        self.size = BlobSize::known(self.bytes.len() as u64);
        self
    }
    /// Ends with an error behind the bytes.
    pub(crate) fn failing(mut self, error: Error) -> Self {
        self.end = Some(error);
        self
    }
    pub(crate) fn in_chunks_of(mut self, chunk: usize) -> Self {
        self.chunk = chunk;
        self
    }
    /// The offsets that it was opened at so far.
    pub(crate) fn opened(&self) -> Vec<u64> {
        self.opened.lock().unwrap().clone()
    }
}

impl BlobSource for Given {
    fn open(&self, offset: u64) -> BoxFuture<'_, Result<BlobStream, Error>> {
        self.opened.lock().unwrap().push(offset);
        let rest = self.bytes.slice(usize::try_from(offset).unwrap()..);
        let chunks: Vec<Result<Bytes, Error>> = (0..rest.len())
            .step_by(self.chunk)
            .map(|at| Ok(rest.slice(at..rest.len().min(at + self.chunk))))
            .chain(self.end.clone().map(Err))
            .collect();
        let size = self.size.clone();
        async move { Ok(BlobStream::new(stream::iter(chunks)).with_size(&size)) }.boxed()
    }
}

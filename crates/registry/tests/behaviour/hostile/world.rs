//! A network of hosts with any name, answered by a closure. The names show which hosts are public and private.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method};
use image_syncer_registry::auth::{Credential, Keychain, KeychainEntry, Secret};
use image_syncer_registry::transport::{
    HttpError, HttpErrorKind, HttpService, Observer, RequestBody, ResponseBody, RetryPolicy, Route,
    Transport, TransportOptions,
};
use image_syncer_registry::{Client, Options, Registries, Registry, Repository};

/// A request as a host received it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    /// With scheme and query.
    pub(super) url: String,
    /// With the port, if it is not the scheme's default.
    pub(super) host: String,
    /// Without the query.
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
    /// Returns true if it is `method` at `host`.
    pub(super) fn is(&self, method: &str, host: &str) -> bool {
        self.method == method && self.host == host
    }
}

/// An answer.
pub(super) struct Reply(http::response::Builder, ResponseBody);

impl Reply {
    pub(super) fn new(status: u16) -> Self {
        Self(
            http::Response::builder().status(status),
            ResponseBody::empty(),
        )
    }
    pub(super) fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value), self.1)
    }
    pub(super) fn body(self, body: impl Into<Bytes>) -> Self {
        Self(self.0, ResponseBody::from(body.into()))
    }
    /// `byte`, without end.
    pub(super) fn endless(self, byte: u8) -> Self {
        let chunk = Bytes::from(vec![byte; 65536]);
        let stream = futures_util::stream::repeat_with(move || Ok(chunk.clone()));
        Self(self.0, ResponseBody::from_stream(stream.boxed()))
    }
    /// A byte every `pause`, without end.
    pub(super) fn dripping(self, pause: Duration) -> Self {
        let stream = futures_util::stream::repeat(()).then(move |()| async move {
            tokio::time::sleep(pause).await;
            Ok(Bytes::from_static(b" "))
        });
        Self(self.0, ResponseBody::from_stream(stream.boxed()))
    }
    pub(super) fn to(status: u16, location: &str) -> Self {
        Self::new(status).header("location", location)
    }
}

type Answers = dyn Fn(&Asked) -> Reply + Send + Sync;

pub(super) struct World {
    answers: Box<Answers>,
    asked: Mutex<Vec<Asked>>,
    told: Mutex<Vec<String>>,
}

impl World {
    pub(super) fn new(answers: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            answers: Box::new(answers),
            asked: Mutex::default(),
            told: Mutex::default(),
        })
    }
    /// All requests so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
    /// Formats the requests as lines: `GET https://host/path?query`.
    pub(super) fn lines(&self) -> Vec<String> {
        self.asked()
            .iter()
            .map(|asked| format!("{} {}", asked.method, asked.url))
            .collect()
    }
    /// Returns the hosts that received a login or a token, each once.
    pub(super) fn shown_to(&self) -> Vec<String> {
        let mut hosts: Vec<String> = self
            .asked()
            .into_iter()
            .filter(|asked| {
                asked.headers.contains_key("authorization")
                    || String::from_utf8_lossy(&asked.body).contains("refresh_token")
            })
            .map(|asked| asked.host)
            .collect();
        hosts.sort();
        hosts.dedup();
        hosts
    }
    /// Warnings so far.
    pub(super) fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }
    pub(super) fn client(self: &Arc<Self>, host: &str, credential: Credential) -> Client {
        self.client_with(host, credential, false, TransportOptions::default())
    }
    /// Returns a client of the registry `host`.
    pub(super) fn client_with(
        self: &Arc<Self>,
        host: &str,
        credential: Credential,
        insecure: bool,
        options: TransportOptions,
    ) -> Client {
        let entry = KeychainEntry::new(host, credential, "the test").with_insecure(insecure);
        let keychain = Keychain::new(vec![entry], None).unwrap();
        self.client_of(host, keychain, options)
    }
    /// Returns a client of the registry `host` with these logins.
    pub(super) fn client_of(
        self: &Arc<Self>,
        host: &str,
        keychain: Keychain,
        options: TransportOptions,
    ) -> Client {
        let options = options.with_observer(Arc::new(Ear(self.clone())));
        let registries = Registries::new(
            Options::new(
                Arc::new(Transport::with_service(self.clone(), options)),
                Arc::new(keychain),
            )
            .with_retry(
                RetryPolicy::default()
                    .with_retries(1)
                    .with_initial(Duration::from_millis(1)),
            ),
        );
        registries.client(&Registry::parse(host).unwrap())
    }
}

pub(super) fn ada() -> Credential {
    Credential::Basic {
        username: "ada".to_owned(),
        password: Secret::new("the-password"),
    }
}

pub(super) fn repository(client: &Client) -> Repository {
    Repository::new(client.registry().clone(), "a/b").unwrap()
}

struct Ear(Arc<World>);

impl Observer for Ear {
    fn warning(&self, _host: &str, text: &str) {
        self.0.told.lock().unwrap().push(text.to_owned());
    }
}

impl HttpService for World {
    fn call(
        &self,
        request: http::Request<RequestBody>,
        _route: Route,
    ) -> BoxFuture<'_, Result<http::Response<ResponseBody>, HttpError>> {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let authority = parts.uri.authority().unwrap().as_str().to_owned();
            assert!(
                !authority.contains('@'),
                "a user in an address: {authority}"
            );
            let asked = Asked {
                method: parts.method,
                url: parts.uri.to_string(),
                host: authority,
                path: parts.uri.path().to_owned(),
                headers: parts.headers,
                body: read(body).await?,
            };
            let Reply(head, body) = (self.answers)(&asked);
            self.asked.lock().unwrap().push(asked);
            Ok(head.body(body).unwrap())
        })
    }
}

async fn read(body: RequestBody) -> Result<Bytes, HttpError> {
    let mut stream = match body {
        RequestBody::Empty => return Ok(Bytes::new()),
        RequestBody::Bytes(bytes) => return Ok(bytes),
        RequestBody::Stream { stream, .. } => stream,
    };
    let mut all = BytesMut::new();
    while let Some(bytes) = stream.next().await {
        all.extend_from_slice(
            &bytes.map_err(|aborted| {
                HttpError::new(HttpErrorKind::RequestBody, aborted.to_string())
            })?,
        );
    }
    Ok(all.freeze())
}

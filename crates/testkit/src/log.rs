//! Requests to a listener, with their answers.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use http::{HeaderMap, Method, Version, header};
use tokio::sync::Notify;

use crate::lock::lock;

/// Kinds of requests that the testkit distinguishes, for counts and for faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `GET /v2/`.
    Ping,
    /// `HEAD …/manifests/<reference>`.
    ManifestHead,
    /// `GET …/manifests/<reference>`.
    ManifestGet,
    /// `PUT …/manifests/<reference>`.
    ManifestPut,
    /// `DELETE …/manifests/<reference>`.
    ManifestDelete,
    /// `HEAD …/blobs/<digest>`.
    BlobHead,
    /// `GET …/blobs/<digest>`.
    BlobGet,
    /// `DELETE …/blobs/<digest>`.
    BlobDelete,
    /// `POST …/blobs/uploads/` without `mount`.
    UploadPost,
    /// `POST …/blobs/uploads/?mount=<digest>`.
    Mount,
    /// `PATCH` of an upload session.
    UploadPatch,
    /// The closing `PUT` of an upload session.
    UploadPut,
    /// `GET` of an upload session.
    UploadStatus,
    /// `DELETE` of an upload session.
    UploadCancel,
    /// `GET …/tags/list`.
    Tags,
    /// `GET /v2/_catalog`.
    Catalog,
    /// `GET …/referrers/<digest>`.
    Referrers,
    /// A request to a vendor's listing API, or to its login. A probe for one that does not exist is counted, too.
    Listing,
    /// A request for a token, by GET or POST.
    Token,
    /// A request at the storage host that blobs are redirected to.
    Storage,
    /// Anything else.
    Other,
}

impl Kind {
    /// Returns true for requests whose body is the bytes of a blob: POST, PATCH and PUT of an upload.
    pub fn takes_blob(self) -> bool {
        matches!(self, Self::UploadPost | Self::UploadPatch | Self::UploadPut)
    }

    /// Returns true for requests whose answer is the bytes of a blob.
    pub fn gives_blob(self) -> bool {
        matches!(self, Self::BlobGet | Self::Storage)
    }
}

/// The credential of a request.
#[derive(Clone, PartialEq, Eq)]
pub enum Authorization {
    /// No `Authorization` header.
    None,
    /// `Basic`, decoded.
    Basic {
        /// The user name.
        user: String,
        /// The password.
        password: String,
    },
    /// `Bearer`, with the token.
    Bearer(String),
    /// Another scheme, unchanged.
    Other(String),
}

impl Authorization {
    /// Parses the header of a request.
    pub fn of(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            return Self::None;
        };
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let (scheme, rest) = value.split_once(' ').unwrap_or((&value, ""));
        if scheme.eq_ignore_ascii_case("bearer") {
            return Self::Bearer(rest.trim().to_owned());
        }
        if scheme.eq_ignore_ascii_case("basic")
            && let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(rest.trim())
            && let Some((user, password)) = String::from_utf8_lossy(&bytes).split_once(':')
        {
            return Self::Basic {
                user: user.to_owned(),
                password: password.to_owned(),
            };
        }
        Self::Other(value)
    }

    /// Returns `none`, `basic`, `bearer` or `other`.
    pub fn scheme(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic { .. } => "basic",
            Self::Bearer(_) => "bearer",
            Self::Other(_) => "other",
        }
    }
}

/// Only the scheme: a failed assertion must not print a credential.
impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme())
    }
}

/// A request as the listener received it, with its result so far.
#[derive(Clone, Debug)]
pub struct Request {
    /// Position in order of arrival at this listener, from 0, never reused.
    pub sequence: u64,
    /// Number of the connection, from 0 in order of accepting.
    pub connection: u64,
    /// HTTP/1.1 or HTTP/2.
    pub version: Version,
    /// Kind of the request.
    pub kind: Kind,
    /// The repository in the path, if there is one.
    pub repository: Option<String>,
    /// The tag, the digest or the upload session in the path; for a mount, the digest.
    pub reference: Option<String>,
    /// The method.
    pub method: Method,
    /// The path, undecoded.
    pub path: String,
    /// The query, undecoded, without `?`.
    pub query: Option<String>,
    /// The credential.
    pub authorization: Authorization,
    /// All header fields.
    pub headers: HeaderMap,
    /// Status of the answer; 0 as long as there is none.
    pub status: u16,
    /// Bytes of the request's body that were read.
    pub request_bytes: u64,
    /// Bytes of the answer's body that were handed to the connection.
    pub response_bytes: u64,
}

impl Request {
    /// Returns the value of a header field, if it exists and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    /// Returns the decoded value of the first query parameter of this name.
    pub fn parameter(&self, name: &str) -> Option<String> {
        query_value(self.query.as_deref(), name)
    }

    /// Returns the decoded values of all query parameters of this name.
    pub fn parameters(&self, name: &str) -> Vec<String> {
        query_pairs(self.query.as_deref())
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value)
            .collect()
    }

    /// Formats the request as `PUT /v2/a/manifests/x?y=1`: for messages, and for the comparison of sequences.
    pub fn line(&self) -> String {
        match &self.query {
            Some(query) => format!("{} {}?{query}", self.method, self.path),
            None => format!("{} {}", self.method, self.path),
        }
    }

    /// Returns true if the status is 2xx.
    pub fn succeeded(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Returns the pairs of a query or a form: decoded, with `+` as a blank.
pub(crate) fn query_pairs(query: Option<&str>) -> impl Iterator<Item = (String, String)> + '_ {
    query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        })
}

pub(crate) fn query_value(query: Option<&str>, name: &str) -> Option<String> {
    query_pairs(query)
        .find(|(key, _)| key == name)
        .map(|(_, value)| value)
}

fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(&text.replace('+', " "))
        .decode_utf8_lossy()
        .into_owned()
}

/// Sums over the requests at a registry's ports since its requests were cleared. They need no memory, whatever the
/// number of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests at all ports: registry, token server and storage host.
    pub requests: u64,
    /// Requests for tokens among them.
    pub token_requests: u64,
    /// Requests among them that were answered 429.
    pub too_many_requests: u64,
    /// Blob bytes received, whatever their result.
    pub bytes_received: u64,
    /// Blob bytes sent in successful answers.
    pub bytes_sent: u64,
}

/// The log of one listener.
#[derive(Default)]
pub(crate) struct Log {
    entries: Mutex<Vec<Arc<Entry>>>,
    /// True if requests are counted and not kept.
    counts_only: AtomicBool,
    requests: AtomicU64,
    too_many_requests: AtomicU64,
    bytes_received: AtomicU64,
    bytes_sent: AtomicU64,
    next: AtomicU64,
    running: AtomicUsize,
    peak: AtomicUsize,
    quiet: Notify,
}

/// A request in the log; its numbers change while the request runs.
pub(crate) struct Entry {
    request: Request,
    status: AtomicU16,
    request_bytes: AtomicU64,
    response_bytes: AtomicU64,
    finished: AtomicBool,
    log: Arc<Log>,
}

impl Log {
    /// Adds a request. The sequence number of `request` is set here.
    pub(crate) fn begin(self: &Arc<Self>, mut request: Request) -> Arc<Entry> {
        let mut entries = self.lock();
        request.sequence = self.next.fetch_add(1, Ordering::SeqCst);
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(running, Ordering::SeqCst);
        let entry = Arc::new(Entry {
            request,
            status: AtomicU16::new(0),
            request_bytes: AtomicU64::new(0),
            response_bytes: AtomicU64::new(0),
            finished: AtomicBool::new(false),
            log: Arc::clone(self),
        });
        self.requests.fetch_add(1, Ordering::SeqCst);
        if !self.counts_only.load(Ordering::SeqCst) {
            entries.push(Arc::clone(&entry));
        }
        entry
    }

    /// Counts requests from now on and keeps none.
    pub(crate) fn count_only(&self) {
        self.counts_only.store(true, Ordering::SeqCst);
    }

    /// Returns the sums of this log, without `token_requests`.
    pub(crate) fn totals(&self) -> Totals {
        let of = |count: &AtomicU64| count.load(Ordering::SeqCst);
        Totals {
            requests: of(&self.requests),
            token_requests: 0,
            too_many_requests: of(&self.too_many_requests),
            bytes_received: of(&self.bytes_received),
            bytes_sent: of(&self.bytes_sent),
        }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.lock().iter().map(|e| e.snapshot()).collect()
    }

    pub(crate) fn clear(&self) {
        let mut entries = self.lock();
        entries.clear();
        for count in [
            &self.requests,
            &self.too_many_requests,
            &self.bytes_received,
            &self.bytes_sent,
        ] {
            count.store(0, Ordering::SeqCst);
        }
        self.peak
            .store(self.running.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// Returns the sum of `bytes` over the selected requests.
    pub(crate) fn sum(&self, of: impl Fn(&Request) -> u64) -> u64 {
        self.requests().iter().map(of).sum()
    }

    /// Maximum number of concurrent requests since the log was cleared.
    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::SeqCst)
    }

    /// Waits until no request runs.
    pub(crate) async fn quiet(&self) {
        loop {
            let notified = self.quiet.notified();
            if self.running.load(Ordering::SeqCst) == 0 {
                return;
            }
            notified.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Entry>>> {
        lock(&self.entries)
    }
}

impl Entry {
    pub(crate) fn request(&self) -> &Request {
        &self.request
    }

    pub(crate) fn answered(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
        if status == 429 {
            self.log.too_many_requests.fetch_add(1, Ordering::SeqCst);
        }
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.request_bytes.fetch_add(bytes as u64, Ordering::SeqCst);
        if self.request.kind.takes_blob() {
            self.log
                .bytes_received
                .fetch_add(bytes as u64, Ordering::SeqCst);
        }
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.response_bytes
            .fetch_add(bytes as u64, Ordering::SeqCst);
        if self.request.kind.gives_blob()
            && (200..300).contains(&self.status.load(Ordering::SeqCst))
        {
            self.log
                .bytes_sent
                .fetch_add(bytes as u64, Ordering::SeqCst);
        }
    }

    /// Marks the end of the request; repeated calls do nothing.
    pub(crate) fn finish(&self) {
        if !self.finished.swap(true, Ordering::SeqCst)
            && self.log.running.fetch_sub(1, Ordering::SeqCst) == 1
        {
            self.log.quiet.notify_waiters();
        }
    }

    fn snapshot(&self) -> Request {
        let mut request = self.request.clone();
        request.status = self.status.load(Ordering::SeqCst);
        request.request_bytes = self.request_bytes.load(Ordering::SeqCst);
        request.response_bytes = self.response_bytes.load(Ordering::SeqCst);
        request
    }
}

//! Events of the transport, for logs, counts and displays.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use url::{Position, Url};

use crate::error::{Error, ErrorKind};
use crate::text;
use crate::transport::context::authority;
use crate::transport::redact::SecretRedactor;
use crate::transport::{Lane, request_id};

/// Maximum number of characters of a URL that are shown.
const LONGEST_URL: usize = 1_024;

/// Receives every request, retry and pause. Called from many tasks at once; must not block.
///
/// A request counts if it was tried, whether a host answered or not. Operations that wait for the same unreachable host
/// share its tries: only the one that tries reports requests and retries.
pub trait Observer: Send + Sync + 'static {
    /// A request was answered, or failed.
    fn request(&self, _record: &RequestRecord<'_>) {}
    /// A failed try will be repeated after `delay`, on behalf of `registry`, even if the failing host is another one;
    /// `error` is a sentence without secrets that names that host.
    fn retry(&self, _registry: &str, _error: &str, _tries: u32, _delay: Duration) {}
    /// No request is sent to `host` for `delay`.
    fn pause(&self, _host: &str, _delay: Duration, _why: PauseReason) {}
    /// From now on, at most `size` requests of a kind are in flight at `host`, since it answered 429 or 503, or refused
    /// some of the connections. Later growth is not reported.
    fn narrowed(&self, _host: &str, _lane: Lane, _size: usize) {}
    /// Returns the counters of the bodies of `registry`, if they are wanted. Called for every request.
    fn byte_counters(&self, _registry: &str) -> Option<Arc<ByteCounters>> {
        None
    }
    /// A message that a person should see once ("the registry warns: …").
    fn warning(&self, _host: &str, _text: &str) {}
}

/// Bytes of bodies of requests and answers, counted while they flow.
#[derive(Debug, Default)]
pub struct ByteCounters {
    received: AtomicU64,
    sent: AtomicU64,
}

impl ByteCounters {
    /// Returns the number of bytes that were received.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
    /// Returns the number of bytes that were handed to the network.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
    /// Counts bytes of an answer.
    pub(super) fn record_received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }
    /// Counts bytes of a request.
    pub(super) fn record_sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Reason for a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseReason {
    /// The host answered 429: its rate limit is used up.
    RateLimit,
    /// The host asked for a pause in another way, or answered only 503 for a while.
    Overload,
}

impl PauseReason {
    /// Returns the reason for a pause after `error`.
    pub(crate) fn from_error(error: &Error) -> Self {
        if error.kind() == ErrorKind::RateLimited {
            Self::RateLimit
        } else {
            Self::Overload
        }
    }
}

/// A request, for logs and counts.
#[non_exhaustive]
#[derive(Debug)]
pub struct RequestRecord<'a> {
    /// Action of the request (`fetch manifest library/nginx:v1`).
    pub action: &'a str,
    /// Registry that the request was made for.
    pub registry: &'a str,
    /// The method.
    pub method: &'a Method,
    /// The status, or `None` without an answer.
    pub status: Option<StatusCode>,
    /// Time from the first byte sent to the head of the answer.
    pub elapsed: Duration,
    /// Number of the try within its operation, from 1.
    pub tries: u32,
    /// Number of body bytes handed to the network.
    pub sent: u64,
    /// Number of bytes in the answer's body, if the answer declares it.
    pub length: Option<u64>,
    /// Address of the request, which may repeat secrets.
    pub(super) url: &'a Url,
    /// Headers of the answer.
    pub(super) headers: Option<&'a HeaderMap>,
    pub(super) redactor: &'a SecretRedactor,
}

/// Texts, which are made when an observer shows them: they are searched for secrets.
impl RequestRecord<'_> {
    /// Returns the host of the request, with its port if that is not the scheme's default: the registry, or where it led
    /// to.
    pub fn host(&self) -> Cow<'_, str> {
        self.redactor.redact(authority(self.url))
    }
    /// Returns scheme, host and path, without the query, since signed URLs have secrets there.
    pub fn url(&self) -> String {
        // A path may repeat a secret, too, and is as long as the host that led here likes.
        let shown = &self.url[..Position::AfterPath];
        text::clean(&self.redactor.redact(shown), LONGEST_URL)
    }
    /// Returns the registry's own name for the request, for questions to its operators: printable and short, or `None`
    /// if the answer has none.
    pub fn request_id(&self) -> Option<String> {
        request_id::find(self.headers?, self.redactor)
    }
}

/// An observer that ignores everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {}

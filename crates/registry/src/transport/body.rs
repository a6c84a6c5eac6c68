//! Bodies of responses.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};

use crate::error::{Error, ErrorKind};
use crate::transport::body_progress::BodyAbortGuard;
use crate::transport::context::ErrorContext;
use crate::transport::http2_fallback::Http2BodyWatch;
use crate::transport::limits::{Permit, Throttle};
use crate::transport::observer::ByteCounters;
use crate::transport::redact::SecretRedactor;
use crate::transport::stall::{StallTimer, TooSlow};
use crate::transport::{HttpError, HttpErrorKind};

/// Maximum number of bytes of an unused answer that are read so that its connection can be reused.
const DRAIN_LIMIT: u64 = 64 * 1024;
/// Maximum time for that; a new connection costs less than a slow old one.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// Longest time for a whole document, however steadily it drips: 8 MiB at 14 KB/s.
const WHOLE_TIME: Duration = Duration::from_secs(600);

/// The bytes of an answer, from the HTTP library.
pub type ResponseStream = Pin<Box<dyn Stream<Item = Result<Bytes, HttpError>> + Send>>;

/// The body of an answer: watched for stalls, counted, and holding its host's permit.
///
/// An [`HttpService`](super::HttpService) creates one from [`ResponseBody::empty`], [`ResponseBody::from`] bytes or
/// [`ResponseBody::from_stream`]; the transport adds the watch and the permit.
pub struct ResponseBody {
    /// `None` after the end. The mutex is never locked: it only makes a shared reference to an answer `Sync`.
    stream: Option<Mutex<ResponseStream>>,
    /// Value of `Content-Length`.
    expected: Option<u64>,
    received: u64,
    /// Boxed to keep the body small.
    guard: Option<Box<BodyGuard>>,
}

/// The watch and the permit that the transport adds to a body.
pub(super) struct BodyGuard {
    context: ErrorContext,
    stall: StallTimer,
    /// Bucket of the user's byte limit, if there is one.
    throttle: Option<Throttle>,
    http2: Option<Http2BodyWatch>,
    counters: Option<Arc<ByteCounters>>,
    /// Resources that are released with the last byte, not with the last reference.
    held: Option<Box<HeldPermit>>,
}

struct HeldPermit {
    _permit: Permit,
    /// Stops the producer of the request's body when the answer is complete.
    _abort_guard: BodyAbortGuard,
}

impl BodyGuard {
    /// Returns a guard for an answer in `context` that may be silent for at most `stall`.
    pub(super) fn new(
        context: ErrorContext,
        stall: Duration,
        permit: Permit,
        abort_guard: BodyAbortGuard,
    ) -> Self {
        Self {
            context,
            stall: StallTimer::new(stall),
            throttle: None,
            http2: None,
            counters: None,
            held: Some(Box::new(HeldPermit {
                _permit: permit,
                _abort_guard: abort_guard,
            })),
        }
    }
}

impl BodyGuard {
    /// Adds a limit on the bytes per second.
    pub(super) fn with_throttle(mut self, throttle: Option<Throttle>) -> Self {
        self.throttle = throttle;
        self
    }
    /// Adds a watch on HTTP/2, if the answer came by it.
    pub(super) fn with_http2(mut self, watch: Option<Http2BodyWatch>) -> Self {
        self.http2 = watch;
        self
    }
    /// Adds counters of the bytes.
    pub(super) fn with_counters(mut self, counters: Option<Arc<ByteCounters>>) -> Self {
        self.counters = counters;
        self
    }
    /// Waits until the user's limit allows more bytes. The peer is not blamed for this wait.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.throttle.as_mut() {
            Some(throttle) => throttle.poll_ready(cx),
            None => Poll::Ready(()),
        }
    }
    fn record_bytes(&mut self, bytes: u64) {
        if let Some(throttle) = self.throttle.as_mut() {
            throttle.record_bytes(bytes);
        }
        if let Some(counters) = &self.counters {
            counters.record_received(bytes);
        }
    }
}

impl std::fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseBody")
            .field("expected", &self.expected)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

impl From<Bytes> for ResponseBody {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            return Self::empty();
        }
        Self::from_stream(Box::pin(futures_util::stream::once(async { Ok(bytes) })))
    }
}

impl ResponseBody {
    /// Returns a body without bytes.
    pub fn empty() -> Self {
        Self {
            stream: None,
            expected: None,
            received: 0,
            guard: None,
        }
    }
    /// Returns a body of the bytes of `stream`.
    pub fn from_stream(stream: ResponseStream) -> Self {
        Self {
            stream: Some(Mutex::new(stream)),
            ..Self::empty()
        }
    }
    /// Adds the guard; `expected` is the value of `Content-Length`. A body that is known to be empty releases the
    /// permit immediately.
    pub(super) fn guarded(mut self, mut guard: BodyGuard, expected: Option<u64>) -> Self {
        if self.stream.is_some() {
            self.expected = expected;
        } else {
            guard.held = None;
        }
        self.guard = Some(Box::new(guard));
        self
    }
    /// Number of bytes received so far.
    pub fn received(&self) -> u64 {
        self.received
    }
    /// Host that answered, if a redirect led away from the registry.
    pub(crate) fn redirected(&self) -> Option<&ErrorContext> {
        self.guard
            .as_ref()
            .map(|guard| &guard.context)
            .filter(|context| context.redirected_from().is_some())
    }
    /// Redactor of the secrets in the request.
    pub(crate) fn redactor(&self) -> SecretRedactor {
        self.guard
            .as_ref()
            .map(|guard| guard.context.redactor().clone())
            .unwrap_or_default()
    }
    /// Returns the next bytes, or `None` at the end. A connection that breaks or stalls is an error, and so is an end
    /// before `Content-Length`. Unread bytes are not lost if the future is dropped.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        std::future::poll_fn(|cx| self.poll_chunk(cx))
            .await
            .transpose()
    }
    /// Polls for the next bytes, as [`ResponseBody::chunk`] does.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            let Some(stream) = self.stream.as_mut() else {
                return Poll::Ready(None);
            };
            if let Some(guard) = self.guard.as_mut() {
                ready!(guard.poll_ready(cx));
            }
            let stream = stream.get_mut().unwrap_or_else(PoisonError::into_inner);
            let Poll::Ready(item) = stream.poll_next_unpin(cx) else {
                return self.poll_silence(cx);
            };
            match item {
                Some(Ok(bytes)) if bytes.is_empty() => {}
                Some(Ok(bytes)) => {
                    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                    self.received = self.received.saturating_add(length);
                    if let Some(guard) = self.guard.as_mut() {
                        guard.record_bytes(length);
                        let slow = guard.stall.record_bytes(length);
                        if let Err(TooSlow { bytes, waited }) = slow
                            && self.expected != Some(self.received)
                        {
                            let seconds = waited.as_secs();
                            let message = format!("only {bytes} bytes came in {seconds} s");
                            return self.fail(ErrorKind::Stalled, message);
                        }
                    }
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Some(Err(error)) => return self.broken(error),
                None => return self.end(),
            }
        }
    }
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let Some(guard) = self.guard.as_mut() else {
            return Poll::Pending;
        };
        let limit = ready!(guard.stall.poll_stalled(cx));
        let message = format!("no byte came for {} s", limit.as_secs());
        self.fail(ErrorKind::Stalled, message)
    }
    fn broken(&mut self, error: HttpError) -> Poll<Option<Result<Bytes, Error>>> {
        if let Some(watch) = self.guard.as_ref().and_then(|guard| guard.http2.as_ref()) {
            watch.body_broke(&error);
        }
        let message = match self.expected {
            Some(expected) => format!(
                "{}, after {} of {expected} bytes",
                error.message, self.received
            ),
            None => error.message,
        };
        self.fail(error.kind.into(), message)
    }
    fn end(&mut self) -> Poll<Option<Result<Bytes, Error>>> {
        match self.expected {
            Some(expected) if self.received < expected => {
                let received = self.received;
                self.fail(
                    ErrorKind::Broken,
                    format!("the connection closed early, after {received} of {expected} bytes"),
                )
            }
            _ => {
                self.close();
                Poll::Ready(None)
            }
        }
    }
    fn fail(&mut self, kind: ErrorKind, message: String) -> Poll<Option<Result<Bytes, Error>>> {
        let error = self.error(kind, message);
        self.close();
        Poll::Ready(Some(Err(error)))
    }
    fn error(&self, kind: ErrorKind, message: String) -> Error {
        match &self.guard {
            Some(guard) => guard.context.error(kind, message),
            None => Error::new(kind, "read an answer", "an unknown host", message),
        }
    }
    /// Releases the connection and the permit.
    fn close(&mut self) {
        self.stream = None;
        if let Some(guard) = self.guard.as_mut() {
            guard.held = None;
        }
    }
    /// Returns the whole body, if it has at most `limit` bytes and comes within ten minutes. Nothing is allocated
    /// because of a header.
    pub async fn bytes(mut self, limit: u64) -> Result<Bytes, Error> {
        let whole = tokio::time::timeout(WHOLE_TIME, self.whole(limit)).await;
        whole.unwrap_or_else(|_| {
            let message = format!(
                "only {} bytes of the answer came within {} s",
                self.received,
                WHOLE_TIME.as_secs()
            );
            Err(self.error(ErrorKind::Stalled, message))
        })
    }
    async fn whole(&mut self, limit: u64) -> Result<Bytes, Error> {
        let too_long = |body: &Self| {
            body.error(
                ErrorKind::Protocol,
                format!("the answer is larger than the {limit} bytes that are read"),
            )
        };
        if self.expected.is_some_and(|expected| expected > limit) {
            return Err(too_long(self));
        }
        let Some(first) = self.chunk().await? else {
            return Ok(Bytes::new());
        };
        // Most answers are a single chunk, which is returned without a copy.
        let mut rest = BytesMut::new();
        while self.received <= limit {
            let Some(next) = self.chunk().await? else {
                if rest.is_empty() {
                    return Ok(first);
                }
                return Ok(rest.freeze());
            };
            if rest.is_empty() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&next);
        }
        Err(too_long(self))
    }
    /// Reads the rest of a small body so that the connection can be reused, and drops a larger one.
    pub async fn drain(mut self) {
        if self.expected.is_some_and(|expected| expected > DRAIN_LIMIT) {
            return;
        }
        let read = async {
            while let Ok(Some(_)) = self.chunk().await {
                if self.received > DRAIN_LIMIT {
                    break;
                }
            }
        };
        // The body is dropped next in any case.
        tokio::time::timeout(DRAIN_TIME, read).await.ok();
    }
}

impl From<HttpErrorKind> for ErrorKind {
    fn from(kind: HttpErrorKind) -> Self {
        match kind {
            HttpErrorKind::Resolve | HttpErrorKind::Connect | HttpErrorKind::ConnectTimeout => {
                Self::Connect
            }
            HttpErrorKind::Certificate | HttpErrorKind::NotTls | HttpErrorKind::Handshake => {
                Self::Tls
            }
            HttpErrorKind::Broken | HttpErrorKind::Http2Broken | HttpErrorKind::Http2Unusable => {
                Self::Broken
            }
            HttpErrorKind::Forbidden => Self::Refused,
            HttpErrorKind::RequestBody => Self::Cancelled,
        }
    }
}

//! Bodies in both directions.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};

use crate::error::{Error, ErrorKind};
use crate::transport::body_progress::BodyAbortGuard;
use crate::transport::context::RequestContext;
use crate::transport::http2_fallback::Http2BodyWatch;
use crate::transport::limits::{Permit, Throttle};
use crate::transport::redact::SecretRedactor;
use crate::transport::stall::{StallTimer, TooSlow};
use crate::transport::{HttpError, HttpErrorKind};

/// How much of an answer that nobody wants is read so that its connection can be used again.
const DRAIN_LIMIT: u64 = 64 * 1024;
/// How long that may take; a new connection costs less than a slow old one.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// Longest time that a document may take as a whole, however steadily it drips: 8 MiB at 14 KB/s.
const WHOLE_TIME: Duration = Duration::from_secs(600);

/// The bytes of a request as their producer gives them.
pub type RequestStream = Pin<Box<dyn Stream<Item = Result<Bytes, BodyAborted>> + Send>>;
/// The bytes of an answer as the HTTP library gives them.
pub type ResponseStream = Pin<Box<dyn Stream<Item = Result<Bytes, HttpError>> + Send>>;

/// What is sent.
pub enum RequestBody {
    /// Nothing; `Content-Length: 0` is sent with POST, PUT and PATCH.
    Empty,
    /// All of it at hand.
    Bytes(Bytes),
    /// A stream of exactly `length` bytes, which becomes `Content-Length`. When the stream yields an error, or
    /// does not yield exactly `length` bytes, the request is aborted: the peer never sees a complete body. The last
    /// bytes are held back until the stream has said that it ends.
    Stream {
        /// Its exact length in bytes.
        length: u64,
        /// The bytes. An error here is the producer's, and the producer keeps it.
        stream: RequestStream,
    },
}

impl RequestBody {
    /// Returns a second body of the same bytes, or `None` for a stream, which can be read once.
    pub(super) fn replay(&self) -> Option<Self> {
        match self {
            Self::Empty => Some(Self::Empty),
            Self::Bytes(bytes) => Some(Self::Bytes(bytes.clone())),
            Self::Stream { .. } => None,
        }
    }
}

/// The producer of a request's body gave up; what happened is for the producer to tell.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the body's producer gave up")]
pub struct BodyAborted;

/// What is received: watched for stalls, counted, holding its host's permit.
///
/// An [`HttpService`](super::HttpService) makes one of [`ResponseBody::empty`], [`ResponseBody::from`] bytes or
/// [`ResponseBody::from_stream`]; the transport adds the watch and the permit.
pub struct ResponseBody {
    /// `None` once it has ended. The mutex is never locked: it makes a reference to an answer fit for another thread.
    stream: Option<Mutex<ResponseStream>>,
    /// What `Content-Length` promises.
    expected: Option<u64>,
    received: u64,
    /// On the heap, to keep a body that moves small.
    guard: Option<Box<BodyGuard>>,
}

/// What the transport adds to a body.
pub(super) struct BodyGuard {
    place: RequestContext,
    stall: StallTimer,
    /// What the bytes are taken out of, where the user set a limit.
    throttle: Option<Throttle>,
    http2: Option<Http2BodyWatch>,
    /// What is given back with the last byte, not with the last reference.
    held: Option<Box<HeldPermit>>,
}

struct HeldPermit {
    _permit: Permit,
    /// Once the answer is over, nobody wants what the request's body still has.
    _leash: BodyAbortGuard,
}

impl BodyGuard {
    /// A guard for an answer from `place` that nothing may come of for at most `stall`.
    pub(super) fn new(
        place: RequestContext,
        stall: Duration,
        permit: Permit,
        leash: BodyAbortGuard,
    ) -> Self {
        Self {
            place,
            stall: StallTimer::new(stall),
            throttle: None,
            http2: None,
            held: Some(Box::new(HeldPermit {
                _permit: permit,
                _leash: leash,
            })),
        }
    }
}

impl BodyGuard {
    /// With a limit on the bytes.
    pub(super) fn with_throttle(mut self, throttle: Option<Throttle>) -> Self {
        self.throttle = throttle;
        self
    }
    /// With a watch on the HTTP/2 that the answer came by.
    pub(super) fn with_http2(mut self, watch: Option<Http2BodyWatch>) -> Self {
        self.http2 = watch;
        self
    }
    /// Whether the user's limit lets more bytes in. That wait is not the peer's silence.
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
    /// A body without bytes.
    pub fn empty() -> Self {
        Self {
            stream: None,
            expected: None,
            received: 0,
            guard: None,
        }
    }
    /// A body of the bytes that come out of `stream`.
    pub fn from_stream(stream: ResponseStream) -> Self {
        Self {
            stream: Some(Mutex::new(stream)),
            ..Self::empty()
        }
    }
    /// Puts the body under watch; `expected` is what `Content-Length` says. A body that is known to be empty gives
    /// the permit back at once.
    pub(super) fn guarded(mut self, mut guard: BodyGuard, expected: Option<u64>) -> Self {
        if self.stream.is_some() {
            self.expected = expected;
        } else {
            guard.held = None;
        }
        self.guard = Some(Box::new(guard));
        self
    }
    /// How many bytes have come so far.
    pub fn received(&self) -> u64 {
        self.received
    }
    /// The host that answered, where a redirect led away from the registry.
    pub(crate) fn redirected(&self) -> Option<&RequestContext> {
        self.guard
            .as_ref()
            .map(|guard| &guard.place)
            .filter(|place| place.redirected_from().is_some())
    }
    /// Redactor of what was sent to get this answer.
    pub(crate) fn redactor(&self) -> SecretRedactor {
        self.guard
            .as_ref()
            .map(|guard| guard.place.redactor().clone())
            .unwrap_or_default()
    }
    /// The next bytes, or `None` at the end. A connection that breaks or stalls is an error; an end before
    /// `Content-Length` is one too. Bytes that were not read yet are not lost when the future is dropped.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        std::future::poll_fn(|cx| self.poll_chunk(cx))
            .await
            .transpose()
    }
    /// [`ResponseBody::chunk`] for those who poll.
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
            Some(guard) => guard.place.error(kind, message),
            None => Error::new(kind, "read an answer", "an unknown host", message),
        }
    }
    /// Lets go of the connection and of the permit.
    fn close(&mut self) {
        self.stream = None;
        if let Some(guard) = self.guard.as_mut() {
            guard.held = None;
        }
    }
    /// All of it, if it is at most `limit` bytes and comes within ten minutes; nothing is allocated on the word of a
    /// header.
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
        // Most answers are one chunk, which is handed on as it came.
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
    /// Reads what is left of a small body so that the connection can be used again, and drops it otherwise.
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
        // Either way the body is dropped next.
        tokio::time::timeout(DRAIN_TIME, read).await.ok();
    }
}

/// A stream of no bytes is asked for its end here, since the HTTP library would not ask for it at all.
pub(super) async fn if_any(body: RequestBody) -> Result<RequestBody, BodyAborted> {
    match body {
        RequestBody::Stream {
            length: 0,
            mut stream,
        } => {
            while let Some(bytes) = stream.next().await {
                if !bytes?.is_empty() {
                    return Err(BodyAborted);
                }
            }
            Ok(RequestBody::Empty)
        }
        body => Ok(body),
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

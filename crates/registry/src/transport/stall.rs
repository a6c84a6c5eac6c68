//! The stall watchdog: progress, not time, is what a timeout watches.
//!
//! An answer's body is watched by [`Silence`] while its reader waits for bytes. A request's body is watched from
//! outside, since the HTTP library pulls it: [`Metered`] notes whose turn it is, and [`Sending::stalled`] ends when it
//! was the network's for too long. While the producer has nothing to give, nobody is stalled.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::time::{Instant, Sleep};

use crate::transport::body::{BodyAborted, RequestStream};

/// What may lie in buffers of ours and the kernel's when the last byte has been handed over.
const BUFFERED: u64 = 4 * 1024 * 1024;
/// The slowest link, in bytes a second, that these buffers are given the time to drain through.
const SLOWEST: u64 = 64 * 1024;

/// How long the other side has been silent while it was waited for.
pub(super) struct Silence {
    limit: Duration,
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Silence {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            since: None,
            timer: None,
        }
    }
    /// Something came.
    pub(super) fn broken(&mut self) {
        self.since = None;
    }
    /// Nothing came; ready with the limit once it has been so for that long.
    pub(super) fn poll_too_long(&mut self, cx: &mut Context<'_>) -> Poll<Duration> {
        let limit = self.limit;
        let since = *self.since.get_or_insert_with(Instant::now);
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(since + limit)));
        // The timer is moved only when it goes off, not with every chunk: it then says when it was set, and what
        // came since is in `since`.
        while timer.as_mut().poll(cx).is_ready() {
            if since.elapsed() >= limit {
                return Poll::Ready(limit);
            }
            timer.as_mut().reset(since + limit);
        }
        Poll::Pending
    }
}

/// How far a request's body is out, shared between the body and those who watch it.
pub(super) struct Sending {
    start: Instant,
    /// When the network last took bytes, in milliseconds since `start`.
    moved: AtomicU64,
    producer_waits: AtomicBool,
    done: AtomicBool,
    sent: AtomicU64,
}

/// Why sending was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stall {
    /// The network took no bytes.
    Body(Duration),
    /// No answer came once all was sent.
    Answer(Duration),
}

impl std::fmt::Display for Stall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Body(limit) => write!(f, "no byte could be sent for {} s", limit.as_secs()),
            Self::Answer(limit) => write!(f, "no answer came for {} s", limit.as_secs()),
        }
    }
}

impl Sending {
    /// A body that is handed over `whole`, or that comes through a [`Metered`] stream.
    pub(super) fn new(whole: Option<u64>) -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            moved: AtomicU64::new(0),
            producer_waits: AtomicBool::new(false),
            done: AtomicBool::new(whole.is_some()),
            sent: AtomicU64::new(whole.unwrap_or(0)),
        })
    }
    fn gave(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
        self.touch();
    }
    fn touch(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(now, Ordering::Relaxed);
        self.producer_waits.store(false, Ordering::Release);
    }
    fn finish(&self) {
        self.touch();
        self.done.store(true, Ordering::Release);
    }
    /// When the present wait is too long, and for what.
    fn deadline(&self, stall: Duration, answer: Duration) -> (Instant, Stall) {
        let moved = self.start + Duration::from_millis(self.moved.load(Ordering::Relaxed));
        if self.done.load(Ordering::Acquire) {
            let buffered = self.sent.load(Ordering::Relaxed).min(BUFFERED);
            let answer = answer + Duration::from_millis(buffered * 1000 / SLOWEST);
            (moved + answer, Stall::Answer(answer))
        } else {
            (moved + stall, Stall::Body(stall))
        }
    }
    /// Resolves when the network took nothing for `stall`, or gave no answer for `answer` after all was sent.
    pub(super) async fn stalled(&self, stall: Duration, answer: Duration) -> Stall {
        // Whose turn it is may change at any time, so one looks again at least this often.
        let step = stall.min(answer).max(Duration::from_millis(1));
        loop {
            let now = Instant::now();
            let (deadline, why) = self.deadline(stall, answer);
            if self.producer_waits.load(Ordering::Acquire) {
                tokio::time::sleep(step).await;
            } else if deadline <= now {
                return why;
            } else {
                tokio::time::sleep_until(deadline.min(now + step)).await;
            }
        }
    }
}

/// A request's body that says whose turn it is, and that never gives its last bytes before its producer has said
/// that all is well.
pub(super) struct Metered {
    stream: Option<RequestStream>,
    remaining: u64,
    last: Option<Bytes>,
    sending: Arc<Sending>,
}

impl Metered {
    pub(super) fn new(length: u64, stream: RequestStream, sending: Arc<Sending>) -> Self {
        Self {
            stream: Some(stream),
            remaining: length,
            last: None,
            sending,
        }
    }
    fn abort(&mut self) -> Poll<Option<Result<Bytes, BodyAborted>>> {
        self.stream = None;
        Poll::Ready(Some(Err(BodyAborted)))
    }
}

impl Stream for Metered {
    type Item = Result<Bytes, BodyAborted>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let Some(stream) = self.stream.as_mut() else {
                return Poll::Ready(None);
            };
            let Poll::Ready(item) = stream.poll_next_unpin(cx) else {
                self.sending.producer_waits.store(true, Ordering::Release);
                return Poll::Pending;
            };
            match item {
                Some(Ok(bytes)) => {
                    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                    let Some(remaining) = self.remaining.checked_sub(length) else {
                        return self.abort();
                    };
                    self.remaining = remaining;
                    if length == 0 {
                        continue;
                    }
                    if remaining == 0 {
                        self.last = Some(bytes);
                        continue;
                    }
                    self.sending.gave(length);
                    return Poll::Ready(Some(Ok(bytes)));
                }
                None if self.remaining == 0 => {
                    self.stream = None;
                    let last = self.last.take();
                    if let Some(bytes) = &last {
                        self.sending
                            .gave(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
                    }
                    self.sending.finish();
                    return Poll::Ready(last.map(Ok));
                }
                Some(Err(BodyAborted)) | None => return self.abort(),
            }
        }
    }
}

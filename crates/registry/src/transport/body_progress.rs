//! The stall watchdog over what is sent, and the end of it.
//!
//! The HTTP library pulls a request's body, so it is watched from outside: [`MeteredBody`] notes whose turn it is, and
//! [`BodyProgress::stalled`] ends when it was the network's for too long. While the producer has nothing to give, nobody is
//! stalled. The producer lives here and not in the body, so that it can be let go of at once when the exchange is over,
//! whatever the HTTP library still holds.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use futures_util::{Stream, StreamExt};
use tokio::time::Instant;

use crate::transport::body::{BodyAborted, RequestBody, RequestStream};
use crate::transport::limits::Throttle;

/// What may lie in buffers of ours and the kernel's when the last byte has been handed over.
const BUFFERED: u64 = 4 * 1024 * 1024;
/// The slowest link, in bytes a second, that these buffers are given the time to drain through.
const SLOWEST: u64 = 64 * 1024;

/// How far a request's body is out, shared between the body and those who watch it.
pub(super) struct BodyProgress {
    start: Instant,
    /// When the network last took bytes, in milliseconds since `start`.
    moved: AtomicU64,
    producer_waits: AtomicBool,
    done: AtomicBool,
    sent: AtomicU64,
    producer: Mutex<Option<ProducerState>>,
    /// Who waits for the producer.
    waiting: AtomicWaker,
}

struct ProducerState {
    /// What the bytes are taken out of, where the user set a limit. That wait is the producer's, not the network's.
    throttle: Option<Throttle>,
    stream: RequestStream,
    remaining: u64,
    /// Held back until the stream has said that all is well.
    last: Option<Bytes>,
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

/// Lets go of the producer of a request's body when dropped.
pub(super) struct BodyAbortGuard(Arc<BodyProgress>);

impl Drop for BodyAbortGuard {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl BodyProgress {
    /// Puts `body` under watch, and under the user's limit, if there is one.
    pub(super) fn wrap(body: RequestBody, throttle: Option<Throttle>) -> (RequestBody, Arc<Self>) {
        match body {
            RequestBody::Empty => (RequestBody::Empty, Self::new(Some(0), None)),
            RequestBody::Bytes(bytes) => {
                let sending = Self::new(Some(size(&bytes)), None);
                (RequestBody::Bytes(bytes), sending)
            }
            RequestBody::Stream { length, stream } => {
                let producer = ProducerState {
                    throttle,
                    stream,
                    remaining: length,
                    last: None,
                };
                let sending = Self::new(None, Some(producer));
                let stream = Box::pin(MeteredBody::new(&sending));
                (RequestBody::Stream { length, stream }, sending)
            }
        }
    }
    fn new(whole: Option<u64>, producer: Option<ProducerState>) -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            moved: AtomicU64::new(0),
            producer_waits: AtomicBool::new(false),
            done: AtomicBool::new(whole.is_some()),
            sent: AtomicU64::new(whole.unwrap_or(0)),
            producer: Mutex::new(producer),
            waiting: AtomicWaker::new(),
        })
    }
    /// Something that lets go of the producer when it is dropped.
    pub(super) fn abort_guard(self: &Arc<Self>) -> BodyAbortGuard {
        BodyAbortGuard(self.clone())
    }
    /// How many bytes were handed to the network so far.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Acquire)
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
    /// When the present wait is too long, and for what.
    fn deadline(&self, stall: Duration, answer: Duration) -> (Instant, Stall) {
        let moved = self.start + Duration::from_millis(self.moved.load(Ordering::Acquire));
        if self.done.load(Ordering::Acquire) {
            let buffered = self.sent.load(Ordering::Acquire).min(BUFFERED);
            let answer = answer + Duration::from_millis(buffered * 1000 / SLOWEST);
            (moved + answer, Stall::Answer(answer))
        } else {
            (moved + stall, Stall::Body(stall))
        }
    }
    fn record_chunk(&self, bytes: &Bytes) {
        self.sent.fetch_add(size(bytes), Ordering::AcqRel);
        self.touch();
    }
    fn touch(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(now, Ordering::Release);
        self.producer_waits.store(false, Ordering::Release);
    }
    fn release(&self) {
        let producer = self.lock().take();
        drop(producer);
        self.waiting.wake();
    }
    fn lock(&self) -> MutexGuard<'_, Option<ProducerState>> {
        self.producer.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// The next bytes for the network; `bell` is rung when the producer has some again.
    fn poll_next(
        &self,
        cx: &Context<'_>,
        bell: &Waker,
    ) -> Poll<Option<Result<Bytes, BodyAborted>>> {
        self.waiting.register(cx.waker());
        let mut slot = self.lock();
        let Some(producer) = slot.as_mut() else {
            let over = self.done.load(Ordering::Acquire);
            return Poll::Ready((!over).then_some(Err(BodyAborted)));
        };
        // Before it is asked, as it may have something the moment after.
        self.producer_waits.store(true, Ordering::Release);
        let Poll::Ready(item) = producer.poll_next(&mut Context::from_waker(bell)) else {
            return Poll::Pending;
        };
        self.producer_waits.store(false, Ordering::Release);
        match &item {
            Some(Ok(bytes)) => {
                self.record_chunk(bytes);
                if producer.remaining == 0 {
                    *slot = None;
                    self.done.store(true, Ordering::Release);
                }
            }
            Some(Err(BodyAborted)) => *slot = None,
            None => {
                *slot = None;
                self.touch();
                self.done.store(true, Ordering::Release);
            }
        }
        Poll::Ready(item)
    }
}

impl ProducerState {
    /// The next bytes, never empty. The last ones, or the end of an empty body, come after the stream's own end.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyAborted>>> {
        loop {
            if let Some(throttle) = self.throttle.as_mut() {
                ready!(throttle.poll_ready(cx));
            }
            let item = ready!(self.stream.poll_next_unpin(cx));
            let bytes = match item {
                Some(Ok(bytes)) => bytes,
                None if self.remaining == 0 => return Poll::Ready(self.last.take().map(Ok)),
                Some(Err(BodyAborted)) | None => return Poll::Ready(Some(Err(BodyAborted))),
            };
            let Some(remaining) = self.remaining.checked_sub(size(&bytes)) else {
                return Poll::Ready(Some(Err(BodyAborted)));
            };
            self.remaining = remaining;
            if let Some(throttle) = self.throttle.as_mut() {
                throttle.record_bytes(size(&bytes));
            }
            if bytes.is_empty() {
                continue;
            }
            if remaining > 0 {
                return Poll::Ready(Some(Ok(bytes)));
            }
            self.last = Some(bytes);
        }
    }
}

/// A request's body that says whose turn it is.
struct MeteredBody {
    sending: Arc<BodyProgress>,
    bell: Waker,
}

impl MeteredBody {
    fn new(sending: &Arc<BodyProgress>) -> Self {
        Self {
            sending: Arc::clone(sending),
            bell: Waker::from(Arc::new(ProducerWaker(Arc::downgrade(sending)))),
        }
    }
}

impl Stream for MeteredBody {
    type Item = Result<Bytes, BodyAborted>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.sending.poll_next(cx, &self.bell)
    }
}

/// Rung by a producer that has something again. From then on it is the network's turn, whether or not the HTTP library
/// comes for it: it does not as long as the network takes nothing of what it was given before.
struct ProducerWaker(Weak<BodyProgress>);

impl Wake for ProducerWaker {
    fn wake(self: Arc<Self>) {
        if let Some(sending) = self.0.upgrade() {
            sending.touch();
            sending.waiting.wake();
        }
    }
}

fn size(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use futures_util::future::poll_fn;
    use futures_util::stream;
    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_producer_that_nobody_comes_to_any_more_does_not_hide_a_stall() {
        let (give, given) = oneshot::channel();
        let stream = stream::once(async move { given.await.map_err(|_| BodyAborted) });
        let body = RequestBody::Stream {
            length: 4,
            stream: Box::pin(stream),
        };
        let (body, sending) = BodyProgress::wrap(body, None);
        let RequestBody::Stream { mut stream, .. } = body else {
            return;
        };
        let is_pending = poll_fn(|cx| Poll::Ready(stream.poll_next_unpin(cx).is_pending()));
        assert!(is_pending.await);
        let (limit, answer) = (Duration::from_secs(2), Duration::from_secs(5));
        // The producer waits for whoever gives it something: nobody is stalled.
        let hour = Duration::from_secs(3600);
        assert!(timeout(hour, sending.stalled(limit, answer)).await.is_err());
        assert!(give.send(Bytes::from_static(b"blob")).is_ok());
        let stalled = timeout(hour, sending.stalled(limit, answer)).await;
        assert_eq!(stalled.ok(), Some(Stall::Body(limit)));
    }
}

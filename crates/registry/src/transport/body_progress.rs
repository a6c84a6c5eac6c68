//! Stall watchdog for request bodies.
//!
//! The HTTP library pulls a request's body, so progress is observed from outside: [`MeteredBody`] notes which side is
//! waiting, and [`BodyProgress::stalled`] ends when the network kept the producer waiting for too long. While the
//! producer has nothing to give, nobody is stalled. The producer is stored here and not in the body, so that it can be
//! dropped as soon as the exchange is over, even if the HTTP library still holds parts of it.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use futures_util::{Stream, StreamExt};
use tokio::time::Instant;

use crate::lock::lock;
use crate::transport::limits::Throttle;
use crate::transport::observer::ByteCounters;
use crate::transport::request_body::{BodyAborted, RequestBody, RequestStream};

/// Maximum number of bytes in our buffers and the kernel's after the last byte was handed over.
const BUFFERED: u64 = 4 * 1024 * 1024;
/// Slowest link, in bytes a second, that gets time to drain these buffers.
const SLOWEST: u64 = 64 * 1024;

/// Progress of a request's body, shared between the body and its observers.
pub(super) struct BodyProgress {
    start: Instant,
    /// Time at which the network last took bytes, in milliseconds since `start`.
    moved: AtomicU64,
    producer_waits: AtomicBool,
    done: AtomicBool,
    sent: AtomicU64,
    counters: Option<Arc<ByteCounters>>,
    producer: Mutex<Option<ProducerState>>,
    /// The task that waits for the producer.
    waiting: AtomicWaker,
}

struct ProducerState {
    /// Bucket of the user's byte limit. Waiting for it counts as waiting for the producer, not for the network.
    throttle: Option<Throttle>,
    stream: RequestStream,
    remaining: u64,
    /// The last bytes, held back until the stream has ended without an error.
    last: Option<Bytes>,
}

/// Reason for which sending was aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stall {
    /// The network took no bytes for this long.
    Body(Duration),
    /// No answer came for this long after everything was sent.
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

/// Drops the producer of a request's body when it is dropped itself.
pub(super) struct BodyAbortGuard(Arc<BodyProgress>);

impl Drop for BodyAbortGuard {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl BodyProgress {
    /// Wraps `body` to observe it, and to apply the user's limit if there is one.
    pub(super) fn wrap(
        body: RequestBody,
        throttle: Option<Throttle>,
        counters: Option<Arc<ByteCounters>>,
    ) -> (RequestBody, Arc<Self>) {
        match body {
            RequestBody::Empty => (RequestBody::Empty, Self::new(Some(0), None, None)),
            RequestBody::Bytes(bytes) => {
                if let Some(counters) = &counters {
                    counters.record_sent(size(&bytes));
                }
                let sending = Self::new(Some(size(&bytes)), None, None);
                (RequestBody::Bytes(bytes), sending)
            }
            RequestBody::Stream { length, stream } => {
                let producer = ProducerState {
                    throttle,
                    stream,
                    remaining: length,
                    last: None,
                };
                let sending = Self::new(None, Some(producer), counters);
                let stream = Box::pin(MeteredBody::new(&sending));
                (RequestBody::Stream { length, stream }, sending)
            }
        }
    }
    fn new(
        whole: Option<u64>,
        producer: Option<ProducerState>,
        counters: Option<Arc<ByteCounters>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            moved: AtomicU64::new(0),
            producer_waits: AtomicBool::new(false),
            done: AtomicBool::new(whole.is_some()),
            sent: AtomicU64::new(whole.unwrap_or(0)),
            counters,
            producer: Mutex::new(producer),
            waiting: AtomicWaker::new(),
        })
    }
    /// Returns a guard that drops the producer.
    pub(super) fn abort_guard(self: &Arc<Self>) -> BodyAbortGuard {
        BodyAbortGuard(self.clone())
    }
    /// Number of bytes handed to the network so far.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Acquire)
    }
    /// Resolves if the network took nothing for `stall`, or gave no answer for `answer` after everything was sent.
    pub(super) async fn stalled(&self, stall: Duration, answer: Duration) -> Stall {
        // The waiting side may change at any time, so the state is checked at least this often.
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
    /// Deadline of the present wait, and the stall that it would be.
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
        if let Some(counters) = &self.counters {
            counters.record_sent(size(bytes));
        }
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
        lock(&self.producer)
    }
    /// Returns the next bytes for the network; `waker` wakes when the producer has more.
    fn poll_next(
        &self,
        cx: &Context<'_>,
        waker: &Waker,
    ) -> Poll<Option<Result<Bytes, BodyAborted>>> {
        self.waiting.register(cx.waker());
        let mut slot = self.lock();
        let Some(producer) = slot.as_mut() else {
            let over = self.done.load(Ordering::Acquire);
            return Poll::Ready((!over).then_some(Err(BodyAborted)));
        };
        // Set before the poll, since the producer may become ready right after it.
        self.producer_waits.store(true, Ordering::Release);
        let Poll::Ready(item) = producer.poll_next(&mut Context::from_waker(waker)) else {
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
    /// Returns the next bytes, never empty. The last ones, or the end of an empty body, come after the end of the
    /// stream.
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

/// The body of a request that notes which side is waiting.
struct MeteredBody {
    sending: Arc<BodyProgress>,
    waker: Waker,
}

impl MeteredBody {
    fn new(sending: &Arc<BodyProgress>) -> Self {
        Self {
            sending: Arc::clone(sending),
            waker: Waker::from(Arc::new(ProducerWaker(Arc::downgrade(sending)))),
        }
    }
}

impl Stream for MeteredBody {
    type Item = Result<Bytes, BodyAborted>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.sending.poll_next(cx, &self.waker)
    }
}

/// Wakes when the producer has bytes again. From then on the network is the waiting side, even if the HTTP library does
/// not poll: it does not poll as long as the network takes nothing.
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
    async fn a_ready_producer_that_is_not_polled_does_not_hide_a_stall() {
        let (give, given) = oneshot::channel();
        let stream = stream::once(async move { given.await.map_err(|_| BodyAborted) });
        let body = RequestBody::Stream {
            length: 4,
            stream: Box::pin(stream),
        };
        let (body, sending) = BodyProgress::wrap(body, None, None);
        let RequestBody::Stream { mut stream, .. } = body else {
            return;
        };
        let is_pending = poll_fn(|cx| Poll::Ready(stream.poll_next_unpin(cx).is_pending()));
        assert!(is_pending.await);
        let (limit, answer) = (Duration::from_secs(2), Duration::from_secs(5));
        // The producer itself waits for its source: nobody is stalled.
        let hour = Duration::from_secs(3600);
        assert!(timeout(hour, sending.stalled(limit, answer)).await.is_err());
        assert!(give.send(Bytes::from_static(b"blob")).is_ok());
        let stalled = timeout(hour, sending.stalled(limit, answer)).await;
        assert_eq!(stalled.ok(), Some(Stall::Body(limit)));
    }
}

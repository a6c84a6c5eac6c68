//! The way to one host in one lane: a window, who is within, and who waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{StatusCode, Version};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::error::ErrorKind;
use crate::transport::Lane;
use crate::transport::limits::WindowBounds;
use crate::transport::limits::queue::{QueueTicket, WaitQueue};
use crate::transport::limits::window::{ConcurrencyWindow, MeasuredResponse};

/// A body that is over this soon spent its time on the way and not on the line, so more at a time help.
const QUICK: Duration = Duration::from_millis(500);

/// A window, who is within, and who waits.
#[derive(Debug)]
pub(super) struct RequestGate {
    lane: Lane,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    window: ConcurrencyWindow,
    within: usize,
    waiting: WaitQueue<oneshot::Sender<Permit>>,
}

/// Leave to make one request; given back when dropped, with what is known of how it went.
#[derive(Debug)]
pub(in crate::transport) struct Permit {
    gate: Arc<RequestGate>,
    epoch: u64,
    since: Instant,
    /// What a good answer was like.
    good: Option<SuccessNote>,
}

#[derive(Clone, Copy, Debug)]
struct SuccessNote {
    latency: Option<Duration>,
    /// Others share its connection.
    shared: bool,
}

/// What the head of an answer tells of a host.
#[derive(Clone, Copy, Debug)]
pub(in crate::transport) struct ResponseHead {
    pub(in crate::transport) status: StatusCode,
    pub(in crate::transport) version: Version,
    /// How long it took, where all such requests cost the host about the same.
    pub(in crate::transport) latency: Option<Duration>,
}

impl RequestGate {
    pub(super) fn new(lane: Lane, bounds: WindowBounds) -> Arc<Self> {
        Arc::new(Self {
            lane,
            state: Mutex::new(State {
                window: ConcurrencyWindow::new(bounds),
                within: 0,
                waiting: WaitQueue::new(),
            }),
        })
    }
    /// Waits for a place. Who is dropped meanwhile leaves the queue.
    pub(super) async fn acquire(self: &Arc<Self>, weight: u64) -> Permit {
        let (granted, ticket) = {
            let mut state = self.lock();
            if state.has_room() {
                return state.admit(self);
            }
            let (grant, granted) = oneshot::channel();
            (granted, state.waiting.push(weight, grant))
        };
        // Dropped before what it may have been granted, which is then given back.
        let _leaves = WaiterGuard { gate: self, ticket };
        match granted.await {
            Ok(permit) => permit,
            // A waiter is only ever let go of with a permit; were it not, nobody should wait for ever.
            Err(_) => self.acquire_at_once(),
        }
    }
    /// A place that nobody waits for, if there is one.
    pub(super) fn try_enter(self: &Arc<Self>) -> Option<Permit> {
        let mut state = self.lock();
        state.has_room().then(|| state.admit(self))
    }
    /// A place for who must not wait, even where there is none left.
    pub(super) fn acquire_at_once(self: &Arc<Self>) -> Permit {
        self.lock().admit(self)
    }
    fn release(self: &Arc<Self>, permit: &Permit) {
        let granted = {
            let mut state = self.lock();
            if let Some(good) = permit.good {
                let answer = state.answer(self.lane, permit, good);
                state.window.record_answer(&answer);
            }
            state.within = state.within.saturating_sub(1);
            state.grant(self)
        };
        // Without the lock: a permit that finds nobody any more comes back here.
        for (grant, permit) in granted {
            drop(grant.send(permit));
        }
    }
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether somebody who comes now need not wait.
    fn has_room(&self) -> bool {
        self.waiting.is_empty() && self.within < self.window.size()
    }
    fn admit(&mut self, gate: &Arc<RequestGate>) -> Permit {
        self.within = self.within.saturating_add(1);
        Permit {
            gate: Arc::clone(gate),
            epoch: self.window.epoch(),
            since: Instant::now(),
            good: None,
        }
    }
    /// The next in line, as many as there is room for.
    fn grant(&mut self, gate: &Arc<RequestGate>) -> Vec<(oneshot::Sender<Permit>, Permit)> {
        let mut granted = Vec::new();
        while self.within < self.window.size() {
            let Some(grant) = self.waiting.pop() else {
                break;
            };
            granted.push((grant, self.admit(gate)));
        }
        granted
    }
    fn answer(&self, lane: Lane, permit: &Permit, good: SuccessNote) -> MeasuredResponse {
        let at = Instant::now();
        MeasuredResponse {
            epoch: permit.epoch,
            at,
            full: self.within >= self.window.size(),
            roomy: match lane {
                Lane::Calls => good.shared,
                Lane::Downloads | Lane::Uploads => permit.since.elapsed() < QUICK,
            },
            latency: good.latency.filter(|_| lane == Lane::Calls),
        }
    }
}

impl Permit {
    /// Takes note of an answer; the width of the window where that narrowed it.
    pub(in crate::transport) fn record_answer(&mut self, head: ResponseHead) -> Option<usize> {
        let overloaded = matches!(
            head.status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        if overloaded {
            self.good = None;
            return self.gate.lock().window.overloaded(self.epoch);
        }
        // What else a server fails with has its reasons elsewhere.
        self.good = (!head.status.is_server_error()).then(|| SuccessNote {
            latency: head.latency.filter(|_| head.status == StatusCode::OK),
            shared: head.version == Version::HTTP_2,
        });
        None
    }
    /// Takes note of a failure before any answer; the width of the window where that narrowed it.
    pub(in crate::transport) fn failed(&mut self, kind: ErrorKind) -> Option<usize> {
        match kind {
            ErrorKind::Connect | ErrorKind::Broken | ErrorKind::Stalled => {
                self.gate.lock().window.broke(self.epoch)
            }
            _ => None,
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let gate = Arc::clone(&self.gate);
        gate.release(self);
    }
}

/// Takes a waiter out of line when it waits no more.
struct WaiterGuard<'a> {
    gate: &'a RequestGate,
    ticket: QueueTicket,
}

impl Drop for WaiterGuard<'_> {
    fn drop(&mut self) {
        let left = self.gate.lock().waiting.remove(self.ticket);
        drop(left);
    }
}

#[cfg(test)]
mod tests;

//! The gate of one host and lane: a window, the requests in flight, and the waiting ones.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use http::{StatusCode, Version};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::error::ErrorKind;
use crate::lock::lock;
use crate::transport::Lane;
use crate::transport::limits::WindowBounds;
use crate::transport::limits::pacing::{Accepted, AcceptedMeter};
use crate::transport::limits::queue::{QueueTicket, WaitQueue};
use crate::transport::limits::window::{ConcurrencyWindow, MeasuredResponse};

/// A body that is complete this soon spent its time on latency and not on bandwidth, so more bodies at a time help.
const QUICK: Duration = Duration::from_millis(500);

/// A window, the requests in flight, and the waiting ones.
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
    accepted: AcceptedMeter,
}

/// Permission for one request. Released when dropped, with a note of its result.
#[derive(Debug)]
pub(in crate::transport) struct Permit {
    gate: Arc<RequestGate>,
    epoch: u64,
    since: Instant,
    /// Note of a good answer.
    good: Option<SuccessNote>,
}

#[derive(Clone, Copy, Debug)]
struct SuccessNote {
    latency: Option<Duration>,
    /// True if other requests share the connection.
    shared: bool,
}

/// Facts from the head of an answer that concern the host's load.
#[derive(Clone, Copy, Debug)]
pub(in crate::transport) struct ResponseHead {
    pub(in crate::transport) status: StatusCode,
    pub(in crate::transport) version: Version,
    /// Latency, for requests that all cost the host about the same.
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
                accepted: AcceptedMeter::new(Instant::now()),
            }),
        })
    }
    /// Waits for a permit. A dropped future leaves the queue.
    pub(super) async fn acquire(self: &Arc<Self>, weight: u64) -> Permit {
        let (granted, ticket) = {
            let mut state = self.lock();
            if state.has_room() {
                return state.admit(self);
            }
            let (grant, granted) = oneshot::channel();
            (granted, state.waiting.push(weight, grant))
        };
        // Dropped before a permit that it may have received, which is then released.
        let _leaves = WaiterGuard { gate: self, ticket };
        match granted.await {
            Ok(permit) => permit,
            // A waiter is only removed with a permit. This branch only ensures that nobody waits for ever.
            Err(_) => self.acquire_at_once(),
        }
    }
    /// Returns a permit if one is free and nobody waits for it.
    pub(super) fn try_enter(self: &Arc<Self>) -> Option<Permit> {
        let mut state = self.lock();
        state.has_room().then(|| state.admit(self))
    }
    /// Returns a permit without waiting, even beyond the window.
    pub(super) fn acquire_at_once(self: &Arc<Self>) -> Permit {
        self.lock().admit(self)
    }
    /// Returns the number of requests that were accepted lately, and begins a new count.
    pub(super) fn restart_count(&self) -> Accepted {
        self.lock().accepted.restart(Instant::now())
    }
    /// Returns the present width of the window.
    pub(super) fn window_size(&self) -> usize {
        self.lock().window.size()
    }
    fn release(self: &Arc<Self>, permit: &Permit) {
        let granted = {
            let mut state = self.lock();
            if let Some(good) = permit.good {
                let answer = state.answer(self.lane, permit, good);
                state.window.record_answer(&answer);
                state.accepted.record(answer.at);
            }
            state.within = state.within.saturating_sub(1);
            state.grant(self)
        };
        // Sent without the lock: a permit without a receiver comes back here.
        for (grant, permit) in granted {
            drop(grant.send(permit));
        }
    }
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Returns true if a new request need not wait.
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
    /// Admits the next waiting requests, as many as there is room for.
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
    /// Records an answer. Returns the width of the window if it became narrower.
    pub(in crate::transport) fn record_answer(&mut self, head: ResponseHead) -> Option<usize> {
        let overloaded = matches!(
            head.status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        if overloaded {
            self.good = None;
            return self.gate.lock().window.overloaded(self.epoch);
        }
        // Other server errors have other reasons than load.
        self.good = (!head.status.is_server_error()).then(|| SuccessNote {
            latency: head.latency.filter(|_| head.status == StatusCode::OK),
            shared: head.version == Version::HTTP_2,
        });
        None
    }
    /// Records a failure before any answer. Returns the width of the window if it became narrower.
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

/// Removes a waiter from the queue when it is dropped.
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

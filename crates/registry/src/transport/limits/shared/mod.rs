//! Limits of the user's that several processes share.
//!
//! The processes draw tokens of a registry from one place, a batch at a time: enough for [`BATCH`] of the rate. A batch
//! may be used from the time that it was granted for, and unused tokens expire [`BATCH`] later, so that requests never
//! come faster than the rate allows. While that place is away, each process has its share of the rate.

mod bucket;
mod driver;
mod supply;

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::reference::Registry;
use crate::transport::limits::Pauses;
use crate::transport::{Observer, PauseReason};

pub(super) use bucket::SharedBucket;
pub(in crate::transport) use bucket::Unpaid;

/// Time of the rate that a batch of tokens is for, and for which it may be used.
const BATCH: Duration = Duration::from_millis(250);

/// Limits of registries that several processes share.
pub trait SharedLimits: Send + Sync + 'static {
    /// Draws tokens. At most one draw is in flight for each registry and unit. A draw without an answer after a second
    /// counts as unavailable meanwhile.
    ///
    /// # Errors
    /// The limits are unavailable. The process then has its share of the rate, and tries again every second.
    fn draw(&self, draw: Draw) -> BoxFuture<'_, Result<Grant, LimitsUnavailable>>;
    /// Pauses `registry` for all processes, since it asked this one for a pause. Called for each refusal, often many at
    /// once; must not block.
    fn pause(&self, registry: &Registry, delay: Duration, why: PauseReason);
    /// Registers a transport of this process, which has to learn of the pauses of other processes.
    fn attach(&self, pauses: RemotePauses);
    /// Returns the number of processes that share the limits, this one included, as far as it is known.
    fn processes(&self) -> usize;
}

/// Unit of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitUnit {
    /// Requests.
    Requests,
    /// Bytes of bodies.
    Bytes,
}

/// A request for tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Draw {
    /// The registry.
    pub registry: Registry,
    /// Unit of the tokens.
    pub unit: LimitUnit,
    /// Tokens a second for all processes together. Greater than zero.
    pub rate: f64,
    /// Time for which unused capacity is kept.
    pub kept: Duration,
    /// Number of tokens: a batch at most. Greater than zero.
    pub amount: u64,
}

/// Answer to a [`Draw`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Number of granted tokens, at most the amount of the draw. It may be zero.
    pub tokens: u64,
    /// Time after which the tokens may be used; without tokens, the time after which another draw makes sense.
    pub delay: Duration,
}

/// Error of limits that cannot be reached now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the shared limits are unavailable")]
pub struct LimitsUnavailable;

/// Pauses of other processes, for one transport.
#[derive(Clone)]
pub struct RemotePauses {
    pauses: Weak<Pauses>,
    observer: Weak<dyn Observer>,
}

impl std::fmt::Debug for RemotePauses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemotePauses").finish_non_exhaustive()
    }
}

impl RemotePauses {
    pub(in crate::transport) fn new(pauses: &Arc<Pauses>, observer: &Arc<dyn Observer>) -> Self {
        Self {
            pauses: Arc::downgrade(pauses),
            observer: Arc::downgrade(observer),
        }
    }
    /// Pauses `registry` for `delay`, as if it had asked this process for it. Repeating a pause has no effect. Returns
    /// false if the transport is gone.
    pub fn pause(&self, registry: &Registry, delay: Duration, why: PauseReason) -> bool {
        let Some(pauses) = self.pauses.upgrade() else {
            return false;
        };
        if pauses.pause(registry, delay)
            && let Some(observer) = self.observer.upgrade()
        {
            observer.pause(registry.as_str(), delay, why);
        }
        true
    }
}

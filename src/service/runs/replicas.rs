//! Runs that several replicas of the service share.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use image_syncer_sync::Listener;
use jiff::Timestamp;

use crate::service::run::{Run, RunId, RunState};

/// Server that holds the runs of all replicas. It decides when they start, and passes each change to all of them:
/// [`Runs::mirror`](super::Runs::mirror). No method waits for the server.
pub(crate) trait Replicas: Send + Sync {
    /// Adds a run that waits. Only one replica's run is added for each rule and `slot`, a time of its schedule.
    fn add(&self, run: Run, slot: Option<Timestamp>);

    /// Cancels a run that waits or is in progress.
    fn cancel(&self, run: RunId);

    /// Passes the events of a run to `listener` as its units end, until it is over.
    fn follow(&self, run: Run, listener: Arc<dyn Listener>) -> BoxFuture<'static, FollowedEnd>;
}

/// End of a run that this replica followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FollowedEnd {
    /// Its time.
    pub(crate) at: Timestamp,
    /// `Cancelled` or `Interrupted`; `None` if it was carried out to its end.
    pub(crate) stopped: Option<RunState>,
    /// Reason for an early end.
    pub(crate) failure: Option<String>,
    /// True if this replica reports the end to receivers of notifications. One of them does.
    pub(crate) announces: bool,
}

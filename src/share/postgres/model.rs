//! Shared runs and workers, as plain data.

use std::time::Duration;

use jiff::Timestamp;

use crate::share::{FinishedUnit, RunKey, RunWork};

/// Settings of shared work.
#[derive(Clone, Debug)]
pub(crate) struct ShareOptions {
    /// URL of the server.
    pub(crate) url: String,
    /// Time after which a server that is away is an error.
    pub(crate) timeout: Duration,
    /// Identity of the rules of this worker, until [`PostgresShare::set_digest`](super::PostgresShare::set_digest).
    pub(crate) digest: String,
}

/// A run to open.
#[derive(Clone, Debug)]
pub(crate) struct NewRun {
    /// Its work.
    pub(crate) work: RunWork,
    /// Reason for it.
    pub(crate) cause: String,
    /// Time in a schedule, for which there is one run.
    pub(crate) slot: Option<Timestamp>,
}

/// A run that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenedRun {
    /// The run.
    pub(crate) run: RunKey,
    /// False if another process had opened the run of the slot.
    pub(crate) is_new: bool,
}

/// State of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SharedRunState {
    /// Waits for another run.
    Queued,
    /// Is carried out.
    Running,
    /// All units ended.
    Done,
    /// Was cancelled.
    Cancelled,
    /// No worker was there.
    Abandoned {
        /// A sentence.
        reason: String,
    },
}

impl SharedRunState {
    pub(super) fn new(state: &str, failure: Option<String>) -> Self {
        match state {
            "queued" => Self::Queued,
            "running" => Self::Running,
            "done" => Self::Done,
            "cancelled" => Self::Cancelled,
            _ => Self::Abandoned {
                reason: failure.unwrap_or_default(),
            },
        }
    }

    /// Returns true if no unit of the run will be carried out any more.
    pub(crate) fn is_over(&self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// News of a run.
#[derive(Clone, Debug)]
pub(crate) struct RunNews {
    /// Units that finished, in their order.
    pub(crate) units: Vec<FinishedUnit>,
    /// Number of the last one.
    pub(crate) last: i64,
    /// State, which is over only together with the last units.
    pub(crate) state: SharedRunState,
}

/// A run.
#[derive(Clone, Debug)]
pub(crate) struct SharedRun {
    /// The run.
    pub(crate) run: RunKey,
    /// Identity of its rules.
    pub(crate) digest: String,
    /// Version of the program that opened it.
    pub(crate) program: String,
    /// Its work.
    pub(crate) work: RunWork,
    /// Reason for it.
    pub(crate) cause: String,
    /// Rule of a schedule.
    pub(crate) rule: Option<String>,
    /// Time in a schedule.
    pub(crate) slot: Option<Timestamp>,
    /// State.
    pub(crate) state: SharedRunState,
    /// Time of the request.
    pub(crate) requested: Timestamp,
    /// Time of the start.
    pub(crate) started: Option<Timestamp>,
    /// Time of the end.
    pub(crate) ended: Option<Timestamp>,
    /// Worker that opened it.
    pub(crate) owner: String,
    /// Number of units so far.
    pub(crate) units: i64,
    /// Number of units that ended.
    pub(crate) finished: i64,
}

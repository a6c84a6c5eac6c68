//! Handle of a run in progress.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::engine::Stop;
use crate::transfer::Progress;

/// A run in progress. It goes on if the handle is dropped.
pub struct RunHandle {
    pub(super) progress: Arc<Progress>,
    pub(super) stop: Stop,
    pub(super) started: Instant,
    pub(super) task: JoinHandle<()>,
    /// The end, once the task was joined. It must not be joined again.
    pub(super) end: Option<RunEnd>,
}

/// End of a run. Its outcomes were events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunEnd {
    /// True if the run was stopped before.
    pub stopped: bool,
    /// Time since the start of the run.
    pub elapsed: Duration,
    /// Bytes of blobs that were read from sources. A download that several runs share counts for the first.
    pub fetched: u64,
    /// Bytes of blobs that were sent to destinations.
    pub sent: u64,
}

impl RunHandle {
    /// Returns the counters of the transfers, for a display to sample.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Stops the run: no further image starts, and images in flight may go on for the grace period of the run.
    pub fn stop(&self) {
        self.stop.cancel.cancel();
    }

    /// Stops the run and drops its images in flight, which are reported as interrupted.
    pub fn abandon(&self) {
        self.stop.abandon.cancel();
    }

    /// Waits for the end of the run. All of its events have been sent then, and nothing is in flight.
    pub async fn wait(mut self) -> RunEnd {
        self.ended().await
    }

    /// Waits as [`RunHandle::wait`] does, and leaves the handle in place. May be dropped and called again.
    pub async fn ended(&mut self) -> RunEnd {
        if let Some(end) = self.end {
            return end;
        }
        let joined = (&mut self.task).await;
        let end = RunEnd {
            // A runtime that shuts down drops the run.
            stopped: self.stop.cancel.is_cancelled() || joined.is_err(),
            elapsed: self.started.elapsed(),
            fetched: self.progress.bytes_fetched(),
            sent: self.progress.bytes_streamed(),
        };
        self.end = Some(end);
        if let Err(error) = joined
            && let Ok(panic) = error.try_into_panic()
        {
            std::panic::resume_unwind(panic);
        }
        end
    }
}

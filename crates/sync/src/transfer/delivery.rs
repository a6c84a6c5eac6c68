//! One delivery: decides for each destination, and again after each wait.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, Span};

use crate::Repository;
use crate::failure::Failure;
use crate::span;
use crate::store::Destination;
use crate::transfer::blob_upload::BlobUploadTask;
use crate::transfer::completion::{Completion, CompletionResult};
use crate::transfer::fan_out::{BlobDownload, FanOutReader};
use crate::transfer::in_flight::Assignment;
use crate::transfer::{Delivery, Moved, Transfers};

/// A delivery in progress.
pub(super) struct ActiveDelivery<'a, F> {
    transfers: &'a Transfers,
    download: BlobDownload,
    destinations: Vec<DeliveryTarget>,
    /// Receives the outcome of the destination at an index of the delivery.
    on_outcome: F,
}

struct DeliveryTarget {
    destination: Arc<dyn Destination>,
    has_outcome: bool,
}

/// End of a step for the destination at this index of the delivery.
enum Step {
    /// The destination has its outcome.
    Finished(usize, Result<Moved, Failure>),
    /// Its wait has ended, or a record was wrong: the decision is repeated.
    Retry(usize),
}

/// All steps in progress, which advance concurrently.
type Steps = FuturesUnordered<BoxFuture<'static, Step>>;

impl<'a, F: FnMut(usize, Result<Moved, Failure>)> ActiveDelivery<'a, F> {
    pub(super) fn new(transfers: &'a Transfers, delivery: Delivery, on_outcome: F) -> Self {
        let destinations = delivery.destinations.into_iter();
        Self {
            transfers,
            download: BlobDownload {
                blob: Arc::new(delivery.blob),
                source: delivery.source,
                progress: Arc::clone(&transfers.progress),
            },
            destinations: destinations
                .map(|destination| DeliveryTarget {
                    destination,
                    has_outcome: false,
                })
                .collect(),
            on_outcome,
        }
    }
    /// Drives all destinations to their outcomes.
    pub(super) async fn run(&mut self) {
        let mut steps = Steps::new();
        let mut pending: Vec<usize> = (0..self.destinations.len()).collect();
        loop {
            self.start_steps(std::mem::take(&mut pending), &steps);
            let Some(mut step) = steps.next().await else {
                return;
            };
            // Destinations that become ready together are decided together, so that they can share a download.
            loop {
                match step {
                    Step::Finished(index, outcome) => self.report_outcome(index, outcome),
                    Step::Retry(index) => pending.push(index),
                }
                match steps.next().now_or_never().flatten() {
                    Some(next) => step = next,
                    None => break,
                }
            }
        }
    }
    /// Reports an outcome for all destinations without one.
    pub(super) fn interrupt(&mut self) {
        for index in 0..self.destinations.len() {
            self.report_outcome(index, Err(Failure::interrupted()));
        }
    }

    /// Decides for the destinations at these indices, in the order of the request, and starts a step for each that
    /// lacks the blob.
    fn start_steps(&mut self, mut indices: Vec<usize>, steps: &Steps) {
        indices.sort_unstable();
        let (in_flight, inventory) = (&self.transfers.in_flight, &self.transfers.inventory);
        let targets: Vec<(usize, &Arc<dyn Destination>)> = indices
            .into_iter()
            .filter_map(|index| Some((index, &self.destinations.get(index)?.destination)))
            .collect();
        let repositories: Vec<_> = targets.iter().map(|(_, d)| d.repository()).collect();
        let digest = &self.download.blob.digest;
        let assignments = in_flight.lease_destinations(&self.download, &repositories, inventory);
        let mut present = Vec::new();
        for ((index, destination), assignment) in targets.into_iter().zip(assignments) {
            let repository = destination.repository();
            match assignment {
                Assignment::Present => {
                    tracing::trace!("{digest} is known to be in {repository}");
                    present.push(index);
                }
                Assignment::Await(completion, deadline) => {
                    tracing::trace!("{digest} waits for what another brings to {repository}");
                    let source = self.download.source.repository().clone();
                    steps.push(wait(index, completion, deadline, source).boxed());
                }
                Assignment::Bring(lease, strategy, reader) => {
                    let task = self.upload_task(destination, reader);
                    let step = async move {
                        match task.run(lease, strategy).await {
                            Some(outcome) => Step::Finished(index, outcome),
                            None => Step::Retry(index),
                        }
                    };
                    steps.push(step.instrument(self.span(&**destination)).boxed());
                }
            }
        }
        for index in present {
            self.report_outcome(index, Ok(Moved::Present));
        }
    }
    /// Returns the span for a task of one of several destinations.
    fn span(&self, destination: &dyn Destination) -> Span {
        if self.destinations.len() > 1 {
            span::delivery(destination)
        } else {
            Span::current()
        }
    }
    fn upload_task(
        &self,
        destination: &Arc<dyn Destination>,
        reader: FanOutReader,
    ) -> BlobUploadTask {
        BlobUploadTask {
            blob: Arc::clone(&self.download.blob),
            destination: Arc::clone(destination),
            inventory: Arc::clone(&self.transfers.inventory),
            progress: Arc::clone(&self.transfers.progress),
            reader,
        }
    }
    /// Reports the outcome of a destination, unless it has one.
    fn report_outcome(&mut self, index: usize, outcome: Result<Moved, Failure>) {
        if let Some(target) = self.destinations.get_mut(index)
            && !std::mem::replace(&mut target.has_outcome, true)
        {
            (self.on_outcome)(index, outcome);
        }
    }
}

/// Waits for another task's blob. A failure of a source that both read is a failure of the waiting one as well; any
/// other result repeats the decision.
async fn wait(
    index: usize,
    completion: Completion,
    deadline: Option<Instant>,
    source: Repository,
) -> Step {
    let ended = match deadline {
        // A wait that timed out decides again, as if the lease had been released.
        Some(deadline) => timeout_at(deadline, completion.ended())
            .await
            .unwrap_or(CompletionResult::Released),
        None => completion.ended().await,
    };
    match ended {
        CompletionResult::SourceFailed {
            source: at,
            failure,
        } if at == source => Step::Finished(index, Err(failure)),
        CompletionResult::Arrived
        | CompletionResult::Released
        | CompletionResult::SourceFailed { .. } => Step::Retry(index),
    }
}

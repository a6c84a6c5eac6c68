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
use crate::transfer::blob_upload::{BlobUpload, BlobUploadTask};
use crate::transfer::completion::{Completion, CompletionResult};
use crate::transfer::fan_out::{BlobDownload, FanOutReader};
use crate::transfer::in_flight::{UploadDecision, UploadLease, UploadStrategy};
use crate::transfer::{Delivery, Moved, Outcomes, Transfers};

/// A delivery in progress.
pub(super) struct DeliveryRun<'a> {
    transfers: &'a Transfers,
    download: BlobDownload,
    destinations: Vec<DeliveryTarget>,
    outcomes: Outcomes,
}

struct DeliveryTarget {
    store: Arc<dyn Destination>,
    has_outcome: bool,
}

/// Result for the destination at this position.
enum Step {
    /// The destination has its outcome.
    Finished(usize, Result<Moved, Failure>),
    /// Its wait has ended, or a record was wrong: the decision is repeated.
    Retry(usize),
}

/// All steps in progress, which advance concurrently.
type Steps = FuturesUnordered<BoxFuture<'static, Step>>;

impl<'a> DeliveryRun<'a> {
    pub(super) fn new(transfers: &'a Transfers, delivery: Delivery, outcomes: Outcomes) -> Self {
        let destinations = delivery.destinations.into_iter();
        Self {
            transfers,
            download: BlobDownload {
                blob: Arc::new(delivery.blob),
                source: delivery.source,
                progress: Arc::clone(&transfers.progress),
            },
            destinations: destinations
                .map(|store| DeliveryTarget {
                    store,
                    has_outcome: false,
                })
                .collect(),
            outcomes,
        }
    }
    /// Drives all destinations to their outcomes.
    pub(super) async fn run(&mut self) {
        let mut steps = Steps::new();
        let mut pending: Vec<usize> = (0..self.destinations.len()).collect();
        loop {
            self.decide(std::mem::take(&mut pending), &steps);
            let Some(mut step) = steps.next().await else {
                return;
            };
            // Destinations that become ready together are decided together, so that they can share a download.
            loop {
                match step {
                    Step::Finished(position, outcome) => self.record_outcome(position, outcome),
                    Step::Retry(position) => pending.push(position),
                }
                match steps.next().now_or_never().flatten() {
                    Some(next) => step = next,
                    None => break,
                }
            }
        }
    }
    /// Sends an outcome for all destinations without one.
    pub(super) fn interrupt(&mut self) {
        for position in 0..self.destinations.len() {
            self.record_outcome(position, Err(Failure::interrupted()));
        }
    }

    /// Decides for the destinations at these positions, in the order of the request.
    fn decide(&mut self, mut positions: Vec<usize>, steps: &Steps) {
        positions.sort_unstable();
        let (in_flight, inventory) = (&self.transfers.in_flight, &self.transfers.inventory);
        let targets: Vec<(usize, &Arc<dyn Destination>)> = positions
            .into_iter()
            .filter_map(|position| Some((position, &self.destinations.get(position)?.store)))
            .collect();
        let repositories: Vec<_> = targets.iter().map(|(_, s)| s.repository()).collect();
        let digest = &self.download.blob.digest;
        let decisions = in_flight.lease_destinations(&self.download, &repositories, inventory);
        let mut present = Vec::new();
        for ((position, store), decision) in targets.into_iter().zip(decisions) {
            match decision {
                UploadDecision::Present => {
                    tracing::trace!("{digest} is known to be in {}", store.repository());
                    present.push(position);
                }
                UploadDecision::Await(completion, deadline) => {
                    tracing::trace!(
                        "{digest} waits for what another brings to {}",
                        store.repository()
                    );
                    let source = self.download.source.repository().clone();
                    steps.push(wait(position, completion, deadline, source).boxed());
                }
                UploadDecision::Upload(lease, strategy, reader) => {
                    let span = self.span(&**store);
                    let task = self.upload_task(store, lease, strategy, reader);
                    let step = async move {
                        match task.run().await {
                            Some(outcome) => Step::Finished(position, outcome),
                            None => Step::Retry(position),
                        }
                    };
                    steps.push(step.instrument(span).boxed());
                }
            }
        }
        for position in present {
            self.record_outcome(position, Ok(Moved::Present));
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
        lease: UploadLease,
        strategy: UploadStrategy,
        reader: FanOutReader,
    ) -> BlobUploadTask {
        BlobUploadTask {
            upload: BlobUpload {
                blob: Arc::clone(&self.download.blob),
                destination: Arc::clone(destination),
                inventory: Arc::clone(&self.transfers.inventory),
                progress: Arc::clone(&self.transfers.progress),
            },
            lease,
            strategy,
            reader,
            source: self.download.source.repository().clone(),
        }
    }
    fn record_outcome(&mut self, position: usize, outcome: Result<Moved, Failure>) {
        if let Some(destination) = self.destinations.get_mut(position)
            && !std::mem::replace(&mut destination.has_outcome, true)
        {
            // The receiver may be gone; others still wait for this blob.
            let _ = self.outcomes.send((position, outcome));
        }
    }
}

/// Waits for another task's blob. A failure of a source that both read is a failure of the waiting one as well; any
/// other result repeats the decision.
async fn wait(
    position: usize,
    completion: Completion,
    deadline: Option<Instant>,
    source: Repository,
) -> Step {
    let ended = match deadline {
        Some(deadline) => timeout_at(deadline, completion.ended()).await,
        None => Ok(completion.ended().await),
    };
    match ended.unwrap_or(CompletionResult::Released) {
        CompletionResult::SourceFailed {
            source: at,
            failure,
        } if at == source => Step::Finished(position, Err(failure)),
        CompletionResult::Arrived
        | CompletionResult::Released
        | CompletionResult::SourceFailed { .. } => Step::Retry(position),
    }
}

//! One delivery: decides for each destination, and decides anew when what it waited for has ended.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use registry::{Descriptor, Repository};

use crate::failure::Failure;
use crate::store::Store;
use crate::transfer::carry::{Errand, Slot, Upload};
use crate::transfer::fan_out::{Download, members};
use crate::transfer::flight::{Answer, Arrival, Claim, End, Road, Want};
use crate::transfer::{Delivery, Moved, Outcomes, Transfers};

/// A delivery under way.
pub(super) struct Run<'a> {
    transfers: &'a Transfers,
    blob: Arc<Descriptor>,
    source: Arc<dyn Store>,
    destinations: Vec<Destination>,
    outcomes: Outcomes,
}

struct Destination {
    store: Arc<dyn Store>,
    settled: bool,
}

/// What happened to the destination at this position.
enum Step {
    /// It is settled.
    Settled(usize, Result<Moved, Failure>),
    /// What it waited for has ended: its case is open again.
    Reopened(usize),
}

/// Everything that is under way; all of it moves at the same time.
type Steps = FuturesUnordered<BoxFuture<'static, Step>>;

impl<'a> Run<'a> {
    pub(super) fn new(transfers: &'a Transfers, delivery: Delivery, outcomes: Outcomes) -> Self {
        let destinations = delivery.destinations.into_iter();
        Self {
            transfers,
            blob: Arc::new(delivery.blob),
            source: delivery.source,
            destinations: destinations
                .map(|store| Destination {
                    store,
                    settled: false,
                })
                .collect(),
            outcomes,
        }
    }
    /// Drives all destinations to their outcomes.
    pub(super) async fn drive(&mut self) {
        let mut steps = Steps::new();
        let mut open: Vec<usize> = (0..self.destinations.len()).collect();
        loop {
            self.decide(std::mem::take(&mut open), &steps);
            let Some(mut step) = steps.next().await else {
                return;
            };
            // Those that become ready together are decided together, so that they can share a download.
            loop {
                match step {
                    Step::Settled(position, outcome) => self.settle(position, outcome),
                    Step::Reopened(position) => open.push(position),
                }
                match steps.next().now_or_never().flatten() {
                    Some(next) => step = next,
                    None => break,
                }
            }
        }
    }
    /// Sends an outcome for all that have none.
    pub(super) fn interrupt(&mut self) {
        for position in 0..self.destinations.len() {
            self.settle(position, Err(Failure::interrupted()));
        }
    }

    /// Decides for the destinations at these positions, in the order in which they were asked for; those that are to be brought the blob now share a download.
    fn decide(&mut self, mut positions: Vec<usize>, steps: &Steps) {
        positions.sort_unstable();
        let mut claimed = Vec::new();
        for position in positions {
            let Some(destination) = self.destinations.get(position) else {
                continue;
            };
            let want = Want {
                digest: &self.blob.digest,
                destination: destination.store.repository(),
                source: self.source.repository(),
            };
            match self.transfers.flights.want(want, &self.transfers.inventory) {
                Answer::Present => self.settle(position, Ok(Moved::Present)),
                Answer::Await(arrival) => {
                    let source = self.source.repository().clone();
                    steps.push(wait(position, arrival, source).boxed());
                }
                Answer::Claimed(claim, road) => {
                    let store = Arc::clone(&destination.store);
                    claimed.push((position, store, claim, road));
                }
            }
        }
        self.carry(claimed, steps);
    }
    fn carry(&self, claimed: Vec<(usize, Arc<dyn Store>, Claim, Road)>, steps: &Steps) {
        let slot = Arc::new(Slot::new(self.transfers.slots.clone()));
        let download = Download {
            blob: Arc::clone(&self.blob),
            source: Arc::clone(&self.source),
            progress: Arc::clone(&self.transfers.progress),
        };
        let members = members(download, claimed.len());
        for ((position, destination, claim, road), member) in claimed.into_iter().zip(members) {
            let errand = Errand {
                upload: Upload {
                    blob: Arc::clone(&self.blob),
                    destination,
                    slot: Arc::clone(&slot),
                    inventory: Arc::clone(&self.transfers.inventory),
                    progress: Arc::clone(&self.transfers.progress),
                },
                claim,
                road,
                member,
                source: self.source.repository().clone(),
            };
            let step = async move { Step::Settled(position, errand.run().await) };
            steps.push(step.boxed());
        }
    }
    fn settle(&mut self, position: usize, outcome: Result<Moved, Failure>) {
        if let Some(destination) = self.destinations.get_mut(position)
            && !std::mem::replace(&mut destination.settled, true)
        {
            // Whoever asked may not want to know any more; those who wait for this blob still do.
            let _ = self.outcomes.send((position, outcome));
        }
    }
}

/// Waits for another's blob. A failure of the source that both read is that of the one who waits as well; whatever
/// else became of it is looked at anew.
async fn wait(position: usize, arrival: Arrival, source: Repository) -> Step {
    match arrival.ended().await {
        End::SourceFailed {
            source: at,
            failure,
        } if at == source => Step::Settled(position, Err(failure)),
        End::Arrived | End::Released | End::SourceFailed { .. } => Step::Reopened(position),
    }
}

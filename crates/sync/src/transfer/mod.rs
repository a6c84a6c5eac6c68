//! One blob to its destinations: known, awaited, mounted or streamed; one download can feed many uploads.
//!
//! `flight` is the table of the run: who brings which blob where. What to do for a want is decided by a pure function
//! over that table and the inventory (`decide`). `carry` brings the blob to a destination that was claimed for it, and
//! `fan_out` lets those who are claimed at about the same time, for whichever images, share one download.
//!
//! What is taken is taken in one order: the claim, a turn among the transfers, the session at the destination, the
//! source. Whoever waits for another's blob holds none of them.

mod blob_upload;
mod commits;
mod completion;
mod decide;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable
)]
mod fake;
mod fan_out;
mod in_flight;
mod permits;
mod progress;
mod run;

use std::sync::Arc;

use image_syncer_registry::{Descriptor, Digest, Repository};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::inventory::Inventory;
use crate::store::Store;
pub(crate) use commits::CommitGuard;
use in_flight::InFlightBlobs;
pub use progress::{InFlightUpload, Progress};
use run::DeliveryRun;

/// How a blob came to be at a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// It was there, or another image of this run brought it; which of the two, the inventory knows.
    Present,
    /// The registry took it from another of its repositories.
    Mounted,
    /// This many bytes were sent; those that a broken upload was sent again count again.
    Streamed(u64),
}

/// Moves blobs; shared by all images of a run.
pub struct Transfers {
    inventory: Arc<Inventory>,
    flights: Arc<InFlightBlobs>,
    progress: Arc<Progress>,
}

/// A blob, where it is, and who lacks it.
pub struct Delivery {
    /// The blob.
    pub blob: Descriptor,
    /// Where it is read.
    pub source: Arc<dyn Store>,
    /// Where it is lacking; outcomes name them by their position here.
    pub destinations: Vec<Arc<dyn Store>>,
}

/// Where outcomes go: the position of a destination, and how the blob came there or why it did not.
pub type Outcomes = mpsc::UnboundedSender<(usize, Result<Moved, Failure>)>;

impl Transfers {
    /// Transfers that learn from and teach `inventory`; at most `at_a_time` downloads flow at once (`None`, as zero:
    /// only the hosts' own limits hold). A destination whose upload broke goes on from a second one within the same
    /// turn; one that could not keep pace with the others of its download waits until that has ended.
    pub fn new(inventory: Arc<Inventory>, at_a_time: Option<usize>) -> Self {
        let slots = at_a_time
            .filter(|slots| *slots > 0)
            .map(|slots| Arc::new(Semaphore::new(slots.min(Semaphore::MAX_PERMITS))));
        Self {
            inventory,
            flights: InFlightBlobs::new(slots),
            progress: Arc::default(),
        }
    }
    /// Counters of what all deliveries have moved so far.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }
    /// An image is on its way that will commit `blobs` in `repository`. Where a registry mounts only what a manifest
    /// names, others wait until what this gives is dropped: when the inventory knows that the image was committed, or
    /// when it will not be.
    pub(crate) fn will_commit<'a>(
        &self,
        repository: &Repository,
        blobs: impl IntoIterator<Item = &'a Digest>,
    ) -> CommitGuard {
        let blobs = blobs.into_iter().cloned().collect();
        self.flights.commits.register(repository, blobs)
    }
    /// Sees that the blob gets to all destinations of `delivery`; sends one outcome for each, as soon as it is known,
    /// and returns when all are. A source that fails fails those that wait for it, a destination only itself. When
    /// `cancel` is cancelled, what is not done by then is interrupted at once.
    ///
    /// Deliveries of one blob see to it among themselves that it is sent to a registry once and, where they come at
    /// about the same time, read at the source once; so any number may run at the same time, and one that waits for
    /// another costs no more than its memory.
    pub async fn deliver(
        &self,
        delivery: Delivery,
        outcomes: Outcomes,
        cancel: &CancellationToken,
    ) {
        let mut run = DeliveryRun::new(self, delivery, outcomes);
        let interrupted = tokio::select! {
            biased;
            () = cancel.cancelled() => true,
            () = run.run() => false,
        };
        if interrupted {
            run.interrupt();
        }
    }
}

#[cfg(test)]
mod tests;

//! Transfer of one blob to its destinations: present, awaited, mounted or streamed; one download can feed many uploads.
//!
//! `in_flight` is the table of the run's uploads. A pure function over that table and the inventory chooses the action
//! for each destination (`decide`). `blob_upload` carries it out for a destination that has a lease, and `fan_out` lets
//! uploads that begin at about the same time, for any images, share one download.
//!
//! Resources are acquired in one order: the lease, a transfer permit, the session at the destination, the source. A
//! task that waits for another task's blob holds none of them.

mod blob_upload;
mod commits;
mod completion;
mod decide;
mod fan_out;
mod in_flight;
mod permits;
mod progress;
mod run;

use std::sync::Arc;

use image_syncer_registry::{Descriptor, Digest};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::Repository;
use crate::failure::Failure;
use crate::inventory::Inventory;
use crate::store::{Destination, Source};
pub(crate) use commits::CommitGuard;
pub(crate) use decide::{Decision, Situation, decide};
use in_flight::InFlightBlobs;
pub(crate) use in_flight::knowledge;
pub use progress::{InFlightUpload, Progress};
use run::DeliveryRun;

/// Way in which a blob got to a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// It was present, or another image of this run uploaded it; the inventory distinguishes the two.
    Present,
    /// The registry mounted it from another of its repositories.
    Mounted,
    /// This many bytes were sent; bytes that were sent again after a broken upload count again.
    Streamed(u64),
}

/// Transfers of blobs; shared by all images of a run.
pub struct Transfers {
    inventory: Arc<Inventory>,
    in_flight: Arc<InFlightBlobs>,
    progress: Arc<Progress>,
}

/// Blobs in flight of all runs of a session, which share downloads and uploads.
#[derive(Clone)]
pub(crate) struct SharedTransfers(Arc<InFlightBlobs>);

/// A blob, its source, and the destinations that lack it.
pub struct Delivery {
    /// The blob.
    pub blob: Descriptor,
    /// Repository that it is read from.
    pub source: Arc<dyn Source>,
    /// Destinations that lack it; outcomes refer to them by their position here.
    pub destinations: Vec<Arc<dyn Destination>>,
}

/// Channel for outcomes: the position of a destination, and the way the blob got there or the failure.
pub type Outcomes = mpsc::UnboundedSender<(usize, Result<Moved, Failure>)>;

impl SharedTransfers {
    /// Creates transfers, of which at most `at_a_time` downloads run at the same time (`None` and zero: only the limits
    /// of the hosts apply). A destination whose upload broke continues with a second download under the same permit;
    /// one that did not keep pace with the other uploads waits until their download has ended.
    pub(crate) fn new(at_a_time: Option<usize>) -> Self {
        let transfers = at_a_time
            .filter(|transfers| *transfers > 0)
            .map(|transfers| Arc::new(Semaphore::new(transfers.min(Semaphore::MAX_PERMITS))));
        Self(InFlightBlobs::new(transfers))
    }
    /// Returns the number of blobs in flight.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Transfers {
    /// Creates transfers that read from and write to `inventory`. At most `at_a_time` downloads run at the same time
    /// (`None` and zero: only the limits of the hosts apply).
    pub fn new(inventory: Arc<Inventory>, at_a_time: Option<usize>) -> Self {
        Self::within(&SharedTransfers::new(at_a_time), inventory)
    }
    /// Creates the transfers of one run, with its own counters.
    pub(crate) fn within(shared: &SharedTransfers, inventory: Arc<Inventory>) -> Self {
        Self {
            inventory,
            in_flight: Arc::clone(&shared.0),
            progress: Arc::default(),
        }
    }
    /// Returns the counters of all deliveries.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }
    /// Announces an image that will commit `blobs` in `repository`. Where a registry mounts only blobs that a manifest
    /// names, other images wait until the returned guard is dropped: when the inventory knows that the image was
    /// committed, or when it will not be.
    pub(crate) fn will_commit<'a>(
        &self,
        repository: &Repository,
        blobs: impl IntoIterator<Item = &'a Digest>,
    ) -> CommitGuard {
        let blobs = blobs.into_iter().cloned().collect();
        self.in_flight.commits.register(repository, blobs)
    }
    /// Brings the blob to all destinations of `delivery`. Sends one outcome for each as soon as it is known, and
    /// returns when all are known. A failure of the source fails the destinations that wait for it, a failure of a
    /// destination only that one. When `cancel` is cancelled, unfinished destinations are interrupted at once.
    ///
    /// Deliveries of one blob cooperate: a registry is sent its bytes once, and deliveries at about the same time read
    /// the source once. Any number of them may run at the same time; one that waits for another costs only its memory.
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

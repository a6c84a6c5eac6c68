//! Transfer of one blob to its destinations: present, awaited, mounted or streamed; one download can feed many uploads.
//!
//! `delivery` decides for each destination of a blob. `in_flight` is the table of the uploads of all runs. A pure
//! function over that table and the inventory chooses the action (`decide`). `blob_upload` carries it out for a
//! destination that has a lease, and `fan_out` lets uploads that begin at about the same time, for any images, share
//! one download.
//!
//! Resources are acquired in one order: the lease, the permit of the group, the upload session, its slot, the source.
//! Only a mount opens its upload session without a permit; if the mount is refused, the permit follows. The number of
//! open upload sessions has no limit, so that nobody waits for one. A destination that waits for another task's blob
//! holds none of these resources for it.

mod blob_upload;
mod commits;
mod completion;
mod decide;
mod delivery;
mod fan_out;
mod in_flight;
mod permits;
mod progress;

use std::sync::Arc;

use image_syncer_registry::{Descriptor, Digest};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::Repository;
use crate::failure::Failure;
use crate::inventory::Inventory;
use crate::store::{Destination, Source};
pub(crate) use commits::CommitGuard;
pub(crate) use decide::{Decision, Situation, decide};
use delivery::ActiveDelivery;
use in_flight::InFlightBlobs;
pub(crate) use in_flight::knowledge_with_source;
pub use progress::{InFlightUpload, Progress};

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

/// A blob, its source, and the destinations that may lack it.
pub struct Delivery {
    /// The blob.
    pub blob: Descriptor,
    /// Repository that it is read from.
    pub source: Arc<dyn Source>,
    /// Destinations that may lack it; outcomes refer to them by their index here.
    pub destinations: Vec<Arc<dyn Destination>>,
}

impl SharedTransfers {
    /// Creates transfers. At most `at_a_time` blobs are downloaded at a time (`None` and zero: only the limits of the
    /// hosts apply). An upload that broke may open the blob again without a permit of its own.
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
    /// Creates transfers that read from and write to `inventory`. At most `at_a_time` blobs are downloaded at a time
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
    /// Replaces the counters by those of several runs.
    #[must_use]
    pub(crate) fn counting_in(mut self, progress: Option<Arc<Progress>>) -> Self {
        self.progress = progress.unwrap_or(self.progress);
        self
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
    /// Brings the blob to all destinations of `delivery`. Calls `on_outcome` once for each as soon as its outcome is known,
    /// with its index in the delivery, and returns when all are known. A failure of the source fails the destinations that wait for it, a failure of a
    /// destination only that one. When `cancel` is cancelled, unfinished destinations are interrupted at once.
    ///
    /// Deliveries of one blob cooperate: a repository is sent its bytes once, others of its registry try a mount first,
    /// and deliveries at about the same time read the source once. Any number of them may run at the same time; one
    /// that waits for another costs only its memory.
    pub async fn deliver(
        &self,
        delivery: Delivery,
        on_outcome: impl FnMut(usize, Result<Moved, Failure>),
        cancel: &CancellationToken,
    ) {
        let mut active = ActiveDelivery::new(self, delivery, on_outcome);
        let interrupted = tokio::select! {
            biased;
            () = cancel.cancelled() => true,
            () = active.run() => false,
        };
        if interrupted {
            active.interrupt();
        }
    }
}

#[cfg(test)]
mod tests;

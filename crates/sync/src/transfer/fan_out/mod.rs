//! One download for many uploads.
//!
//! The destinations that need one blob form a [`FanOutGroup`]: those of one delivery, and of other deliveries for as
//! long as the group lives. Each [`FanOutReader`] is the source of its own upload. It opens its session and waits for
//! admission. The group serves the waiting readers in rounds ([`scheduler`]): when all readers are ready or have left
//! (their registry had the blob, or failed), it reserves upload slots at their destinations ([`slot_requests`]) and
//! opens the source once. A pump then passes the bytes to all readers with a slot, through bounded windows. Readers
//! without a slot, and later ones, wait for the next round. A destination is therefore always reserved before the
//! source is opened.
//!
//! No reader waits without a limit for another: a round begins without late readers, and a reader that accepts no bytes
//! while all others wait is detached ([`StreamFailure::Detached`]). A reader that opens its source again after its
//! upload broke reads a download of its own. A single reader reads the source directly.

mod admission;
mod pump;
mod reader;
mod scheduler;
mod slot_requests;
mod upload_slots;
mod window;

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use image_syncer_registry::{BlobStream, Descriptor};
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::store::{Source, StoreResult};
use crate::transfer::permits::SharedPermit;
use crate::transfer::progress::Progress;
pub(super) use reader::{FanOutReader, StreamFailure};
use scheduler::FanOutScheduler;
pub(super) use upload_slots::UploadSlots;

/// Maximum wait of ready readers for those that are not ready, and of readers with a slot for further slots.
const JOINING: Duration = Duration::from_secs(2);

/// The bytes of a blob at a source.
#[derive(Clone)]
pub(super) struct BlobDownload {
    pub(super) blob: Arc<Descriptor>,
    pub(super) source: Arc<dyn Source>,
    pub(super) progress: Arc<Progress>,
}

/// Limits that the groups of all runs share.
pub(super) struct SharedLimits {
    /// One permit for each group; `None` if only the limits of the hosts apply.
    pub(super) transfers: Option<Arc<Semaphore>>,
    /// Upload slots of all registries.
    pub(super) uploads: Arc<UploadSlots>,
}

/// State that the readers of a blob share. It ends with the last of them.
pub(super) struct FanOutGroup {
    scheduler: Arc<FanOutScheduler>,
    permit: SharedPermit,
    /// Runs the scheduler; started when the first reader has a session, aborted with the group.
    service: OnceLock<AbortOnDropHandle<()>>,
}

impl BlobDownload {
    async fn open(&self, offset: u64) -> StoreResult<BlobStream> {
        self.source.open_blob(&self.blob, offset).await
    }
}

impl FanOutGroup {
    /// Creates a group with its first reader, whose source the shared downloads use.
    pub(super) fn create(
        download: &BlobDownload,
        limits: &SharedLimits,
    ) -> (Weak<Self>, FanOutReader) {
        let group = Arc::new(Self {
            scheduler: Arc::new(FanOutScheduler::new(download, limits)),
            permit: SharedPermit::new(limits.transfers.clone()),
            service: OnceLock::new(),
        });
        let handle = Arc::downgrade(&group);
        let reader = group.add_reader(download);
        (handle, reader)
    }
    /// Adds a reader, which reads `download` where it cannot share.
    pub(super) fn add_reader(self: &Arc<Self>, download: &BlobDownload) -> FanOutReader {
        self.scheduler.expect_reader();
        FanOutReader::new(Arc::clone(self), download.clone())
    }
    /// Returns the scheduler and starts it if necessary.
    fn scheduler(&self) -> &Arc<FanOutScheduler> {
        self.service.get_or_init(|| {
            let service = Arc::clone(&self.scheduler).serve().in_current_span();
            AbortOnDropHandle::new(tokio::spawn(service))
        });
        &self.scheduler
    }
}

#[cfg(test)]
mod tests;

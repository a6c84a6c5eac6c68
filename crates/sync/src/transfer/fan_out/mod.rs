//! One download for many uploads.
//!
//! Those who are to be sent one blob form a [`FanOutGroup`]: the destinations of one delivery, and of others for as long as
//! the group lives. Each [`FanOutReader`] is the source of its own upload. It comes with its session and waits for a seat;
//! the group serves those who wait in rounds ([`scheduler`]): when all have come or fallen out (their registry had the
//! blob, or failed), it takes places for them at their destinations ([`upload_slots`]), opens the source, once, and a pump
//! hands its bytes to all who have a place, through bounded windows. Who has none, and who comes meanwhile, waits for
//! the next round. The destination is so always reserved before the source is opened.
//!
//! Nobody waits for ever for another: a round begins without those who are late, and who takes nothing while all
//! others wait is let go and comes back for a later round. Who opens its source again after its upload broke reads a
//! download of its own. Who is alone reads the source directly.

mod pump;
mod reader;
mod scheduler;
mod upload_slots;
mod window;

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use image_syncer_registry::{BlobStream, Descriptor, Error};
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::store::Store;
use crate::transfer::permits::SharedPermit;
use crate::transfer::progress::Progress;
pub(super) use reader::{FanOutReader, StreamFailure};
use scheduler::FanOutScheduler;
pub(super) use upload_slots::UploadSlots;

/// How long those who are ready wait for those who are not, and those who have places for further ones.
const JOINING: Duration = Duration::from_secs(2);

/// The bytes of a blob at a source.
#[derive(Clone)]
pub(super) struct BlobDownload {
    pub(super) blob: Arc<Descriptor>,
    pub(super) source: Arc<dyn Store>,
    pub(super) progress: Arc<Progress>,
}

/// What the groups of a run share.
pub(super) struct SharedLimits {
    /// One permit a transfer; `None` where only the hosts' own limits hold.
    pub(super) slots: Option<Arc<Semaphore>>,
    /// Who sends where.
    pub(super) gates: Arc<UploadSlots>,
}

/// What its members share. It ends with the last of them.
pub(super) struct FanOutGroup {
    desk: Arc<FanOutScheduler>,
    turns: SharedPermit,
    /// Serves the desk; begun when the first member comes with a session.
    service: OnceLock<AbortOnDropHandle<()>>,
}

impl BlobDownload {
    async fn open(&self, offset: u64) -> Result<BlobStream, Error> {
        self.source.open_blob(&self.blob, offset).await
    }
}

impl FanOutGroup {
    /// A group whose shared downloads are those of its first member, which comes with it.
    pub(super) fn found(
        download: &BlobDownload,
        hall: &SharedLimits,
    ) -> (Weak<Self>, FanOutReader) {
        let group = Arc::new(Self {
            desk: Arc::new(FanOutScheduler::new(download, hall)),
            turns: SharedPermit::new(hall.slots.clone()),
            service: OnceLock::new(),
        });
        let handle = Arc::downgrade(&group);
        let member = group.add_reader(download);
        (handle, member)
    }
    /// A further member, which reads `download` where it cannot share.
    pub(super) fn add_reader(self: &Arc<Self>, download: &BlobDownload) -> FanOutReader {
        self.desk.expect();
        FanOutReader::new(Arc::clone(self), download.clone())
    }
    /// The desk, served.
    fn scheduler(&self) -> &Arc<FanOutScheduler> {
        self.service.get_or_init(|| {
            let service = Arc::clone(&self.desk).serve().in_current_span();
            AbortOnDropHandle::new(tokio::spawn(service))
        });
        &self.desk
    }
}

#[cfg(test)]
mod tests;

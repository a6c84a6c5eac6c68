//! The share of a destination in a download, which is the source of its upload.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use image_syncer_registry::{BlobSize, BlobSource, BlobStream, Error, ErrorKind};
use tokio::sync::oneshot;

use crate::failure::{Failure, Side};
use crate::lock::lock;
use crate::store::{Source, StoreError, UploadSession};
use crate::transfer::fan_out::admission::{Admission, ReadMode};
use crate::transfer::fan_out::pump::OpenedDownload;
use crate::transfer::fan_out::upload_slots::UploadSlot;
use crate::transfer::fan_out::window::{WindowItem, WindowReceiver};
use crate::transfer::fan_out::{BlobDownload, FanOutGroup};
use crate::transfer::permits::TransferPermit;
use crate::transfer::progress::{Progress, UploadPosition};
use crate::{Endpoint, Repository};

/// The share of a destination in a download: the source of its upload.
pub(in crate::transfer) struct FanOutReader {
    group: Arc<FanOutGroup>,
    /// Download of its own, where it cannot share.
    download: BlobDownload,
    /// Set once it is ready or has left.
    settled: AtomicBool,
    /// Granted way of reading; removed when it reads from the start.
    read_mode: Mutex<Option<ReadMode>>,
    stats: Arc<ReaderStats>,
}

/// Result of the reading, used to judge the error of the upload.
#[derive(Default)]
struct ReaderStats {
    failure: Mutex<Option<StreamFailure>>,
    /// Number of times that the bytes did not match the digest.
    corrupt: AtomicU32,
    streamed: AtomicU64,
    size: Mutex<BlobSize>,
    position: Arc<UploadPosition>,
}

/// Reason why the last stream of a reader broke.
#[derive(Clone)]
pub(in crate::transfer) enum StreamFailure {
    /// Its own download failed.
    Source(Failure),
    /// The shared download failed, for all readers of the same source.
    Shared(Failure),
    /// It lost the shared download: it was detached, as it accepted no bytes while all others waited, or the download
    /// failed at the source of another reader. An upload that can reopen its body reads on its own at once; any other
    /// starts again in a later round.
    Detached,
}

impl FanOutReader {
    pub(super) fn new(group: Arc<FanOutGroup>, download: BlobDownload) -> Self {
        Self {
            group,
            download,
            settled: AtomicBool::new(false),
            read_mode: Mutex::default(),
            stats: Arc::new(ReaderStats::default()),
        }
    }
    /// Waits for the group's permit among the transfers of the run, or shares it.
    pub(in crate::transfer) async fn transfer_permit(&self) -> Arc<TransferPermit> {
        self.group.permit.acquire().await
    }
    /// Waits for admission to a round of the group, with an upload slot for `session` at `endpoint`. The session then
    /// reads the download of that round, as long as the [`UploadSlot`] is held.
    pub(in crate::transfer) async fn join_round(
        &self,
        session: Box<dyn UploadSession>,
        endpoint: &Endpoint,
    ) -> Result<(Box<dyn UploadSession>, UploadSlot), Failure> {
        lock(&self.read_mode).take();
        // Otherwise an error of the destination would be taken for the failure of an earlier round.
        self.stats.clear();
        let settles = !self.settled.swap(true, Ordering::Relaxed);
        let scheduler = self.group.scheduler();
        let admission = scheduler
            .wait_for_admission(session, endpoint.clone(), settles)
            .await?;
        let Admission {
            session,
            slot,
            read_mode,
        } = admission;
        *lock(&self.read_mode) = Some(read_mode);
        Ok((session, slot))
    }
    /// Ends the upload and releases its share of the download.
    pub(in crate::transfer) fn close(&self) {
        lock(&self.read_mode).take();
    }
    /// Returns the reason why the last stream broke, if it did.
    pub(in crate::transfer) fn stream_failure(&self) -> Option<StreamFailure> {
        lock(&self.stats.failure).clone()
    }
    /// Returns the number of bytes that were passed to the upload, repeated ones included.
    pub(in crate::transfer) fn streamed(&self) -> u64 {
        self.stats.streamed.load(Ordering::Relaxed)
    }
    /// Returns the position of the upload in the blob.
    pub(in crate::transfer) fn position(&self) -> &Arc<UploadPosition> {
        &self.stats.position
    }
    /// Returns the repository that is read without sharing.
    pub(in crate::transfer) fn source_repository(&self) -> &Repository {
        self.download.source.repository()
    }
    /// Returns the source that is read without sharing.
    pub(in crate::transfer) fn source(&self) -> &dyn Source {
        &*self.download.source
    }
    /// Returns the size of the blob as the last stream found it.
    pub(in crate::transfer) fn size(&self) -> Option<u64> {
        lock(&self.stats.size).get()
    }
    #[cfg(test)]
    pub(super) fn blob(&self) -> &image_syncer_registry::Descriptor {
        &self.download.blob
    }
    /// Opens a stream of its own.
    async fn open_own(&self, offset: u64) -> Result<BlobStream, Error> {
        self.stats.clear();
        let (stats, download) = (Arc::clone(&self.stats), self.download.clone());
        let stream = download
            .open(offset)
            .await
            .map_err(StoreError::into_error)
            .inspect_err(|error| stats.record_own_failure(error))?;
        stats.position.begin(offset);
        let progress = download.progress;
        let size = stream.size().clone();
        *lock(&stats.size) = size.clone();
        let stream = stream.inspect(move |next| match next {
            Ok(bytes) => {
                progress.fetched(bytes.len());
                stats.count(bytes.len(), &progress);
            }
            Err(error) => stats.record_own_failure(error),
        });
        Ok(BlobStream::new(stream).with_size(&size))
    }
    /// Returns the stream of a window.
    fn read_window(&self, window: WindowReceiver, size: &BlobSize) -> BlobStream {
        let stats = Arc::clone(&self.stats);
        *lock(&stats.size) = size.clone();
        let progress = Arc::clone(&self.download.progress);
        let own_source = self.shares_source();
        stats.position.begin(0);
        let bytes = stream::unfold(Some((window, stats, progress)), move |state| async move {
            let (mut window, stats, progress) = state?;
            match window.next().await {
                Some(WindowItem::Bytes(bytes)) => {
                    stats.count(bytes.len(), &progress);
                    Some((Ok(bytes), Some((window, stats, progress))))
                }
                Some(WindowItem::End) => None,
                Some(WindowItem::Failed(failure)) if own_source => {
                    Some((Err(stats.record_shared_failure(failure)), None))
                }
                Some(WindowItem::Failed(_)) | None => Some((Err(stats.record_detached()), None)),
            }
        });
        BlobStream::new(bytes.fuse()).with_size(size)
    }
    /// Returns whether the shared download reads this reader's own source.
    fn shares_source(&self) -> bool {
        let shared = self.group.scheduler.download.source.repository();
        shared == self.download.source.repository()
    }
    /// Returns the shared download if this is its first use and it is read from the start.
    fn opening(&self, offset: u64) -> Option<oneshot::Receiver<OpenedDownload>> {
        let mut read_mode = lock(&self.read_mode);
        match &*read_mode {
            // Kept, so that the round knows that it reads.
            Some(ReadMode::Alone(_)) | None => None,
            Some(ReadMode::Shared(_)) => match read_mode.take() {
                Some(ReadMode::Shared(opening)) if offset == 0 => Some(opening),
                _ => None,
            },
        }
    }
}

impl BlobSource for FanOutReader {
    fn open(&self, offset: u64) -> BoxFuture<'_, Result<BlobStream, Error>> {
        async move {
            // A permanent failure of the source fails all readers; a retry by each would multiply the requests. Only
            // corrupt bytes are worth another download, as they crossed the network only once.
            if let Some(StreamFailure::Shared(failure)) = self.stream_failure()
                && failure.kind != Some(ErrorKind::Corrupt)
            {
                return Err(self.stats.record_shared_failure(failure));
            }
            if let Some(opening) = self.opening(offset) {
                match opening.await {
                    Ok(OpenedDownload::Window(window, size)) => {
                        return Ok(self.read_window(window, &size));
                    }
                    Ok(OpenedDownload::Failed(failure)) if self.shares_source() => {
                        return Err(self.stats.record_shared_failure(failure));
                    }
                    // A pump that ended without a result has panicked: each reader then reads on its own.
                    Ok(OpenedDownload::Failed(_)) | Err(_) => {}
                }
            }
            self.open_own(offset).await
        }
        .boxed()
    }
}

impl Drop for FanOutReader {
    fn drop(&mut self) {
        if !self.settled.swap(true, Ordering::Relaxed) {
            self.group.scheduler.reader_left();
        }
    }
}

impl ReaderStats {
    fn count(&self, bytes: usize, progress: &Progress) {
        self.streamed.fetch_add(bytes as u64, Ordering::Relaxed);
        self.position.advance(bytes);
        progress.streamed(bytes);
    }
    fn clear(&self) {
        *lock(&self.failure) = None;
    }
    fn record_own_failure(&self, error: &Error) {
        let mut error = error.clone();
        if error.kind() == ErrorKind::Corrupt {
            let tries = self.corrupt.fetch_add(1, Ordering::Relaxed) + 1;
            error = error.clone().with_tries(tries.max(error.tries()));
        }
        let failure = Failure::registry(Side::Source, &error);
        *lock(&self.failure) = Some(StreamFailure::Source(failure));
    }
    /// Notes the failure; the returned error represents it within the upload.
    fn record_shared_failure(&self, failure: Failure) -> Error {
        let kind = failure.kind.unwrap_or(ErrorKind::Broken);
        if kind == ErrorKind::Corrupt {
            self.corrupt.fetch_add(1, Ordering::Relaxed);
        }
        let error = Error::new(
            kind,
            "read the shared download",
            &failure.host,
            &failure.reason,
        )
        .with_tries(failure.tries);
        *lock(&self.failure) = Some(StreamFailure::Shared(failure));
        error
    }
    fn record_detached(&self) -> Error {
        *lock(&self.failure) = Some(StreamFailure::Detached);
        let message = "the other destinations waited too long for this one";
        Error::new(ErrorKind::Broken, "read the shared download", "", message)
    }
}

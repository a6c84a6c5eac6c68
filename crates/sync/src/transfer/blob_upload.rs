//! Brings one blob to one destination: by a check, a mount or an upload.

use std::sync::Arc;

use image_syncer_registry::{Descriptor, Presence};

use crate::Repository;
use crate::failure::{Failure, Side};
use crate::inventory::{Inventory, MountCandidate, MountConfidence};
use crate::store::{Destination, StartedUpload, UploadSession, UploadStart, head_copied_blob};
use crate::transfer::Moved;
use crate::transfer::fan_out::{FanOutReader, StreamFailure};
use crate::transfer::in_flight::{MountProbe, UploadLease, UploadStrategy};
use crate::transfer::progress::Progress;

/// A blob on its way to a destination, with the lease for it.
pub(super) struct BlobUploadTask {
    pub(super) upload: BlobUpload,
    pub(super) lease: UploadLease,
    pub(super) strategy: UploadStrategy,
    /// Its share in a download.
    pub(super) reader: FanOutReader,
    /// Repository that the blob is read from.
    pub(super) source: Repository,
}

/// A blob, its destination, and the shared state of the run.
pub(super) struct BlobUpload {
    pub(super) blob: Arc<Descriptor>,
    pub(super) destination: Arc<dyn Destination>,
    pub(super) inventory: Arc<Inventory>,
    pub(super) progress: Arc<Progress>,
}

impl BlobUploadTask {
    /// Brings the blob, then records the result in the inventory, then ends the lease, in this order. Returns `None` if
    /// a record led here and was wrong: the decision is repeated then.
    pub(super) async fn run(self) -> Option<Result<Moved, Failure>> {
        let Self {
            upload,
            mut lease,
            strategy,
            reader,
            source,
        } = self;
        let probe = lease.take_mount_probe();
        let result = upload.run(strategy, reader, probe).await.transpose()?;
        match &result {
            Ok(moved) => {
                let repository = upload.destination.repository();
                let digest = &upload.blob.digest;
                match moved {
                    Moved::Present => upload.inventory.record_present(repository, digest),
                    Moved::Mounted | Moved::Streamed(_) => {
                        upload.inventory.record_upload(repository, digest);
                    }
                }
                lease.arrived();
            }
            Err(failure) if failure.side == Side::Source && !failure.interrupted => {
                lease.source_failed(source, failure.clone());
            }
            // The lease is released: other deliveries try on their own.
            Err(_) => drop(lease),
        }
        Some(result)
    }
}

impl BlobUpload {
    async fn run(
        &self,
        strategy: UploadStrategy,
        reader: FanOutReader,
        probe: Option<MountProbe>,
    ) -> Result<Option<Moved>, Failure> {
        let moved = match strategy {
            UploadStrategy::Check => {
                return Ok(self.head_blob(&reader).await.then_some(Moved::Present));
            }
            // A mount is a small request, which needs no permit; only its refusal makes it a transfer.
            UploadStrategy::Mount(from) => match self.mount(&from, probe).await? {
                StartedUpload::Present { mounted } => Ok(without_upload(mounted)),
                StartedUpload::Session(session) => {
                    let _permit = reader.transfer_permit().await;
                    self.send(session, &reader, UploadStart::UnlessPresent)
                        .await
                }
            },
            UploadStrategy::SendUnchecked => {
                self.open_and_send(&reader, UploadStart::Unchecked).await
            }
            UploadStrategy::Upload => {
                self.open_and_send(&reader, UploadStart::UnlessPresent)
                    .await
            }
        };
        moved.map(Some)
    }
    /// Checks whether the blob is present. Only a hint led to the check, so that no other answer is a failure.
    async fn head_blob(&self, reader: &FanOutReader) -> bool {
        let (repository, digest) = (self.destination.repository(), &self.blob.digest);
        let found = head_copied_blob(&*self.destination, reader.source_store(), &self.blob);
        let found = match found.await {
            Ok(Presence::Present) => Some(true),
            Ok(Presence::Absent) => Some(false),
            Ok(Presence::WrongSize(_)) => {
                self.inventory.record_missing(repository, digest);
                Some(false)
            }
            Err(_) => None,
        };
        self.inventory.record_lookup(repository, digest, found);
        found == Some(true)
    }
    /// Requests a mount; `probe` is dropped when the inventory knows the answer.
    async fn mount(
        &self,
        from: &MountCandidate,
        probe: Option<MountProbe>,
    ) -> Result<StartedUpload, Failure> {
        let opened = self
            .destination
            .start_upload(&self.blob, UploadStart::Mount(&from.repository))
            .await?;
        let accepted = match &opened {
            StartedUpload::Present { mounted: true } => Some(true),
            // It was present before, which says nothing about mounts.
            StartedUpload::Present { mounted: false } => None,
            StartedUpload::Session(_) => Some(false),
        };
        // A mount that could not be judged, for lack of pull permission for example, says nothing about others.
        let is_answer = match &opened {
            StartedUpload::Session(session) => session.is_instead_of_mount(),
            StartedUpload::Present { .. } => true,
        };
        match accepted {
            Some(accepted) if is_answer || from.confidence == MountConfidence::Recorded => {
                let digest = &self.blob.digest;
                self.inventory.record_mount_answer(from, digest, accepted);
            }
            Some(_) => {}
            None => self
                .inventory
                .record_unrequested_hit(self.destination.repository()),
        }
        drop(probe);
        Ok(opened)
    }
    async fn open_and_send(
        &self,
        reader: &FanOutReader,
        start: UploadStart<'_>,
    ) -> Result<Moved, Failure> {
        let _permit = reader.transfer_permit().await;
        match self.start(start).await? {
            StartedUpload::Present { mounted } => Ok(without_upload(mounted)),
            StartedUpload::Session(session) => self.send(session, reader, start).await,
        }
    }
    async fn start(&self, start: UploadStart<'_>) -> Result<StartedUpload, Failure> {
        let started = self.destination.start_upload(&self.blob, start).await?;
        if let StartedUpload::Present { .. } = started {
            self.inventory
                .record_unrequested_hit(self.destination.repository());
        }
        Ok(started)
    }
    /// Notes the size of the blob if its descriptor states another one.
    fn note_size(&self, reader: &FanOutReader) {
        let stated = self.blob.size;
        if let Some(size) = reader.size().filter(|size| stated != Some(*size)) {
            self.inventory.record_size(&self.blob.digest, size);
        }
    }
    /// Sends the bytes. If the reader was detached and the upload did not restart by itself, sends them again in a new
    /// session and a later round.
    async fn send(
        &self,
        mut session: Box<dyn UploadSession>,
        reader: &FanOutReader,
        start: UploadStart<'_>,
    ) -> Result<Moved, Failure> {
        let destination = self.destination.repository();
        let _underway =
            self.progress
                .upload(&self.blob, reader.source(), destination, reader.position());
        let endpoint = destination.endpoint();
        loop {
            let (admitted, permit) = reader.join_round(session, endpoint).await?;
            let sent = admitted.send(reader).await;
            reader.close();
            let Err(error) = sent else {
                self.note_size(reader);
                return Ok(Moved::Streamed(reader.streamed()));
            };
            match reader.stream_failure() {
                Some(StreamFailure::Source(failure) | StreamFailure::Shared(failure)) => {
                    return Err(failure);
                }
                Some(StreamFailure::Detached) => {
                    drop(permit);
                    tracing::debug!(
                        host = &*endpoint.name(),
                        "the upload of {} did not keep pace with others, it goes on later",
                        self.blob.digest
                    );
                    match self.start(start).await? {
                        StartedUpload::Present { mounted } => return Ok(without_upload(mounted)),
                        StartedUpload::Session(next) => session = next,
                    }
                }
                None => return Err(error.into()),
            }
        }
    }
}

fn without_upload(mounted: bool) -> Moved {
    if mounted {
        Moved::Mounted
    } else {
        Moved::Present
    }
}

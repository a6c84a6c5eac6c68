//! Brings one blob to one destination: by a check, a mount or an upload.

use std::sync::Arc;

use image_syncer_registry::{Descriptor, Presence};

use crate::failure::{Failure, Side};
use crate::inventory::{Inventory, MountCandidate, MountConfidence};
use crate::store::{Destination, StartedUpload, UploadSession, UploadStart, head_copied_blob};
use crate::transfer::Moved;
use crate::transfer::fan_out::{FanOutReader, StreamFailure};
use crate::transfer::in_flight::{MountProbe, UploadLease, UploadStrategy};
use crate::transfer::progress::Progress;

/// A blob on its way to a destination.
pub(super) struct BlobUploadTask {
    pub(super) blob: Arc<Descriptor>,
    pub(super) destination: Arc<dyn Destination>,
    pub(super) inventory: Arc<Inventory>,
    pub(super) progress: Arc<Progress>,
    /// Its share in a download.
    pub(super) reader: FanOutReader,
}

impl BlobUploadTask {
    /// Brings the blob, then records the result in the inventory, then ends the lease. The table of blobs in flight
    /// relies on this order (`InFlightBlobs::lease_destinations`). Returns `None` if a record led here and was wrong:
    /// the decision is repeated then.
    pub(super) async fn run(
        self,
        mut lease: UploadLease,
        strategy: UploadStrategy,
    ) -> Option<Result<Moved, Failure>> {
        let probe = lease.take_mount_probe();
        let result = self.bring(strategy, probe).await;
        let source = self.reader.source_repository().clone();
        // The group no longer expects this upload when the lease ends.
        drop(self.reader);
        let (repository, digest) = (self.destination.repository(), &self.blob.digest);
        match result {
            Ok(Some(moved)) => {
                match moved {
                    Moved::Present => self.inventory.record_present(repository, digest),
                    Moved::Mounted | Moved::Streamed(_) => {
                        self.inventory.record_upload(repository, digest);
                    }
                }
                lease.arrived();
                Some(Ok(moved))
            }
            // A lease that is dropped is released: this task and those that waited decide again.
            Ok(None) => {
                drop(lease);
                None
            }
            Err(failure) => {
                if failure.side == Side::Source && !failure.interrupted {
                    lease.source_failed(source, failure.clone());
                } else {
                    drop(lease);
                }
                Some(Err(failure))
            }
        }
    }
    /// Returns the way in which the blob got there, or `None` if a record was wrong.
    async fn bring(
        &self,
        strategy: UploadStrategy,
        probe: Option<MountProbe>,
    ) -> Result<Option<Moved>, Failure> {
        let moved = match strategy {
            UploadStrategy::LookUp => {
                return Ok(self.look_up().await.then_some(Moved::Present));
            }
            // A mount is a small request, which needs no permit; only its refusal makes it a transfer.
            UploadStrategy::Mount(from) => match self.mount(&from, probe).await? {
                StartedUpload::Present { mounted } => Ok(without_upload(mounted)),
                StartedUpload::Session(session) => {
                    let _permit = self.reader.transfer_permit().await;
                    self.send(session, UploadStart::UnlessPresent).await
                }
            },
            UploadStrategy::SendUnchecked => self.open_and_send(UploadStart::Unchecked).await,
            UploadStrategy::Upload => self.open_and_send(UploadStart::UnlessPresent).await,
        };
        moved.map(Some)
    }
    /// Checks whether the blob is present. Only a hint led to the check. A missing blob or an error is not a failure:
    /// the decision is repeated.
    async fn look_up(&self) -> bool {
        let (repository, digest) = (self.destination.repository(), &self.blob.digest);
        let found = head_copied_blob(&*self.destination, self.reader.source(), &self.blob);
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
            // A record that could not be judged counts as wrong: it is only a hint, and must not lead others there.
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
    async fn open_and_send(&self, start: UploadStart<'_>) -> Result<Moved, Failure> {
        let _permit = self.reader.transfer_permit().await;
        match self.start(start).await? {
            StartedUpload::Present { mounted } => Ok(without_upload(mounted)),
            StartedUpload::Session(session) => self.send(session, start).await,
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
    /// Records the size of the blob if its descriptor states another one.
    fn record_size(&self) {
        let stated = self.blob.size;
        if let Some(size) = self.reader.size().filter(|size| stated != Some(*size)) {
            self.inventory.record_size(&self.blob.digest, size);
        }
    }
    /// Sends the bytes. An upload that lost the shared download, and could not reopen its body
    /// ([`StreamFailure::Detached`]), starts again in a new session and a later round.
    async fn send(
        &self,
        mut session: Box<dyn UploadSession>,
        start: UploadStart<'_>,
    ) -> Result<Moved, Failure> {
        let (reader, destination) = (&self.reader, self.destination.repository());
        let source = reader.source_repository();
        let position = reader.position();
        let _underway = self
            .progress
            .upload(&self.blob, source, destination, position);
        let endpoint = destination.endpoint();
        loop {
            let (admitted, slot) = reader.join_round(session, endpoint).await?;
            let sent = admitted.send(reader).await;
            reader.close();
            let Err(error) = sent else {
                self.record_size();
                return Ok(Moved::Streamed(reader.streamed()));
            };
            match reader.stream_failure() {
                Some(StreamFailure::Source(failure) | StreamFailure::Shared(failure)) => {
                    return Err(failure);
                }
                Some(StreamFailure::Detached) => {
                    drop(slot);
                    tracing::debug!(
                        host = &*endpoint.name(),
                        "the upload of {} lost the shared download, it starts again later",
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

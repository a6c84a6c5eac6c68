//! Brings one blob to one destination: by a check, a mount or an upload.

use std::sync::Arc;

use image_syncer_registry::{Descriptor, Presence, Repository};

use crate::failure::{Failure, Side};
use crate::inventory::{Inventory, MountCandidate, MountConfidence};
use crate::store::{Opened, Session, Store, find_copied_blob};
use crate::transfer::Moved;
use crate::transfer::fan_out::{FanOutReader, StreamFailure};
use crate::transfer::in_flight::{MountProbe, UploadLease, UploadStrategy};
use crate::transfer::progress::Progress;

/// A blob on its way to a destination, with the lease for it.
pub(super) struct BlobUploadTask {
    pub(super) upload: BlobUpload,
    pub(super) claim: UploadLease,
    pub(super) road: UploadStrategy,
    /// Its share in a download.
    pub(super) member: FanOutReader,
    /// Repository that the blob is read from.
    pub(super) source: Repository,
}

/// A blob, its destination, and the shared state of the run.
pub(super) struct BlobUpload {
    pub(super) blob: Arc<Descriptor>,
    pub(super) destination: Arc<dyn Store>,
    pub(super) inventory: Arc<Inventory>,
    pub(super) progress: Arc<Progress>,
}

/// Check for the blob when an upload is opened.
#[derive(Clone, Copy)]
enum ExistenceCheck {
    Ask,
    /// The answer would not be believed.
    Spare,
}

impl BlobUploadTask {
    /// Brings the blob, then records the result in the inventory, then ends the lease, in this order. Returns `None` if
    /// a record led here and was wrong: the decision is repeated then.
    pub(super) async fn run(self) -> Option<Result<Moved, Failure>> {
        let Self {
            upload,
            mut claim,
            road,
            member,
            source,
        } = self;
        let asking = claim.asking();
        let result = upload.run(road, member, asking).await.transpose()?;
        match &result {
            Ok(moved) => {
                let repository = upload.destination.repository();
                let digest = &upload.blob.digest;
                match moved {
                    Moved::Present => upload.inventory.blob_is_in(repository, digest),
                    Moved::Mounted | Moved::Streamed(_) => {
                        upload.inventory.record_upload(repository, digest);
                    }
                }
                claim.arrived();
            }
            Err(failure) if failure.side == Side::Source && !failure.interrupted => {
                claim.source_failed(source, failure.clone());
            }
            // The lease is released: other deliveries try on their own.
            Err(_) => drop(claim),
        }
        Some(result)
    }
}

impl BlobUpload {
    async fn run(
        &self,
        road: UploadStrategy,
        member: FanOutReader,
        asking: Option<MountProbe>,
    ) -> Result<Option<Moved>, Failure> {
        let moved = match road {
            UploadStrategy::Look => {
                return Ok(self.head_blob(&member).await.then_some(Moved::Present));
            }
            // A mount is a small request, which needs no permit; only its refusal makes it a transfer.
            UploadStrategy::Mount(from) => match self.mount(&from, asking).await? {
                Opened::Present { mounted } => Ok(there(mounted)),
                Opened::Session(session) => {
                    let _turn = member.transfer_permit().await;
                    self.send(session, &member, ExistenceCheck::Ask).await
                }
            },
            UploadStrategy::Send => self.open_and_send(&member, ExistenceCheck::Spare).await,
            UploadStrategy::Bring => self.open_and_send(&member, ExistenceCheck::Ask).await,
        };
        moved.map(Some)
    }
    /// Checks whether the blob is present. Only a hint led to the check, so that no other answer is a failure.
    async fn head_blob(&self, member: &FanOutReader) -> bool {
        let (repository, digest) = (self.destination.repository(), &self.blob.digest);
        let found = find_copied_blob(&*self.destination, member.source_store(), &self.blob);
        let found = match found.await {
            Ok(Presence::Present) => Some(true),
            Ok(Presence::Absent) => Some(false),
            Ok(Presence::WrongSize(_)) => {
                self.inventory.blob_is_missing(repository, digest);
                Some(false)
            }
            Err(_) => None,
        };
        self.inventory.record_lookup(repository, digest, found);
        found == Some(true)
    }
    /// Requests a mount; `asking` ends when the inventory knows the answer.
    async fn mount(
        &self,
        from: &MountCandidate,
        asking: Option<MountProbe>,
    ) -> Result<Opened, Failure> {
        let opened = self
            .destination
            .open_upload(&self.blob, Some(&from.repository))
            .await
            .map_err(|error| Failure::registry(Side::Destination, &error))?;
        let taken = match &opened {
            Opened::Present { mounted: true } => Some(true),
            // It was present before, which says nothing about mounts.
            Opened::Present { mounted: false } => None,
            Opened::Session(_) => Some(false),
        };
        // A mount that could not be judged, for lack of pull permission for example, says nothing about others.
        let is_answer = match &opened {
            Opened::Session(session) => session.is_instead_of_mount(),
            Opened::Present { .. } => true,
        };
        match taken {
            Some(taken) if is_answer || from.standing == MountConfidence::Recorded => {
                let digest = &self.blob.digest;
                self.inventory.mount_answered(from, digest, taken);
            }
            Some(_) => {}
            None => self
                .inventory
                .record_unrequested_hit(self.destination.repository()),
        }
        drop(asking);
        Ok(opened)
    }
    async fn open_and_send(
        &self,
        member: &FanOutReader,
        question: ExistenceCheck,
    ) -> Result<Moved, Failure> {
        let _turn = member.transfer_permit().await;
        match self.open(question).await? {
            Opened::Present { mounted } => Ok(there(mounted)),
            Opened::Session(session) => self.send(session, member, question).await,
        }
    }
    async fn open(&self, question: ExistenceCheck) -> Result<Opened, Failure> {
        let opened = match question {
            ExistenceCheck::Ask => {
                let opened = self.destination.open_upload(&self.blob, None).await;
                if let Ok(Opened::Present { .. }) = &opened {
                    self.inventory
                        .record_unrequested_hit(self.destination.repository());
                }
                opened
            }
            ExistenceCheck::Spare => {
                let session = self.destination.open_session(&self.blob).await;
                session.map(Opened::Session)
            }
        };
        opened.map_err(|error| Failure::registry(Side::Destination, &error))
    }
    /// Notes the size of the blob if its descriptor states another one.
    fn note_size(&self, member: &FanOutReader) {
        let stated = self.blob.size;
        if let Some(size) = member.size().filter(|size| stated != Some(*size)) {
            self.inventory.has_size(&self.blob.digest, size);
        }
    }
    /// Sends the bytes. If the reader was detached and the upload did not restart by itself, sends them again in a new
    /// session and a later round.
    async fn send(
        &self,
        mut session: Box<dyn Session>,
        member: &FanOutReader,
        question: ExistenceCheck,
    ) -> Result<Moved, Failure> {
        let destination = self.destination.repository();
        let _underway =
            self.progress
                .upload(&self.blob, member.source(), destination, member.position());
        let registry = destination.registry();
        let mut laggard = None;
        loop {
            let (seated, flow) = member.join_round(session, registry).await?;
            let sent = seated.send(member).await;
            member.close();
            let Err(error) = sent else {
                self.note_size(member);
                return Ok(Moved::Streamed(member.streamed()));
            };
            match member.stream_failure() {
                Some(StreamFailure::Source(failure) | StreamFailure::Shared(failure)) => {
                    return Err(failure);
                }
                Some(StreamFailure::LetGo) => {
                    laggard.get_or_insert_with(|| flow.lag());
                    drop(flow);
                    tracing::debug!(
                        host = registry.as_str(),
                        "the upload of {} did not keep pace with others, it goes on later",
                        self.blob.digest
                    );
                    match self.open(question).await? {
                        Opened::Present { mounted } => return Ok(there(mounted)),
                        Opened::Session(next) => session = next,
                    }
                }
                None => return Err(Failure::registry(Side::Destination, &error)),
            }
        }
    }
}

fn there(mounted: bool) -> Moved {
    if mounted {
        Moved::Mounted
    } else {
        Moved::Present
    }
}

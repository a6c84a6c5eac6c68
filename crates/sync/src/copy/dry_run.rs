//! A copy that writes nothing: the same loop over stores that take pushes and do nothing with them. What the loop would
//! transfer is looked up and counted here; what it would have done becomes what is planned.
//!
//! That a plan tells what a copy does is thus no matter of care: there is but one loop.

use std::sync::{Arc, Mutex};

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use image_syncer_registry::{
    Cause, Descriptor, Digest, Error, ErrorKind, ManifestHead, Presence, Repository,
};

use crate::compare::{Comparison, Difference, MissingImage};
use crate::config::Intent;
use crate::copy::Copier;
use crate::copy::referrers::ReferrerCopier;
use crate::copy::transfer_batch::BatchHandle;
use crate::event::{Change, Copied, Cost, Evidence, Outcome, Planned};
use crate::failure::{Failure, Side};
use crate::graph::SourceImage;
use crate::inventory::{Fact, Inventory};
use crate::keyed::KeyedLock;
use crate::lock::lock;
use crate::store::Store;
use crate::transfer::Moved;

/// Blobs of one image that a destination is asked about at a time.
const QUESTIONS: usize = 8;

/// What a run that writes nothing would have brought where.
pub(super) struct DryRun {
    inventory: Arc<Inventory>,
    /// Whether it is enough to know which images differ.
    only_checks: bool,
    /// The blobs that are being looked for.
    asking: KeyedLock<(Repository, Digest)>,
    /// Held by whoever decides how a blob comes to a repository, and tells the inventory.
    deciding: Mutex<()>,
}

impl DryRun {
    /// For a run of that intent; `None` where it writes.
    pub(super) fn for_intent(intent: Intent, inventory: &Arc<Inventory>) -> Option<Self> {
        (intent != Intent::Copy).then(|| Self {
            inventory: Arc::clone(inventory),
            only_checks: intent == Intent::Check,
            asking: KeyedLock::default(),
            deciding: Mutex::default(),
        })
    }
    /// How each of `blobs` would come from `source` to `destination`.
    async fn transfer(
        &self,
        source: &Repository,
        destination: &dyn Store,
        blobs: &[Descriptor],
    ) -> Result<Vec<Moved>, Failure> {
        let mut moves = Vec::with_capacity(blobs.len());
        for blob in blobs {
            moves.push(self.blob(source, destination, blob).boxed());
        }
        stream::iter(moves).buffered(QUESTIONS).try_collect().await
    }

    /// Decides as a transfer does, but for a blob of which nothing is known to be there: where the first request of an
    /// upload would tell, a HEAD asks, one for each repository and run.
    async fn blob(
        &self,
        source: &Repository,
        destination: &dyn Store,
        blob: &Descriptor,
    ) -> Result<Moved, Failure> {
        let (repository, digest) = (destination.repository(), &blob.digest);
        if self.only_checks {
            return Ok(Moved::Streamed(blob.size.unwrap_or_default()));
        }
        let _asking = self.asking.lock((repository.clone(), digest.clone())).await;
        let known = self.inventory.knowledge(repository, digest);
        if known.here {
            return Ok(Moved::Present);
        }
        if known.missing {
            // Whatever led to what was lost would lead there again.
            return Ok(self.sent(repository, blob));
        }
        if source == repository {
            return Ok(Moved::Present);
        }
        if source.registry() == repository.registry() {
            self.inventory.record_upload(repository, digest);
            return Ok(Moved::Mounted);
        }
        if !self.inventory.was_empty(repository) && self.is_there(destination, blob).await? {
            return Ok(Moved::Present);
        }
        Ok(self.plan_blob(repository, blob))
    }

    async fn is_there(&self, destination: &dyn Store, blob: &Descriptor) -> Result<bool, Failure> {
        match destination.find_blob(blob).await {
            Ok(Presence::Present) => {
                let repository = destination.repository();
                self.inventory.blob_is_in(repository, &blob.digest);
                Ok(true)
            }
            Ok(Presence::Absent | Presence::WrongSize(_)) => Ok(false),
            Err(error) if is_unknown(&error) => Ok(false),
            Err(error) => Err(Failure::registry(Side::Destination, &error)),
        }
    }

    /// The first who brings a blob to a registry sends it; others mount it.
    fn plan_blob(&self, repository: &Repository, blob: &Descriptor) -> Moved {
        let _one_at_a_time = lock(&self.deciding);
        if let Fact::Elsewhere(_) = self.inventory.blob(repository, &blob.digest) {
            self.inventory.record_upload(repository, &blob.digest);
            return Moved::Mounted;
        }
        self.sent(repository, blob)
    }
    fn sent(&self, repository: &Repository, blob: &Descriptor) -> Moved {
        self.inventory.record_upload(repository, &blob.digest);
        Moved::Streamed(blob.size.unwrap_or_default())
    }
}

/// Whether a registry says no more than that it does not know, or show, the repository: one that is not there yet
/// (404, Harbor's and Docker Hub's 401, Artifactory's 403). A login that is no good is another matter.
fn is_unknown(error: &Error) -> bool {
    let refused = matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::Denied);
    error.kind() == ErrorKind::NotFound || (refused && error.cause() != Cause::LoginRefused)
}

impl Copier {
    /// Brings the blobs, or tells how they would come.
    pub(super) async fn transfer(
        &self,
        image: &SourceImage,
        seat: &BatchHandle,
        destination: &Arc<dyn Store>,
        blobs: &[Descriptor],
    ) -> Result<Vec<Moved>, Failure> {
        let Some(rehearsal) = &self.rehearsal else {
            return seat.transfer(destination, blobs).await;
        };
        let source = image.store().repository();
        rehearsal.transfer(source, &**destination, blobs).await
    }
    /// How an image ends of which it is enough to know that it differs.
    pub(super) async fn differing_outcome(
        &self,
        image: &SourceImage,
        company: Option<ReferrerCopier<'_>>,
        difference: Difference,
    ) -> Result<Outcome, Failure> {
        if let Some(company) = company {
            company.cover_differing_image(&difference).await?;
        }
        let there = difference.there.as_ref();
        // Another digest than the comparison had, if the tag was moved meanwhile.
        let digest = image.head().await?.digest;
        let moved = digest != difference.digest;
        if moved && there.is_some_and(|there| there.digest == digest) {
            let by = Evidence::Registry;
            return Ok(Outcome::Unchanged { digest, by });
        }
        let change = change(&digest, there);
        let copied = Outcome::Copied(Copied::without_transfer(digest));
        self.copy_outcome(image, copied, Some(change)).await
    }
    /// Whether the destination hides the repository from a login that it accepts, in a run that writes nothing; a copy
    /// learns from its push what is there.
    ///
    /// # Errors
    /// When the destination refused the question for another reason, so that nothing is known of what is there.
    pub(super) fn is_hidden(&self, comparison: &Comparison) -> Result<bool, Failure> {
        let unknown = match comparison {
            Comparison::Missing(missing) => missing.unknown.as_ref(),
            Comparison::Differs(difference) => difference.unknown.as_ref(),
            Comparison::Unchanged { .. } | Comparison::Skipped { .. } => None,
        };
        let Some(failure) = unknown.filter(|_| self.rehearsal.is_some()) else {
            return Ok(false);
        };
        let refused = matches!(
            failure.kind,
            Some(ErrorKind::Unauthorized | ErrorKind::Denied)
        );
        // Of a login that is missing or wrong the cause is another.
        if refused && failure.cause == Cause::NoPushRight {
            return Ok(true);
        }
        let reason = format!("not compared: {}", failure.reason);
        Err(Failure {
            reason,
            ..failure.clone()
        })
    }
    /// Whether it is enough to know that an image differs.
    pub(super) fn only_checks(&self) -> bool {
        self.rehearsal
            .as_ref()
            .is_some_and(|rehearsal| rehearsal.only_checks)
    }
    /// How an image ends that was copied, or would have been; `change` is why, where that is known.
    pub(super) async fn copy_outcome(
        &self,
        image: &SourceImage,
        outcome: Outcome,
        change: Option<Change>,
    ) -> Result<Outcome, Failure> {
        let Some(rehearsal) = &self.rehearsal else {
            return Ok(outcome);
        };
        let Outcome::Copied(copied) = outcome else {
            return Ok(outcome);
        };
        let cost = if rehearsal.only_checks {
            None
        } else {
            Some(cost(image, &copied).await?)
        };
        let change = change.unwrap_or(if copied.losses.is_empty() {
            Change::Referrers
        } else {
            Change::Again(copied.losses)
        });
        Ok(Outcome::Planned(Box::new(Planned {
            digest: copied.digest,
            change,
            filtered: copied.filtered,
            sparse: copied.sparse,
            hidden: false,
            cost,
        })))
    }
}

/// What bringing the image takes, as the rehearsal counted it.
async fn cost(image: &SourceImage, copied: &Copied) -> Result<Cost, Failure> {
    let anatomy = image.contents(&copied.digest).await?;
    Ok(Cost {
        platforms: anatomy.platforms,
        layers: anatomy.layers,
        volume: copied.volume,
        referrers: copied.referrers,
    })
}

impl Outcome {
    /// The same, of an image whose repository is hidden, where it is.
    pub(super) fn hidden(mut self, hidden: bool) -> Self {
        if let Self::Planned(planned) = &mut self {
            planned.hidden = hidden;
        }
        self
    }
}

impl MissingImage {
    /// It differs, which is all that is asked for.
    pub(super) fn as_differing(&self, image: &SourceImage) -> Copied {
        Copied {
            filtered: self.filtered,
            sparse: image.is_sparse(),
            ..Copied::without_transfer(self.root.digest().clone())
        }
    }
    /// What is different while it is missing.
    pub(super) fn change(&self) -> Change {
        change(self.root.digest(), self.there.as_ref())
    }
}

/// What is different where `digest` is to come, and something or nothing is there.
fn change(digest: &Digest, there: Option<&ManifestHead>) -> Change {
    match there {
        None => Change::New,
        Some(there) if there.digest == *digest => Change::Again(Vec::new()),
        Some(there) => Change::Moved {
            from: there.digest.clone(),
        },
    }
}

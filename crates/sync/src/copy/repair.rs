//! The deep check of `--verify` below an existing root, and the repair of lost content.

use image_syncer_registry::{Digest, Tag, Target};

use crate::commit::{CommitOutcome, commit, commit_children};
use crate::compare::Damage;
use crate::copy::destination::DestinationCopy;
use crate::copy::push::{ImagePush, MAX_ATTEMPTS};
use crate::copy::stats::CopyStats;
use crate::event::{Evidence, Loss, Outcome};
use crate::failure::Failure;
use crate::store::Destination;

impl DestinationCopy<'_> {
    /// Restores lost content below the root `digest`, which the destination has.
    pub(super) async fn verify(&self, digest: Digest) -> Result<Outcome, Failure> {
        // Tags that share a digest are checked together, once.
        let key = (self.place.repository.clone(), digest.clone());
        let _lock = self.copier.locks.roots.lock(key).await;
        self.image_push()
            .verify(self.place.tag.as_ref(), digest)
            .await
    }
}

impl ImagePush<'_> {
    /// Like [`DestinationCopy::verify`]. The caller ensures that no other task verifies the digest at the same time.
    pub(super) async fn verify(
        &self,
        tag: Option<&Tag>,
        digest: Digest,
    ) -> Result<Outcome, Failure> {
        let (copier, destination) = (self.copier, &**self.store);
        let repository = destination.repository();
        let by = Evidence::Verified;
        let scope = self.target.scope();
        if copier.inventory.has_manifest(repository, &digest, scope) {
            return Ok(Outcome::Unchanged { digest, by });
        }
        let mut stats = CopyStats::default();
        let mut losses: Vec<Loss> = Vec::new();
        for _ in 0..MAX_ATTEMPTS {
            let damage = copier
                .comparer
                .verify(self.image, self.target, &digest, tag);
            let Some(damage) = damage.await? else {
                // Nothing is lost, or another client repaired it after the first attempt.
                return Ok(Outcome::Unchanged { digest, by });
            };
            losses.extend(damage.losses.iter().cloned());
            let moved = self.transfer(&damage.plan.blobs).await?;
            stats.moved(&damage.plan, &moved, |blob| {
                copier.inventory.was_uploaded(repository, blob)
            });
            let committed = if damage.root_is_lost {
                commit(destination, &damage.plan).await?
            } else {
                commit_children(destination, &damage.plan).await?
            };
            match committed {
                CommitOutcome::Done => {
                    if copier.writes() {
                        verify_repair(destination, &damage).await?;
                    }
                    self.record_content(&damage.plan);
                    losses.sort();
                    losses.dedup();
                    let filtered = self.image.wrote(&digest);
                    return Ok(Outcome::Copied(stats.repaired(&damage, filtered, losses)));
                }
                CommitOutcome::Lacking(lacking) => {
                    self.forget_content(&lacking, &stats);
                    stats.refused(lacking);
                }
            }
        }
        Err(stats.into_failure(MAX_ATTEMPTS))
    }
}

/// Reads each pushed manifest that was wrong before once more: a registry may have the digest already and drop the push.
/// Uploads of blobs check this themselves ([`UploadSession::send`]).
///
/// [`UploadSession::send`]: crate::store::UploadSession::send
async fn verify_repair(destination: &dyn Destination, damage: &Damage) -> Result<(), Failure> {
    for loss in &damage.losses {
        if let Loss::WrongManifest(digest) = loss {
            let target = Target::Digest(digest.clone());
            let found = destination.manifest(&target).await;
            found.map_err(|error| error.map(|error| error.with_clause(STAYS_WRONG)))?;
        }
    }
    Ok(())
}

/// Clause for damage that a push does not repair.
const STAYS_WRONG: &str =
    "it was sent again and is still wrong there: delete it at the registry, and run again";

//! What `--verify` does below a root that a destination has: the deep check, and the way back of what is lost.

use std::sync::Arc;

use image_syncer_registry::{Digest, Tag, Target};

use crate::commit::{CommitOutcome, commit, commit_children};
use crate::compare::Damage;
use crate::copy::destination::DestinationCopy;
use crate::copy::stats::CopyStats;
use crate::copy::transfer_batch::BatchHandle;
use crate::copy::{Copier, TURNS};
use crate::event::{Evidence, Loss, Outcome};
use crate::failure::{Failure, Side};
use crate::graph::SourceImage;
use crate::store::Store;

impl DestinationCopy<'_> {
    /// Restores lost content below the root `digest`, which the destination has.
    pub(super) async fn verify(&self, digest: Digest) -> Result<Outcome, Failure> {
        // Tags that share a digest are checked together, once.
        let key = (self.place.repository.clone(), digest.clone());
        let _lock = self.copier.claims.lock(key).await;
        let tag = self.place.tag.as_ref();
        let verify = self
            .copier
            .verify_below(self.image, tag, &self.store, digest, &self.seat);
        verify.await
    }
}

impl Copier {
    /// Like [`DestinationCopy::verify`]. The caller ensures that no other task verifies the digest at the same time.
    pub(super) async fn verify_below(
        &self,
        image: &SourceImage,
        tag: Option<&Tag>,
        destination: &Arc<dyn Store>,
        digest: Digest,
        seat: &BatchHandle,
    ) -> Result<Outcome, Failure> {
        let repository = destination.repository();
        let by = Evidence::Verified;
        if self.inventory.has_manifest(repository, &digest) {
            return Ok(Outcome::Unchanged { digest, by });
        }
        let mut tally = CopyStats::default();
        let mut losses: Vec<Loss> = Vec::new();
        for _ in 0..TURNS {
            let damage = self
                .comparer
                .verify(image, &**destination, &digest, tag)
                .await?;
            let Some(damage) = damage else {
                // Nothing was lost; or what one turn could not mend, somebody else did before the next.
                return Ok(Outcome::Unchanged { digest, by });
            };
            losses.extend(damage.losses.iter().cloned());
            let moved = self
                .transfer(image, seat, destination, &damage.plan.blobs)
                .await?;
            tally.moved(&damage.plan, &moved, |blob| {
                self.inventory.was_uploaded(repository, blob)
            });
            let committed = if damage.root_is_lost {
                commit(&**destination, &damage.plan).await?
            } else {
                commit_children(&**destination, &damage.plan).await?
            };
            match committed {
                CommitOutcome::Done => {
                    if self.rehearsal.is_none() {
                        verify_repair(&**destination, &damage).await?;
                    }
                    self.learn(repository, &damage.plan);
                    losses.sort();
                    losses.dedup();
                    let filtered = image.wrote(&digest);
                    return Ok(Outcome::Copied(tally.repaired(&damage, filtered, losses)));
                }
                CommitOutcome::Lacking(lacking) => {
                    self.unlearn(repository, &lacking, &tally);
                    tally.refused(lacking);
                }
            }
        }
        Err(tally.into_failure(TURNS))
    }
}

/// Reads each pushed manifest that was wrong before once more: a registry may have the digest already and drop the push.
/// Uploads of blobs check this themselves ([`Session::send`]).
///
/// [`Session::send`]: crate::store::Session::send
async fn verify_repair(destination: &dyn Store, damage: &Damage) -> Result<(), Failure> {
    for loss in &damage.losses {
        if let Loss::WrongManifest(digest) = loss {
            let target = Target::Digest(digest.clone());
            let found = destination.manifest(&target).await;
            found.map_err(|error| {
                Failure::registry(Side::Destination, &error.with_clause(STAYS_WRONG))
            })?;
        }
    }
    Ok(())
}

/// Clause for damage that a push does not repair.
const STAYS_WRONG: &str =
    "it was sent again and is still wrong there: delete it at the registry, and run again";

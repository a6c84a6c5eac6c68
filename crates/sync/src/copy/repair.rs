//! What `--verify` does below a root that a destination has: the deep check, and the way back of what is lost.

use std::sync::Arc;

use image_syncer_registry::{Digest, Error, ErrorKind, Presence, Tag, Target};

use crate::commit::{CommitOutcome, commit, commit_children};
use crate::compare::Damage;
use crate::copy::stats::CopyStats;
use crate::copy::transfer_batch::BatchHandle;
use crate::copy::{Copier, TURNS};
use crate::discover::ImageDestination;
use crate::event::{Evidence, Loss, Outcome};
use crate::failure::{Failure, Side};
use crate::graph::SourceImage;
use crate::store::Store;

impl Copier {
    /// Sees to it that everything below the root `digest`, which stands at `place`, is there.
    pub(super) async fn verify(
        &self,
        image: &SourceImage,
        place: &ImageDestination,
        destination: &Arc<dyn Store>,
        digest: Digest,
        seat: &BatchHandle,
    ) -> Result<Outcome, Failure> {
        // Tags that share a digest are checked together, once.
        let _claim = self.claims.claim(&place.repository, &digest).await;
        self.verify_below(image, place.tag.as_ref(), destination, digest, seat)
            .await
    }

    /// The same, for one who sees to it that nobody else does it at the same time.
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
                        stays_repaired(&**destination, &damage).await?;
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

/// Where something else stood in the place of what is wanted, a registry may think that it has it already and drop
/// what it was sent: looked at once more.
async fn stays_repaired(destination: &dyn Store, damage: &Damage) -> Result<(), Failure> {
    let failed = |error: &Error| Failure::registry(Side::Destination, error);
    for loss in &damage.losses {
        let digest = loss.digest();
        match loss {
            Loss::WrongManifest(_) => {
                let target = Target::Digest(digest.clone());
                destination
                    .manifest(&target)
                    .await
                    .map_err(|error| failed(&error.with_clause(STAYS)))?;
            }
            Loss::WrongBlob { size, .. } => {
                let blob = damage.plan.blobs.iter().find(|blob| blob.digest == *digest);
                let Some(blob) = blob else { continue };
                let found = destination.find_blob(blob).await;
                if let Presence::WrongSize(found) = found.map_err(|error| failed(&error))? {
                    let repository = destination.repository();
                    let action = format!("repair blob {digest} of {}", repository.path());
                    let message =
                        format!("the registry has {found} bytes there instead of {size}; {STAYS}");
                    let host = repository.registry().as_str();
                    return Err(failed(&Error::new(
                        ErrorKind::Corrupt,
                        action,
                        host,
                        message,
                    )));
                }
            }
            Loss::Manifest(_) | Loss::Blob(_) => {}
        }
    }
    Ok(())
}

/// What there is to say and to do about damage that a push does not mend.
const STAYS: &str =
    "it was sent again and is still wrong there: delete it at the registry, and run again";

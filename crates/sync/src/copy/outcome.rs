//! Outcomes of images, in copies and in runs that write nothing.

use image_syncer_registry::{Digest, ManifestHead};

use crate::compare::{Comparison, MissingImage};
use crate::copy::Copier;
use crate::event::{Change, Copied, Cost, Outcome, Planned};
use crate::failure::Failure;
use crate::graph::SourceImage;
use crate::settings::Intent;

impl Copier {
    /// Returns true if the destination hides the repository from a login that it accepts, in a run that writes nothing. In
    /// a copy, the push tells.
    ///
    /// # Errors
    /// Fails if the destination refused the comparison for another reason, so that nothing is known.
    pub(super) fn is_hidden(&self, comparison: &Comparison) -> Result<bool, Failure> {
        let unknown = match comparison {
            Comparison::Missing(missing) => missing.unknown.as_ref(),
            Comparison::Differs(difference) => difference.unknown.as_ref(),
            Comparison::Unchanged { .. } | Comparison::Skipped { .. } => None,
        };
        let Some(failure) = unknown.filter(|_| !self.writes()) else {
            return Ok(false);
        };
        if failure.hides_repository() {
            return Ok(true);
        }
        Err(failure.clone().not_compared())
    }
    /// Returns true if only differences are of interest.
    pub(super) fn only_checks(&self) -> bool {
        self.intent == Intent::Check
    }
    /// Returns the outcome of an image that was copied. In a run that writes nothing, a copied image becomes a planned one.
    /// `change` is the reason for the copy, if known.
    pub(super) async fn copy_outcome(
        &self,
        image: &SourceImage,
        outcome: Outcome,
        change: Option<Change>,
    ) -> Result<Outcome, Failure> {
        let copied = match outcome {
            Outcome::Copied(copied) if !self.writes() => copied,
            outcome => return Ok(outcome),
        };
        let cost = if self.only_checks() {
            None
        } else {
            Some(Box::pin(cost(image, &copied)).await?)
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

/// Returns the size of the planned copy.
async fn cost(image: &SourceImage, copied: &Copied) -> Result<Cost, Failure> {
    let contents = image.contents(&copied.digest).await?;
    Ok(Cost {
        platforms: contents.platforms,
        layers: contents.layers,
        volume: copied.volume,
        referrers: copied.referrers,
    })
}

impl Outcome {
    /// Marks a planned image whose repository is hidden.
    pub(super) fn hidden(mut self, hidden: bool) -> Self {
        if let Self::Planned(planned) = &mut self {
            planned.hidden = hidden;
        }
        self
    }
}

impl MissingImage {
    /// Returns the result of a check, without any transfer.
    pub(super) fn as_differing(&self, image: &SourceImage) -> Copied {
        Copied {
            filtered: self.filtered,
            sparse: image.is_sparse(),
            ..Copied::without_transfer(self.root.digest().clone())
        }
    }
    /// Returns the change that a push makes.
    pub(super) fn change(&self) -> Change {
        change(self.root.digest(), self.there.as_ref())
    }
}

/// Returns the change from the existing manifest to `digest`.
pub(super) fn change(digest: &Digest, there: Option<&ManifestHead>) -> Change {
    match there {
        None => Change::New,
        Some(there) if there.digest == *digest => Change::Again(Vec::new()),
        Some(there) => Change::Moved {
            from: there.digest.clone(),
        },
    }
}

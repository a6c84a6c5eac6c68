//! The copy of one image to one destination, from the comparison to the outcome.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use image_syncer_registry::{Digest, ManifestHead, Target};

use crate::compare::{CompareTarget, Comparison, Difference, MissingImage};
use crate::copy::Copier;
use crate::copy::outcome::change;
use crate::copy::pair::{Pair, PairName};
use crate::copy::push::{ImagePush, PushOutcome};
use crate::copy::referrers::ReferrerCopier;
use crate::copy::transfer_batch::BatchHandle;
use crate::discover::{CoveredTags, DestinationHint, ImageDestination};
use crate::event::{Copied, Evidence, Outcome};
use crate::failure::Failure;
use crate::graph::SourceImage;
use crate::store::Destination;

/// One image on its way to one destination.
pub(super) struct DestinationCopy<'a> {
    pub(super) copier: &'a Copier,
    pub(super) image: &'a SourceImage,
    /// Subject whose referrers the image seems to list, under a leftover fallback tag.
    pub(super) lists: Option<&'a Digest>,
    pub(super) name: PairName<'a>,
    pub(super) place: &'a ImageDestination,
    /// Referrer tags that the image covers.
    pub(super) covered: &'a Mutex<CoveredTags>,
    pub(super) store: Arc<dyn Destination>,
    pub(super) batch: BatchHandle,
}

impl DestinationCopy<'_> {
    /// Copies the image and finishes its pair, even after a panic.
    pub(super) async fn run(self, pair: &Pair) {
        let (copier, image) = (self.copier, self.image);
        let outcome = async {
            self.check_earlier_rules().await?;
            self.copy().await
        };
        let outcome = match AssertUnwindSafe(outcome).catch_unwind().await {
            Ok(Ok(outcome)) => {
                let outcome = copier.copy_outcome(image, outcome, None).await;
                outcome.unwrap_or_else(Outcome::Failed)
            }
            Ok(Err(failure)) => {
                if !failure.interrupted && self.lists.is_none() {
                    Box::pin(self.cover_referrer_tags()).await;
                }
                Outcome::Failed(failure)
            }
            Err(panic) => Outcome::Failed(Failure::panicked(&*panic)),
        };
        self.record_digest(&outcome);
        pair.finish(outcome);
    }

    /// Records the digest that the destination has now, for later runs. The record of an image that did not change is not
    /// written again.
    fn record_digest(&self, outcome: &Outcome) {
        let digest = match outcome {
            Outcome::Copied(copied) => &copied.digest,
            Outcome::Unchanged { digest, .. } => {
                let recorded = self.place.recorded.as_ref();
                if recorded.is_some_and(|recorded| recorded.is(digest)) {
                    return;
                }
                digest
            }
            Outcome::Skipped { .. } | Outcome::Failed(_) | Outcome::Planned(_) => return,
        };
        if let (Target::Tag(tag), Some(place_tag)) = (self.image.target(), &self.place.tag) {
            let source = self.image.store().repository();
            let inventory = &self.copier.inventory;
            let ImageDestination {
                repository,
                options,
                ..
            } = self.place;
            inventory.copied(source, tag, repository, place_tag, options, digest);
        }
    }

    /// Copies the image, unless the records settle it. Of a list of referrers, copies the referrers and not the list,
    /// which may have other entries at the destination.
    async fn copy(&self) -> Result<Outcome, Failure> {
        if let DestinationHint::Recorded(digest) = &self.place.hint {
            let head = ManifestHead {
                digest: digest.clone(),
                media_type: None,
                size: None,
            };
            Box::pin(self.cover_referrer_tags_of_root(head)).await;
            return Ok(Outcome::Unchanged {
                digest: digest.clone(),
                by: Evidence::Records,
            });
        }
        if let Some(subject) = self.lists
            && let Some(referrers) = self.referrer_copier()
            && let Some(outcome) = Box::pin(referrers.copy_for_referrers_list(subject)).await?
        {
            return Ok(outcome);
        }
        // Twice if the tag was moved meanwhile. It is read again only once.
        loop {
            if let Some(outcome) = self.compare_and_copy().await? {
                return Ok(outcome);
            }
        }
    }

    /// Compares the image with the destination, and copies it if they differ. Returns `None` if the tag was moved
    /// meanwhile, so that the image must be compared again.
    ///
    /// Most images are unchanged, and a hundred are compared at a time: the futures of all other results are boxed.
    async fn compare_and_copy(&self) -> Result<Option<Outcome>, Failure> {
        let (copier, image) = (self.copier, self.image);
        let comparison = self.compare().await?;
        let hidden = copier.is_hidden(&comparison)?;
        let (digest, listed) = match comparison {
            Comparison::Unchanged { digest, listed } => (digest, listed),
            Comparison::Skipped { why } => {
                Box::pin(self.cover_referrer_tags()).await;
                return Ok(Some(Outcome::Skipped { why }));
            }
            Comparison::Differs(difference) => {
                let outcome = Box::pin(self.differing_outcome(difference)).await?;
                return Ok(Some(outcome.hidden(hidden)));
            }
            Comparison::Missing(missing) => match Box::pin(self.push(&missing)).await? {
                PushOutcome::Copied(copied) => {
                    let (copied, change) = (Outcome::Copied(copied), missing.change());
                    let outcome = copier.copy_outcome(image, copied, Some(change)).await?;
                    return Ok(Some(outcome.hidden(hidden)));
                }
                PushOutcome::AlreadyPresent => (missing.root.digest().clone(), false),
            },
        };
        let outcome = if self.place.options.verify {
            Box::pin(self.verify(digest)).await?
        } else {
            let by = Evidence::Registry;
            Outcome::Unchanged { digest, by }
        };
        match self.referrer_copier() {
            Some(referrers) => referrers.copy_for_unchanged_image(outcome, listed).await,
            None => Ok(Some(outcome)),
        }
    }

    async fn compare(&self) -> Result<Comparison, Failure> {
        let (copier, repository) = (self.copier, &self.place.repository);
        let absent = self.place.hint == DestinationHint::Absent;
        let check = (!absent).then(|| copier.locks.tag_checks.begin(repository));
        let tag = self.place.tag.as_ref();
        let comparison = copier
            .comparer
            .fetch_ends(self.image, self.compare_target(), tag, absent);
        let comparison = comparison.await?;
        drop(check);
        if absent {
            // The checks of other tags end soon, and may find this image.
            copier.locks.tag_checks.wait_for_checks(repository).await;
        }
        Ok(comparison)
    }

    /// Pushes the missing content of the image, and its referrers.
    async fn push(&self, missing: &MissingImage) -> Result<PushOutcome, Failure> {
        let copier = self.copier;
        // Another tag of this run may push the same root here: then only the tag is left to push.
        let key = (
            self.store.repository().clone(),
            missing.root.digest().clone(),
        );
        let _lock = copier.locks.roots.lock(key).await;
        let referrers = self.referrer_copier();
        let pushed = self.image_push().run(missing, referrers.as_ref()).await?;
        if let (Some(referrers), PushOutcome::Copied(copied)) = (&referrers, &pushed) {
            referrers.is_complete(missing.root.digest(), copied);
        }
        Ok(pushed)
    }

    /// Returns the push of the image's content.
    pub(super) fn image_push(&self) -> ImagePush<'_> {
        ImagePush {
            copier: self.copier,
            image: self.image,
            store: &self.store,
            target: self.compare_target(),
            batch: &self.batch,
        }
    }

    fn compare_target(&self) -> CompareTarget<'_> {
        let options = &self.place.options;
        CompareTarget::new(&*self.store, self.image, options)
            .with_conflict_policy(&options.conflict)
            .with_listed_digest(self.place.hint.listed_digest())
    }

    /// Returns the outcome of a check that found a difference.
    async fn differing_outcome(&self, difference: Difference) -> Result<Outcome, Failure> {
        if let Some(referrers) = self.referrer_copier() {
            referrers.cover_differing_image(&difference).await?;
        }
        let there = difference.there.as_ref();
        // Another digest than in the comparison, if the tag was moved meanwhile.
        let digest = self.image.head().await?.digest;
        let moved = digest != difference.digest;
        if moved && there.is_some_and(|there| there.digest == digest) {
            let by = Evidence::Registry;
            return Ok(Outcome::Unchanged { digest, by });
        }
        let change = change(&digest, there);
        let copied = Outcome::Copied(Copied::without_transfer(digest));
        self.copier
            .copy_outcome(self.image, copied, Some(change))
            .await
    }

    /// Returns the copier for referrers of the image; `None` if none are copied.
    pub(super) fn referrer_copier(&self) -> Option<ReferrerCopier<'_>> {
        Some(ReferrerCopier {
            copier: self.copier,
            wanted: self.place.options.referrers.as_ref()?,
            image: self.image,
            rule: self.name.rule,
            place: self.place,
            covered: self.covered,
            destination: &self.store,
            batch: &self.batch,
            found: AtomicUsize::new(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the size of the future that the function returns.
    fn size_of_future<T, F: Future>(_: impl FnOnce(T) -> F) -> usize {
        size_of::<F>()
    }

    /// A hundred of them are in memory at a time.
    #[test]
    fn the_future_of_a_comparison_has_no_room_for_rare_results() {
        type Arguments = (DestinationCopy<'static>, &'static Pair);
        let size = size_of_future(|(copy, pair): Arguments| copy.run(pair));
        assert!(size < 3_000, "{size} bytes");
    }
}

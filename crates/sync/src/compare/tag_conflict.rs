//! Application of the policy for a tag that exists at a destination with another digest.

use image_syncer_registry::{Digest, ManifestHead, Tag, Target};

use crate::compare::{CompareTarget, Comparer, Comparison};
use crate::failure::Failure;
use crate::graph::SourceImage;
use crate::id::full_reference;
use crate::rule::{ConflictAction, ConflictDecision};

/// Policy for the tag of one image at one destination.
pub(super) struct TagConflictCheck<'a> {
    image: &'a SourceImage,
    destination: CompareTarget<'a>,
    tag: &'a Tag,
    action: ConflictAction,
    /// True if a refused image counts as different.
    only_differences: bool,
}

impl<'a> TagConflictCheck<'a> {
    pub(super) fn new(
        comparer: &Comparer,
        image: &'a SourceImage,
        destination: CompareTarget<'a>,
        tag: &'a Tag,
    ) -> Self {
        Self {
            image,
            destination,
            tag,
            action: destination.conflict_action(tag),
            only_differences: comparer.only_differences,
        }
    }
    /// Returns true if the tag must not be written before it was looked up.
    pub(super) fn keeps_tag(&self) -> bool {
        self.action != ConflictAction::Overwrite
    }
    /// Fails if an existing tag must be kept, and it is not known if it exists. `unknown` is the refusal of the look-up. A
    /// repository that is only hidden from the login most likely does not exist yet.
    pub(super) fn check_known(&self, unknown: Option<&Failure>) -> Result<(), Failure> {
        match unknown.filter(|_| self.keeps_tag()) {
            Some(failure) if !failure.hides_repository() => Err(failure.clone().not_compared()),
            _ => Ok(()),
        }
    }
    /// Returns the result for an image that is skipped, or `None` if the tag may be written with the digest `wanted`.
    ///
    /// # Errors
    /// Fails if the policy refuses the image. A check reports it as different.
    pub(super) fn check(
        &self,
        there: Option<&ManifestHead>,
        wanted: &Digest,
    ) -> Result<Option<Comparison>, Failure> {
        let there = there.map(|there| &there.digest);
        match (self.action.decide(there, wanted), there) {
            (ConflictDecision::Skip, Some(there)) => {
                let why =
                    format!("the tag exists with {there}, and the conflict policy (skip) keeps it");
                Ok(Some(Comparison::Skipped { why }))
            }
            (ConflictDecision::Fail, Some(there)) if !self.only_differences => {
                Err(Failure::tag_exists(self.refusal(there, wanted)))
            }
            _ => Ok(None),
        }
    }

    fn refusal(&self, there: &Digest, wanted: &Digest) -> String {
        let source = full_reference(self.image.store().repository(), Some(self.image.target()));
        let target = Target::Tag(self.tag.clone());
        let destination = full_reference(self.destination.store.repository(), Some(&target));
        format!(
            "cannot write {source} to {destination}: the tag exists with {there} instead of {wanted}, and the \
             conflict policy (fail) keeps it"
        )
    }
}

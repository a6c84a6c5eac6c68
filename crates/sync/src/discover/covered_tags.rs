//! Referrer tags that the images of a run cover, so that they are no images of their own.

use std::collections::HashSet;
use std::sync::Arc;

use image_syncer_registry::Digest;

use crate::Repository;
use crate::discover::referrer_tags::{ReferrerTag, TagSubject};
use crate::rule::Referrers;

/// Referrer tags of one source that images cover.
///
/// An image covers the tags of a subject at one destination if it copies them there, merges them into existing ones, fails
/// because it cannot, or leaves them out on purpose (by a filter of types or platforms, or since it is skipped itself). So it
/// covers them for rules that copy the same types of referrers.
#[derive(Debug, Default)]
pub(crate) struct CoveredTags {
    subjects: HashSet<(TagSubject, Repository, Arc<Referrers>)>,
    /// Subjects whose fallback tags name images and no lists of referrers. No image covers such a tag.
    tagged_images: HashSet<TagSubject>,
}

impl CoveredTags {
    /// Adds the tags of `subject` at `destination`, where the image is copied with these `referrers`.
    pub(crate) fn add(
        &mut self,
        subject: &Digest,
        destination: &Repository,
        referrers: &Arc<Referrers>,
    ) {
        let subject = TagSubject::from_digest(subject);
        self.subjects
            .extend(subject.map(|subject| (subject, destination.clone(), Arc::clone(referrers))));
    }

    /// Records that the fallback tag of `subject` names an image, as where images are tagged by their own digests.
    pub(crate) fn add_tagged_image(&mut self, subject: &Digest) {
        self.tagged_images.extend(TagSubject::from_digest(subject));
    }

    /// Adds the tags of `other` for whose subjects `keep` returns true.
    pub(crate) fn merge(&mut self, other: Self, keep: impl Fn(TagSubject) -> bool) {
        let subjects = other.subjects.into_iter();
        self.subjects
            .extend(subjects.filter(|(subject, ..)| keep(*subject)));
        let tagged = other.tagged_images.into_iter();
        self.tagged_images
            .extend(tagged.filter(|subject| keep(*subject)));
    }

    /// Returns true if an image covers `tag` at `destination`, for a rule that copies these `referrers`.
    pub(super) fn contains(
        &self,
        tag: ReferrerTag,
        destination: &Repository,
        referrers: &Arc<Referrers>,
    ) -> bool {
        let is_image = !tag.is_companion() && self.tagged_images.contains(&tag.subject);
        let key = (tag.subject, destination.clone(), Arc::clone(referrers));
        !is_image && self.subjects.contains(&key)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use image_syncer_registry::Tag;

    use super::*;
    use crate::store::memory::repository;

    fn tag(subject: &Digest, suffix: &str) -> ReferrerTag {
        let tag = Tag::of_referrers_to(subject);
        ReferrerTag::parse(&format!("{tag}{suffix}")).unwrap()
    }

    #[test]
    fn tags_are_covered_at_one_destination_and_kept_by_subject() {
        let [one, two] = ["one", "two"].map(|name| Digest::sha256(name.as_bytes()));
        let (here, there) = (repository("dst.example/a"), repository("dst.example/b"));
        let all = Arc::new(Referrers::default());
        let mut image = CoveredTags::default();
        image.add(&one, &here, &all);
        image.add(&two, &here, &all);
        let mut run = CoveredTags::default();
        run.merge(image, |subject| {
            Some(subject) == TagSubject::from_digest(&one)
        });
        assert!(
            run.contains(tag(&one, ".sig"), &here, &all)
                && run.contains(tag(&one, ""), &here, &all)
        );
        assert!(!run.contains(tag(&one, ".sig"), &there, &all));
        assert!(!run.contains(tag(&two, ".sig"), &here, &all));
        let some = Arc::new(Referrers {
            types: vec![Referrers::COSIGN.to_owned()],
            ..Referrers::default()
        });
        assert!(!run.contains(tag(&one, ".sig"), &here, &some));
    }

    #[test]
    fn a_fallback_tag_that_names_an_image_is_not_covered() {
        let (subject, here) = (Digest::sha256(b"one"), repository("dst.example/a"));
        let all = Arc::new(Referrers::default());
        let mut run = CoveredTags::default();
        run.add(&subject, &here, &all);
        let mut other = CoveredTags::default();
        other.add_tagged_image(&subject);
        run.merge(other, |_| true);
        assert!(run.contains(tag(&subject, ".sig"), &here, &all));
        assert!(!run.contains(tag(&subject, ""), &here, &all));
    }
}

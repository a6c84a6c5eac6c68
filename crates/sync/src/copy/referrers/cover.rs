//! Referrer tags that an image covers, and their conflicts with earlier rules.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::TryStreamExt;
use image_syncer_registry::{Digest, Manifest, Tag, Target};

use crate::compare::Difference;
use crate::copy::pair::PairName;
use crate::copy::referrer_progress::{CompletedStep, StepScope};
use crate::copy::referrers::{ReferrerCopier, ReferrerSubject};
use crate::failure::Failure;
use crate::graph::SourceImage;
use crate::id::ImageId;
use crate::lock::lock;

impl ReferrerCopier<'_> {
    /// Covers the referrer tags of `subject`.
    pub(super) fn cover_subject(&self, subject: &Digest) {
        lock(self.covered).add(subject, self.destination.repository(), self.wanted);
    }

    /// Covers the referrer tags of an image that a check found different with two HEADs. Manifests below its root are read only
    /// if a rule may have deferred tags of them.
    pub(in crate::copy) async fn cover_differing_image(
        &self,
        difference: &Difference,
    ) -> Result<(), Failure> {
        let source = self.image.store().repository();
        let tags = &self.copier.source_tags;
        let is_shared = !self.place.earlier.is_empty();
        if difference.may_be_index() && (is_shared || tags.may_defer_tags(source).await) {
            let root = self.image.unfiltered_root().await?;
            return self.cover_all(&root).await;
        }
        self.cover_subject(&difference.digest);
        self.check_signature_tags(std::slice::from_ref(&difference.digest))
            .await
    }

    /// Covers the referrer tags of a root and of everything below it, without copying them.
    pub(in crate::copy) async fn cover_all(&self, root: &Arc<Manifest>) -> Result<(), Failure> {
        let mut below = self.image.manifests_below(root).await?;
        if self.image.wrote(root.digest()) {
            self.cover_filtered(&below).await?;
        }
        below.push(root.digest().clone());
        for subject in &below {
            self.cover_subject(subject);
        }
        self.check_signature_tags(&below).await
    }

    /// Checks the signature tags of `subjects` as a copy of them does.
    async fn check_signature_tags(&self, subjects: &[Digest]) -> Result<(), Failure> {
        if self.place.earlier.is_empty() {
            return Ok(());
        }
        let subjects: Vec<_> = subjects
            .iter()
            .map(|digest| (digest.clone(), true))
            .collect();
        let subjects = self.subjects_among(subjects.into_iter());
        let subjects: Vec<ReferrerSubject> = subjects.try_collect().await?;
        for subject in subjects {
            for tag in &subject.attached.companions {
                let image = self.part(Target::Tag(tag.clone()));
                self.check_earlier_signatures(&image, tag).await?;
            }
        }
        Ok(())
    }

    /// Fails if an earlier rule copies another image to the signature tag `tag` of the destination.
    pub(super) async fn check_earlier_signatures(
        &self,
        image: &SourceImage,
        tag: &Tag,
    ) -> Result<(), Failure> {
        let target = Target::Tag(tag.clone());
        let id = ImageId::new(
            self.rule.id,
            &self.rule.source.repository,
            &target,
            &self.place.repository,
            Some(tag),
        );
        let rule = self.rule;
        let name = PairName { rule, id: &id };
        self.copier
            .check_earlier_signatures(image, name, tag, self.place)
            .await
    }

    /// Covers the tags of the unfiltered index, and of its children that are not `kept`: they stay behind.
    pub(super) async fn cover_filtered(&self, kept: &[Digest]) -> Result<(), Failure> {
        let original = self.image.head().await?.digest;
        let whole = self.image.manifest(&original).await?;
        let kept: HashSet<&Digest> = kept.iter().collect();
        let all = self.image.manifests_below(&whole).await?;
        for excluded in all
            .iter()
            .chain([&original])
            .filter(|one| !kept.contains(one))
        {
            self.cover_subject(excluded);
        }
        Ok(())
    }

    /// Warns that the referrers of the unfiltered index are not copied with the filtered one.
    pub(super) async fn warn_skipped_index(&self) -> Result<(), Failure> {
        let original = self.image.head().await?.digest;
        let left = self.subjects_among(std::iter::once((original.clone(), true)));
        let left: Vec<ReferrerSubject> = left.try_collect().await?;
        let number: usize = left.iter().map(|subject| subject.attached.len()).sum();
        let source = self.image.store().repository();
        let steps = &self.copier.referrer_progress;
        let scope = StepScope::at_source(source);
        if number > 0 && steps.set(CompletedStep::LeftBehind, scope, &original) {
            self.warn(format!(
                "{source}, {}: the platform filter writes another index, with another digest. The {number} signatures and \
                 other referrers of the whole index {original} do not cover it and are left behind. Those of its images are \
                 copied.",
                self.image.target()
            ));
        }
        Ok(())
    }
}

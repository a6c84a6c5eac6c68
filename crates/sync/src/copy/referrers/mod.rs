//! Referrers of an image, copied with it: signatures, attestations, SBOMs, and their own referrers.
//!
//! They are copied level by level, each referrer after its subject, and cosign's tags last, so that each listed or tagged
//! manifest is complete. The image's own tag is pushed after all of them. A referrer is pushed as an image is.
//!
//! The lock of a subject is held only while its own referrers are copied, and never during a wait for another lock: images
//! may share subjects in any way, also in cycles.

mod copied;
mod cover;
mod interval;
mod referrer;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream, StreamExt, TryStreamExt, stream};
use image_syncer_registry::{Cause, Digest, ErrorKind, Manifest, Tag};

use crate::commit::{CommitOutcome, name};
use crate::copy::Copier;
use crate::copy::referrer_progress::{CompletedStep, StepScope};
use crate::copy::transfer_batch::BatchHandle;
use crate::discover::{CoveredTags, ImageDestination};
use crate::event::{Copied, Event, Evidence, Outcome};
use crate::failure::{Failure, Side};
use crate::graph::{
    MAX_DEPTH, MAX_MANIFESTS, Root, SourceImage, SubjectReferrers, may_list_referrers,
};
use crate::lock::lock;
use crate::rule::Referrers;
use crate::rule::Rule;
use crate::store::Destination;

pub(super) use copied::CopiedReferrers;
use copied::SubjectOutcome;
use interval::EarlierCheck;

/// Maximum number of subjects, and of referrers of one subject, that are copied at a time.
const MAX_CONCURRENT: usize = 8;

/// Copies the referrers of one image to one destination.
pub(super) struct ReferrerCopier<'a> {
    pub(super) copier: &'a Copier,
    pub(super) wanted: &'a Arc<Referrers>,
    pub(super) image: &'a SourceImage,
    pub(super) rule: &'a Arc<Rule>,
    pub(super) place: &'a ImageDestination,
    pub(super) covered: &'a Mutex<CoveredTags>,
    pub(super) destination: &'a Arc<dyn Destination>,
    pub(super) batch: &'a BatchHandle,
    /// Number of referrers found so far, over all levels: listed referrers, cosign's tags, and manifests below referrers that
    /// are indexes.
    pub(super) found: AtomicUsize,
}

/// Manifest with referrers.
pub(super) struct ReferrerSubject {
    digest: Digest,
    attached: Arc<SubjectReferrers>,
    /// True if the destination did not have it before, and so none of its referrers.
    is_new: bool,
}

impl ReferrerCopier<'_> {
    /// Returns the subjects of a root that is copied, and of everything below it. Empty if their referrers were copied before.
    pub(super) async fn copy_for_new_image(
        &self,
        root: &Arc<Manifest>,
    ) -> Result<Vec<ReferrerSubject>, Failure> {
        if self.has(CompletedStep::Whole, root.digest()) {
            return Ok(Vec::new());
        }
        // Each attempt of a push walks through all of them.
        self.found.store(0, Ordering::Relaxed);
        let mut digests = self.image.manifests_below(root).await?;
        if self.image.wrote(root.digest()) {
            self.warn_skipped_index().await?;
            self.cover_filtered(&digests).await?;
        } else {
            digests.push(root.digest().clone());
        }
        self.query_level(digests.into_iter().map(|digest| (digest, true)))
            .await
    }

    /// Copies the referrers of a root that the destination has. `outcome` is the outcome of the image without them, and
    /// `listed` is true if only a list shows the root at the source. Returns `None` if the tag was moved meanwhile, so that the image must be compared again.
    pub(super) async fn copy_for_unchanged_image(
        &self,
        outcome: Outcome,
        listed: bool,
    ) -> Result<Option<Outcome>, Failure> {
        let digest = match &outcome {
            Outcome::Copied(copied) => copied.digest.clone(),
            Outcome::Unchanged { digest, .. } => digest.clone(),
            Outcome::Skipped { .. } | Outcome::Failed(_) | Outcome::Planned(_) => {
                return Ok(Some(outcome));
            }
        };
        let deep = self.is_deep();
        let mark = if deep {
            CompletedStep::Whole
        } else {
            CompletedStep::Unchanged
        };
        if self.has(mark, &digest) {
            return Ok(Some(outcome));
        }
        let Some(mut digests) = self.subjects_of_unchanged(&digest, listed).await? else {
            return Ok(None);
        };
        let earlier = if digests.is_empty() {
            EarlierCheck::Outdated
        } else {
            self.earlier_check(&digest).await
        };
        if earlier == EarlierCheck::Recent {
            for subject in &digests {
                self.cover_subject(subject);
            }
            return Ok(Some(outcome));
        }
        let is_listed = earlier == EarlierCheck::Listed;
        digests.retain(|subject| !(is_listed && *subject == digest));
        let level = self.query_level(digests.into_iter().map(|digest| (digest, false)));
        let mut level = level.await?;
        if is_listed {
            level.extend(self.query_tags(&digest).await?);
        }
        let copied = self.copy_level(level).await?;
        self.set(mark, &digest);
        if !is_listed {
            self.note_look(&digest, copied.is_contended());
        }
        Ok(Some(copied.combine_outcome(digest, outcome)))
    }

    /// Returns the manifests of an unchanged image whose referrers are queried: the root `digest`, and those below it that
    /// need it. Returns `None` if the tag was moved meanwhile.
    async fn subjects_of_unchanged(
        &self,
        digest: &Digest,
        listed: bool,
    ) -> Result<Option<Vec<Digest>>, Failure> {
        let deep = self.is_deep();
        let source = self.image.store().repository();
        if listed {
            if !deep && !self.copier.source_tags.may_defer_tags(source).await {
                return Ok(Some(vec![digest.clone()]));
            }
            if self.image.head().await?.digest != *digest {
                return Ok(None);
            }
        }
        // The source does not have an index that the filter wrote.
        let head = self.image.head().await?;
        let is_whole = head.digest == *digest;
        let mut digests = Vec::new();
        if is_whole && (deep || self.copier.may_defer_tags_below(self.image, &head).await) {
            // A deep check has read it at the destination.
            let root = self.image.unfiltered_root().await?;
            if root.digest() != digest {
                return Ok(None);
            }
            digests = Box::pin(self.image.manifests_below(&root)).await?;
        } else if !is_whole
            && let Root::Whole(root) | Root::Filtered(root) = self.image.root().await?
        {
            digests = Box::pin(self.image.manifests_below(&root)).await?;
        }
        if !is_whole {
            Box::pin(self.cover_filtered(&digests)).await?;
        }
        if !deep {
            // Children with referrer tags. New referrers of other children are not searched.
            let tags = &self.copier.source_tags;
            digests = tags.deferred_subjects(source, digests).await;
        }
        if is_whole {
            digests.push(digest.clone());
        }
        Ok(Some(digests))
    }

    /// Copies the referrers of `subject`, which no other image of the run covers, if the image is a list of them. Returns `None`
    /// for an image.
    pub(super) async fn copy_for_referrers_list(
        &self,
        subject: &Digest,
    ) -> Result<Option<Outcome>, Failure> {
        let head = self.image.head().await?;
        if !may_list_referrers(&head, subject) {
            return Ok(None);
        }
        let level = self.query_level(std::iter::once((subject.clone(), false)));
        let level = level.await?;
        if level.is_empty() {
            let why = "it lists no selected referrers".to_owned();
            return Ok(Some(Outcome::Skipped { why }));
        }
        let copied = self.copy_level(level).await?;
        let digest = head.digest;
        let there = Outcome::Unchanged {
            digest: digest.clone(),
            by: Evidence::Registry,
        };
        Ok(Some(copied.combine_outcome(digest, there)))
    }

    /// Records that all referrers of the root `digest` were copied, with this result.
    pub(super) fn is_complete(&self, digest: &Digest, copied: &Copied) {
        self.set(CompletedStep::Whole, digest);
        self.note_look(digest, copied.contended > 0);
    }

    /// Copies the referrers of the subjects of `level`, and the referrers of those in turn.
    pub(super) fn copy_level(
        &self,
        mut level: Vec<ReferrerSubject>,
    ) -> BoxFuture<'_, Result<CopiedReferrers, Failure>> {
        async move {
            let mut copied = CopiedReferrers::default();
            let mut names: Vec<(Arc<Manifest>, Tag)> = Vec::new();
            let mut seen: HashSet<Digest> = level.iter().map(|s| s.digest.clone()).collect();
            for depth in 0.. {
                if level.is_empty() {
                    break;
                }
                if depth == MAX_DEPTH {
                    return Err(self.image.too_deep_referrers());
                }
                let mut next = Vec::new();
                let mut served = stream::iter(level)
                    .map(|subject| self.serve(subject))
                    .buffer_unordered(MAX_CONCURRENT);
                while let Some(served) = served.next().await {
                    let served = served?;
                    copied.add(&served.copied);
                    names.extend(served.names);
                    next.extend(served.next);
                }
                drop(served);
                next.retain(|(digest, _)| seen.insert(digest.clone()));
                level = self.query_level(next.into_iter()).await?;
            }
            for (root, tag) in names.iter().rev() {
                self.name(root, tag).await?;
            }
            Ok(copied)
        }
        .boxed()
    }

    /// Queries the source for referrers of manifests, each with true if it is new at the destination. Returns the manifests with
    /// referrers, and counts these.
    async fn query_level(
        &self,
        digests: impl Iterator<Item = (Digest, bool)>,
    ) -> Result<Vec<ReferrerSubject>, Failure> {
        let subjects = self.subjects_among(digests);
        let counted = subjects.and_then(|subject| {
            let counted = self.count(subject.attached.len());
            std::future::ready(counted.map(|()| subject))
        });
        counted.try_collect().await
    }

    /// Returns the unchanged `subject` with the referrers that tags name; `None` without any.
    async fn query_tags(&self, subject: &Digest) -> Result<Option<ReferrerSubject>, Failure> {
        self.cover_subject(subject);
        let source = self.image.store();
        let queries = &self.copier.referrer_queries;
        let attached = queries.tagged_referrers_of(source, subject).await?;
        let subject = self.subject_with(subject.clone(), attached, false);
        self.count(subject.attached.len())?;
        Ok(Some(subject).filter(|subject| !subject.attached.is_empty()))
    }

    /// Like [`ReferrerCopier::query_level`], without counting.
    fn subjects_among(
        &self,
        digests: impl Iterator<Item = (Digest, bool)>,
    ) -> impl Stream<Item = Result<ReferrerSubject, Failure>> {
        let source = self.image.store();
        let questions = digests.map(move |(digest, is_new)| async move {
            // Covered before a failure, which is that of this image.
            self.cover_subject(&digest);
            let attached = self
                .copier
                .referrer_queries
                .referrers_of(source, &digest)
                .await;
            Ok(self.subject_with(digest, attached?, is_new))
        });
        let subjects = stream::iter(questions).buffer_unordered(MAX_CONCURRENT);
        subjects.try_filter(|subject| std::future::ready(!subject.attached.is_empty()))
    }

    /// Returns the subject `digest` with those of its referrers that are selected.
    fn subject_with(
        &self,
        digest: Digest,
        attached: Arc<SubjectReferrers>,
        is_new: bool,
    ) -> ReferrerSubject {
        if attached.is_tagged_image {
            lock(self.covered).add_tagged_image(&digest);
        }
        ReferrerSubject {
            digest,
            attached: self.selected(attached),
            is_new,
        }
    }

    /// Counts `number` more referrers of the image.
    ///
    /// # Errors
    /// Fails beyond [`MAX_MANIFESTS`], since a registry may list new ones without end.
    fn count(&self, number: usize) -> Result<(), Failure> {
        let before = self.found.fetch_add(number, Ordering::Relaxed);
        if before.saturating_add(number) > MAX_MANIFESTS {
            return Err(self.image.too_many_referrers());
        }
        Ok(())
    }

    /// Returns the selected referrers. Those without a type in the list are decided later.
    fn selected(&self, attached: Arc<SubjectReferrers>) -> Arc<SubjectReferrers> {
        if self.wanted.includes_all() || attached.is_empty() {
            return attached;
        }
        let mut attached = SubjectReferrers::clone(&attached);
        attached.referrers.retain(|referrer| {
            let artifact_type = referrer.artifact_type.as_deref();
            artifact_type.is_none() || self.wanted.includes(artifact_type)
        });
        if !self.wanted.wants_cosign() {
            attached.companions.clear();
        }
        Arc::new(attached)
    }

    /// Pushes a root by cosign's tag, after its referrers.
    async fn name(&self, root: &Manifest, tag: &Tag) -> Result<(), Failure> {
        match name(&**self.destination, root, tag).await? {
            CommitOutcome::Done => Ok(()),
            CommitOutcome::Lacking(lacking) => Err(lacking.failure),
        }
    }

    /// Returns true if everything is queried, also for unchanged images.
    fn is_deep(&self) -> bool {
        self.wanted.deep || self.place.options.distrusts_facts()
    }
    fn warn(&self, text: String) {
        self.copier.listener.event(&Event::Warning { text });
    }
    fn has(&self, mark: CompletedStep, digest: &Digest) -> bool {
        let steps = &self.copier.referrer_progress;
        steps.has(mark, &self.step_scope(), digest)
    }
    fn set(&self, mark: CompletedStep, digest: &Digest) {
        let steps = &self.copier.referrer_progress;
        steps.set(mark, self.step_scope(), digest);
    }
    fn step_scope(&self) -> StepScope {
        let source = self.image.store().repository();
        let destination = self.destination.repository();
        let checks = self.place.options.referrer_checks();
        StepScope::new(source, destination, checks)
    }
}

/// Returns true if the source lacks content that it lists.
fn is_missing_at_source(failure: &Failure) -> bool {
    failure.side == Side::Source && failure.kind == Some(ErrorKind::NotFound)
}

/// Adds the referrer and its subject to `failure`, and the flag that copies the image without referrers.
fn with_referrer_context(what: &str, failure: Failure) -> Failure {
    let mut reason = format!("{what}: {}", failure.reason);
    let refused = [Cause::MediaTypeRefused, Cause::ManifestInvalid];
    if failure.side == Side::Destination && refused.contains(&failure.cause) {
        reason.push_str("; --no-referrers copies images without their referrers");
        return Failure {
            reason,
            cause: Cause::ReferrerRefused,
            ..failure
        };
    }
    Failure { reason, ..failure }
}

//! What refers to an image comes along: its signatures, attestations, SBOMs, and what refers to those.
//!
//! Level by level: each referrer after its subject, and the tags that cosign made of a digest last of all, so that
//! whoever goes by what is listed or tagged finds it whole. The root's own tag comes after everything here. A referrer
//! goes through the same turns as the image itself.
//!
//! Whoever sees to a subject holds the right to do so only while its own referrers are brought and waits for nobody
//! else's meanwhile: images may share subjects in any way, in circles, too.

mod brought;
mod interval;
mod referrer;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream, StreamExt, TryStreamExt, stream};
use image_syncer_registry::{Cause, Digest, ErrorKind, Manifest, Tag, Target};

use crate::commit::{CommitOutcome, name};
use crate::compare::Difference;
use crate::copy::Copier;
use crate::copy::destination::DestinationCopy;
use crate::copy::referrer_progress::CompletedStep;
use crate::copy::transfer_batch::BatchHandle;
use crate::discover::{CoveredTags, ImageDestination};
use crate::event::{Copied, Event, Evidence, ImageName, Outcome};
use crate::failure::{Failure, Side};
use crate::graph::{
    MAX_DEPTH, MAX_MANIFESTS, Root, SourceImage, SubjectReferrers, may_list_referrers,
};
use crate::lock::lock;
use crate::rule::Referrers;
use crate::rule::Rule;
use crate::store::Store;

pub(super) use brought::CopiedReferrers;
use brought::SubjectOutcome;

/// Subjects, and referrers of one subject, that are seen to at a time.
const TOGETHER: usize = 8;

/// What refers to one image, on its way to one destination.
pub(super) struct ReferrerCopier<'a> {
    copier: &'a Copier,
    wanted: &'a Referrers,
    image: &'a SourceImage,
    rule: &'a Arc<Rule>,
    place: &'a ImageDestination,
    covered: &'a Mutex<CoveredTags>,
    destination: &'a Arc<dyn Store>,
    batch: &'a BatchHandle,
    /// Manifests found so far that refer to the image, over all levels: listed referrers, cosign's tags, and what lies
    /// below those that are indexes.
    found: AtomicUsize,
}

/// A manifest to which something refers.
pub(super) struct ReferrerSubject {
    digest: Digest,
    attached: Arc<SubjectReferrers>,
    /// Whether it was not at the destination before, so that neither was what refers to it.
    is_new: bool,
}

impl DestinationCopy<'_> {
    /// Returns the copier for referrers of the image; `None` if none are copied.
    pub(super) fn referrer_copier(&self) -> Option<ReferrerCopier<'_>> {
        Some(ReferrerCopier {
            copier: self.copier,
            wanted: self.copier.referrers.as_deref()?,
            image: self.image,
            rule: &self.name.rule,
            place: self.place,
            covered: self.covered,
            destination: &self.store,
            batch: &self.batch,
            found: AtomicUsize::new(0),
        })
    }
}

impl ReferrerCopier<'_> {
    /// What refers to a root that is being copied and to everything below it; empty where that was seen to already.
    pub(super) async fn copy_for_new_image(
        &self,
        root: &Arc<Manifest>,
    ) -> Result<Vec<ReferrerSubject>, Failure> {
        if self.has(CompletedStep::Whole, root.digest()) {
            return Ok(Vec::new());
        }
        // Each turn of a copy walks through all of them.
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

    /// Copies the referrers of a root that the destination has. `outcome` is the outcome of the image without them.
    /// Returns `None` if the tag was moved meanwhile, so that the image must be compared again.
    pub(super) async fn copy_for_unchanged_image(
        &self,
        outcome: Outcome,
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
        // The source knows nothing of an index that the filter made.
        let head = self.image.head().await?;
        let is_whole = head.digest == digest;
        let mut digests = Vec::new();
        if is_whole && (deep || self.copier.may_defer_tags_below(self.image, &head).await) {
            // A deep check has read it at the destination.
            let root = self.image.unfiltered_root().await?;
            if *root.digest() != digest {
                return Ok(None);
            }
            digests = self.image.manifests_below(&root).await?;
        } else if !is_whole
            && let Root::Whole(root) | Root::Filtered(root) = self.image.root().await?
        {
            digests = self.image.manifests_below(&root).await?;
        }
        if !is_whole {
            self.cover_filtered(&digests).await?;
        }
        if !deep {
            // Their tags come along; without tags, new referrers of children are not looked for.
            let source = self.image.store().repository();
            digests = self
                .copier
                .source_tags
                .deferred_subjects(source, digests)
                .await;
        }
        if is_whole {
            digests.push(digest.clone());
        }
        if !digests.is_empty() && self.was_looked_at(&digest).await {
            for subject in &digests {
                self.cover_subject(subject);
            }
            return Ok(Some(outcome));
        }
        let level = self.query_level(digests.into_iter().map(|digest| (digest, false)));
        let level = level.await?;
        let brought = self.copy_level(level).await?;
        self.set(mark, &digest);
        self.note_look(&digest, brought.is_contended());
        Ok(Some(brought.combine_outcome(digest, outcome)))
    }

    /// Brings the referrers of `subject`, which nothing else of the run sees to, where the image is a list of them;
    /// `None` where it is an image.
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
            let why = "it lists no referrers that are to come along".to_owned();
            return Ok(Some(Outcome::Skipped { why }));
        }
        let brought = self.copy_level(level).await?;
        let digest = head.digest;
        let there = Outcome::Unchanged {
            digest: digest.clone(),
            by: Evidence::Registry,
        };
        Ok(Some(brought.combine_outcome(digest, there)))
    }

    /// Everything that refers to the root `digest` was brought, as `copied` tells.
    pub(super) fn is_complete(&self, digest: &Digest, copied: &Copied) {
        self.set(CompletedStep::Whole, digest);
        self.note_look(digest, copied.contended > 0);
    }

    /// Brings what refers to the manifests of `level`, and what refers to that in turn.
    pub(super) fn copy_level(
        &self,
        mut level: Vec<ReferrerSubject>,
    ) -> BoxFuture<'_, Result<CopiedReferrers, Failure>> {
        async move {
            let mut brought = CopiedReferrers::default();
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
                    .buffer_unordered(TOGETHER);
                while let Some(served) = served.next().await {
                    let served = served?;
                    brought.add(&served.brought);
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
            Ok(brought)
        }
        .boxed()
    }

    /// Asks the source what refers to manifests, each given with whether it is new at the destination; gives those to
    /// which something does, and counts it as it is listed.
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

    /// Asks the source as [`ReferrerCopier::query_level`] does, and counts nothing.
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
            let attached = attached?;
            if attached.is_tagged_image {
                lock(self.covered).add_tagged_image(&digest);
            }
            let attached = self.selected(attached);
            Ok(ReferrerSubject {
                digest,
                attached,
                is_new,
            })
        });
        let subjects = stream::iter(questions).buffer_unordered(TOGETHER);
        subjects.try_filter(|subject| std::future::ready(!subject.attached.is_empty()))
    }

    /// Counts `number` more manifests that refer to the image.
    ///
    /// # Errors
    /// More than [`MAX_MANIFESTS`] of them: a registry may name new ones without end.
    fn count(&self, number: usize) -> Result<(), Failure> {
        let before = self.found.fetch_add(number, Ordering::Relaxed);
        if before.saturating_add(number) > MAX_MANIFESTS {
            return Err(self.image.too_many_referrers());
        }
        Ok(())
    }

    /// What is to come along; of referrers whose type the list does not tell, that is found out later.
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

    /// Pushes a root by a tag that cosign made, as everything that refers to it is there.
    async fn name(&self, root: &Manifest, tag: &Tag) -> Result<(), Failure> {
        match name(&**self.destination, root, tag).await? {
            CommitOutcome::Done => Ok(()),
            CommitOutcome::Lacking(lacking) => Err(lacking.failure),
        }
    }

    /// Says that what refers to the whole index does not come along with what the filter left of it.
    async fn warn_skipped_index(&self) -> Result<(), Failure> {
        let original = self.image.head().await?.digest;
        let left = self.subjects_among(std::iter::once((original.clone(), true)));
        let left: Vec<ReferrerSubject> = left.try_collect().await?;
        let number: usize = left.iter().map(|subject| subject.attached.len()).sum();
        let source = self.image.store().repository();
        let marks = &self.copier.referrer_progress;
        if number > 0 && marks.set(CompletedStep::LeftBehind, source, source, &original) {
            self.warn(format!(
                "{source}, {}: the platform filter makes an index of its own, with another digest, so the {number} \
                 signatures and other referrers of the whole index {original} do not cover it and are left behind; those of \
                 its images come along",
                self.image.target()
            ));
        }
        Ok(())
    }

    /// Covers the referrer tags of `subject`.
    fn cover_subject(&self, subject: &Digest) {
        lock(self.covered).add(subject, self.destination.repository());
    }

    /// The same of an image of which two HEADs told that it differs. What lies below it is read only where a rule found
    /// tags that may name what refers to that.
    pub(super) async fn cover_differing_image(
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

    /// The same of a root and of everything below it, of which it is only known that it differs.
    pub(super) async fn cover_all(&self, root: &Arc<Manifest>) -> Result<(), Failure> {
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
    async fn check_earlier_signatures(
        &self,
        image: &SourceImage,
        tag: &Tag,
    ) -> Result<(), Failure> {
        let target = Target::Tag(tag.clone());
        let name = ImageName::new(self.rule, &target, &self.place.repository, Some(tag));
        self.copier
            .check_earlier_signatures(image, &name, tag, self.place)
            .await
    }

    /// What refers to the whole index, and to what the filter left out of it beside `kept`, stays behind.
    async fn cover_filtered(&self, kept: &[Digest]) -> Result<(), Failure> {
        let original = self.image.head().await?.digest;
        let whole = self.image.manifest(&original).await?;
        let kept: HashSet<&Digest> = kept.iter().collect();
        let all = self.image.manifests_below(&whole).await?;
        for dropped in all
            .iter()
            .chain([&original])
            .filter(|one| !kept.contains(one))
        {
            self.cover_subject(dropped);
        }
        Ok(())
    }

    /// Whether everything is asked for, whatever is unchanged.
    fn is_deep(&self) -> bool {
        self.wanted.deep || self.copier.verify || self.copier.force
    }
    fn warn(&self, text: String) {
        self.copier.listener.event(&Event::Warning { text });
    }
    fn has(&self, mark: CompletedStep, digest: &Digest) -> bool {
        let source = self.image.store().repository();
        let place = self.destination.repository();
        self.copier
            .referrer_progress
            .has(mark, source, place, digest)
    }
    fn set(&self, mark: CompletedStep, digest: &Digest) {
        let source = self.image.store().repository();
        let place = self.destination.repository();
        self.copier
            .referrer_progress
            .set(mark, source, place, digest);
    }
}

/// Whether the source does not have what it lists.
fn is_missing_at_source(failure: &Failure) -> bool {
    failure.side == Side::Source && failure.kind == Some(ErrorKind::NotFound)
}

/// `failure`, of which it is said what did not come along, and how the image can be copied all the same.
fn with_referrer_context(what: &str, subject: &Digest, failure: Failure) -> Failure {
    let mut reason = format!("{what}, which refers to {subject}: {}", failure.reason);
    let refused = [Cause::MediaTypeRefused, Cause::ManifestInvalid];
    if failure.side == Side::Destination && refused.contains(&failure.cause) {
        reason.push_str("; --no-referrers copies images without what refers to them");
        return Failure {
            reason,
            cause: Cause::ReferrerRefused,
            ..failure
        };
    }
    Failure { reason, ..failure }
}

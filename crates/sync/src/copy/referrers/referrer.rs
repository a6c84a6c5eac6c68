//! Referrers of one subject.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use image_syncer_registry::{Descriptor, Digest, Manifest, Tag, Target};

use crate::compare::{CompareTarget, Comparison, MissingImage};
use crate::copy::push::{ImagePush, PushOutcome};
use crate::copy::referrer_progress::CompletedStep;
use crate::copy::referrers::{
    MAX_CONCURRENT, ReferrerCopier, ReferrerSubject, SubjectOutcome, is_missing_at_source,
    with_referrer_context,
};
use crate::event::{Copied, Outcome};
use crate::failure::Failure;
use crate::graph::{Root, SourceImage};

/// Result for one referrer.
#[derive(Default)]
struct ReferrerOutcome {
    /// Volume, if it was copied.
    copied: Option<Copied>,
    /// Descriptor for the list of referrers, if the destination may not list it yet.
    listed: Option<Descriptor>,
    next: Vec<(Digest, bool)>,
    name: Option<(Arc<Manifest>, Tag)>,
}

impl ReferrerCopier<'_> {
    /// Copies the referrers of `subject` itself.
    pub(super) async fn serve(&self, subject: ReferrerSubject) -> Result<SubjectOutcome, Failure> {
        let repository = self.destination.repository();
        // Images that share a subject copy its referrers one after the other.
        let key = (repository.clone(), subject.digest.clone());
        let _claim = self.copier.locks.subjects.lock(key).await;
        let is_done = self.has(CompletedStep::Subject, &subject.digest);
        let there = if is_done {
            let all = subject.attached.referrers.iter();
            all.map(|referrer| referrer.digest.clone()).collect()
        } else {
            self.there(&subject).await?
        };
        let mut came = Vec::new();
        let mut referrers = stream::iter(subject.attached.referrers.clone())
            .map(|referrer| self.referrer(&subject, referrer, &there))
            .buffer_unordered(MAX_CONCURRENT);
        while let Some(one) = referrers.next().await {
            came.push(one?);
        }
        drop(referrers);
        let mut served = SubjectOutcome::default();
        let listed: Vec<Descriptor> = came
            .iter_mut()
            .filter_map(|one| one.listed.take())
            .collect();
        if self.update_index(&subject.digest, &listed).await? {
            served.copied.contended();
        }
        if !is_done {
            for tag in &subject.attached.companions {
                came.push(self.companion(&subject, tag).await?);
            }
        }
        for one in came {
            served.next.extend(one.next);
            served.names.extend(one.name);
            if let Some(copied) = &one.copied {
                served.copied.one(copied);
            }
        }
        // Referrers without their tag are not complete for other images.
        if served.names.is_empty() {
            self.set(CompletedStep::Subject, &subject.digest);
        }
        Ok(served)
    }

    /// Returns the referrers of `subject` that the destination lists. A new subject has none. With `--verify` and
    /// `--force`, no list is used.
    async fn there(&self, subject: &ReferrerSubject) -> Result<HashSet<Digest>, Failure> {
        let distrusts = self.place.options.distrusts_facts();
        if subject.is_new || subject.attached.referrers.is_empty() || distrusts {
            return Ok(HashSet::new());
        }
        let listed = self.destination.referrers(&subject.digest).await;
        let listed = listed?;
        Ok(listed.into_iter().map(|there| there.digest).collect())
    }

    /// Adds the copied referrers to the list. Returns true after contention with other clients.
    async fn update_index(
        &self,
        subject: &Digest,
        referrers: &[Descriptor],
    ) -> Result<bool, Failure> {
        if referrers.is_empty() {
            return Ok(false);
        }
        let updated = self
            .destination
            .update_referrers_index(subject, referrers)
            .await;
        let updated = updated.map_err(|error| {
            let failure = error.into();
            with_referrer_context(&format!("list of referrers of {subject}"), failure)
        })?;
        if updated.contended {
            self.warn(format!(
                "{}@{subject}: others write the list of its referrers at the same time, and some are still missing there. \
                 Run again to complete the list.",
                self.destination.repository()
            ));
        }
        Ok(updated.contended)
    }

    /// Copies one referrer of `subject`.
    async fn referrer(
        &self,
        subject: &ReferrerSubject,
        referrer: Descriptor,
        there: &HashSet<Digest>,
    ) -> Result<ReferrerOutcome, Failure> {
        let digest = &referrer.digest;
        let context = format!("referrer {digest}, which refers to {}", subject.digest);
        let failed = |failure| with_referrer_context(&context, failure);
        let image = self.part(Target::Digest(digest.clone()));
        let is_listed = there.contains(digest);
        if is_listed && !(self.is_deep() || subject.is_new) {
            return Ok(ReferrerOutcome::default());
        }
        let root = match image.root().await {
            Ok(Root::Whole(root) | Root::Filtered(root)) => root,
            Ok(Root::Nothing { .. }) => return Ok(ReferrerOutcome::default()),
            Err(failure) if is_missing_at_source(&failure) => {
                self.warn_skipped(subject, digest.as_str(), "the registry does not have it");
                return Ok(ReferrerOutcome::default());
            }
            Err(failure) => return Err(failed(failure)),
        };
        let Some(listed) = self.fitting(subject, &root).map_err(failed)? else {
            return Ok(ReferrerOutcome::default());
        };
        let next = self
            .subjects(&image, &root, !is_listed)
            .await
            .map_err(failed)?;
        if is_listed {
            return Ok(ReferrerOutcome {
                next,
                ..ReferrerOutcome::default()
            });
        }
        let copied = self.copy_referrer(&image, root).await;
        Ok(ReferrerOutcome {
            copied: copied.map_err(failed)?,
            listed: Some(listed),
            next,
            name: None,
        })
    }

    /// Returns the descriptor of a referrer, if its document agrees with the list and its type is selected.
    fn fitting(
        &self,
        subject: &ReferrerSubject,
        root: &Manifest,
    ) -> Result<Option<Descriptor>, Failure> {
        let unreadable = |error: image_syncer_registry::manifest::ManifestError| {
            Failure::local(error.to_string())
        };
        let view = root.view().map_err(unreadable)?;
        if view
            .subject()
            .is_none_or(|named| named.digest != subject.digest)
        {
            let why = "it does not name it as its subject";
            self.warn_skipped(subject, root.digest().as_str(), why);
            return Ok(None);
        }
        let listed = root.referrer_descriptor().map_err(unreadable)?;
        let wanted = self.wanted.includes(listed.artifact_type.as_deref());
        Ok(wanted.then_some(listed))
    }

    /// Copies the image under one of cosign's tags.
    async fn companion(
        &self,
        subject: &ReferrerSubject,
        tag: &Tag,
    ) -> Result<ReferrerOutcome, Failure> {
        let context = format!("tag {tag}, which refers to {}", subject.digest);
        let failed = |failure| with_referrer_context(&context, failure);
        let mut image = self.part(Target::Tag(tag.clone()));
        let is_new = subject.is_new && !self.place.options.distrusts_facts();
        if is_new {
            image = image.needed();
        }
        match image.head().await {
            Ok(_) => {}
            Err(failure) if is_missing_at_source(&failure) => {
                self.warn_skipped(subject, tag.as_str(), "the registry does not have it");
                return Ok(ReferrerOutcome::default());
            }
            Err(failure) => return Err(failed(failure)),
        }
        self.check_earlier_signatures(&image, tag).await?;
        self.companion_of(&image, tag, is_new).await.map_err(failed)
    }

    async fn companion_of(
        &self,
        image: &SourceImage,
        tag: &Tag,
        is_new: bool,
    ) -> Result<ReferrerOutcome, Failure> {
        let look =
            self.copier
                .comparer
                .fetch_ends(image, self.compare_target(image), Some(tag), is_new);
        let mut missing = match look.await? {
            Comparison::Missing(missing) => missing,
            Comparison::Skipped { .. } => return Ok(ReferrerOutcome::default()),
            Comparison::Differs(difference) => {
                self.cover_subject(&difference.digest);
                return Ok(ReferrerOutcome {
                    copied: Some(Copied::without_transfer(difference.digest)),
                    ..ReferrerOutcome::default()
                });
            }
            Comparison::Unchanged { digest, .. } => {
                let copied = self.verified(image, Some(tag), digest.clone()).await?;
                let next = if self.is_deep() {
                    vec![(digest, false)]
                } else {
                    Vec::new()
                };
                return Ok(ReferrerOutcome {
                    copied,
                    next,
                    ..ReferrerOutcome::default()
                });
            }
        };
        let root = Arc::clone(&missing.root);
        let next = self.subjects(image, &root, true).await?;
        // Counted by the query of the next level, which costs nothing.
        let refers = self.subjects_among(next.iter().cloned());
        let refers: Vec<ReferrerSubject> = refers.try_collect().await?;
        let name = (!refers.is_empty()).then(|| (Arc::clone(&root), tag.clone()));
        if name.is_some() {
            missing.tag = None;
        }
        Ok(ReferrerOutcome {
            copied: self.push_part(image, &missing).await?,
            listed: None,
            next,
            name,
        })
    }

    /// Copies a referrer that the destination does not list. With `--verify` and `--force`, it is compared first.
    async fn copy_referrer(
        &self,
        image: &SourceImage,
        root: Arc<Manifest>,
    ) -> Result<Option<Copied>, Failure> {
        if !self.place.options.distrusts_facts() {
            let missing = MissingImage {
                root,
                filtered: false,
                tag: None,
                there: None,
                unknown: None,
                unasked: true,
                sparse: None,
            };
            return self.push_part(image, &missing).await;
        }
        let look = self
            .copier
            .comparer
            .fetch_ends(image, self.compare_target(image), None, false);
        match look.await? {
            Comparison::Missing(missing) => self.push_part(image, &missing).await,
            Comparison::Unchanged { digest, .. } => self.verified(image, None, digest).await,
            Comparison::Differs(difference) => {
                Ok(Some(Copied::without_transfer(difference.digest)))
            }
            Comparison::Skipped { .. } => Ok(None),
        }
    }

    async fn push_part(
        &self,
        image: &SourceImage,
        missing: &MissingImage,
    ) -> Result<Option<Copied>, Failure> {
        let pushed = self.image_push(image).run(missing, None).await?;
        Ok(match pushed {
            PushOutcome::Copied(copied) => Some(copied),
            PushOutcome::AlreadyPresent => None,
        })
    }

    /// With `--verify`, checks everything below the existing manifest.
    async fn verified(
        &self,
        image: &SourceImage,
        tag: Option<&Tag>,
        digest: Digest,
    ) -> Result<Option<Copied>, Failure> {
        if !self.place.options.verify {
            return Ok(None);
        }
        let push = self.image_push(image);
        Ok(match push.verify(tag, digest).await? {
            Outcome::Copied(copied) => Some(copied),
            _ => None,
        })
    }

    /// Returns the push of a referrer.
    fn image_push<'b>(&'b self, image: &'b SourceImage) -> ImagePush<'b> {
        ImagePush {
            copier: self.copier,
            image,
            store: self.destination,
            target: self.compare_target(image),
            batch: self.batch,
        }
    }

    fn compare_target(&self, image: &SourceImage) -> CompareTarget<'_> {
        CompareTarget::new(&**self.destination, image, &self.place.options)
    }

    /// Returns the manifests of an image that may be subjects.
    async fn subjects(
        &self,
        image: &SourceImage,
        root: &Arc<Manifest>,
        is_new: bool,
    ) -> Result<Vec<(Digest, bool)>, Failure> {
        let below = image.manifests_below_within(root, |_| self.count(1));
        let mut digests = below.await?;
        digests.push(root.digest().clone());
        Ok(digests.into_iter().map(|digest| (digest, is_new)).collect())
    }

    /// Returns an image of the same source that is a referrer. No filter applies to it.
    pub(super) fn part(&self, target: Target) -> SourceImage {
        let manifests = Arc::clone(&self.copier.manifests);
        SourceImage::new(
            Arc::clone(self.image.store()),
            target,
            Arc::default(),
            manifests,
        )
        .with_parts(self.place.options.parts.for_referrers())
    }

    fn warn_skipped(&self, subject: &ReferrerSubject, what: &str, why: &str) {
        let source = self.image.store().repository();
        self.warn(format!(
            "{source}: {what} is listed as a referrer of {}, but {why}. It is left out.",
            subject.digest
        ));
    }
}

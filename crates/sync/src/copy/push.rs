//! The push of one image to one destination: transfer and commit, and again if the destination contradicts a known fact.

use std::sync::Arc;

use image_syncer_registry::Descriptor;

use crate::Repository;
use crate::commit::{CommitOutcome, MissingContent, commit, commit_untagged, name};
use crate::compare::{CompareTarget, CopyPlan, KnownChildren, MissingImage};
use crate::copy::Copier;
use crate::copy::referrers::{CopiedReferrers, ReferrerCopier, ReferrerSubject};
use crate::copy::stats::CopyStats;
use crate::copy::transfer_batch::BatchHandle;
use crate::event::Copied;
use crate::failure::Failure;
use crate::graph::SourceImage;
use crate::store::Destination;
use crate::transfer::Moved;

/// Maximum number of attempts for one destination before its answers count against the known facts.
pub(super) const MAX_ATTEMPTS: u32 = 3;

/// Result of a push.
pub(super) enum PushOutcome {
    /// The image was pushed.
    Copied(Copied),
    /// The destination had the image before: the list that lacked its tag was stale.
    AlreadyPresent,
}

/// Push of the content of one image, or of one of its referrers, to one destination.
#[derive(Clone, Copy)]
pub(super) struct ImagePush<'a> {
    pub(super) copier: &'a Copier,
    pub(super) image: &'a SourceImage,
    pub(super) store: &'a Arc<dyn Destination>,
    /// The same store, with the options of the copy.
    pub(super) target: CompareTarget<'a>,
    pub(super) batch: &'a BatchHandle,
}

impl ImagePush<'_> {
    /// Pushes `missing`, and the `referrers` of the image before its tag, until the destination has them.
    pub(super) async fn run(
        &self,
        missing: &MissingImage,
        referrers: Option<&ReferrerCopier<'_>>,
    ) -> Result<PushOutcome, Failure> {
        if self.copier.only_checks() {
            // The difference alone is of interest.
            if let Some(referrers) = referrers {
                referrers.cover_all(&missing.root).await?;
            }
            return Ok(PushOutcome::Copied(missing.as_differing(self.image)));
        }
        let mut known = self.copier.comparer.known(missing, self.target).await?;
        let mut stats = CopyStats::default();
        for _ in 0..MAX_ATTEMPTS {
            let plan = self.plan(missing, &known).await?;
            let (committed, copied) = self.attempt(&plan, referrers, &mut stats).await?;
            let committed = match committed {
                Ok(committed) => committed,
                Err(failure) => {
                    let comparer = &self.copier.comparer;
                    let present = comparer.was_present(missing, &**self.store, &failure).await;
                    return present
                        .then_some(PushOutcome::AlreadyPresent)
                        .ok_or(failure);
                }
            };
            match committed {
                CommitOutcome::Done => {
                    self.record_content(&plan);
                    let pushed = Copied {
                        sparse: self.image.is_sparse(),
                        ..stats.committed(missing, &plan)
                    };
                    return Ok(PushOutcome::Copied(copied.with(pushed)));
                }
                CommitOutcome::Lacking(lacking) => {
                    if let Some(failure) = self.image.demanded(&lacking.missing, &lacking.failure) {
                        return Err(failure);
                    }
                    self.forget_content(&lacking, &stats);
                    known.correct(&lacking.missing, &lacking.pushed);
                    stats.refused(lacking);
                }
            }
        }
        Err(self.image.given_up(stats.into_failure(MAX_ATTEMPTS)))
    }

    async fn plan(
        &self,
        missing: &MissingImage,
        known: &KnownChildren,
    ) -> Result<CopyPlan, Failure> {
        let comparer = &self.copier.comparer;
        let plan = comparer
            .plan(self.image, self.target, missing, known)
            .await?;
        if plan.tag.is_some() {
            self.store.accept(&plan.root)?;
        }
        let repository = self.store.repository();
        tracing::trace!(
            host = &*repository.endpoint().name(),
            "to copy: {} children and {} blobs; present: {} blobs",
            plan.children.len(),
            plan.blobs.len(),
            plan.present.len()
        );
        self.copier.inventory.recall(repository, &plan.blobs).await;
        Ok(plan)
    }

    /// Transfers the blobs of `plan` and pushes its manifests, with the referrers. Returns the result of the commit, which
    /// may be a failure, and the copied referrers.
    async fn attempt(
        &self,
        plan: &CopyPlan,
        referrers: Option<&ReferrerCopier<'_>>,
        stats: &mut CopyStats,
    ) -> Result<(Result<CommitOutcome, Failure>, CopiedReferrers), Failure> {
        let copier = self.copier;
        let repository = self.store.repository();
        let digests = plan.blobs.iter().chain(&plan.present).map(|b| &b.digest);
        let _commit = copier.transfers.will_commit(repository, digests);
        let subjects = async {
            match referrers {
                Some(referrers) => referrers.copy_for_new_image(&plan.root).await,
                None => Ok(Vec::new()),
            }
        };
        let (moved, subjects) = futures_util::try_join!(self.transfer(&plan.blobs), subjects)?;
        stats.moved(plan, &moved, |blob| {
            copier.inventory.was_uploaded(repository, blob)
        });
        copier.warn_of_sizes(self.image, plan);
        let mut copied = CopiedReferrers::default();
        let committed = self.commit(plan, referrers, subjects, &mut copied).await;
        Ok((committed, copied))
    }

    /// Pushes the manifests of `plan`. If the image has referrers, the root is pushed by its digest first, and gets its tag
    /// after them.
    async fn commit(
        &self,
        plan: &CopyPlan,
        referrers: Option<&ReferrerCopier<'_>>,
        subjects: Vec<ReferrerSubject>,
        copied: &mut CopiedReferrers,
    ) -> Result<CommitOutcome, Failure> {
        let store = &**self.store;
        let Some(referrers) = referrers.filter(|_| !subjects.is_empty()) else {
            return commit(store, plan).await;
        };
        let untagged = commit_untagged(store, plan).await?;
        if let CommitOutcome::Lacking(_) = untagged {
            return Ok(untagged);
        }
        *copied = referrers.copy_level(subjects).await?;
        match &plan.tag {
            Some(tag) => name(store, &plan.root, tag).await,
            None => Ok(CommitOutcome::Done),
        }
    }

    /// Transfers `blobs`, or plans their transfer in a run that writes nothing.
    pub(super) async fn transfer(&self, blobs: &[Descriptor]) -> Result<Vec<Moved>, Failure> {
        match &self.copier.dry_run {
            Some(dry_run) => {
                let source = self.image.store().repository();
                dry_run.transfer(source, &**self.store, blobs).await
            }
            None => self.batch.transfer(self.store, blobs).await,
        }
    }

    /// Records the content of `plan`, which the destination has now.
    pub(super) fn record_content(&self, plan: &CopyPlan) {
        let (inventory, repository) = (&self.copier.inventory, self.store.repository());
        let blobs = plan.blobs.iter().chain(&plan.present);
        inventory.record_committed(repository, blobs.map(|blob| &blob.digest));
        for manifest in plan.children.iter().chain([&plan.root]) {
            inventory.record_manifest(repository, manifest.digest(), self.target.scope());
        }
    }

    /// Removes all facts about the repository, since the destination contradicted one. If it named the missing content,
    /// the blobs that this image sent there itself stay known.
    pub(super) fn forget_content(&self, lacking: &MissingContent, stats: &CopyStats) {
        let (inventory, repository): (_, &Repository) =
            (&self.copier.inventory, self.store.repository());
        tracing::debug!(
            host = &*repository.endpoint().name(),
            "the destination lacks content that it was expected to have, so it is compared again: {}",
            lacking.failure
        );
        inventory.forget(repository);
        if lacking.missing.is_empty() {
            return;
        }
        for digest in stats.sent() {
            if !lacking.missing.contains(digest) {
                inventory.record_upload(repository, digest);
            }
        }
        for digest in &lacking.missing {
            inventory.record_missing(repository, digest);
        }
    }
}

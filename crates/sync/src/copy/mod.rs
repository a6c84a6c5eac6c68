//! The loop for one image: compare, transfer, commit; again if a fact was wrong.
//!
//! Each destination of the image runs its own loop. They share what is read at the source, and their transfers meet
//! in `share`, so that one download feeds all of them; beyond that none waits for another, and none fails another.

mod conflict;
mod deferred_tags;
mod dry_run;
mod pair;
mod referrer_progress;
mod referrers;
mod repair;
mod sizes;
mod stats;
mod tag_checks;
mod transfer_batch;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::FutureExt;
use futures_util::future::join_all;
use image_syncer_registry::{Digest, ManifestHead, Repository, Target};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::commit::{CommitOutcome, MissingContent, commit, commit_untagged, name};
use crate::compare::{Comparer, Comparison, CopyPlan, MissingImage};
use crate::config::{Intent, Referrers, Settings};
use crate::discover::{DestinationHint, Image, ImageDestination, SourceTags};
use crate::event::{Copied, Evidence, Listener, Outcome};
use crate::failure::Failure;
use crate::graph::{ManifestCache, ReferrerQueries, SourceImage};
use crate::inventory::Inventory;
use crate::keyed::KeyedLock;
use crate::rule::{Parts, PlatformFilter};
use crate::store::{ReadOnlyStores, Store, Stores};
use crate::transfer::{Progress, Transfers};

use dry_run::DryRun;
use pair::Pair;
pub(crate) use pair::Pairs;
use referrer_progress::ReferrerProgress;
use referrers::{CopiedReferrers, ReferrerCopier, ReferrerSubject};
use stats::CopyStats;
use tag_checks::InFlightTagChecks;
use transfer_batch::BatchHandle;

/// How often compare, transfer and commit are gone through for one destination before its contradictions are believed.
const TURNS: u32 = 3;

/// What a push led to.
enum PushOutcome {
    /// It is there now.
    Copied(Copied),
    /// It was there before: the list that did not have the tag was stale.
    Stood,
}

/// Copies images; shared by all images of a run.
pub(crate) struct Copier {
    stores: Arc<dyn Stores>,
    platforms: Arc<PlatformFilter>,
    parts: Parts,
    inventory: Arc<Inventory>,
    comparer: Comparer,
    transfers: Arc<Transfers>,
    manifests: Arc<ManifestCache>,
    claims: KeyedLock<(Repository, Digest)>,
    looks: InFlightTagChecks,
    source_tags: Arc<SourceTags>,
    referrers: Option<Arc<Referrers>>,
    questions: ReferrerQueries,
    /// The subjects whose referrers are on their way.
    attaching: KeyedLock<(Repository, Digest)>,
    marks: ReferrerProgress,
    /// When the run began.
    began: SystemTime,
    force: bool,
    verify: bool,
    listener: Arc<dyn Listener>,
    /// Where nothing is to be written.
    rehearsal: Option<DryRun>,
    /// Every task that a copy spawns.
    tasks: TaskTracker,
}

impl Copier {
    /// A copier between `stores` that knows nothing yet.
    pub(crate) fn new(
        stores: Arc<dyn Stores>,
        settings: Settings,
        listener: Arc<dyn Listener>,
    ) -> Self {
        let stores = match settings.intent {
            Intent::Copy => stores,
            Intent::Plan | Intent::Check => Arc::new(ReadOnlyStores(stores)),
        };
        let inventory = Arc::new(match settings.records {
            Some(records) if settings.intent != Intent::Copy => {
                Inventory::reading(records, &settings.platforms, settings.parts)
            }
            Some(records) => Inventory::with_records(records, &settings.platforms, settings.parts),
            None => Inventory::new(),
        });
        let transfers = Transfers::new(Arc::clone(&inventory), settings.transfers);
        let source_tags = SourceTags::new(Arc::clone(&stores));
        Self {
            stores,
            platforms: settings.platforms,
            parts: settings.parts,
            comparer: Comparer::new(Arc::clone(&inventory), settings.force, settings.verify)
                .claiming(settings.intent == Intent::Plan)
                .only_differences(settings.intent == Intent::Check),
            referrers: settings.referrers,
            questions: ReferrerQueries::new(Arc::clone(&source_tags)),
            source_tags,
            attaching: KeyedLock::default(),
            marks: ReferrerProgress::default(),
            began: SystemTime::now(),
            force: settings.force,
            verify: settings.verify,
            listener,
            rehearsal: DryRun::for_intent(settings.intent, &inventory),
            inventory,
            transfers: Arc::new(transfers),
            manifests: Arc::default(),
            claims: KeyedLock::default(),
            looks: InFlightTagChecks::default(),
            tasks: TaskTracker::new(),
        }
    }
    /// What is known to be where.
    pub(crate) fn inventory(&self) -> &Arc<Inventory> {
        &self.inventory
    }
    /// The tags of the sources.
    pub(crate) fn source_tags(&self) -> &Arc<SourceTags> {
        &self.source_tags
    }
    /// What was moved so far.
    pub(crate) fn progress(&self) -> &Arc<Progress> {
        self.transfers.progress()
    }
    /// Roots that are on their way.
    #[cfg(test)]
    pub(crate) fn claimed(&self) -> usize {
        self.claims.len() + self.attaching.len()
    }
    /// Returns when no task is under way any more; nothing may be copied after this was called.
    pub(crate) async fn drained(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.source_tags.drained().await;
    }
    /// Copies `image` to all of its places; each pair is finished as soon as its outcome is known.
    pub(crate) async fn copy(&self, image: &Image, pairs: &Pairs, cancel: &CancellationToken) {
        let mut source = SourceImage::new(
            self.stores.store(&image.source),
            image.target.clone(),
            Arc::clone(&self.platforms),
            Arc::clone(&self.manifests),
        )
        .with_parts(self.parts);
        let needs_root = !self.only_checks() || source.is_filtered();
        if needs_root
            && image
                .places
                .iter()
                .any(|place| place.hint == DestinationHint::Absent)
        {
            source = source.needed();
        }
        let (seats, sharing) = transfer_batch::transfer_batch(image.places.len());
        let serving = sharing.serve(source.store(), &self.transfers, &self.tasks, cancel);
        let mut destinations = Vec::with_capacity(image.places.len());
        for ((place, seat), pair) in image.places.iter().zip(seats).zip(pairs.start()) {
            let lists = image.lists.as_ref();
            let end = self.end(&source, lists, place, seat, pair);
            destinations.push(end.instrument(pair.span()));
        }
        tokio::join!(join_all(destinations), serving);
    }

    /// Sees one destination through and ends its pair, even after a panic.
    async fn end(
        &self,
        image: &SourceImage,
        lists: Option<&Digest>,
        place: &ImageDestination,
        seat: BatchHandle,
        pair: &Pair,
    ) {
        let outcome = async {
            self.check_earlier_rules(image, pair.name(), place).await?;
            self.bring(image, lists, place, seat).await
        };
        let outcome = match AssertUnwindSafe(outcome).catch_unwind().await {
            Ok(Ok(outcome)) => {
                let told = self.copy_outcome(image, outcome, None).await;
                told.unwrap_or_else(Outcome::Failed)
            }
            Ok(Err(failure)) => {
                if !failure.interrupted && lists.is_none() {
                    self.cover_referrer_tags(image, place).await;
                }
                Outcome::Failed(failure)
            }
            Err(panic) => Outcome::Failed(Failure::panicked(&*panic)),
        };
        self.remember(image, place, &outcome);
        pair.finish(outcome);
    }

    /// Notes which digest stands at the destination now, for later runs.
    fn remember(&self, image: &SourceImage, place: &ImageDestination, outcome: &Outcome) {
        let digest = match outcome {
            Outcome::Copied(copied) => &copied.digest,
            Outcome::Unchanged { digest, .. } => digest,
            Outcome::Skipped { .. } | Outcome::Failed(_) | Outcome::Planned(_) => return,
        };
        if let (Target::Tag(tag), Some(place_tag)) = (image.target(), &place.tag) {
            let source = image.store().repository();
            self.inventory
                .copied(source, tag, &place.repository, place_tag, digest);
        }
    }

    /// Brings the image to one destination; of what `lists` the referrers of a manifest, those, and not the list, which
    /// may have other entries there.
    async fn bring(
        &self,
        image: &SourceImage,
        lists: Option<&Digest>,
        place: &ImageDestination,
        seat: BatchHandle,
    ) -> Result<Outcome, Failure> {
        if let DestinationHint::Recorded(digest) = &place.hint {
            let head = ManifestHead {
                digest: digest.clone(),
                media_type: None,
                size: None,
            };
            self.cover_referrer_tags_of_root(image, place, head).await;
            return Ok(Outcome::Unchanged {
                digest: digest.clone(),
                by: Evidence::Records,
            });
        }
        let destination = self.stores.store(&place.repository);
        if let Some(subject) = lists
            && let Some(company) = self.referrer_copier(image, &destination, &seat)
            && let Some(outcome) = company.copy_for_referrers_list(subject).await?
        {
            return Ok(outcome);
        }
        // Twice if the tag was moved meanwhile. It is read again only once.
        loop {
            let outcome = self.compare_and_copy(image, place, &destination, &seat);
            if let Some(outcome) = outcome.await? {
                return Ok(outcome);
            }
        }
    }

    /// Compares the image with one destination, and copies it if they differ. Returns `None` if the tag was moved
    /// meanwhile, so that the image must be compared again.
    async fn compare_and_copy(
        &self,
        image: &SourceImage,
        place: &ImageDestination,
        destination: &Arc<dyn Store>,
        seat: &BatchHandle,
    ) -> Result<Option<Outcome>, Failure> {
        let comparison = self.look(image, place, &**destination).await?;
        let hidden = self.is_hidden(&comparison)?;
        let digest = match comparison {
            Comparison::Unchanged { digest } => digest,
            Comparison::Skipped { why } => {
                self.cover_referrer_tags(image, place).await;
                return Ok(Some(Outcome::Skipped { why }));
            }
            Comparison::Differs(difference) => {
                let company = self.referrer_copier(image, destination, seat);
                let outcome = self.differing_outcome(image, company, difference).await?;
                return Ok(Some(outcome.hidden(hidden)));
            }
            Comparison::Missing(missing) => {
                match self.push(image, destination, seat, &missing).await? {
                    PushOutcome::Copied(copied) => {
                        let (copied, change) = (Outcome::Copied(copied), missing.change());
                        let outcome = self.copy_outcome(image, copied, Some(change)).await?;
                        return Ok(Some(outcome.hidden(hidden)));
                    }
                    PushOutcome::Stood => missing.root.digest().clone(),
                }
            }
        };
        let outcome = if self.verify {
            self.verify(image, place, destination, digest, &seat)
                .await?
        } else {
            Outcome::Unchanged {
                digest,
                by: Evidence::Registry,
            }
        };
        match self.referrer_copier(image, destination, seat) {
            Some(company) => company.copy_for_unchanged_image(outcome).await,
            None => Ok(Some(outcome)),
        }
    }

    /// Compares the image with what stands at `place`.
    async fn look(
        &self,
        image: &SourceImage,
        place: &ImageDestination,
        destination: &dyn Store,
    ) -> Result<Comparison, Failure> {
        if place.hint == DestinationHint::Absent {
            let found = self
                .comparer
                .fetch_ends(image, destination, place.tag.as_ref(), true);
            let found = found.await?;
            // What other tags name there is known in a moment; it may be this image.
            self.looks.wait_for_checks(&place.repository).await;
            return Ok(found);
        }
        let _look = self.looks.begin(&place.repository);
        let found = self
            .comparer
            .fetch_ends(image, destination, place.tag.as_ref(), false);
        found.await
    }

    /// Sends what the destination lacks of the image, and what refers to it.
    async fn push(
        &self,
        image: &SourceImage,
        destination: &Arc<dyn Store>,
        seat: &BatchHandle,
        missing: &MissingImage,
    ) -> Result<PushOutcome, Failure> {
        // Another tag of this run may be bringing the same root here: when it has, one request is left to do.
        let repository = destination.repository();
        let key = (repository.clone(), missing.root.digest().clone());
        let _claim = self.claims.lock(key).await;
        let company = self.referrer_copier(image, destination, seat);
        let pushed = self.turns(image, destination, seat, missing, company.as_ref());
        let pushed = pushed.await?;
        if let (Some(company), PushOutcome::Copied(copied)) = (&company, &pushed) {
            company.is_complete(missing.root.digest(), copied);
        }
        Ok(pushed)
    }

    /// Compare, transfer, commit, until the destination has the image. What refers to it comes with its `company`.
    async fn turns(
        &self,
        image: &SourceImage,
        destination: &Arc<dyn Store>,
        seat: &BatchHandle,
        missing: &MissingImage,
        company: Option<&ReferrerCopier<'_>>,
    ) -> Result<PushOutcome, Failure> {
        if self.only_checks() {
            return differs(image, missing, company).await;
        }
        let repository = destination.repository();
        let mut known = self.comparer.known(missing, &**destination).await?;
        let mut tally = CopyStats::default();
        for _ in 0..TURNS {
            let plan = self
                .comparer
                .plan(image, &**destination, missing, &known)
                .await?;
            tracing::trace!(
                host = repository.registry().as_str(),
                "to bring: {} children and {} blobs; there: {} blobs",
                plan.children.len(),
                plan.blobs.len(),
                plan.present.len()
            );
            self.inventory.recall(repository, &plan.blobs).await;
            let digests = plan.blobs.iter().chain(&plan.present).map(|b| &b.digest);
            let _commitment = self.transfers.will_commit(repository, digests);
            let (moved, subjects) = futures_util::try_join!(
                self.transfer(image, seat, destination, &plan.blobs),
                subjects(company, &plan)
            )?;
            tally.moved(&plan, &moved, |blob| {
                self.inventory.was_uploaded(repository, blob)
            });
            self.warn_of_sizes(image, &plan);
            match self.commit(&plan, destination, company, subjects).await {
                Ok((CommitOutcome::Done, brought)) => {
                    self.learn(repository, &plan);
                    let copied = Copied {
                        sparse: image.is_sparse(),
                        ..tally.committed(missing, &plan)
                    };
                    return Ok(PushOutcome::Copied(brought.with(copied)));
                }
                Ok((CommitOutcome::Lacking(lacking), _)) => {
                    if let Some(failure) = image.demanded(&lacking.missing, &lacking.failure) {
                        return Err(failure);
                    }
                    self.unlearn(repository, &lacking, &tally);
                    known.correct(&lacking.missing, &lacking.pushed);
                    tally.refused(lacking);
                }
                Err(failure) => {
                    let stood = self.comparer.was_present(missing, &**destination, &failure);
                    return stood.await.then_some(PushOutcome::Stood).ok_or(failure);
                }
            }
        }
        Err(image.given_up(tally.into_failure(TURNS)))
    }

    /// Pushes the manifests of `plan`. Where something refers to them, the root comes by its digest first and gets its
    /// tag when that has come as well.
    async fn commit(
        &self,
        plan: &CopyPlan,
        destination: &Arc<dyn Store>,
        company: Option<&ReferrerCopier<'_>>,
        subjects: Vec<ReferrerSubject>,
    ) -> Result<(CommitOutcome, CopiedReferrers), Failure> {
        let nothing = CopiedReferrers::default();
        let Some(company) = company.filter(|_| !subjects.is_empty()) else {
            return Ok((commit(&**destination, plan).await?, nothing));
        };
        let untagged = commit_untagged(&**destination, plan).await?;
        if let CommitOutcome::Lacking(_) = untagged {
            return Ok((untagged, nothing));
        }
        let brought = company.copy_level(subjects).await?;
        let named = match &plan.tag {
            Some(tag) => name(&**destination, &plan.root, tag).await?,
            None => CommitOutcome::Done,
        };
        Ok((named, brought))
    }

    /// The destination took everything.
    fn learn(&self, repository: &Repository, plan: &CopyPlan) {
        let blobs = plan.blobs.iter().chain(&plan.present);
        let digests = blobs.map(|blob| &blob.digest);
        self.inventory.blobs_are_committed(repository, digests);
        for manifest in plan.children.iter().chain([&plan.root]) {
            self.inventory.manifest_is_in(repository, manifest.digest());
        }
    }

    /// The destination contradicted a fact, so that none on that repository is believed any more, but for what this
    /// image sent there itself, where the destination says that it is something else that it lacks.
    fn unlearn(&self, repository: &Repository, lacking: &MissingContent, tally: &CopyStats) {
        tracing::debug!(
            host = repository.registry().as_str(),
            "the destination lacks what it was taken to have, so it is compared again: {}",
            lacking.failure
        );
        self.inventory.forget(repository);
        if lacking.missing.is_empty() {
            return;
        }
        for digest in tally.sent() {
            if !lacking.missing.contains(digest) {
                self.inventory.record_upload(repository, digest);
            }
        }
        for digest in &lacking.missing {
            self.inventory.blob_is_missing(repository, digest);
        }
    }
}

/// It is enough to know that the image differs; the tags that name what refers to it are no images of their own.
async fn differs(
    image: &SourceImage,
    missing: &MissingImage,
    company: Option<&ReferrerCopier<'_>>,
) -> Result<PushOutcome, Failure> {
    if let Some(company) = company {
        company.cover_all(&missing.root).await?;
    }
    Ok(PushOutcome::Copied(missing.as_differing(image)))
}

/// What refers to what `plan` brings; nothing where nothing is to come along.
async fn subjects(
    company: Option<&ReferrerCopier<'_>>,
    plan: &CopyPlan,
) -> Result<Vec<ReferrerSubject>, Failure> {
    match company {
        Some(company) => company.copy_for_new_image(&plan.root).await,
        None => Ok(Vec::new()),
    }
}

//! The loop for one image: compare, transfer, commit; again if a fact was wrong.
//!
//! Each destination of the image runs its own loop. They share what is read at the source, and their transfers meet
//! in `share`, so that one download feeds all of them; beyond that none waits for another, and none fails another.

mod conflict;
mod deferred_tags;
mod destination;
mod dry_run;
mod pair;
mod referrer_progress;
mod referrers;
mod repair;
mod sizes;
mod stats;
mod tag_checks;
mod transfer_batch;

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::join_all;
use image_syncer_registry::{Digest, Repository};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::commit::{CommitOutcome, MissingContent, commit, commit_untagged, name};
use crate::compare::{Comparer, CopyPlan, MissingImage};
use crate::config::{Intent, Referrers, Settings};
use crate::discover::{DestinationHint, Image, SourceTags};
use crate::event::{Copied, Listener};
use crate::failure::Failure;
use crate::graph::{ManifestCache, ReferrerQueries, SourceImage};
use crate::inventory::Inventory;
use crate::keyed::KeyedLock;
use crate::rule::{Parts, PlatformFilter};
use crate::store::{ReadOnlyStores, Store, Stores};
use crate::transfer::{Progress, Transfers};

use destination::DestinationCopy;
use dry_run::DryRun;
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
            let destination = DestinationCopy {
                copier: self,
                image: &source,
                lists: image.lists.as_ref(),
                name: pair.name(),
                place,
                store: self.stores.store(&place.repository),
                seat,
            };
            destinations.push(destination.run(pair).instrument(pair.span()));
        }
        tokio::join!(join_all(destinations), serving);
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

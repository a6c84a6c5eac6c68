//! The loop for one image: compare, transfer, commit, and again if a known fact was wrong.
//!
//! Each destination of the image runs its own loop (`destination`, `push`). They share the content of the source and
//! their transfers (`transfer_batch`), so that one download feeds all of them. Otherwise no destination waits for another
//! one or fails with it. A run that writes nothing is the same loop over stores that accept pushes and drop them; only the
//! transfers of blobs are replaced (`dry_run`).

mod conflict;
mod covered_tags;
mod destination;
mod dry_run;
mod locks;
mod outcome;
mod pair;
mod push;
mod referrer_progress;
mod referrers;
mod repair;
mod shared_state;
mod sizes;
mod stats;
mod tag_checks;
mod transfer_batch;

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::compare::Comparer;
use crate::discover::{CoveredTags, DestinationHint, Image, SourceTags, TagAges};
use crate::event::{Listener, Outcome};
use crate::graph::{ManifestCache, ReferrerQueries, SourceImage};
use crate::inventory::Inventory;
use crate::settings::{Intent, Listing, RunSettings};
use crate::store::{ReadOnlyStores, Source, Stores};
use crate::transfer::{Progress, Transfers};

use destination::DestinationCopy;
use dry_run::DryRun;
use locks::CopyLocks;
pub(crate) use pair::Pairs;
use referrer_progress::ReferrerProgress;
pub(crate) use shared_state::SharedState;

/// Copies images. Shared by all images of a run.
pub(crate) struct Copier {
    intent: Intent,
    listing: Listing,
    stores: Arc<dyn Stores>,
    inventory: Arc<Inventory>,
    comparer: Comparer,
    transfers: Arc<Transfers>,
    manifests: Arc<ManifestCache>,
    /// Content that is written.
    locks: Arc<CopyLocks>,
    source_tags: Arc<SourceTags>,
    tag_ages: Arc<TagAges>,
    referrer_queries: ReferrerQueries,
    referrer_progress: ReferrerProgress,
    /// Start of the run.
    started_at: SystemTime,
    listener: Arc<dyn Listener>,
    /// Transfers of a run that writes nothing.
    dry_run: Option<DryRun>,
    /// All tasks of copies.
    tasks: TaskTracker,
}

impl Copier {
    /// Returns the copier of one run, which uses the state that the runs share.
    pub(crate) fn new(
        shared: &SharedState,
        settings: RunSettings,
        listener: Arc<dyn Listener>,
    ) -> Self {
        let stores = Arc::clone(&shared.stores);
        let stores = match settings.intent {
            Intent::Copy => stores,
            Intent::Plan | Intent::Check | Intent::List => Arc::new(ReadOnlyStores(stores)),
        };
        let inventory = match settings.records {
            Some(records) if settings.intent != Intent::Copy => Inventory::reading(records),
            Some(records) => Inventory::with_records(records),
            None => Inventory::new(),
        };
        let inventory = match settings.blob_facts {
            Some(facts) => inventory.with_blob_facts(facts, settings.intent == Intent::Copy),
            None => inventory,
        };
        let inventory = Arc::new(inventory.sharing(&shared.facts));
        let transfers = Transfers::within(&shared.transfers, Arc::clone(&inventory))
            .counting_in(settings.progress);
        let source_tags = SourceTags::new(Arc::clone(&stores), settings.listing);
        let manifests = Arc::clone(&shared.manifests);
        let tag_ages = TagAges::new(Arc::clone(&inventory), Arc::clone(&manifests));
        Self {
            intent: settings.intent,
            listing: settings.listing,
            stores,
            comparer: Comparer::new(Arc::clone(&inventory))
                .claiming(settings.intent == Intent::Plan)
                .only_differences(settings.intent == Intent::Check),
            referrer_queries: ReferrerQueries::new(Arc::clone(&source_tags)),
            source_tags,
            tag_ages: Arc::new(tag_ages),
            referrer_progress: ReferrerProgress::default(),
            started_at: SystemTime::now(),
            listener,
            dry_run: DryRun::for_intent(settings.intent, &inventory),
            inventory,
            transfers: Arc::new(transfers),
            manifests,
            locks: Arc::clone(&shared.locks),
            tasks: TaskTracker::new(),
        }
    }
    /// Returns the use of lists with digests.
    pub(crate) fn listing(&self) -> Listing {
        self.listing
    }
    /// Returns the facts of the run.
    pub(crate) fn inventory(&self) -> &Arc<Inventory> {
        &self.inventory
    }
    /// Returns the lists of source tags.
    pub(crate) fn source_tags(&self) -> &Arc<SourceTags> {
        &self.source_tags
    }
    /// Returns the lookups of ages of source tags.
    pub(crate) fn tag_ages(&self) -> &Arc<TagAges> {
        &self.tag_ages
    }
    /// Returns the counters of the transfers.
    pub(crate) fn progress(&self) -> &Arc<Progress> {
        self.transfers.progress()
    }
    /// Returns true if the run writes to destinations.
    fn writes(&self) -> bool {
        self.intent == Intent::Copy
    }
    /// Returns the number of locked roots and subjects.
    #[cfg(test)]
    pub(crate) fn locks(&self) -> usize {
        self.locks.len()
    }
    /// Waits for all tasks. Nothing may be copied after this call.
    pub(crate) async fn drained(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.source_tags.drained().await;
    }
    /// Copies `image` to all of its destinations. Each pair ends as soon as its outcome is known. `covered` gets the referrer
    /// tags that the image covers, also if the copy is dropped.
    pub(crate) async fn copy(
        &self,
        image: &Image,
        pairs: &Pairs,
        covered: &Mutex<CoveredTags>,
        cancel: &CancellationToken,
    ) {
        if let Some(why) = &image.skip {
            for pair in pairs.start() {
                pair.finish(Outcome::Skipped { why: why.clone() });
            }
            return;
        }
        let store = match self.stores.source(&image.source).await {
            Ok(store) => store,
            Err(error) => {
                pairs.start();
                return pairs.finish_rest(&error.into());
            }
        };
        let sources = self.source_images(image, store);
        let Some(source) = sources.first() else {
            return;
        };
        let (handles, batch) = transfer_batch::transfer_batch(image.places.len());
        let serving = batch.serve(source.store(), &self.transfers, &self.tasks, cancel);
        let mut destinations = Vec::with_capacity(image.places.len());
        let places = image.places.iter().zip(&sources);
        for (((place, source), batch), pair) in places.zip(handles).zip(pairs.start()) {
            let store = match self.stores.destination(&place.repository).await {
                Ok(store) => store,
                Err(error) => {
                    pair.finish(Outcome::Failed(error.into()));
                    continue;
                }
            };
            let destination = DestinationCopy {
                copier: self,
                image: source,
                lists: image.lists.as_ref(),
                name: pair.name(),
                place,
                covered,
                store,
                batch,
            };
            destinations.push(destination.run(pair).instrument(pair.span()));
        }
        tokio::join!(join_all(destinations), serving);
    }

    /// Returns the image in `store` for each of its destinations. Those that get the same content share one.
    fn source_images(&self, image: &Image, store: Arc<dyn Source>) -> Vec<Arc<SourceImage>> {
        let mut whole = SourceImage::new(
            store,
            image.target.clone(),
            Arc::default(),
            Arc::clone(&self.manifests),
        )
        .with_listed_digest(image.listed.clone())
        .pinned(image.pinned.clone());
        let needs_root = image.places.iter().any(|place| {
            let settled_by_heads = self.only_checks() && !place.options.is_filtered();
            place.hint == DestinationHint::Absent && !settled_by_heads
        });
        if needs_root {
            whole = whole.needed();
        }
        let mut images: Vec<Arc<SourceImage>> = Vec::with_capacity(image.places.len());
        for place in &image.places {
            let options = &place.options;
            let mut earlier = image.places.iter().zip(&images);
            let same = earlier.find(|(earlier, _)| earlier.options.same_content(options));
            let source = match same {
                Some((_, source)) => Arc::clone(source),
                None => Arc::new(whole.narrowed(Arc::clone(&options.platforms), options.parts)),
            };
            images.push(source);
        }
        images
    }
}

#[cfg(test)]
mod run_tests;

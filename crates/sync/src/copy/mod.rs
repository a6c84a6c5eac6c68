//! The loop for one image: compare, transfer, commit; again if a fact was wrong.
//!
//! Each destination of the image runs its own loop. They share what is read at the source, and their transfers meet
//! in `share`, so that one download feeds all of them; beyond that none waits for another, and none fails another.

mod claims;
mod looks;
mod pair;
mod repair;
mod share;
mod tally;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::join_all;
use registry::{Repository, Target};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::commit::{Committed, Lacking, commit};
use crate::compare::{Comparer, Comparison, Missing, Plan};
use crate::config::Settings;
use crate::discover::{Hint, Image, Place, SourceTags};
use crate::event::{Copied, Evidence, Outcome};
use crate::failure::Failure;
use crate::graph::{Manifests, SourceImage};
use crate::inventory::Inventory;
use crate::rule::PlatformFilter;
use crate::store::{Store, Stores};
use crate::transfer::{Progress, Transfers};

use claims::Claims;
use looks::Looks;
use pair::Pair;
pub(crate) use pair::Pairs;
use share::Seat;
use tally::Tally;

/// How often compare, transfer and commit are gone through for one destination before its contradictions are believed.
const TURNS: u32 = 3;

/// What a push led to.
enum Pushed {
    /// It is there now.
    Copied(Copied),
    /// It was there before: the list that did not have the tag was stale.
    Stood,
}

/// Copies images; shared by all images of a run.
pub(crate) struct Copier {
    stores: Arc<dyn Stores>,
    platforms: Arc<PlatformFilter>,
    inventory: Arc<Inventory>,
    comparer: Comparer,
    transfers: Arc<Transfers>,
    manifests: Arc<Manifests>,
    claims: Claims,
    looks: Looks,
    source_tags: Arc<SourceTags>,
    verify: bool,
    /// Every task that a copy spawns.
    tasks: TaskTracker,
}

impl Copier {
    /// A copier between `stores` that knows nothing yet.
    pub(crate) fn new(stores: Arc<dyn Stores>, settings: Settings) -> Self {
        let inventory = Arc::new(match settings.records {
            Some(records) => Inventory::with_records(records, &settings.platforms),
            None => Inventory::new(),
        });
        let transfers = Transfers::new(Arc::clone(&inventory), settings.transfers);
        Self {
            source_tags: SourceTags::new(Arc::clone(&stores)),
            stores,
            platforms: settings.platforms,
            comparer: Comparer::new(Arc::clone(&inventory), settings.force, settings.verify),
            verify: settings.verify,
            inventory,
            transfers: Arc::new(transfers),
            manifests: Arc::default(),
            claims: Claims::default(),
            looks: Looks::default(),
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
        self.claims.len()
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
        );
        if image.places.iter().any(|place| place.hint == Hint::Absent) {
            source = source.needed();
        }
        let (seats, sharing) = share::table(image.places.len());
        let serving = sharing.serve(source.store(), &self.transfers, &self.tasks, cancel);
        let mut destinations = Vec::with_capacity(image.places.len());
        for ((place, seat), pair) in image.places.iter().zip(seats).zip(pairs.start()) {
            destinations.push(self.end(&source, place, seat, pair));
        }
        tokio::join!(join_all(destinations), serving);
    }

    /// Sees one destination through and ends its pair, even after a panic.
    async fn end(&self, image: &SourceImage, place: &Place, seat: Seat, pair: &Pair) {
        let outcome = AssertUnwindSafe(self.bring(image, place, seat)).catch_unwind();
        let outcome = match outcome.await {
            Ok(outcome) => outcome.unwrap_or_else(Outcome::Failed),
            Err(panic) => Outcome::Failed(Failure::panicked(&*panic)),
        };
        self.remember(image, place, &outcome);
        pair.finish(outcome);
    }

    /// Notes which digest stands at the destination now, for later runs.
    fn remember(&self, image: &SourceImage, place: &Place, outcome: &Outcome) {
        let digest = match outcome {
            Outcome::Copied(copied) => &copied.digest,
            Outcome::Unchanged { digest, .. } => digest,
            Outcome::Skipped { .. } | Outcome::Failed(_) => return,
        };
        if let (Target::Tag(tag), Some(place_tag)) = (image.target(), &place.tag) {
            let source = image.store().repository();
            self.inventory
                .copied(source, tag, &place.repository, place_tag, digest);
        }
    }

    /// Brings the image to one destination.
    async fn bring(
        &self,
        image: &SourceImage,
        place: &Place,
        mut seat: Seat,
    ) -> Result<Outcome, Failure> {
        if let Hint::Recorded(digest) = &place.hint {
            return Ok(Outcome::Unchanged {
                digest: digest.clone(),
                by: Evidence::Records,
            });
        }
        let destination = self.stores.store(&place.repository);
        let digest = match self.look(image, place, &*destination).await? {
            Comparison::Unchanged { digest } => digest,
            Comparison::Skipped { why } => return Ok(Outcome::Skipped { why }),
            Comparison::Missing(missing) => {
                let push = self.push(image, place, &destination, &mut seat, &missing);
                match push.await? {
                    Pushed::Copied(copied) => return Ok(Outcome::Copied(copied)),
                    Pushed::Stood => missing.root.digest().clone(),
                }
            }
        };
        if self.verify {
            let verify = self.verify(image, place, &destination, digest, &mut seat);
            return verify.await;
        }
        Ok(Outcome::Unchanged {
            digest,
            by: Evidence::Registry,
        })
    }

    /// Compares the image with what stands at `place`.
    async fn look(
        &self,
        image: &SourceImage,
        place: &Place,
        destination: &dyn Store,
    ) -> Result<Comparison, Failure> {
        if place.hint == Hint::Absent {
            let found = self
                .comparer
                .look(image, destination, place.tag.as_ref(), true);
            let found = found.await?;
            // What other tags name there is known in a moment; it may be this image.
            self.looks.settled(&place.repository).await;
            return Ok(found);
        }
        let _look = self.looks.begin(&place.repository);
        let found = self
            .comparer
            .look(image, destination, place.tag.as_ref(), false);
        found.await
    }

    /// Sends what the destination lacks of the image.
    async fn push(
        &self,
        image: &SourceImage,
        place: &Place,
        destination: &Arc<dyn Store>,
        seat: &mut Seat,
        missing: &Missing,
    ) -> Result<Pushed, Failure> {
        // Another tag of this run may be bringing the same root here: when it has, one request is left to do.
        let _claim = self
            .claims
            .claim(&place.repository, missing.root.digest())
            .await;
        let mut known = self.comparer.known(missing, &**destination).await?;
        let mut tally = Tally::default();
        for _ in 0..TURNS {
            let plan = self
                .comparer
                .plan(image, &**destination, missing, &known)
                .await?;
            self.inventory.recall(&place.repository, &plan.blobs).await;
            let digests = plan.blobs.iter().chain(&plan.present).map(|b| &b.digest);
            let _commitment = self.transfers.will_commit(&place.repository, digests);
            let moved = seat.transfer(destination, &plan.blobs).await?;
            tally.moved(&plan, &moved);
            match commit(&**destination, &plan).await {
                Ok(Committed::Done) => {
                    self.learn(&place.repository, &plan);
                    return Ok(Pushed::Copied(tally.committed(missing, &plan)));
                }
                Ok(Committed::Lacking(lacking)) => {
                    self.unlearn(&place.repository, &lacking, &tally);
                    known.correct(&lacking.missing, &lacking.pushed);
                    tally.refused(lacking);
                }
                Err(failure) => {
                    let stood = self.comparer.stood(missing, &**destination, &failure);
                    return if stood.await {
                        Ok(Pushed::Stood)
                    } else {
                        Err(failure)
                    };
                }
            }
        }
        Err(tally.gave_up(TURNS))
    }

    /// The destination took everything.
    fn learn(&self, repository: &Repository, plan: &Plan) {
        let blobs = plan.blobs.iter().chain(&plan.present);
        let digests = blobs.map(|blob| &blob.digest);
        self.inventory.blobs_are_committed(repository, digests);
        for manifest in plan.children.iter().chain([&plan.root]) {
            self.inventory.manifest_is_in(repository, manifest.digest());
        }
    }

    /// The destination contradicted a fact, so that none on that repository is believed any more, but for what this
    /// image sent there itself, where the destination says that it is something else that it lacks.
    fn unlearn(&self, repository: &Repository, lacking: &Lacking, tally: &Tally) {
        self.inventory.forget(repository);
        if lacking.missing.is_empty() {
            return;
        }
        for digest in tally.sent() {
            if !lacking.missing.contains(digest) {
                self.inventory.blob_is_in(repository, digest);
            }
        }
        for digest in &lacking.missing {
            self.inventory.blob_is_missing(repository, digest);
        }
    }
}

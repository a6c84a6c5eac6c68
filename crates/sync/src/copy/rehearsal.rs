//! A copy that writes nothing: the same loop over stores that take pushes and do nothing with them. What the loop would
//! transfer is looked up and counted here; what it would have done becomes what is planned.
//!
//! That a plan tells what a copy does is thus no matter of care: there is but one loop.

use std::sync::{Arc, Mutex};

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use registry::{Descriptor, Presence, Repository};

use crate::compare::{Comparer, Missing};
use crate::config::Intent;
use crate::copy::Copier;
use crate::copy::share::Seat;
use crate::event::{Change, Copied, Cost, Outcome, Planned};
use crate::failure::Failure;
use crate::graph::SourceImage;
use crate::inventory::{Fact, Inventory};
use crate::lock::lock;
use crate::store::Store;
use crate::transfer::Moved;

/// Blobs of one image that a destination is asked about at a time.
const QUESTIONS: usize = 8;

/// What a run that writes nothing would have brought where.
pub(super) struct Rehearsal {
    inventory: Arc<Inventory>,
    /// Whether it is enough to know which images differ.
    only_checks: bool,
    /// Held by whoever decides how a blob comes to a repository, and tells the inventory.
    deciding: Mutex<()>,
}

impl Rehearsal {
    /// For a run of that intent; `None` where it writes.
    pub(super) fn of(intent: Intent, inventory: &Arc<Inventory>) -> Option<Self> {
        (intent != Intent::Copy).then(|| Self {
            inventory: Arc::clone(inventory),
            only_checks: intent == Intent::Check,
            deciding: Mutex::default(),
        })
    }
    /// How each of `blobs` would come to `destination`. Of a blob that nothing is known of, the destination is asked:
    /// one HEAD for each repository and run.
    async fn transfer(
        &self,
        comparer: &Comparer,
        destination: &dyn Store,
        blobs: &[Descriptor],
    ) -> Result<Vec<Moved>, Failure> {
        let mut moves = Vec::with_capacity(blobs.len());
        for blob in blobs {
            moves.push(self.blob(comparer, destination, blob).boxed());
        }
        stream::iter(moves).buffered(QUESTIONS).try_collect().await
    }

    async fn blob(
        &self,
        comparer: &Comparer,
        destination: &dyn Store,
        blob: &Descriptor,
    ) -> Result<Moved, Failure> {
        let repository = destination.repository();
        if self.only_checks {
            return Ok(Moved::Streamed(blob.size.unwrap_or_default()));
        }
        match comparer.presence(destination, blob).await? {
            Presence::Present => Ok(Moved::Present),
            Presence::Absent | Presence::WrongSize(_) => Ok(self.bring(repository, blob)),
        }
    }

    /// The first who brings a blob to a registry sends it; others mount it, or find it brought.
    fn bring(&self, repository: &Repository, blob: &Descriptor) -> Moved {
        let _one_at_a_time = lock(&self.deciding);
        let moved = match self.inventory.blob(repository, &blob.digest) {
            Fact::Here => return Moved::Present,
            Fact::Elsewhere(_) => Moved::Mounted,
            Fact::Unknown => Moved::Streamed(blob.size.unwrap_or_default()),
        };
        self.inventory.blob_was_brought(repository, &blob.digest);
        moved
    }
}

impl Copier {
    /// Brings the blobs, or tells how they would come.
    pub(super) async fn transfer(
        &self,
        seat: &Seat,
        destination: &Arc<dyn Store>,
        blobs: &[Descriptor],
    ) -> Result<Vec<Moved>, Failure> {
        let Some(rehearsal) = &self.rehearsal else {
            return seat.transfer(destination, blobs).await;
        };
        let comparer = &self.comparer;
        rehearsal.transfer(comparer, &**destination, blobs).await
    }
    /// Whether it is enough to know that an image differs.
    pub(super) fn only_checks(&self) -> bool {
        self.rehearsal
            .as_ref()
            .is_some_and(|rehearsal| rehearsal.only_checks)
    }
    /// How an image ends that was copied, or would have been; `change` is why, where that is known.
    pub(super) async fn told(
        &self,
        image: &SourceImage,
        outcome: Outcome,
        change: Option<Change>,
    ) -> Result<Outcome, Failure> {
        let Some(rehearsal) = &self.rehearsal else {
            return Ok(outcome);
        };
        let Outcome::Copied(copied) = outcome else {
            return Ok(outcome);
        };
        let cost = if rehearsal.only_checks {
            None
        } else {
            Some(cost(image, &copied).await?)
        };
        let change = change.unwrap_or(if copied.losses.is_empty() {
            Change::Referrers
        } else {
            Change::Again(copied.losses)
        });
        Ok(Outcome::Planned(Box::new(Planned {
            digest: copied.digest,
            change,
            filtered: copied.filtered,
            sparse: copied.sparse,
            cost,
        })))
    }
}

/// What bringing the image takes, as the rehearsal counted it.
async fn cost(image: &SourceImage, copied: &Copied) -> Result<Cost, Failure> {
    let anatomy = image.anatomy(&copied.digest).await?;
    Ok(Cost {
        platforms: anatomy.platforms,
        layers: anatomy.layers,
        volume: copied.volume,
        referrers: copied.referrers,
    })
}

impl Missing {
    /// It differs, which is all that is asked for.
    pub(super) fn differs(&self, image: &SourceImage) -> Copied {
        Copied {
            filtered: self.filtered,
            sparse: image.is_sparse(),
            ..Copied::of(self.root.digest().clone())
        }
    }
    /// What is different while it is missing.
    pub(super) fn change(&self) -> Change {
        match &self.there {
            None => Change::New,
            Some(there) if there.digest == *self.root.digest() => Change::Again(Vec::new()),
            Some(there) => Change::Moved {
                from: there.digest.clone(),
            },
        }
    }
}

//! The table of the run: who brings which blob where, at this moment.
//!
//! Whoever is to bring a blob to a repository holds a [`Claim`] on the pair; whoever wants the same meanwhile gets
//! its [`Arrival`] and waits, holding nothing, so that waits cannot form a circle. A claim that is dropped, by
//! cancellation or by a panic, is released: those who wait decide anew. What lasts stands in the inventory; an entry
//! here lives only as long as its claims.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use registry::{Digest, Repository};
use tokio::sync::watch;

use crate::failure::Failure;
use crate::inventory::{Candidate, Inventory, Knowledge, Standing};
use crate::lock::lock;
use crate::transfer::decide::{Decision, Situation, decide};

/// All claims of a run.
#[derive(Default)]
pub(super) struct Flights {
    coming: Mutex<HashMap<Digest, Vec<Coming>>>,
}

/// A blob on its way to a repository.
struct Coming {
    repository: Repository,
    arrival: Arrival,
}

/// A blob and a repository that lacks it.
#[derive(Clone, Copy)]
pub(super) struct Want<'a> {
    /// The blob.
    pub(super) digest: &'a Digest,
    /// Who wants it.
    pub(super) destination: &'a Repository,
    /// Where it would be read.
    pub(super) source: &'a Repository,
}

/// What to do about a want.
pub(super) enum Answer {
    /// Nothing: it is there.
    Present,
    /// Wait, then ask again.
    Await(Arrival),
    /// Bring it by this road, and tell the claim how it ended.
    Claimed(Claim, Road),
}

/// How a blob is brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Road {
    /// From a repository of the same registry; its bytes, if that is declined.
    Mount(Candidate),
    /// Its bytes, unless the registry has them.
    Bring,
}

/// The end of somebody else's claim, to wait for.
#[derive(Clone)]
pub(super) struct Arrival(watch::Receiver<Option<End>>);

/// How a claim ended.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// The blob is in the repository, and the inventory knows it.
    Arrived,
    /// The source could not give it.
    SourceFailed {
        /// Which.
        source: Repository,
        /// Why.
        failure: Failure,
    },
    /// It was not brought, which says nothing to others.
    Released,
}

/// The right, and the duty, to bring a blob to a repository.
pub(super) struct Claim {
    flights: Arc<Flights>,
    digest: Digest,
    repository: Repository,
    end: watch::Sender<Option<End>>,
    released: bool,
}

impl Flights {
    /// Decides what to do about `want`, and claims it where that is to bring it. Looking and claiming are one step,
    /// so that of many who want the same one brings it.
    pub(super) fn want(self: &Arc<Self>, want: Want<'_>, inventory: &Inventory) -> Answer {
        let mut coming = lock(&self.coming);
        let entry = coming.get(want.digest).map(Vec::as_slice);
        let entry = entry.unwrap_or_default();
        let here = entry.iter().find(|c| c.repository == *want.destination);
        let near = entry.iter().find(|c| want.is_near(&c.repository));
        // A claim is released after its fact was written: the facts must be read while the table stands still.
        let decision = decide(Situation {
            known: want.knowledge(inventory),
            coming_here: here.is_some(),
            coming_near: near.is_some(),
        });
        let road = match (decision, here, near) {
            (Decision::Present, ..) => return Answer::Present,
            (Decision::AwaitHere, Some(coming), _) | (Decision::AwaitNear, _, Some(coming)) => {
                return Answer::Await(coming.arrival.clone());
            }
            (Decision::Mount(from), ..) => Road::Mount(from),
            (Decision::Bring | Decision::AwaitHere | Decision::AwaitNear, ..) => Road::Bring,
        };
        let (end, arrival) = watch::channel(None);
        coming.entry(want.digest.clone()).or_default().push(Coming {
            repository: want.destination.clone(),
            arrival: Arrival(arrival),
        });
        drop(coming);
        let claim = Claim {
            flights: Arc::clone(self),
            digest: want.digest.clone(),
            repository: want.destination.clone(),
            end,
            released: false,
        };
        Answer::Claimed(claim, road)
    }
    /// How many blobs are on their way.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.coming).len()
    }
}

impl Want<'_> {
    /// Whether a blob in `repository` could be mounted in the destination.
    fn is_near(&self, repository: &Repository) -> bool {
        repository.registry() == self.destination.registry() && repository != self.destination
    }
    /// What is known, the source's own place included.
    fn knowledge(&self, inventory: &Inventory) -> Knowledge {
        let mut known = inventory.knowledge(self.destination, self.digest);
        known.here |= self.source == self.destination;
        if self.is_near(self.source) {
            let repository = self.source.clone();
            known.elsewhere.retain(|from| from.repository != repository);
            let standing = Standing::Source;
            known.elsewhere.insert(
                0,
                Candidate {
                    repository,
                    standing,
                },
            );
        }
        known
    }
}

impl Arrival {
    /// Waits for the end of the claim.
    pub(super) async fn ended(mut self) -> End {
        match self.0.wait_for(Option::is_some).await {
            Ok(end) => end.clone().unwrap_or(End::Released),
            Err(_) => End::Released,
        }
    }
}

impl Claim {
    /// The blob is there, and the inventory knows it.
    pub(super) fn arrived(self) {
        self.end(End::Arrived);
    }
    /// The source could not give it.
    pub(super) fn source_failed(self, source: Repository, failure: Failure) {
        self.end(End::SourceFailed { source, failure });
    }
    fn end(mut self, end: End) {
        // Those who are woken must find the table without this claim.
        self.release();
        self.end.send_replace(Some(end));
    }
    fn release(&mut self) {
        if std::mem::replace(&mut self.released, true) {
            return;
        }
        let mut coming = lock(&self.flights.coming);
        if let Some(entry) = coming.get_mut(&self.digest) {
            entry.retain(|coming| coming.repository != self.repository);
            if entry.is_empty() {
                coming.remove(&self.digest);
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.release();
    }
}

//! Places at the destinations for those who are to share a download.
//!
//! How many uploads a host takes at a time is for its own limits to say; a member asks for a place by reserving its
//! session. A group that gathers places holds some while it waits for others, so only one gathers at a host at a time,
//! and where it gathers at several hosts it stands in line at all of them at the same moment: none waits for another
//! in a circle. Who needs but one place waits in the host's own line and holds nothing.
//!
//! A group does not wait for places that nobody is about to give back. It waits while others have more than it has, or
//! end together, as those who share a download do: so a blob that many repositories of a registry lack is read as
//! often as its uploads fill the host's window, and not once more for every place that comes free.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use image_syncer_registry::{Error, Registry};
use tokio::sync::{OwnedMutexGuard, watch};
use tokio::time::Instant;

use crate::failure::{Failure, Side};
use crate::lock::lock;
use crate::transfer::fan_out::JOINING;
use crate::transfer::fan_out::scheduler::{WaitingReader, until};

/// Who sends where in a run.
#[derive(Default)]
pub(in crate::transfer) struct UploadSlots {
    table: Mutex<HashMap<Registry, Arc<RegistrySlots>>>,
    /// Held while a group gets in line at several gates.
    order: Mutex<()>,
}

/// Who sends to one registry.
pub(super) struct RegistrySlots {
    /// Held by the group that gathers places here.
    turnstile: Arc<tokio::sync::Mutex<()>>,
    /// Those who send, by round.
    flocks: watch::Sender<RegistryBatches>,
}

#[derive(Default)]
struct RegistryBatches {
    next: u64,
    by_round: HashMap<u64, RegistryBatch>,
    /// Those that others could not wait for.
    laggards: usize,
}

/// Those of a round who send to one registry.
#[derive(Clone, Copy, Default)]
struct RegistryBatch {
    sending: usize,
    /// Some of them have ended: the others soon will.
    ends: bool,
}

/// An upload that has a place, for as long as this lives.
pub(in crate::transfer) struct UploadPermit {
    gate: Arc<RegistrySlots>,
    round: u64,
}

/// An upload that could not keep pace with others, for as long as this lives.
pub(in crate::transfer) struct SlowUpload(Arc<RegistrySlots>);

/// A member with a place.
pub(super) struct AdmittedReader {
    pub(super) ready: WaitingReader,
    pub(super) flow: UploadPermit,
}

/// The members of a group that lead to one registry.
struct RegistryReaders {
    gate: Arc<RegistrySlots>,
    round: u64,
    members: Vec<SlotRequest>,
}

/// A member that asks for a place.
struct SlotRequest {
    ready: WaitingReader,
    answer: Option<Result<UploadPermit, Error>>,
}

type Entry = BoxFuture<'static, OwnedMutexGuard<()>>;

impl UploadSlots {
    fn gate(&self, registry: &Registry) -> Arc<RegistrySlots> {
        let mut table = lock(&self.table);
        let gate = table.entry(registry.clone()).or_insert_with(|| {
            Arc::new(RegistrySlots {
                turnstile: Arc::default(),
                flocks: watch::Sender::default(),
            })
        });
        Arc::clone(gate)
    }
    /// Gets in line at the gates of all `parties` at once.
    fn queue_at(&self, parties: &[RegistryReaders]) -> Vec<Entry> {
        let _order = lock(&self.order);
        let enter = |party: &RegistryReaders| {
            let mut entry = Arc::clone(&party.gate.turnstile).lock_owned().boxed();
            // Asked once, it is in line.
            match entry.as_mut().now_or_never() {
                Some(entered) => std::future::ready(entered).boxed(),
                None => entry,
            }
        };
        parties.iter().map(enter).collect()
    }
}

impl RegistrySlots {
    fn open_round(&self) -> u64 {
        let mut round = 0;
        self.flocks.send_if_modified(|flocks| {
            round = flocks.next;
            flocks.next = flocks.next.wrapping_add(1);
            false
        });
        round
    }
    /// A place was taken in `round`.
    fn occupy(self: &Arc<Self>, round: u64) -> UploadPermit {
        self.flocks.send_modify(|flocks| {
            flocks.by_round.entry(round).or_default().sending += 1;
        });
        UploadPermit {
            gate: Arc::clone(self),
            round,
        }
    }
    /// Whether `held` places in `round` are too few to begin with, as others will soon give some back.
    fn is_worth_waiting(&self, round: u64, held: usize) -> bool {
        let flocks = self.flocks.borrow();
        let others = || flocks.by_round.iter().filter(|(of, _)| **of != round);
        let sending: usize = others().map(|(_, flock)| flock.sending).sum();
        sending > held || others().any(|(_, flock)| flock.ends)
    }
    fn has_slow_uploads(&self) -> bool {
        self.flocks.borrow().laggards > 0
    }
}

impl UploadPermit {
    /// Notes that this upload could not keep pace.
    pub(in crate::transfer) fn lag(&self) -> SlowUpload {
        let gate = Arc::clone(&self.gate);
        gate.flocks.send_modify(|flocks| flocks.laggards += 1);
        SlowUpload(gate)
    }
}

impl Drop for SlowUpload {
    fn drop(&mut self) {
        self.0
            .flocks
            .send_modify(|flocks| flocks.laggards = flocks.laggards.saturating_sub(1));
    }
}

impl Drop for UploadPermit {
    fn drop(&mut self) {
        self.gate.flocks.send_modify(|flocks| {
            let Some(flock) = flocks.by_round.get_mut(&self.round) else {
                return;
            };
            flock.ends = true;
            flock.sending = flock.sending.saturating_sub(1);
            if flock.sending == 0 {
                flocks.by_round.remove(&self.round);
            }
        });
    }
}

/// Takes places for those who are ready: for as many as can be begun with, and at least one of those who are still
/// there. Gives those who have one, and those who must wait for another round.
pub(super) async fn acquire_slots(
    ready: Vec<WaitingReader>,
    gates: &UploadSlots,
) -> (Vec<AdmittedReader>, Vec<WaitingReader>) {
    let mut parties: BTreeMap<String, RegistryReaders> = BTreeMap::new();
    let single = ready.len() == 1;
    for ready in ready {
        let name = ready.registry.as_str().to_owned();
        let party = parties.entry(name).or_insert_with(|| {
            let gate = gates.gate(&ready.registry);
            RegistryReaders {
                round: gate.open_round(),
                gate,
                members: Vec::new(),
            }
        });
        let answer = None;
        party.members.push(SlotRequest { ready, answer });
    }
    let mut parties: Vec<RegistryReaders> = parties.into_values().collect();
    if single {
        for party in &mut parties {
            party.acquire_single().await;
        }
    } else {
        acquire_together(&mut parties, gates).await;
    }
    let (mut seated, mut left) = (Vec::new(), Vec::new());
    for SlotRequest { ready, answer } in parties.into_iter().flat_map(|party| party.members) {
        match answer {
            Some(Ok(flow)) => seated.push(AdmittedReader { ready, flow }),
            Some(Err(error)) => {
                // Who left a moment ago need not be told.
                let failure = Failure::registry(Side::Destination, &error);
                let _ = ready.seat.send(Err(failure));
            }
            None => left.push(ready),
        }
    }
    (seated, left)
}

/// Takes places for all parties. The first place starts a clock: those who have one do not wait long for others, and
/// not at all at a registry where somebody lags already.
async fn acquire_together(parties: &mut [RegistryReaders], gates: &UploadSlots) {
    let entries = gates.queue_at(parties);
    let mut missing: Vec<Option<Arc<RegistrySlots>>> = parties
        .iter()
        .map(|party| Some(Arc::clone(&party.gate)))
        .collect();
    let (clock, mut started) = watch::channel(None::<Instant>);
    let mut taking: FuturesUnordered<_> = parties
        .iter_mut()
        .zip(entries)
        .enumerate()
        .map(|(index, (party, entry))| party.acquire(entry, &clock).map(move |()| index))
        .collect();
    let late = async {
        // An error is impossible: the clock outlives this.
        let deadline = started
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|at| *at);
        until(deadline).await;
    };
    tokio::pin!(late);
    loop {
        tokio::select! {
            biased;
            taken = taking.next() => match taken {
                Some(index) => drop(missing.get_mut(index).map(Option::take)),
                None => return,
            },
            () = &mut late => return,
        }
        let only_laggards = missing.iter().flatten().all(|gate| gate.has_slow_uploads());
        if clock.borrow().is_some() && only_laggards {
            return;
        }
    }
}

impl RegistryReaders {
    /// Takes a place for the only one there is, in the host's own line.
    async fn acquire_single(&mut self) {
        for asker in &mut self.members {
            asker.wait(&self.gate, self.round).await;
        }
    }
    /// Takes as many places as can be begun with; `clock` is set with the first.
    async fn acquire(&mut self, entry: Entry, clock: &watch::Sender<Option<Instant>>) {
        let _turn = entry.await;
        let (gate, round) = (&self.gate, self.round);
        let mut flocks = gate.flocks.subscribe();
        let mut held = 0;
        let mut asking: FuturesUnordered<_> = self
            .members
            .iter_mut()
            .map(|asker| asker.wait(gate, round))
            .collect();
        loop {
            flocks.mark_unchanged();
            // What can be had now is had before anything is judged.
            while let Some(taken) = at_once(&mut asking).await {
                held += usize::from(taken);
            }
            if held > 0 {
                clock.send_if_modified(|at| at.replace(Instant::now() + JOINING).is_none());
            }
            if asking.is_empty() || (held > 0 && !gate.is_worth_waiting(round, held)) {
                return;
            }
            tokio::select! {
                taken = asking.next() => held += usize::from(taken.unwrap_or_default()),
                // An error is impossible: the gate is held.
                _ = flocks.changed(), if held > 0 => {}
            }
        }
    }
}

impl SlotRequest {
    /// Waits for a place; whether there is one now.
    async fn wait(&mut self, gate: &Arc<RegistrySlots>, round: u64) -> bool {
        let WaitingReader { session, seat, .. } = &mut self.ready;
        let reserved = tokio::select! {
            biased;
            () = seat.closed() => return false,
            reserved = session.reserve() => reserved,
        };
        let answer = self.answer.insert(reserved.map(|()| gate.occupy(round)));
        answer.is_ok()
    }
}

/// The next of `asking` that is ready without a wait. Tasks are made to pause now and then, so that one look is not
/// enough.
async fn at_once<F: Future>(asking: &mut FuturesUnordered<F>) -> Option<F::Output> {
    for _ in 0..3 {
        match asking.next().now_or_never() {
            Some(next) => return next,
            None => tokio::task::yield_now().await,
        }
    }
    None
}

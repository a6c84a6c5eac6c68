//! Upload slots for the readers of a shared download.
//!
//! The limits of a host decide how many uploads it accepts at the same time; a reader gets a slot by reserving its
//! session. A group that gathers slots holds some while it waits for others. Therefore only one group gathers at a host
//! at a time, and a group that gathers at several hosts enters the queues of all of them at the same moment, so that
//! waits cannot form a circle. A reader that needs a single slot waits in the host's own queue and holds nothing.
//!
//! A group waits only for slots that will be released soon: while other rounds hold more slots than it has, or have
//! begun to end, as the uploads of a shared download end together. A blob that many repositories of a registry lack is
//! then read as often as its uploads fill the host's window, and not once more for every slot that becomes free.

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

/// Upload slots of a run, by registry.
#[derive(Default)]
pub(in crate::transfer) struct UploadSlots {
    table: Mutex<HashMap<Registry, Arc<RegistrySlots>>>,
    /// Held while a group enters the queues of several registries.
    order: Mutex<()>,
}

/// Upload slots of one registry.
pub(super) struct RegistrySlots {
    /// Held by the group that gathers slots here.
    turnstile: Arc<tokio::sync::Mutex<()>>,
    /// Uploads, by round.
    flocks: watch::Sender<RegistryBatches>,
}

#[derive(Default)]
struct RegistryBatches {
    next: u64,
    by_round: HashMap<u64, RegistryBatch>,
    /// Uploads that other readers did not wait for.
    laggards: usize,
}

/// Uploads of one round to one registry.
#[derive(Clone, Copy, Default)]
struct RegistryBatch {
    sending: usize,
    /// Some of them have ended: the others will end soon.
    ends: bool,
}

/// A used upload slot, for as long as this lives.
pub(in crate::transfer) struct UploadPermit {
    gate: Arc<RegistrySlots>,
    round: u64,
}

/// An upload that did not keep pace with others, for as long as this lives.
pub(in crate::transfer) struct SlowUpload(Arc<RegistrySlots>);

/// A reader with a slot.
pub(super) struct AdmittedReader {
    pub(super) ready: WaitingReader,
    pub(super) flow: UploadPermit,
}

/// The readers of a group with sessions at one registry.
struct RegistryReaders {
    gate: Arc<RegistrySlots>,
    round: u64,
    members: Vec<SlotRequest>,
}

/// A reader that requests a slot.
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
    /// Enters the queues of all `parties` at the same moment.
    fn queue_at(&self, parties: &[RegistryReaders]) -> Vec<Entry> {
        let _order = lock(&self.order);
        let enter = |party: &RegistryReaders| {
            let mut entry = Arc::clone(&party.gate.turnstile).lock_owned().boxed();
            // Polled once, it is in the queue.
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
    /// Counts a slot that was taken in `round`.
    fn occupy(self: &Arc<Self>, round: u64) -> UploadPermit {
        self.flocks.send_modify(|flocks| {
            flocks.by_round.entry(round).or_default().sending += 1;
        });
        UploadPermit {
            gate: Arc::clone(self),
            round,
        }
    }
    /// Returns whether `held` slots in `round` are too few to begin with, as other rounds will release some soon.
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
    /// Counts this upload as one that did not keep pace.
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

/// Reserves slots for ready readers: for as many as can begin together, and at least for one that is still there.
/// Returns the readers with a slot, and those that must wait for another round.
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
                // A reader that left a moment ago needs no result.
                let failure = Failure::registry(Side::Destination, &error);
                let _ = ready.seat.send(Err(failure));
            }
            None => left.push(ready),
        }
    }
    (seated, left)
}

/// Reserves slots at all registries. The first slot starts a clock: readers with a slot wait only briefly for others,
/// and not at all for a registry with a slow upload.
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
    /// Reserves a slot for the only reader, in the host's own queue.
    async fn acquire_single(&mut self) {
        for asker in &mut self.members {
            asker.wait(&self.gate, self.round).await;
        }
    }
    /// Reserves as many slots as can begin together; `clock` is set with the first.
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
            // Free slots are taken before the wait is judged.
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
                // An error is impossible: the sender is held.
                _ = flocks.changed(), if held > 0 => {}
            }
        }
    }
}

impl SlotRequest {
    /// Waits for a slot. Returns whether it has one.
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

/// Returns the next of `asking` that is ready without a wait. Tokio makes tasks yield now and then, so that one poll is
/// not enough.
async fn at_once<F: Future>(asking: &mut FuturesUnordered<F>) -> Option<F::Output> {
    for _ in 0..3 {
        match asking.next().now_or_never() {
            Some(next) => return next,
            None => tokio::task::yield_now().await,
        }
    }
    None
}

//! Requests of upload slots for the readers of a shared download.
//!
//! The limits of a host decide how many uploads it accepts at the same time; a reader gets a slot by reserving its
//! session. A group that gathers slots holds some while it waits for others. Therefore only one group gathers at a host
//! at a time, and a group that gathers at several hosts enters the queues of all of them at the same moment, so that
//! waits cannot form a circle. A reader that needs a single slot waits in the host's own queue and holds nothing.
//!
//! A group waits only for slots that will be released soon: while other rounds hold more slots than it has, or have
//! begun to end, as the uploads of a shared download end together. A blob that many repositories of a registry lack is
//! then read as often as its uploads fill the host's window, and not once more for every slot that becomes free.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::Endpoint;
use crate::deadline::until;
use crate::store::StoreResult;
use crate::transfer::fan_out::JOINING;
use crate::transfer::fan_out::admission::{AdmittedReader, WaitingReader};
use crate::transfer::fan_out::upload_slots::{
    QueuePosition, RegistrySlots, UploadSlot, UploadSlots,
};

/// The readers of a group with sessions at one registry.
struct RegistryReaders {
    slots: Arc<RegistrySlots>,
    round: u64,
    requests: Vec<SlotRequest>,
}

/// A reader that requests a slot.
struct SlotRequest {
    ready: WaitingReader,
    answer: Option<StoreResult<UploadSlot>>,
}

/// Reserves slots for ready readers: for as many as can begin together, and at least for one that is still there.
/// Returns the readers with a slot, and those that must wait for another round.
pub(super) async fn acquire_slots(
    ready: Vec<WaitingReader>,
    uploads: &UploadSlots,
) -> (Vec<AdmittedReader>, Vec<WaitingReader>) {
    let mut registries: BTreeMap<Endpoint, RegistryReaders> = BTreeMap::new();
    let single = ready.len() == 1;
    for ready in ready {
        let name = ready.endpoint.clone();
        let readers = registries.entry(name).or_insert_with(|| {
            let slots = uploads.registry_slots(&ready.endpoint);
            RegistryReaders {
                round: slots.open_round(),
                slots,
                requests: Vec::new(),
            }
        });
        let answer = None;
        readers.requests.push(SlotRequest { ready, answer });
    }
    let mut registries: Vec<RegistryReaders> = registries.into_values().collect();
    if single {
        for readers in &mut registries {
            readers.acquire_single().await;
        }
    } else {
        acquire_together(&mut registries, uploads).await;
    }
    let (mut admitted, mut waiting) = (Vec::new(), Vec::new());
    for SlotRequest { ready, answer } in registries.into_iter().flat_map(|readers| readers.requests)
    {
        match answer {
            Some(Ok(slot)) => admitted.push(AdmittedReader { ready, slot }),
            Some(Err(error)) => {
                // A reader that left a moment ago needs no result.
                let failure = error.into();
                let _ = ready.admission.send(Err(failure));
            }
            None => waiting.push(ready),
        }
    }
    (admitted, waiting)
}

/// Reserves slots at all registries. The first slot starts a clock: readers with a slot wait only briefly for others.
async fn acquire_together(registries: &mut [RegistryReaders], uploads: &UploadSlots) {
    let positions = uploads.enter_queues(registries.iter().map(|readers| &*readers.slots));
    let (clock, mut started) = watch::channel(None::<Instant>);
    let all = join_all(
        registries
            .iter_mut()
            .zip(positions)
            .map(|(readers, position)| readers.acquire(position, &clock)),
    );
    let late = async {
        // An error is impossible: the clock outlives this.
        let deadline = started
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|at| *at);
        until(deadline).await;
    };
    tokio::select! {
        biased;
        _ = all => {}
        () = late => {}
    }
}

impl RegistryReaders {
    /// Reserves a slot for the only reader, in the host's own queue.
    async fn acquire_single(&mut self) {
        for request in &mut self.requests {
            request.wait(&self.slots, self.round).await;
        }
    }
    /// Reserves as many slots as can begin together; `clock` is set with the first.
    async fn acquire(&mut self, position: QueuePosition, clock: &watch::Sender<Option<Instant>>) {
        let _guard = position.await;
        let (slots, round) = (&self.slots, self.round);
        let mut batches = slots.subscribe();
        let mut held = 0;
        let mut waiting: FuturesUnordered<_> = self
            .requests
            .iter_mut()
            .map(|request| request.wait(slots, round))
            .collect();
        loop {
            batches.mark_unchanged();
            // Free slots are taken before the wait is judged.
            while let Some(taken) = at_once(&mut waiting).await {
                held += usize::from(taken);
            }
            if held > 0 {
                clock.send_if_modified(|at| at.replace(Instant::now() + JOINING).is_none());
            }
            if waiting.is_empty() || (held > 0 && !slots.is_worth_waiting(round, held)) {
                return;
            }
            tokio::select! {
                taken = waiting.next() => held += usize::from(taken.unwrap_or_default()),
                // An error is impossible: the sender is held.
                _ = batches.changed(), if held > 0 => {}
            }
        }
    }
}

impl SlotRequest {
    /// Waits for a slot. Returns whether it has one.
    async fn wait(&mut self, slots: &Arc<RegistrySlots>, round: u64) -> bool {
        let WaitingReader {
            session, admission, ..
        } = &mut self.ready;
        let reserved = tokio::select! {
            biased;
            () = admission.closed() => return false,
            reserved = session.reserve() => reserved,
        };
        let answer = self.answer.insert(reserved.map(|()| slots.occupy(round)));
        answer.is_ok()
    }
}

/// Returns the next of `waiting` that is ready without a wait. Tokio makes tasks yield now and then, so that one poll
/// is not enough.
async fn at_once<F: Future>(waiting: &mut FuturesUnordered<F>) -> Option<F::Output> {
    for _ in 0..3 {
        match waiting.next().now_or_never() {
            Some(next) => return next,
            None => tokio::task::yield_now().await,
        }
    }
    None
}

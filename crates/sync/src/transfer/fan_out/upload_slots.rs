//! Upload slots of the registries, by round.
//!
//! The limits of a host decide how many uploads it accepts at the same time; a reader gets a slot by reserving its
//! session. This table counts the slots in use, so that a group knows which ones will be released soon.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{OwnedMutexGuard, watch};

use crate::Endpoint;
use crate::lock::lock;

/// Upload slots of a run, by registry.
#[derive(Default)]
pub(in crate::transfer) struct UploadSlots {
    table: Mutex<HashMap<Endpoint, Arc<RegistrySlots>>>,
    /// Held while a group enters the queues of several registries.
    order: Mutex<()>,
}

/// Upload slots of one registry.
pub(super) struct RegistrySlots {
    /// Held by the group that gathers slots here.
    gathering: Arc<tokio::sync::Mutex<()>>,
    /// Uploads, by round.
    batches: watch::Sender<RegistryBatches>,
}

/// Uploads to one registry.
#[derive(Default)]
pub(super) struct RegistryBatches {
    next: u64,
    by_round: HashMap<u64, RegistryBatch>,
}

/// Uploads of one round to one registry.
#[derive(Clone, Copy, Default)]
struct RegistryBatch {
    sending: usize,
    /// Some of them have ended: the others will end soon.
    ends: bool,
}

/// A used upload slot, for as long as this lives.
pub(in crate::transfer) struct UploadSlot {
    slots: Arc<RegistrySlots>,
    round: u64,
}

/// A place in the queue of the groups at one registry.
pub(super) type QueuePosition = BoxFuture<'static, OwnedMutexGuard<()>>;

impl UploadSlots {
    /// Returns the slots of `endpoint`.
    pub(super) fn registry_slots(&self, endpoint: &Endpoint) -> Arc<RegistrySlots> {
        let mut table = lock(&self.table);
        let slots = table.entry(endpoint.clone()).or_insert_with(|| {
            Arc::new(RegistrySlots {
                gathering: Arc::default(),
                batches: watch::Sender::default(),
            })
        });
        Arc::clone(slots)
    }
    /// Enters the queues of all `registries` at the same moment.
    pub(super) fn enter_queues<'a>(
        &self,
        registries: impl Iterator<Item = &'a RegistrySlots>,
    ) -> Vec<QueuePosition> {
        let _order = lock(&self.order);
        let queue = |slots: &RegistrySlots| {
            let mut position = Arc::clone(&slots.gathering).lock_owned().boxed();
            // Polled once, it is in the queue.
            match position.as_mut().now_or_never() {
                Some(guard) => std::future::ready(guard).boxed(),
                None => position,
            }
        };
        registries.map(queue).collect()
    }
}

impl RegistrySlots {
    /// Returns the number of a new round.
    pub(super) fn open_round(&self) -> u64 {
        let mut round = 0;
        self.batches.send_if_modified(|batches| {
            round = batches.next;
            batches.next = batches.next.wrapping_add(1);
            false
        });
        round
    }
    /// Returns a receiver that is notified of every change.
    pub(super) fn subscribe(&self) -> watch::Receiver<RegistryBatches> {
        self.batches.subscribe()
    }
    /// Counts a slot that was taken in `round`.
    pub(super) fn occupy(self: &Arc<Self>, round: u64) -> UploadSlot {
        self.batches.send_modify(|batches| {
            batches.by_round.entry(round).or_default().sending += 1;
        });
        UploadSlot {
            slots: Arc::clone(self),
            round,
        }
    }
    /// Returns whether `held` slots in `round` are too few to begin with, as other rounds will release some soon.
    pub(super) fn is_worth_waiting(&self, round: u64, held: usize) -> bool {
        let batches = self.batches.borrow();
        let others = || {
            batches
                .by_round
                .iter()
                .filter(|(other, _)| **other != round)
        };
        let sending: usize = others().map(|(_, batch)| batch.sending).sum();
        sending > held || others().any(|(_, batch)| batch.ends)
    }
}

impl Drop for UploadSlot {
    fn drop(&mut self) {
        self.slots.batches.send_modify(|batches| {
            let Some(batch) = batches.by_round.get_mut(&self.round) else {
                return;
            };
            batch.ends = true;
            batch.sending = batch.sending.saturating_sub(1);
            if batch.sending == 0 {
                batches.by_round.remove(&self.round);
            }
        });
    }
}

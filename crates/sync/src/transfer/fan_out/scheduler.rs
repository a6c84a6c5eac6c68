//! Scheduler of a group: readers come with their sessions and are served in rounds.

use std::sync::{Arc, Mutex};

use image_syncer_registry::Registry;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::Instrument;

use crate::failure::Failure;
use crate::lock::lock;
use crate::store::Session;
use crate::transfer::fan_out::pump::{OpenedDownload, pump};
use crate::transfer::fan_out::upload_slots::{
    AdmittedReader, UploadPermit, UploadSlots, acquire_slots,
};
use crate::transfer::fan_out::{BlobDownload, JOINING, SharedLimits};

/// Scheduler of a group.
pub(super) struct FanOutScheduler {
    /// Shared download: the source of the first reader.
    pub(super) download: BlobDownload,
    gates: Arc<UploadSlots>,
    /// The group's permit covers one download at a time.
    bounded: bool,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Readers that are neither ready nor have dropped out.
    expected: usize,
    ready: Vec<WaitingReader>,
}

/// A reader with its session.
pub(super) struct WaitingReader {
    pub(super) session: Box<dyn Session>,
    /// Registry of the session.
    pub(super) registry: Registry,
    pub(super) seat: oneshot::Sender<Result<Admission, Failure>>,
}

/// Admission of a reader to a round.
pub(in crate::transfer) struct Admission {
    /// Its session, with an upload slot.
    pub(in crate::transfer) session: Box<dyn Session>,
    /// Held while the session sends.
    pub(in crate::transfer) flow: UploadPermit,
    pub(super) share: ReadMode,
}

/// Way in which a reader gets its bytes.
pub(super) enum ReadMode {
    /// From the source itself. Kept until it has read.
    Alone(#[allow(dead_code, reason = "held to be dropped")] oneshot::Sender<()>),
    /// From the shared download, as soon as that is open.
    Shared(oneshot::Receiver<OpenedDownload>),
}

impl FanOutScheduler {
    pub(super) fn new(download: &BlobDownload, hall: &SharedLimits) -> Self {
        Self {
            download: download.clone(),
            gates: Arc::clone(&hall.gates),
            bounded: hall.slots.is_some(),
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }
    /// Announces a reader that will be ready or drop out.
    pub(super) fn expect(&self) {
        lock(&self.state).expected += 1;
    }
    /// Notes that a reader is ready or has dropped out.
    pub(super) fn update_round(&self) {
        let mut state = lock(&self.state);
        state.expected = state.expected.saturating_sub(1);
        drop(state);
        self.changed.notify_one();
    }
    /// Waits for admission.
    pub(super) async fn wait_for_admission(
        &self,
        session: Box<dyn Session>,
        registry: Registry,
        settles: bool,
    ) -> Result<Admission, Failure> {
        let (sender, seat) = oneshot::channel();
        {
            let mut state = lock(&self.state);
            state.expected = state.expected.saturating_sub(usize::from(settles));
            state.ready.push(WaitingReader {
                session,
                registry,
                seat: sender,
            });
        }
        self.changed.notify_one();
        seat.await
            .unwrap_or_else(|_| Err(Failure::internal("an upload was not served")))
    }
    /// Serves readers in rounds, without an end. If downloads are limited, a round begins when the last one has read
    /// its source.
    pub(super) async fn serve(self: Arc<Self>) {
        let mut reading = JoinSet::new();
        loop {
            let ready = self.complete().await;
            let (seated, left) = acquire_slots(ready, &self.gates).await;
            lock(&self.state).ready.splice(..0, left);
            self.begin(seated, &mut reading);
            while reading.try_join_next().is_some() {}
            while self.bounded && reading.join_next().await.is_some() {}
        }
    }
    /// Waits until a reader is ready and no other is expected, or the ready ones have waited long enough.
    async fn complete(&self) -> Vec<WaitingReader> {
        let mut deadline = None;
        loop {
            {
                let mut state = lock(&self.state);
                state.ready.retain(|ready| !ready.seat.is_closed());
                if state.ready.is_empty() {
                    deadline = None;
                } else {
                    let now = Instant::now();
                    let deadline = *deadline.get_or_insert(now + JOINING);
                    if state.expected == 0 || now >= deadline {
                        return std::mem::take(&mut state.ready);
                    }
                }
            }
            tokio::select! {
                () = self.changed.notified() => {}
                () = until(deadline) => {}
            }
        }
    }
    /// Begins a round for the readers that have slots and are still there.
    fn begin(&self, mut seated: Vec<AdmittedReader>, reading: &mut JoinSet<()>) {
        seated.retain(|seated| !seated.ready.seat.is_closed());
        let alone = seated.len() == 1;
        let mut openings = Vec::with_capacity(seated.len());
        for AdmittedReader { ready, flow } in seated {
            let share = if alone {
                let (kept, done) = oneshot::channel::<()>();
                reading.spawn(async move {
                    // The sender is only dropped, never used.
                    let _ = done.await;
                });
                ReadMode::Alone(kept)
            } else {
                let (sender, opening) = oneshot::channel();
                openings.push(sender);
                ReadMode::Shared(opening)
            };
            // A reader that left a moment ago needs no admission.
            let _ = ready.seat.send(Ok(Admission {
                session: ready.session,
                flow,
                share,
            }));
        }
        if !openings.is_empty() {
            reading.spawn(pump(self.download.clone(), openings).in_current_span());
        }
    }
}

/// Waits until `instant`, or without an end.
pub(super) async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

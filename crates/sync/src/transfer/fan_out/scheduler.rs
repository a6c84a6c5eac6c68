//! Where the members of a group come with their sessions, and are served in rounds.

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

/// The desk of a group.
pub(super) struct FanOutScheduler {
    /// What is read for those who share: at the source of the first member.
    pub(super) download: BlobDownload,
    gates: Arc<UploadSlots>,
    /// Whether the turn of the group is for one download at a time.
    bounded: bool,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Members that have neither come with a session nor fallen out.
    expected: usize,
    ready: Vec<WaitingReader>,
}

/// A member that came with its session.
pub(super) struct WaitingReader {
    pub(super) session: Box<dyn Session>,
    /// Where it leads.
    pub(super) registry: Registry,
    pub(super) seat: oneshot::Sender<Result<Admission, Failure>>,
}

/// What a member gets.
pub(in crate::transfer) struct Admission {
    /// Its session, with a place.
    pub(in crate::transfer) session: Box<dyn Session>,
    /// Held while the session sends.
    pub(in crate::transfer) flow: UploadPermit,
    pub(super) share: ReadMode,
}

/// What a member reads.
pub(super) enum ReadMode {
    /// The source, itself. Kept until it has.
    Alone(#[allow(dead_code, reason = "held to be dropped")] oneshot::Sender<()>),
    /// The shared download, as soon as that is open.
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
    /// A member will come with a session, or fall out.
    pub(super) fn expect(&self) {
        lock(&self.state).expected += 1;
    }
    /// A member came, or fell out.
    pub(super) fn update_round(&self) {
        let mut state = lock(&self.state);
        state.expected = state.expected.saturating_sub(1);
        drop(state);
        self.changed.notify_one();
    }
    /// Waits for a seat.
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
    /// Serves those who come, in rounds, for ever. Where downloads are counted, a round begins when the last one has
    /// read its source.
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
    /// Waits until somebody is ready and nobody is expected any more, or those who are ready have waited long enough.
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
    /// Begins a round for those who have places and are still there.
    fn begin(&self, mut seated: Vec<AdmittedReader>, reading: &mut JoinSet<()>) {
        seated.retain(|seated| !seated.ready.seat.is_closed());
        let alone = seated.len() == 1;
        let mut openings = Vec::with_capacity(seated.len());
        for AdmittedReader { ready, flow } in seated {
            let share = if alone {
                let (kept, done) = oneshot::channel::<()>();
                reading.spawn(async move {
                    // Only that it is dropped is told.
                    let _ = done.await;
                });
                ReadMode::Alone(kept)
            } else {
                let (sender, opening) = oneshot::channel();
                openings.push(sender);
                ReadMode::Shared(opening)
            };
            // Who left a moment ago needs no seat.
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

/// Waits until then, or for ever.
pub(super) async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

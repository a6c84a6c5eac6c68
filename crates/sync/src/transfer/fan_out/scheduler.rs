//! Scheduler of a group: readers come with their sessions and are served in rounds.

use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument;

use crate::Endpoint;
use crate::deadline::until;
use crate::failure::Failure;
use crate::lock::lock;
use crate::store::UploadSession;
use crate::transfer::fan_out::admission::{
    Admission, AdmittedReader, ReadMode, ReadingGuard, WaitingReader,
};
use crate::transfer::fan_out::pump::pump;
use crate::transfer::fan_out::slot_requests::acquire_slots;
use crate::transfer::fan_out::upload_slots::UploadSlots;
use crate::transfer::fan_out::{BlobDownload, JOINING, SharedLimits};

/// Scheduler of a group.
pub(super) struct FanOutScheduler {
    /// Shared download: the source of the first reader.
    pub(super) download: BlobDownload,
    uploads: Arc<UploadSlots>,
    /// Set by `--proc`: the group's permit covers one download, so that a round waits for the end of the last one.
    one_download_at_a_time: bool,
    state: Mutex<State>,
    changed: Notify,
}

/// Readers of the group. A reader is expected at first. Then it is ready, once for each round that it needs, or it has
/// left as it needs no bytes.
#[derive(Default)]
struct State {
    /// Number of readers that are neither ready nor have left.
    expected: usize,
    ready: Vec<WaitingReader>,
}

impl FanOutScheduler {
    pub(super) fn new(download: &BlobDownload, limits: &SharedLimits) -> Self {
        Self {
            download: download.clone(),
            uploads: Arc::clone(&limits.uploads),
            one_download_at_a_time: limits.transfers.is_some(),
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }
    /// Announces a reader that will be ready or leave.
    pub(super) fn expect_reader(&self) {
        lock(&self.state).expected += 1;
    }
    /// Notes that an expected reader has left: it needs no bytes.
    pub(super) fn reader_left(&self) {
        let mut state = lock(&self.state);
        state.expected = state.expected.saturating_sub(1);
        drop(state);
        self.changed.notify_one();
    }
    /// Waits for admission; `settles` is set for a reader that was expected until now.
    pub(super) async fn wait_for_admission(
        &self,
        session: Box<dyn UploadSession>,
        endpoint: Endpoint,
        settles: bool,
    ) -> Result<Admission, Failure> {
        let (sender, admission) = oneshot::channel();
        {
            let mut state = lock(&self.state);
            state.expected = state.expected.saturating_sub(usize::from(settles));
            state.ready.push(WaitingReader {
                session,
                endpoint,
                admission: sender,
            });
        }
        self.changed.notify_one();
        admission
            .await
            .unwrap_or_else(|_| Err(Failure::internal("an upload was not served")))
    }
    /// Serves readers in rounds. It never returns: the group aborts its task when the last reader is dropped.
    pub(super) async fn serve(self: Arc<Self>) {
        let mut reading = JoinSet::new();
        loop {
            let ready = self.wait_for_readers().await;
            let (admitted, waiting) = acquire_slots(ready, &self.uploads).await;
            lock(&self.state).ready.splice(..0, waiting);
            self.begin_round(admitted, &mut reading);
            while reading.try_join_next().is_some() {}
            while self.one_download_at_a_time && reading.join_next().await.is_some() {}
        }
    }
    /// Waits until a reader is ready and no other is expected, or the ready ones have waited long enough.
    async fn wait_for_readers(&self) -> Vec<WaitingReader> {
        let mut deadline = None;
        loop {
            {
                let mut state = lock(&self.state);
                state.ready.retain(|ready| !ready.admission.is_closed());
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
    fn begin_round(&self, mut admitted: Vec<AdmittedReader>, reading: &mut JoinSet<()>) {
        admitted.retain(|admitted| !admitted.ready.admission.is_closed());
        let alone = admitted.len() == 1;
        let mut openings = Vec::with_capacity(admitted.len());
        for AdmittedReader { ready, slot } in admitted {
            let read_mode = if alone {
                let (guard, dropped) = ReadingGuard::create();
                reading.spawn(dropped);
                ReadMode::Alone(guard)
            } else {
                let (sender, opening) = oneshot::channel();
                openings.push(sender);
                ReadMode::Shared(opening)
            };
            // A reader that left a moment ago needs no admission.
            let _ = ready.admission.send(Ok(Admission {
                session: ready.session,
                slot,
                read_mode,
            }));
        }
        if !openings.is_empty() {
            reading.spawn(pump(self.download.clone(), openings).in_current_span());
        }
    }
}

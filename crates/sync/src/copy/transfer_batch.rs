//! Where the transfers of one image's destinations meet, so that one download feeds all of them.
//!
//! Destinations compare at their own pace. The first that knows what it lacks waits for the others, but not for long:
//! then what is wanted by then is served, and who comes later is served on its own, or joins what has not begun.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use image_syncer_registry::{Descriptor, Digest};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};

use crate::deadline::until;
use crate::failure::Failure;
use crate::store::Store;
use crate::transfer::{Delivery, Moved, Transfers};

/// How long those who know what they lack wait for those who still compare.
const MOMENT: Duration = Duration::from_secs(1);

/// Blobs of one image that are under way at a time. Transfers have bounds of their own; this one keeps a single image
/// of a hundred layers from taking all turns.
const BLOBS: usize = 16;

type OutcomeSender = mpsc::UnboundedSender<(usize, Result<Moved, Failure>)>;

/// A destination's seat at the table. Dropped, it wants nothing more.
pub(super) struct BatchHandle {
    orders: mpsc::UnboundedSender<BatchMessage>,
    compares: AtomicBool,
}

/// The table: what the seats want, served together.
pub(super) struct ImageTransferBatch {
    orders: mpsc::UnboundedReceiver<BatchMessage>,
    /// Seats that have not said yet whether they want anything.
    comparing: usize,
    waiting: Vec<MissingBlobs>,
    /// Until when those who wait do so.
    patience: Option<Instant>,
    /// What has not begun: big ones first, as they take longest.
    queue: BTreeMap<(Reverse<u64>, Digest), BlobJob>,
}

enum BatchMessage {
    Compared,
    Wants(MissingBlobs),
}

/// The blobs that one destination lacks.
struct MissingBlobs {
    destination: Arc<dyn Store>,
    blobs: Vec<Descriptor>,
    outcomes: OutcomeSender,
    /// On whose behalf.
    span: Span,
}

/// One blob and who wants it.
struct BlobJob {
    blob: Descriptor,
    guests: Vec<BlobRequest>,
}

struct BlobRequest {
    destination: Arc<dyn Store>,
    /// Where the blob stands in what the destination wants.
    position: usize,
    outcomes: OutcomeSender,
    span: Span,
}

/// A table with that many seats.
pub(super) fn transfer_batch(seats: usize) -> (Vec<BatchHandle>, ImageTransferBatch) {
    let (sender, orders) = mpsc::unbounded_channel();
    let seat = |_| BatchHandle {
        orders: sender.clone(),
        compares: AtomicBool::new(true),
    };
    let sharing = ImageTransferBatch {
        orders,
        comparing: seats,
        waiting: Vec::new(),
        patience: None,
        queue: BTreeMap::new(),
    };
    ((0..seats).map(seat).collect(), sharing)
}

impl BatchHandle {
    /// Sees that `blobs` get to `destination`; says how each came there, in their order. The first failure ends it,
    /// and no further blob is begun for this destination.
    pub(super) async fn transfer(
        &self,
        destination: &Arc<dyn Store>,
        blobs: &[Descriptor],
    ) -> Result<Vec<Moved>, Failure> {
        if blobs.is_empty() {
            self.compared();
            return Ok(Vec::new());
        }
        let (sender, mut outcomes) = mpsc::unbounded_channel();
        let want = MissingBlobs {
            destination: Arc::clone(destination),
            blobs: blobs.to_vec(),
            outcomes: sender,
            span: Span::current(),
        };
        // A table that nobody serves any more drops the order, and with it the sender.
        let _ = self.orders.send(BatchMessage::Wants(want));
        self.compared();
        let mut moved = vec![None; blobs.len()];
        while let Some((position, outcome)) = outcomes.recv().await {
            let outcome = outcome?;
            if let Some(slot) = moved.get_mut(position) {
                *slot = Some(outcome);
            }
        }
        let moved: Option<Vec<Moved>> = moved.into_iter().collect();
        moved.ok_or_else(|| Failure::internal("a blob was neither moved nor refused"))
    }
    fn compared(&self) {
        if self.compares.swap(false, Ordering::Relaxed) {
            let _ = self.orders.send(BatchMessage::Compared);
        }
    }
}

impl Drop for BatchHandle {
    fn drop(&mut self) {
        self.compared();
    }
}

impl ImageTransferBatch {
    /// Serves the seats from `source` until all of them are empty.
    pub(super) async fn serve(
        mut self,
        source: &Arc<dyn Store>,
        transfers: &Arc<Transfers>,
        tasks: &TaskTracker,
        cancel: &CancellationToken,
    ) {
        // Tasks of their own, so that the hashing of one blob is not in the way of another's.
        let mut running = JoinSet::new();
        loop {
            if self.comparing == 0 {
                self.serve_those_who_wait();
            }
            while running.len() < BLOBS
                && let Some(job) = self.next_job()
            {
                let (source, transfers) = (Arc::clone(source), Arc::clone(transfers));
                let span = job.span();
                let job = job.run(source, transfers, cancel.clone());
                let job = job.instrument(span);
                running.spawn(tasks.track_future(job));
            }
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(order) => self.handle_message(order),
                    None => return,
                },
                () = until(self.patience) => self.serve_those_who_wait(),
                Some(_) = running.join_next() => {}
            }
        }
    }

    fn handle_message(&mut self, order: BatchMessage) {
        match order {
            BatchMessage::Compared => self.comparing = self.comparing.saturating_sub(1),
            BatchMessage::Wants(want) => {
                self.patience.get_or_insert_with(|| Instant::now() + MOMENT);
                self.waiting.push(want);
            }
        }
    }
    fn serve_those_who_wait(&mut self) {
        self.patience = None;
        for want in self.waiting.drain(..) {
            for (position, blob) in want.blobs.into_iter().enumerate() {
                // A size that is not known may be any.
                let key = (Reverse(blob.size.unwrap_or(u64::MAX)), blob.digest.clone());
                let guest = BlobRequest {
                    destination: Arc::clone(&want.destination),
                    position,
                    outcomes: want.outcomes.clone(),
                    span: want.span.clone(),
                };
                let job = self.queue.entry(key).or_insert_with(|| BlobJob {
                    blob,
                    guests: Vec::new(),
                });
                job.guests.push(guest);
            }
        }
    }
    /// The next blob that anybody still wants.
    fn next_job(&mut self) -> Option<BlobJob> {
        while let Some((_, mut job)) = self.queue.pop_first() {
            job.guests.retain(|guest| !guest.outcomes.is_closed());
            if !job.guests.is_empty() {
                return Some(job);
            }
        }
        None
    }
}

impl BlobJob {
    /// On behalf of whoever wants it, or of the image where several do.
    fn span(&self) -> Span {
        match self.guests.as_slice() {
            [guest] => guest.span.clone(),
            _ => Span::current(),
        }
    }
    async fn run(
        self,
        source: Arc<dyn Store>,
        transfers: Arc<Transfers>,
        cancel: CancellationToken,
    ) {
        let destinations = self
            .guests
            .iter()
            .map(|guest| Arc::clone(&guest.destination));
        let delivery = Delivery {
            blob: self.blob,
            source,
            destinations: destinations.collect(),
        };
        let mut guests: Vec<Option<BlobRequest>> = self.guests.into_iter().map(Some).collect();
        let (sender, mut outcomes) = mpsc::unbounded_channel();
        let deliver = transfers.deliver(delivery, sender, &cancel);
        let forward = async {
            while let Some((position, outcome)) = outcomes.recv().await {
                if let Some(guest) = guests.get_mut(position).and_then(Option::take) {
                    guest.complete(outcome);
                }
            }
        };
        let (ended, ()) = tokio::join!(AssertUnwindSafe(deliver).catch_unwind(), forward);
        let failure = match ended {
            Ok(()) => Failure::internal("a blob was neither moved nor refused"),
            Err(panic) => Failure::panicked(&*panic),
        };
        for guest in guests.into_iter().flatten() {
            guest.complete(Err(failure.clone()));
        }
    }
}

impl BlobRequest {
    fn complete(self, outcome: Result<Moved, Failure>) {
        // Who has failed meanwhile does not listen any more.
        let _ = self.outcomes.send((self.position, outcome));
    }
}

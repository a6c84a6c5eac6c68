//! Common transfers of one image's destinations, so that one download feeds all of them.
//!
//! Destinations compare at their own pace. The first that knows its missing blobs waits for the others, for a bounded
//! time. Then the blobs requested so far are transferred. A destination that comes later joins the blobs that have not
//! started. Its other blobs are transferred for it alone.

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
use crate::store::{Destination, Source};
use crate::transfer::{Delivery, Moved, Transfers};

/// Maximum time that a destination with known missing blobs waits for the others.
const COMPARE_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum number of blobs of one image in flight. Transfers have limits of their own; this one keeps a single image of
/// a hundred layers from taking all of them.
const MAX_BLOBS: usize = 16;

/// Channel for the outcomes of one destination: the index of a blob in its request, and the way the blob got there or
/// the failure, boxed like [`BatchMessage::Missing`].
type OutcomeSender = mpsc::UnboundedSender<(usize, Result<Moved, Box<Failure>>)>;

/// Connection of one destination to the batch. Dropping it cancels its remaining requests.
pub(super) struct BatchHandle {
    messages: mpsc::UnboundedSender<BatchMessage>,
    is_comparing: AtomicBool,
}

/// Blob requests of all destinations, served together.
pub(super) struct ImageTransferBatch {
    messages: mpsc::UnboundedReceiver<BatchMessage>,
    /// Number of destinations that have not finished their comparison.
    comparing: usize,
    waiting: Vec<MissingBlobs>,
    /// End of the wait for other comparisons.
    deadline: Option<Instant>,
    /// Jobs that have not started, the largest first, since they take longest.
    queue: BTreeMap<(Reverse<u64>, Digest), BlobJob>,
}

enum BatchMessage {
    Compared,
    /// Boxed, since a channel allocates room for many messages, and most images send none of these.
    Missing(Box<MissingBlobs>),
}

/// Blobs that one destination may lack.
struct MissingBlobs {
    destination: Arc<dyn Destination>,
    blobs: Vec<Descriptor>,
    outcomes: OutcomeSender,
    /// Span of the destination.
    span: Span,
}

/// One blob and the destinations that need it.
struct BlobJob {
    blob: Descriptor,
    requests: Vec<BlobRequest>,
}

struct BlobRequest {
    destination: Arc<dyn Destination>,
    /// Index of the blob in the destination's request.
    blob_index: usize,
    outcomes: OutcomeSender,
    span: Span,
}

/// Returns a batch with a handle for each destination.
pub(super) fn transfer_batch(destinations: usize) -> (Vec<BatchHandle>, ImageTransferBatch) {
    let (sender, messages) = mpsc::unbounded_channel();
    let handle = |_| BatchHandle {
        messages: sender.clone(),
        is_comparing: AtomicBool::new(true),
    };
    let batch = ImageTransferBatch {
        messages,
        comparing: destinations,
        waiting: Vec::new(),
        deadline: None,
        queue: BTreeMap::new(),
    };
    ((0..destinations).map(handle).collect(), batch)
}

impl BatchHandle {
    /// Transfers `blobs` to `destination`. Returns the result for each, in their order. The first failure ends the
    /// call, and no further blob is started for this destination.
    pub(super) async fn transfer(
        &self,
        destination: &Arc<dyn Destination>,
        blobs: &[Descriptor],
    ) -> Result<Vec<Moved>, Failure> {
        if blobs.is_empty() {
            self.compared();
            return Ok(Vec::new());
        }
        let (sender, mut outcomes) = mpsc::unbounded_channel();
        let missing = MissingBlobs {
            destination: Arc::clone(destination),
            blobs: blobs.to_vec(),
            outcomes: sender,
            span: Span::current(),
        };
        // A batch that has ended drops the message, and with it the sender.
        let missing = BatchMessage::Missing(Box::new(missing));
        let _ = self.messages.send(missing);
        self.compared();
        let mut moved = vec![None; blobs.len()];
        while let Some((blob_index, outcome)) = outcomes.recv().await {
            let outcome = outcome.map_err(|failure| *failure)?;
            if let Some(entry) = moved.get_mut(blob_index) {
                *entry = Some(outcome);
            }
        }
        let moved: Option<Vec<Moved>> = moved.into_iter().collect();
        moved.ok_or_else(|| Failure::internal("a blob was neither moved nor refused"))
    }
    fn compared(&self) {
        if self.is_comparing.swap(false, Ordering::Relaxed) {
            let _ = self.messages.send(BatchMessage::Compared);
        }
    }
}

impl Drop for BatchHandle {
    fn drop(&mut self) {
        self.compared();
    }
}

impl ImageTransferBatch {
    /// Serves the requests from `source` until all handles are dropped.
    pub(super) async fn serve(
        mut self,
        source: &Arc<dyn Source>,
        transfers: &Arc<Transfers>,
        tasks: &TaskTracker,
        cancel: &CancellationToken,
    ) {
        // Separate tasks, so that blobs are hashed in parallel.
        let mut running = JoinSet::new();
        loop {
            if self.comparing == 0 {
                self.queue_waiting();
            }
            while running.len() < MAX_BLOBS
                && let Some(job) = self.next_job()
            {
                let (source, transfers) = (Arc::clone(source), Arc::clone(transfers));
                let span = job.span();
                let job = job.run(source, transfers, cancel.clone());
                let job = job.instrument(span);
                running.spawn(tasks.track_future(job));
            }
            tokio::select! {
                message = self.messages.recv() => match message {
                    Some(message) => self.handle_message(message),
                    // All handles are dropped, so nobody waits for a blob: the running jobs are aborted with their set.
                    None => return,
                },
                () = until(self.deadline) => self.queue_waiting(),
                Some(_) = running.join_next() => {}
            }
        }
    }

    fn handle_message(&mut self, message: BatchMessage) {
        match message {
            BatchMessage::Compared => self.comparing = self.comparing.saturating_sub(1),
            BatchMessage::Missing(missing) => {
                self.deadline
                    .get_or_insert_with(|| Instant::now() + COMPARE_TIMEOUT);
                self.waiting.push(*missing);
            }
        }
    }
    fn queue_waiting(&mut self) {
        self.deadline = None;
        for missing in self.waiting.drain(..) {
            for (blob_index, blob) in missing.blobs.into_iter().enumerate() {
                // An unknown size may be large.
                let key = (Reverse(blob.size.unwrap_or(u64::MAX)), blob.digest.clone());
                let request = BlobRequest {
                    destination: Arc::clone(&missing.destination),
                    blob_index,
                    outcomes: missing.outcomes.clone(),
                    span: missing.span.clone(),
                };
                let job = self.queue.entry(key).or_insert_with(|| BlobJob {
                    blob,
                    requests: Vec::new(),
                });
                job.requests.push(request);
            }
        }
    }
    /// Returns the next blob that a destination still needs.
    fn next_job(&mut self) -> Option<BlobJob> {
        while let Some((_, mut job)) = self.queue.pop_first() {
            job.requests.retain(|request| !request.outcomes.is_closed());
            if !job.requests.is_empty() {
                return Some(job);
            }
        }
        None
    }
}

impl BlobJob {
    /// Returns the span of the only destination, or that of the image for several.
    fn span(&self) -> Span {
        match self.requests.as_slice() {
            [request] => request.span.clone(),
            _ => Span::current(),
        }
    }
    async fn run(
        self,
        source: Arc<dyn Source>,
        transfers: Arc<Transfers>,
        cancel: CancellationToken,
    ) {
        let destinations = self
            .requests
            .iter()
            .map(|request| Arc::clone(&request.destination));
        let delivery = Delivery {
            blob: self.blob,
            source,
            destinations: destinations.collect(),
        };
        let mut requests: Vec<Option<BlobRequest>> = self.requests.into_iter().map(Some).collect();
        let complete = |destination_index: usize, outcome| {
            let request = requests.get_mut(destination_index);
            if let Some(request) = request.and_then(Option::take) {
                request.complete(outcome);
            }
        };
        let deliver = transfers.deliver(delivery, complete, &cancel);
        // A delivery that did not panic has answered all requests.
        let unanswered = match AssertUnwindSafe(deliver).catch_unwind().await {
            Ok(()) => Failure::internal("a blob was neither moved nor refused"),
            Err(panic) => Failure::panicked(&*panic),
        };
        for request in requests.into_iter().flatten() {
            request.complete(Err(unanswered.clone()));
        }
    }
}

impl BlobRequest {
    fn complete(self, outcome: Result<Moved, Failure>) {
        // A destination that has failed no longer listens.
        let outcome = outcome.map_err(Box::new);
        let _ = self.outcomes.send((self.blob_index, outcome));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A channel allocates room for 32 messages at once, and each image in flight has several.
    #[test]
    fn messages_are_small() {
        assert_eq!(size_of::<BatchMessage>(), 8);
        assert_eq!(size_of::<(usize, Result<Moved, Box<Failure>>)>(), 24);
    }
}

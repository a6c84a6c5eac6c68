#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod commits;
mod concurrent;
mod detached;
mod display;
mod random;
mod single;

use std::sync::Arc;

use image_syncer_registry::{Descriptor, ErrorKind};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::failure::{Failure, Side};
use crate::inventory::Inventory;
use crate::store::memory::MemoryStores;
use crate::transfer::{Delivery, Moved, Transfers};

const SOURCE: &str = "src.example/app";

/// Stores, and transfers between them.
#[derive(Clone)]
struct Bench {
    stores: MemoryStores,
    inventory: Arc<Inventory>,
    transfers: Arc<Transfers>,
}

/// Comparable outcome: the way of the blob, or the side and kind of the failure.
type Outcome = Result<Moved, (Side, Option<ErrorKind>)>;

impl Bench {
    /// Blobs come in chunks of 10 bytes.
    fn new(at_a_time: Option<usize>) -> Self {
        Self::with_chunk(10, at_a_time)
    }
    fn with_chunk(chunk: usize, at_a_time: Option<usize>) -> Self {
        let inventory = Arc::<Inventory>::default();
        Self {
            stores: MemoryStores::with_chunk(chunk),
            transfers: Arc::new(Transfers::new(Arc::clone(&inventory), at_a_time)),
            inventory,
        }
    }
    fn delivery(&self, blob: &Descriptor, source: &str, destinations: &[&str]) -> Delivery {
        Delivery {
            blob: blob.clone(),
            source: self
                .stores
                .source_at(&crate::store::memory::repository(source)),
            destinations: destinations
                .iter()
                .map(|name| {
                    self.stores
                        .destination_at(&crate::store::memory::repository(name))
                })
                .collect(),
        }
    }
    /// Delivers and returns the outcomes by position, each of which came exactly once.
    async fn deliver(&self, blob: &Descriptor, source: &str, to: &[&str]) -> Vec<Outcome> {
        let cancel = CancellationToken::new();
        self.deliver_until(blob, source, to, &cancel).await
    }
    async fn deliver_until(
        &self,
        blob: &Descriptor,
        source: &str,
        to: &[&str],
        cancel: &CancellationToken,
    ) -> Vec<Outcome> {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let delivery = self.delivery(blob, source, to);
        let send = move |index, outcome| {
            let _ = sender.send((index, outcome));
        };
        self.transfers.deliver(delivery, send, cancel).await;
        let mut outcomes = vec![None; to.len()];
        while let Some((position, outcome)) = receiver.recv().await {
            let outcome = outcome.map_err(|failure: Failure| {
                assert_eq!(failure.interrupted, failure.side == Side::Local);
                (failure.side, failure.kind)
            });
            assert!(outcomes[position].replace(outcome).is_none(), "told twice");
        }
        outcomes.into_iter().map(Option::unwrap).collect()
    }
    fn spawn(&self, blob: &Descriptor, source: &str, to: &[&str]) -> JoinHandle<Vec<Outcome>> {
        self.spawn_until(blob, source, to, &CancellationToken::new())
    }
    fn spawn_until(
        &self,
        blob: &Descriptor,
        source: &str,
        to: &[&str],
        cancel: &CancellationToken,
    ) -> JoinHandle<Vec<Outcome>> {
        let (bench, blob, cancel) = (self.clone(), blob.clone(), cancel.clone());
        let source = source.to_owned();
        let to: Vec<String> = to.iter().map(|&name| name.to_owned()).collect();
        tokio::spawn(async move {
            let to: Vec<&str> = to.iter().map(String::as_str).collect();
            bench.deliver_until(&blob, &source, &to, &cancel).await
        })
    }
    /// Asserts that nothing is left in flight.
    fn assert_quiet(&self) {
        assert_eq!(self.transfers.in_flight.len(), 0);
        assert_eq!(self.transfers.progress().uploads_under_way(), 0);
    }
}

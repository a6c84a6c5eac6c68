//! One blob to its destinations: known, awaited, mounted or streamed; one download can feed many uploads.
//!
//! `flight` is the table of the run: who wants which blob where. `fan_out` carries one stream to many uploads through
//! bounded windows. What to do for a want is decided by a pure function over the table.

use std::sync::Arc;

use registry::Descriptor;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::inventory::Inventory;
use crate::store::Store;

/// How a blob came to be at a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// It was there, or another image of this run brought it.
    Present,
    /// The registry took it from another of its repositories.
    Mounted,
    /// This many bytes were sent.
    Streamed(u64),
}

/// Moves blobs; shared by all images of a run.
pub struct Transfers {
    #[allow(dead_code)]
    inventory: Arc<Inventory>,
}

/// A blob, where it is, and who lacks it.
pub struct Delivery {
    /// The blob.
    pub blob: Descriptor,
    /// Where it is read.
    pub source: Arc<dyn Store>,
    /// Where it is lacking; outcomes name them by their position here.
    pub destinations: Vec<Arc<dyn Store>>,
}

impl Transfers {
    /// Transfers that learn from and teach `inventory`; at most `at_a_time` downloads flow at once (`None`: only the
    /// hosts' own limits hold).
    pub fn new(inventory: Arc<Inventory>, _at_a_time: Option<usize>) -> Self {
        Self { inventory }
    }
    /// Sees that the blob gets to all destinations of `delivery`; sends one outcome for each, as soon as it is known,
    /// and returns when all are. A source that fails fails those that wait for it, a destination only itself.
    pub async fn deliver(
        &self,
        _delivery: Delivery,
        _outcomes: mpsc::UnboundedSender<(usize, Result<Moved, Failure>)>,
        _cancel: &CancellationToken,
    ) {
        todo!()
    }
}

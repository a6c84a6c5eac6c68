//! State that runs share: the runs of a session, or a single run of its own.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::copy::locks::CopyLocks;
use crate::graph::ManifestCache;
use crate::inventory::SharedFacts;
use crate::store::Stores;
use crate::transfer::SharedTransfers;

/// State that runs share.
#[derive(Clone)]
pub(crate) struct SharedState {
    pub(crate) stores: Arc<dyn Stores>,
    /// Facts about destinations.
    pub(crate) facts: Arc<SharedFacts>,
    /// Blobs in flight, and the limit of downloads.
    pub(crate) transfers: SharedTransfers,
    /// Recent manifests of sources. A digest never changes its content.
    pub(crate) manifests: Arc<ManifestCache>,
    /// Roots and subjects that are written.
    pub(crate) locks: Arc<CopyLocks>,
    /// One permit for each image in flight.
    pub(crate) images: Arc<Semaphore>,
}

impl SharedState {
    /// Returns the state before the first run. At most `transfers` downloads and `images` images are in flight.
    pub(crate) fn new(stores: Arc<dyn Stores>, transfers: Option<usize>, images: usize) -> Self {
        let images = images.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            stores,
            facts: Arc::default(),
            transfers: SharedTransfers::new(transfers),
            manifests: Arc::default(),
            locks: Arc::default(),
            images: Arc::new(Semaphore::new(images)),
        }
    }

    /// Returns the state of a run that writes nothing: its plans are not facts for others.
    pub(crate) fn without_facts(&self) -> Self {
        Self {
            facts: Arc::default(),
            transfers: SharedTransfers::new(None),
            locks: Arc::default(),
            ..self.clone()
        }
    }
}

//! Facts that the runs of a session share.

use std::collections::HashMap;
use std::sync::Mutex;

use image_syncer_registry::Digest;

use crate::inventory::registry_facts::RegistryFacts;
use crate::inventory::repository_set::Epoch;
use crate::lock::lock;
use crate::{Endpoint, Repository};

/// Maximum number of blobs whose sizes are remembered because manifests state other ones.
const MAX_SIZES: usize = 4096;

/// Facts that the runs of a session share.
///
/// Each fact has the epoch in which it was learned. A run believes facts of its own epoch and later ones. Earlier facts
/// are hints, as those in the records are: the registry is asked before they are relied on.
#[derive(Default)]
pub(crate) struct SharedFacts {
    table: Mutex<FactTable>,
    /// Sizes of blobs for which manifests state other ones.
    sizes: Mutex<HashMap<Digest, u64>>,
}

#[derive(Default)]
struct FactTable {
    now: Epoch,
    registries: HashMap<Endpoint, RegistryFacts>,
}

impl SharedFacts {
    /// Begins the epoch of a run.
    pub(super) fn begin_epoch(&self) -> Epoch {
        let mut table = lock(&self.table);
        table.now = Epoch(table.now.0.saturating_add(1));
        table.now
    }
    /// Reads the facts about the registry of `repository`, if there are any.
    pub(super) fn read<T>(
        &self,
        repository: &Repository,
        read: impl FnOnce(&RegistryFacts) -> T,
    ) -> Option<T> {
        let table = lock(&self.table);
        table.registries.get(repository.endpoint()).map(read)
    }
    /// Changes the facts about the registry of `repository`.
    pub(super) fn write<T>(
        &self,
        repository: &Repository,
        write: impl FnOnce(&mut RegistryFacts) -> T,
    ) -> T {
        let mut table = lock(&self.table);
        let now = table.now;
        let facts = table.registries.entry(repository.endpoint().clone());
        let facts = facts.or_default();
        facts.now = now;
        write(facts)
    }
    /// Notes the size of a blob that was read, where a manifest states another one.
    pub(super) fn set_size(&self, digest: &Digest, size: u64) {
        let mut sizes = lock(&self.sizes);
        if sizes.len() < MAX_SIZES {
            sizes.insert(digest.clone(), size);
        }
    }
    /// Returns the size of a blob for which a manifest states another one.
    pub(super) fn size(&self, digest: &Digest) -> Option<u64> {
        lock(&self.sizes).get(digest).copied()
    }
    /// Returns the number of entries of all kinds.
    pub(crate) fn len(&self) -> usize {
        let table = lock(&self.table);
        let facts: usize = table.registries.values().map(RegistryFacts::len).sum();
        facts + lock(&self.sizes).len()
    }
}

//! When it was last seen to what refers to a root: for runs that do not want to ask again so soon.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use image_syncer_registry::{Digest, Repository};

use crate::config::Referrers;
use crate::inventory::records::{RecordUpdate, ReferrersCheck};
use crate::inventory::registry_facts::DigestKey;
use crate::inventory::{Inventory, RecordedFacts};

impl Inventory {
    /// How long ago the records say that everything was there of `destination` that refers to `root` in `source`, as
    /// far as `wanted` goes; `None` where they do not say. A hint, from earlier runs. Disks may be slow: no task waits
    /// for them.
    pub(crate) async fn referrers_looked_at(
        &self,
        source: &Repository,
        destination: &Repository,
        root: &Digest,
        wanted: &Referrers,
    ) -> Option<Duration> {
        let memory = self.memory.as_ref()?;
        let look = memory.last_check(source, root, wanted);
        let (records, place) = (Arc::clone(&memory.records), destination.clone());
        let look_up = move || records.looked_at(&place, &look);
        let looked = tokio::task::spawn_blocking(look_up).await.ok()??;
        // What lies ahead was noted by a clock that was wrong.
        SystemTime::now().duration_since(looked).ok()
    }
    /// Everything that refers to `root` in `source`, as far as `wanted` goes, was asked for at that time or later, and
    /// is at `destination`. Waits for nothing.
    pub(crate) fn note_referrers_looked_at(
        &self,
        source: &Repository,
        destination: &Repository,
        root: &Digest,
        wanted: &Referrers,
        at: SystemTime,
    ) {
        if let Some(memory) = self.memory.as_ref().filter(|memory| memory.writes) {
            let look = memory.last_check(source, root, wanted);
            let note = RecordUpdate::Looked(destination.clone(), look, at);
            memory.records.queue_update(note);
        }
    }
}

impl RecordedFacts {
    fn last_check(&self, source: &Repository, root: &Digest, wanted: &Referrers) -> ReferrersCheck {
        ReferrersCheck {
            source: source.clone(),
            root: root.clone(),
            asked: query_key(wanted, self.filter),
        }
    }
}

/// A number that tells questions apart: how deep they go, for which types, and by which platform filter.
fn query_key(wanted: &Referrers, filter: i64) -> i64 {
    let mut types: Vec<&str> = wanted.types.iter().map(String::as_str).collect();
    types.sort_unstable();
    types.dedup();
    let text = format!("{} {filter}\n{}", wanted.deep, types.join("\n"));
    let digest = Digest::sha256(text.as_bytes());
    let bytes = DigestKey::from_digest(&digest)
        .as_bytes()
        .first_chunk()
        .copied();
    bytes.map_or(0, i64::from_be_bytes)
}

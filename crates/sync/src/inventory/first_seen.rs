//! Times at which runs first saw digests at their source, for ages of tags.

use std::time::SystemTime;

use image_syncer_registry::Digest;

use crate::Repository;
use crate::inventory::recorded_digests::DigestLookup;
use crate::inventory::records::{RecordUpdate, RecordedSighting, time};
use crate::inventory::{DigestKey, Inventory, RecordedFacts};

impl Inventory {
    /// Returns the time at which a run first saw `digest` in `source`: `now`, which is recorded, if no earlier run did.
    /// Returns `None` without records.
    pub(crate) async fn first_seen(
        &self,
        source: &Repository,
        digest: &Digest,
        now: SystemTime,
    ) -> Option<SystemTime> {
        let recorded = self.recorded.as_ref()?;
        let known = match self.recorded_about(source) {
            Some(recorded) => recorded.sighting(source, digest).await,
            None => None,
        };
        // A time in the future was written by a wrong clock.
        let known = known
            .and_then(|known| Some((time(known.first)?, known.is_recent)))
            .filter(|(first, _)| *first <= now);
        let (first, is_recent) = known.unwrap_or((now, false));
        if recorded.writes && !is_recent {
            let update = RecordUpdate::Seen(source.clone(), digest.clone(), first);
            recorded.records.queue_update(update);
        }
        Some(first)
    }
}

impl RecordedFacts {
    /// Returns what earlier runs recorded about `digest` in `source`.
    async fn sighting(&self, source: &Repository, digest: &Digest) -> Option<RecordedSighting> {
        let read = |limit| self.records.sightings(source.clone(), limit);
        let key = DigestKey::from_digest(digest);
        match self.seen.get(source.clone(), key, read).await {
            DigestLookup::Read(known) => known,
            DigestLookup::TooLong => self.records.sighting(source, digest).await,
        }
    }
}

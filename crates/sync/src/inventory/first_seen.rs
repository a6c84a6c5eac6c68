//! Times at which runs first saw digests at their source, for ages of tags.

use std::time::SystemTime;

use image_syncer_registry::Digest;

use crate::Repository;
use crate::inventory::Inventory;
use crate::inventory::records::RecordUpdate;

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
        let first = match self.records_about(source) {
            Some(records) => records.first_seen(source, digest).await,
            None => None,
        };
        // A time in the future was written by a wrong clock.
        let first = first.filter(|first| *first <= now).unwrap_or(now);
        if recorded.writes {
            let update = RecordUpdate::Seen(source.clone(), digest.clone(), first);
            recorded.records.queue_update(update);
        }
        Some(first)
    }
}

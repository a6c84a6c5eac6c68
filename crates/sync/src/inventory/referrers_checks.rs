//! Times of the last checks for referrers, for runs that check in intervals.

use std::time::{Duration, SystemTime};

use image_syncer_registry::{Digest, Repository};

use crate::inventory::records::{RecordUpdate, ReferrersCheck};
use crate::inventory::registry_facts::DigestKey;
use crate::inventory::{Inventory, RecordedFacts};
use crate::rule::Referrers;

impl Inventory {
    /// Returns how long ago all referrers of `root` in `source`, as far as `wanted` goes, were at `destination`; `None`
    /// if the records do not know. A hint, from earlier runs.
    pub(crate) async fn last_referrers_check(
        &self,
        source: &Repository,
        destination: &Repository,
        root: &Digest,
        wanted: &Referrers,
    ) -> Option<Duration> {
        let recorded = self.recorded.as_ref()?;
        let check = recorded.referrers_check(source, root, wanted);
        let checked = recorded.records.last_check(destination, check).await?;
        // A time in the future was written by a wrong clock.
        SystemTime::now().duration_since(checked).ok()
    }
    /// Notes that all referrers of `root` in `source`, as far as `wanted` goes, were requested at that time or later,
    /// and are at `destination`. Never waits.
    pub(crate) fn record_referrers_check(
        &self,
        source: &Repository,
        destination: &Repository,
        root: &Digest,
        wanted: &Referrers,
        at: SystemTime,
    ) {
        if let Some(recorded) = self.recorded.as_ref().filter(|recorded| recorded.writes) {
            let check = recorded.referrers_check(source, root, wanted);
            let update = RecordUpdate::ReferrersChecked(destination.clone(), check, at);
            recorded.records.queue_update(update);
        }
    }
}

impl RecordedFacts {
    fn referrers_check(
        &self,
        source: &Repository,
        root: &Digest,
        wanted: &Referrers,
    ) -> ReferrersCheck {
        ReferrersCheck {
            source: source.clone(),
            root: root.clone(),
            scope: check_fingerprint(wanted, self.filter),
        }
    }
}

/// Returns a number that identifies a check by its depth, its types and the platform filter.
fn check_fingerprint(wanted: &Referrers, filter: i64) -> i64 {
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

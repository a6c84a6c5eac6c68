//! Times of the last checks for referrers, for runs that check in intervals.

use std::time::{Duration, SystemTime};

use image_syncer_registry::Digest;

use crate::Repository;
use crate::inventory::recorded_digests::DigestLookup;
use crate::inventory::records::{RecordUpdate, ReferrersChecks, time};
use crate::inventory::{DigestKey, Inventory, RecordedFacts};
use crate::rule::CopyOptions;

impl Inventory {
    /// Returns how long ago all referrers of `root` in `source`, as far as `options` go, were at `destination`; `None`
    /// if the records do not know. A hint, from earlier runs.
    pub(crate) async fn last_referrers_check(
        &self,
        source: &Repository,
        destination: &Repository,
        root: &Digest,
        options: &CopyOptions,
    ) -> Option<Duration> {
        let RecordedFacts {
            records, checks, ..
        } = self.recorded_about(destination)?;
        let check = referrers_checks(source, destination, options);
        let read = |limit| records.checks(check.clone(), limit);
        let key = DigestKey::from_digest(root);
        let checked = match checks.get(check.clone(), key, read).await {
            DigestLookup::Read(checked) => checked,
            DigestLookup::TooLong => records.last_check(check, root).await,
        };
        let checked = time(checked?)?;
        // A time in the future was written by a wrong clock.
        SystemTime::now().duration_since(checked).ok()
    }
    /// Notes that all referrers of `root` in `source`, as far as `options` go, were requested at that time or later,
    /// and are at `destination`. Never waits.
    pub(crate) fn record_referrers_check(
        &self,
        source: &Repository,
        destination: &Repository,
        root: &Digest,
        options: &CopyOptions,
        at: SystemTime,
    ) {
        if let Some(recorded) = self.recorded.as_ref().filter(|recorded| recorded.writes) {
            let check = referrers_checks(source, destination, options);
            let update = RecordUpdate::ReferrersChecked(check, root.clone(), at);
            recorded.records.queue_update(update);
        }
    }
}

fn referrers_checks(
    source: &Repository,
    destination: &Repository,
    options: &CopyOptions,
) -> ReferrersChecks {
    ReferrersChecks {
        destination: destination.clone(),
        source: source.clone(),
        scope: options.referrers_fingerprint(),
    }
}

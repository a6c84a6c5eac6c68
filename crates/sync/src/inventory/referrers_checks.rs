//! Times of the last checks for referrers, for runs that check in intervals.

use std::time::{Duration, SystemTime};

use image_syncer_registry::Digest;

use crate::Repository;
use crate::inventory::Inventory;
use crate::inventory::records::{RecordUpdate, ReferrersCheck};
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
        let records = self.records_about(destination)?;
        let check = referrers_check(source, root, options);
        let checked = records.last_check(destination, check).await?;
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
            let check = referrers_check(source, root, options);
            let update = RecordUpdate::ReferrersChecked(destination.clone(), check, at);
            recorded.records.queue_update(update);
        }
    }
}

fn referrers_check(source: &Repository, root: &Digest, options: &CopyOptions) -> ReferrersCheck {
    ReferrersCheck {
        source: source.clone(),
        root: root.clone(),
        scope: options.referrers_fingerprint(),
    }
}

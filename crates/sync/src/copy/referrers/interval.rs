//! Unchanged images whose referrers were checked recently.

use image_syncer_registry::Digest;

use crate::copy::referrers::ReferrerCopier;

impl ReferrerCopier<'_> {
    /// Returns true if the referrers of the unchanged root `digest` were checked within the interval. Not with
    /// `--force` and `--verify`.
    pub(super) async fn was_looked_at(&self, digest: &Digest) -> bool {
        let interval = self.wanted.interval;
        let options = &self.place.options;
        if interval.is_zero() || options.distrusts_facts() {
            return false;
        }
        let source = self.image.store().repository();
        let place = self.destination.repository();
        let inventory = &self.copier.inventory;
        let looked = inventory.last_referrers_check(source, place, digest, options);
        looked.await.is_some_and(|since| since < interval)
    }

    /// Records that the referrers of the root `digest` were checked. Not after contention, so that the next run fixes
    /// the list.
    pub(super) fn note_look(&self, digest: &Digest, is_contended: bool) {
        if self.wanted.interval.is_zero() || is_contended {
            return;
        }
        let source = self.image.store().repository();
        let place = self.destination.repository();
        let inventory = &self.copier.inventory;
        // Answers are shared, so that each may be as old as the run.
        let at = self.copier.started_at;
        inventory.record_referrers_check(source, place, digest, &self.place.options, at);
    }
}

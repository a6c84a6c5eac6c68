//! Unchanged images that were asked about not long ago.

use image_syncer_registry::Digest;

use crate::copy::referrers::ReferrerCopier;

impl ReferrerCopier<'_> {
    /// Whether it was seen to what refers to the unchanged root `digest` so lately that it is not asked again. Who
    /// pushes again, or looks deeper, wants to see for himself.
    pub(super) async fn was_looked_at(&self, digest: &Digest) -> bool {
        let interval = self.wanted.interval;
        if interval.is_zero() || self.copier.force || self.copier.verify {
            return false;
        }
        let source = self.image.store().repository();
        let place = self.destination.repository();
        let inventory = &self.copier.inventory;
        let looked = inventory.last_referrers_check(source, place, digest, self.wanted);
        looked.await.is_some_and(|since| since < interval)
    }

    /// Notes that it was seen to what refers to the root `digest`; not where others wrote the list of its referrers at
    /// the same time, as the next run is to mend that.
    pub(super) fn note_look(&self, digest: &Digest, is_contended: bool) {
        if self.wanted.interval.is_zero() || is_contended {
            return;
        }
        let source = self.image.store().repository();
        let place = self.destination.repository();
        let inventory = &self.copier.inventory;
        // Answers are shared, so any of them may be as old as the run.
        let at = self.copier.began;
        inventory.record_referrers_check(source, place, digest, self.wanted, at);
    }
}

//! Earlier checks of the referrers of unchanged images.

use image_syncer_registry::Digest;

use crate::copy::referrers::ReferrerCopier;

/// Earlier check of the referrers of an unchanged root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EarlierCheck {
    /// None that counts: everything is queried.
    Outdated,
    /// Within the interval: nothing is queried.
    Recent,
    /// At any time, and since then a list of the source shows the root without referrers: only tags may name some.
    Listed,
}

impl ReferrerCopier<'_> {
    /// Returns the earlier check of the unchanged root `digest`. None counts with `--force` and `--verify`.
    ///
    /// A list alone proves nothing: Harbor before 2.9.2 leaves out referrers that were pushed before their subject. It
    /// never leaves out later ones, so it shows that none was added since the check.
    pub(super) async fn earlier_check(&self, digest: &Digest) -> EarlierCheck {
        let interval = self.wanted.interval;
        let options = &self.place.options;
        let is_listed = !self.wanted.deep && self.image.is_listed_without_referrers(digest);
        if options.distrusts_facts() || (interval.is_zero() && !is_listed) {
            return EarlierCheck::Outdated;
        }
        let source = self.image.store().repository();
        let place = self.destination.repository();
        let inventory = &self.copier.inventory;
        let looked = inventory.last_referrers_check(source, place, digest, options);
        match looked.await {
            Some(since) if since < interval => EarlierCheck::Recent,
            Some(_) if is_listed => EarlierCheck::Listed,
            _ => EarlierCheck::Outdated,
        }
    }

    /// Records that the referrers of the root `digest` were checked, if a later run may use it. Not after contention, so
    /// that the next run fixes the list.
    pub(super) fn note_look(&self, digest: &Digest, is_contended: bool) {
        let is_listed = self.image.is_listed_without_referrers(digest);
        if is_contended || (self.wanted.interval.is_zero() && !is_listed) {
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

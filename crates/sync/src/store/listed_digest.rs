//! Digest of a tag as a list shows it.

use std::time::Duration;

use image_syncer_registry::Digest;
use tokio::time::Instant;

/// Maximum age of a digest. An older one proves nothing about a tag that moves: images may wait for hours in the queue of
/// a long run.
const MAX_AGE: Duration = Duration::from_secs(60 * 60);

/// Digest of a tag as a list shows it. It is a hint of the store itself: the tag may have moved since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListedDigest {
    digest: Digest,
    /// Start of the list.
    listed_at: Instant,
    /// True if the list shows no referrers of the manifest.
    without_referrers: bool,
}

impl ListedDigest {
    /// Returns the digest of a list that started at `listed_at`.
    pub(crate) fn new(digest: Digest, listed_at: Instant) -> Self {
        Self {
            digest,
            listed_at,
            without_referrers: false,
        }
    }
    /// Sets whether the list shows that no other manifest refers to this one.
    #[must_use]
    pub(crate) fn with_missing_referrers(self, without_referrers: bool) -> Self {
        Self {
            without_referrers,
            ..self
        }
    }
    /// Returns true if the list states, not too long ago, that no other manifest refers to `digest`.
    pub(crate) fn is_without_referrers(&self, digest: &Digest) -> bool {
        self.without_referrers && self.recent() == Some(digest)
    }
    /// Returns the digest, unless it is too old.
    pub(crate) fn recent(&self) -> Option<&Digest> {
        (self.listed_at.elapsed() < MAX_AGE).then_some(&self.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_digest_is_used_for_an_hour() {
        let digest = Digest::sha256(b"one");
        let listed = ListedDigest::new(digest.clone(), Instant::now());
        tokio::time::advance(MAX_AGE.saturating_sub(Duration::from_secs(1))).await;
        assert_eq!(listed.recent(), Some(&digest));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(listed.recent(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn missing_referrers_are_those_of_the_listed_digest_for_an_hour() {
        let [digest, other] = [&b"one"[..], b"two"].map(Digest::sha256);
        let listed = ListedDigest::new(digest.clone(), Instant::now());
        assert!(!listed.is_without_referrers(&digest));
        let listed = listed.with_missing_referrers(true);
        assert!(listed.is_without_referrers(&digest) && !listed.is_without_referrers(&other));
        tokio::time::advance(MAX_AGE).await;
        assert!(!listed.is_without_referrers(&digest));
    }
}

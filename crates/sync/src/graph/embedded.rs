//! Blobs that are embedded in manifests, so that no request is needed for them.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use bytes::Bytes;
use image_syncer_registry::{Digest, Manifest};

use crate::lock::lock;

/// Maximum size of a kept blob, in bytes. Embedded blobs usually have some hundreds.
const LARGEST: u64 = 64 * 1024;

/// Maximum number of bytes kept for the whole run. Older blobs are fetched again.
const MAX_KEPT_BYTES: usize = 1024 * 1024;

/// Blobs embedded in recent manifests, by digest: a digest promises the same bytes everywhere.
#[derive(Default)]
pub(super) struct EmbeddedContent(Mutex<CachedContent>);

#[derive(Default)]
struct CachedContent {
    blobs: HashMap<Digest, Bytes>,
    order: VecDeque<Digest>,
    bytes: usize,
}

impl EmbeddedContent {
    /// Keeps the blobs embedded in `manifest`.
    pub(super) fn keep(&self, manifest: &Manifest) {
        let found = manifest.embedded(LARGEST);
        if found.is_empty() {
            return;
        }
        let mut kept = lock(&self.0);
        for (digest, bytes) in found {
            kept.add(digest, bytes);
        }
    }
    /// Returns the bytes of a kept blob.
    pub(super) fn get(&self, digest: &Digest) -> Option<Bytes> {
        lock(&self.0).blobs.get(digest).cloned()
    }
}

impl CachedContent {
    fn add(&mut self, digest: Digest, bytes: Bytes) {
        let size = bytes.len();
        if self.blobs.insert(digest.clone(), bytes).is_some() {
            return;
        }
        self.order.push_back(digest);
        self.bytes += size;
        while self.bytes > MAX_KEPT_BYTES {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            let size = self.blobs.remove(&oldest).map_or(0, |bytes| bytes.len());
            self.bytes -= size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_blobs_are_dropped() {
        let mut kept = CachedContent::default();
        let half = Bytes::from(vec![0; MAX_KEPT_BYTES / 2]);
        let digests = ["a", "b", "c"].map(|name| Digest::sha256(name.as_bytes()));
        for digest in &digests {
            kept.add(digest.clone(), half.clone());
            kept.add(digest.clone(), half.clone());
        }
        let there = digests.map(|digest| kept.blobs.contains_key(&digest));
        assert_eq!(there, [false, true, true]);
        assert_eq!((kept.order.len(), kept.bytes), (2, MAX_KEPT_BYTES));
    }
}

//! Blobs: bytes in memory, or content generated while it is read.
//!
//! A *synthetic* blob needs no memory, however large it is: its content is a function of its size and seed, any range
//! of it is available at once, and serving it costs almost nothing (the frames are slices of one tile that all
//! synthetic blobs share). A benchmark therefore measures the client.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

use bytes::{Bytes, BytesMut};

use crate::digest::{self, Hasher};
use crate::lock::lock;

/// Length of the part at the front of a synthetic blob that distinguishes it from all others.
const HEADER: u64 = 16;
/// Length of the blocks of a synthetic blob, each a different slice of the tile.
const BLOCK: u64 = 64 * 1024;
const TILE: usize = 1024 * 1024;

/// Content with its digest and size.
#[derive(Clone, Debug)]
pub struct Blob {
    digest: String,
    size: u64,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Bytes(Bytes),
    Synthetic { seed: u64 },
    Discarded,
}

impl Blob {
    /// Returns a blob of these bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            digest: digest::sha256(&bytes),
            size: bytes.len() as u64,
            content: Content::Bytes(bytes),
        }
    }

    /// Returns a blob of these bytes under a digest that was computed before, or that is wrong on purpose.
    pub fn with_digest(digest: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            digest: digest.into(),
            size: bytes.len() as u64,
            content: Content::Bytes(bytes),
        }
    }

    /// Returns a blob of `size` bytes generated from `seed`. Its digest is computed here, once per size and seed in a
    /// process.
    pub fn synthetic(size: u64, seed: u64) -> Self {
        let mut blob = Self {
            digest: String::new(),
            size,
            content: Content::Synthetic { seed },
        };
        blob.digest = synthetic_digest(&blob, seed);
        blob
    }

    /// Returns a blob whose bytes were discarded: only its digest and its size.
    pub(crate) fn discarded(digest: String, size: u64) -> Self {
        Self {
            digest,
            size,
            content: Content::Discarded,
        }
    }

    /// The digest.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The whole content, or `None` if it was discarded. For large synthetic blobs, use [`Blob::chunk`].
    pub fn bytes(&self) -> Option<Bytes> {
        match &self.content {
            Content::Bytes(bytes) => Some(bytes.clone()),
            Content::Discarded => None,
            Content::Synthetic { .. } => {
                let mut all = BytesMut::new();
                let mut offset = 0;
                while offset < self.size {
                    let chunk = self.chunk(offset, usize::MAX)?;
                    offset += chunk.len() as u64;
                    all.extend_from_slice(&chunk);
                }
                Some(all.freeze())
            }
        }
    }

    /// Returns some bytes from `offset` on: at least one and at most `limit`, none at the end of the blob, and `None`
    /// if the content was discarded.
    pub fn chunk(&self, offset: u64, limit: usize) -> Option<Bytes> {
        let left = self.size.saturating_sub(offset);
        let limit = usize::try_from(left).unwrap_or(usize::MAX).min(limit);
        match &self.content {
            Content::Bytes(bytes) => {
                let from = usize::try_from(offset)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                Some(bytes.slice(from..from + limit))
            }
            Content::Synthetic { seed } => Some(synthetic_chunk(*seed, self.size, offset, limit)),
            Content::Discarded => None,
        }
    }

    /// Returns true if the content hashes to the digest (by streaming, so large synthetic blobs are possible). A
    /// discarded blob was hashed before.
    pub fn verifies(&self) -> bool {
        if matches!(self.content, Content::Discarded) {
            return true;
        }
        digest::algorithm(&self.digest)
            .is_some_and(|algorithm| self.hash(algorithm).is_some_and(|d| d == self.digest))
    }

    fn hash(&self, algorithm: &str) -> Option<String> {
        let mut hasher = Hasher::new(algorithm);
        let mut offset = 0;
        while offset < self.size {
            let chunk = self.chunk(offset, usize::MAX)?;
            offset += chunk.len() as u64;
            hasher.update(&chunk);
        }
        Some(hasher.finish())
    }
}

fn synthetic_digest(blob: &Blob, seed: u64) -> String {
    static KNOWN: OnceLock<Mutex<HashMap<(u64, u64), String>>> = OnceLock::new();
    let known = KNOWN.get_or_init(Mutex::default);
    let key = (blob.size, seed);
    if let Some(digest) = lock(known).get(&key) {
        return digest.clone();
    }
    let digest = blob.hash("sha256").unwrap_or_default();
    lock(known).insert(key, digest.clone());
    digest
}

fn synthetic_chunk(seed: u64, size: u64, offset: u64, limit: usize) -> Bytes {
    if limit == 0 {
        return Bytes::new();
    }
    if offset < HEADER {
        let mut header = BytesMut::with_capacity(16);
        header.extend_from_slice(&mix(seed).to_le_bytes());
        header.extend_from_slice(&mix(seed ^ size.rotate_left(32)).to_le_bytes());
        let from = usize::try_from(offset).unwrap_or(0);
        let to = header.len().min(from + limit);
        return header.freeze().slice(from..to);
    }
    let place = offset - HEADER;
    let (block, within) = (place / BLOCK, place % BLOCK);
    let blocks = u64::try_from(TILE).unwrap_or(u64::MAX) - BLOCK;
    let start = mix(seed.wrapping_add(mix(block))) % blocks + within;
    let start = usize::try_from(start).unwrap_or(0);
    let length = usize::try_from(BLOCK - within).unwrap_or(0).min(limit);
    tile().slice(start..start + length)
}

/// The bytes that all synthetic blobs are cut from: noise, so that nothing can compress it.
fn tile() -> &'static Bytes {
    static TILE_BYTES: OnceLock<Bytes> = OnceLock::new();
    TILE_BYTES.get_or_init(|| {
        (0..TILE as u64 / 8)
            .flat_map(|n| mix(n).to_le_bytes())
            .collect::<Vec<u8>>()
            .into()
    })
}

/// The finaliser of splitmix64: every bit of the input affects every bit of the output.
fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn synthetic_content_is_the_same_from_any_offset() {
        let blob = Blob::synthetic(200_000, 7);
        let whole = blob.bytes().unwrap();
        assert_eq!(whole.len(), 200_000);
        assert_eq!(digest::sha256(&whole), blob.digest());
        assert!(blob.verifies());
        for offset in [0, 1, 15, 16, 17, 65_551, 65_552, 131_000, 199_999] {
            let chunk = blob.chunk(offset, 1000).unwrap();
            let from = usize::try_from(offset).unwrap();
            assert!(!chunk.is_empty());
            assert_eq!(chunk, whole[from..from + chunk.len()], "{offset}");
        }
        assert!(blob.chunk(200_000, 10).unwrap().is_empty());
    }

    #[test]
    fn sizes_and_seeds_tell_blobs_apart() {
        let digests: std::collections::HashSet<_> = (0..2000)
            .map(|seed| Blob::synthetic(64 + seed % 3, seed).digest().to_owned())
            .collect();
        assert_eq!(digests.len(), 2000);
        for size in [0, 1, 15, 16, 17] {
            assert_eq!(Blob::synthetic(size, 1).bytes().unwrap().len() as u64, size);
        }
    }

    #[test]
    fn a_wrong_digest_is_seen() {
        assert!(!Blob::with_digest(digest::EMPTY, "x").verifies());
        assert!(Blob::new("x").verifies());
    }
}

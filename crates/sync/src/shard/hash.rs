//! Hash functions of shards. Their results never change: processes of different versions must agree.

use std::cmp::Reverse;

use image_syncer_registry::Digest;

/// Returns the key of a name: the first eight bytes of its SHA-256 digest.
pub(super) fn key(name: &str) -> u64 {
    let digest = Digest::sha256(name.as_bytes()).to_sha256();
    let bytes = digest.and_then(|bytes| bytes.first_chunk().copied());
    bytes.map_or(0, u64::from_be_bytes)
}

/// Returns the owner of the repository `name` among this number of shards.
pub(super) fn owner(name: &str, shards: u32) -> u32 {
    let key = key(name);
    let best = (0..shards).max_by_key(|shard| (mix(key ^ mix(u64::from(*shard))), Reverse(*shard)));
    best.unwrap_or_default()
}

/// Returns the part, of this number of parts, of a name with this key.
pub(super) fn part(key: u64, parts: u32) -> u32 {
    let scaled = (u128::from(key) * u128::from(parts)) >> 64;
    u32::try_from(scaled).unwrap_or_default()
}

/// Finalizer of `SplitMix64`.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

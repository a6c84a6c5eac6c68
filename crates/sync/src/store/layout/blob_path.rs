//! Files of blobs in a layout.

use image_syncer_registry::Digest;

/// Directory of all blobs.
pub(super) const BLOBS: &str = "blobs";

/// Returns the directory of the blobs with the algorithm of `digest`. The grammar of digests leaves no room for `/` and
/// `..`.
pub(super) fn folder(digest: &Digest) -> String {
    let algorithm = digest.as_str().split(':').next().unwrap_or_default();
    format!("{BLOBS}/{algorithm}")
}

/// Returns the file of the blob `digest`.
pub(super) fn path(digest: &Digest) -> String {
    format!("{}/{}", folder(digest), digest.encoded())
}

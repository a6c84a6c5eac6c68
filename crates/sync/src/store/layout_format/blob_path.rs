//! Files of blobs in a layout.

use image_syncer_registry::Digest;

/// Directory of all blobs.
pub(in crate::store) const BLOBS: &str = "blobs";

/// Returns the directory of the blobs with the algorithm of `digest`. The grammar of digests leaves no room for `/` and
/// `..`.
pub(in crate::store) fn folder(digest: &Digest) -> String {
    let algorithm = digest.as_str().split(':').next().unwrap_or_default();
    format!("{BLOBS}/{algorithm}")
}

/// Returns the file of the blob `digest`.
pub(in crate::store) fn path(digest: &Digest) -> String {
    format!("{}/{}", folder(digest), digest.encoded())
}

/// Returns the digest of the blob in the file `path`; `None` for other files.
pub(in crate::store) fn digest_at(path: &str) -> Option<Digest> {
    let (algorithm, encoded) = path
        .strip_prefix(BLOBS)?
        .strip_prefix('/')?
        .split_once('/')?;
    Digest::parse(&format!("{algorithm}:{encoded}")).ok()
}

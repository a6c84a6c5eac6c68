//! An image and a destination become a plan.

use std::sync::Arc;

use registry::{Descriptor, Digest, Manifest, Tag};

/// What comparing found.
#[derive(Debug)]
pub enum Comparison {
    /// The destination has exactly this already.
    Unchanged {
        /// The root's digest.
        digest: Digest,
    },
    /// Nothing is to be copied, and that is right.
    Skipped {
        /// Why, a clause: `no platform of it passes --arch arm64`.
        why: String,
    },
    /// This is missing there.
    Missing(Plan),
}

/// What one destination lacks of one image.
#[derive(Debug)]
pub struct Plan {
    /// The root, pushed last: by its tag, or by digest where there is none.
    pub root: Arc<Manifest>,
    /// The tag.
    pub tag: Option<Tag>,
    /// The children to push before it, leaves first, each once.
    pub children: Vec<Arc<Manifest>>,
    /// The blobs that root and children name and that are not known to be in the repository, each once.
    pub blobs: Vec<Descriptor>,
    /// Bytes of blobs that are known to be there.
    pub present_bytes: u64,
}

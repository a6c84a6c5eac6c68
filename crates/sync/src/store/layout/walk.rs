//! One walk over all manifests of a layout, which finds what refers to what.
//!
//! A layout has no list of referrers: a manifest refers to another by its `subject`, wherever it is in the layout.

use std::collections::{HashMap, HashSet};

use image_syncer_registry::manifest::{MAX_MANIFEST_BYTES, ManifestView};
use image_syncer_registry::{Digest, Manifest};

use super::blob_path;
use super::files::LayoutFiles;
use crate::store::layout_format::MAX_ENTRIES;

/// All manifests that are reachable from the roots.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Manifests that were reached, damaged and missing ones included.
    pub(super) reached: HashSet<Digest>,
    /// Digests of the manifests that name a subject, by subject, in the order of the walk.
    pub(super) referrers: HashMap<Digest, Vec<Digest>>,
}

impl Walk {
    /// Walks from `roots`, which are digests with media types. A manifest that is missing or cannot be read is left out;
    /// the image that it belongs to fails when it is copied. Blocks.
    pub(super) fn run(files: &LayoutFiles, roots: Vec<(Digest, String)>) -> Self {
        let mut walk = Self::default();
        let mut waiting = roots;
        waiting.reverse();
        while let Some((digest, media_type)) = waiting.pop() {
            if walk.reached.len() >= MAX_ENTRIES || !walk.reached.insert(digest.clone()) {
                continue;
            }
            let Some(view) = read(files, &digest, &media_type) else {
                continue;
            };
            if let Some(subject) = view.subject() {
                let known = walk.referrers.entry(subject.digest.clone()).or_default();
                known.push(digest);
            }
            if let ManifestView::Index(index) = view {
                let children = index.manifests.into_iter().rev();
                waiting.extend(children.map(|child| (child.digest, child.media_type)));
                waiting.truncate(MAX_ENTRIES);
            }
        }
        walk
    }
}

/// Reads a manifest, without verifying it: it is verified when it is copied.
fn read(files: &LayoutFiles, digest: &Digest, media_type: &str) -> Option<ManifestView> {
    let bytes = match files.read(&blob_path::path(digest), MAX_MANIFEST_BYTES) {
        Ok(bytes) => bytes,
        Err(error) => {
            tracing::debug!(%error, "{digest} is listed in the layout and cannot be read");
            return None;
        }
    };
    let manifest = Manifest::new(bytes, Some(media_type), digest.clone());
    let view = manifest.and_then(|manifest| manifest.view());
    view.inspect_err(|error| tracing::debug!(%error, "{digest} is no manifest"))
        .ok()
}

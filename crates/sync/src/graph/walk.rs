//! Walk from a root to its blobs.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use image_syncer_registry::manifest::{ImageView, ManifestView, Schema1View};
use image_syncer_registry::{Descriptor, Digest, ErrorKind, Manifest, Presence};

use crate::failure::Failure;
use crate::graph::{FETCHES, MAX_BLOBS, MAX_DEPTH, MAX_MANIFESTS, SourceImage};

/// Content below a root.
#[derive(Clone, Debug, Default)]
pub(crate) struct ImageContent {
    /// Children, leaves first, each once.
    pub children: Vec<Arc<Manifest>>,
    /// Blobs that root and children name, each once. Foreign layers are excluded unless requested, since registries
    /// need not have them.
    pub blobs: Vec<Descriptor>,
}

/// Entry of an index, after a lookup.
pub(crate) enum FoundEntry {
    /// A manifest.
    Manifest(Arc<Manifest>),
    /// A blob: an index may list plain blobs, as older cache exports of `BuildKit` do.
    Blob(Box<Descriptor>),
}

/// State of a walk.
#[derive(Default)]
struct GraphWalk {
    seen: HashSet<Digest>,
    seen_blobs: HashSet<Digest>,
    images: Vec<Arc<Manifest>>,
    indexes: HashMap<Digest, (Arc<Manifest>, Vec<Digest>)>,
    blobs: Vec<Descriptor>,
    /// True if foreign layers are included.
    foreign_layers: bool,
}

impl SourceImage {
    /// Returns the content below `root`, without the children for which `leave_out` returns true and the content below
    /// them. Goes level by level and visits each digest once, so that cycles and repeats cost nothing.
    pub(crate) async fn content(
        &self,
        root: &Arc<Manifest>,
        leave_out: impl Fn(&Digest) -> bool,
    ) -> Result<ImageContent, Failure> {
        self.content_by(root, leave_out, |entry| self.find(entry))
            .await
    }

    /// Like [`SourceImage::content`], with `find` for the lookup of entries. It may read them elsewhere, since a digest
    /// promises the same bytes everywhere.
    pub(crate) async fn content_by<F>(
        &self,
        root: &Arc<Manifest>,
        leave_out: impl Fn(&Digest) -> bool,
        find: impl Fn(Descriptor) -> F,
    ) -> Result<ImageContent, Failure>
    where
        F: Future<Output = Result<FoundEntry, Failure>>,
    {
        let mut walk = GraphWalk {
            foreign_layers: self.parts.foreign_layers,
            ..GraphWalk::default()
        };
        walk.seen.insert(root.digest().clone());
        let mut level = walk.visit_manifest(Arc::clone(root), self.view(root)?);
        if walk.is_full() {
            return Err(self.too_many_blobs());
        }
        let mut asked = 0;
        for depth in 0.. {
            level.retain(|entry| {
                // Called last, and once for each included manifest, since the callback may have side effects.
                !self.leaves_out(&entry.digest)
                    && walk.seen.insert(entry.digest.clone())
                    && (names_blob(entry) || !leave_out(&entry.digest))
            });
            if level.is_empty() {
                break;
            }
            if depth == MAX_DEPTH {
                return Err(self.too_deep());
            }
            let (blobs, manifests): (Vec<_>, Vec<_>) =
                std::mem::take(&mut level).into_iter().partition(names_blob);
            walk.take_blobs(blobs.into_iter());
            // Checked before any fetch: a document of some megabytes may name a hundred thousand.
            asked += manifests.len();
            if asked > MAX_MANIFESTS {
                return Err(self.too_many_children());
            }
            let mut found = stream::iter(manifests).map(&find).buffered(FETCHES);
            while let Some(found) = found.next().await {
                match found? {
                    FoundEntry::Blob(blob) => walk.take_blobs(std::iter::once(*blob)),
                    FoundEntry::Manifest(manifest) => {
                        let view = self.view(&manifest)?;
                        level.extend(walk.visit_manifest(manifest, view));
                    }
                }
                if walk.is_full() {
                    return Err(self.too_many_blobs());
                }
            }
        }
        Ok(walk.into_content(root.digest()))
    }

    /// Looks up an entry of an index of this image at the source.
    pub(crate) async fn find(&self, entry: Descriptor) -> Result<FoundEntry, Failure> {
        match self.manifest(&entry.digest).await {
            Ok(manifest) => Ok(FoundEntry::Manifest(manifest)),
            Err(failure)
                if failure.kind == Some(ErrorKind::NotFound) && !names_manifest(&entry) =>
            {
                Ok(FoundEntry::Blob(Box::new(entry)))
            }
            // distribution answers 500 for the digest of a blob.
            Err(failure) if failure.kind == Some(ErrorKind::Server) && !names_manifest(&entry) => {
                match self.store.head_blob(&entry).await {
                    Ok(Presence::Present) => Ok(FoundEntry::Blob(Box::new(entry))),
                    _ => Err(failure),
                }
            }
            Err(failure) => Err(Self::child_failure(&entry, failure)),
        }
    }
}

impl GraphWalk {
    /// Adds a manifest, and returns its entries for the next level.
    fn visit_manifest(&mut self, manifest: Arc<Manifest>, view: ManifestView) -> Vec<Descriptor> {
        match view {
            ManifestView::Index(index) => {
                let digests = index.manifests.iter().map(|entry| entry.digest.clone());
                let noted = (Arc::clone(&manifest), digests.collect());
                self.indexes.insert(manifest.digest().clone(), noted);
                index.manifests
            }
            ManifestView::Image(image) => {
                self.images.push(manifest);
                self.take_blobs(blobs_of_image(image));
                Vec::new()
            }
            ManifestView::Schema1(schema1) => {
                self.images.push(manifest);
                self.take_blobs(blobs_of_schema1(schema1));
                Vec::new()
            }
        }
    }
    fn is_full(&self) -> bool {
        self.blobs.len() > MAX_BLOBS
    }
    fn take_blobs(&mut self, blobs: impl Iterator<Item = Descriptor>) {
        for blob in blobs {
            let is_wanted = self.foreign_layers || !blob.is_foreign();
            if is_wanted && self.seen_blobs.insert(blob.digest.clone()) {
                self.blobs.push(blob);
            }
        }
    }
    /// Images first, then indexes, nested ones before the outer ones.
    fn into_content(mut self, root: &Digest) -> ImageContent {
        let mut children = std::mem::take(&mut self.images);
        self.push_index(root, &mut children);
        children.retain(|child| child.digest() != root);
        ImageContent {
            children,
            blobs: self.blobs,
        }
    }
    fn push_index(&mut self, digest: &Digest, children: &mut Vec<Arc<Manifest>>) {
        // Removed from the table, so that each is pushed once and cycles end.
        if let Some((manifest, entries)) = self.indexes.remove(digest) {
            for entry in &entries {
                self.push_index(entry, children);
            }
            children.push(manifest);
        }
    }
}

fn blobs_of_image(image: ImageView) -> impl Iterator<Item = Descriptor> {
    image.config.into_iter().chain(image.layers)
}

fn blobs_of_schema1(schema1: Schema1View) -> impl Iterator<Item = Descriptor> {
    schema1.layers.into_iter().map(|digest| Descriptor {
        media_type: "application/vnd.docker.image.rootfs.diff.tar.gzip".to_owned(),
        digest,
        size: None,
        platform: None,
        annotations: std::collections::BTreeMap::new(),
        urls: Vec::new(),
        artifact_type: None,
    })
}

/// Returns true if the entry has the media type of a manifest, and so cannot be a blob.
pub(crate) fn names_manifest(entry: &Descriptor) -> bool {
    use image_syncer_registry::manifest::media_type::{
        DOCKER_MANIFEST, DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED, OCI_ARTIFACT, OCI_MANIFEST,
    };
    let images = [
        OCI_MANIFEST,
        DOCKER_MANIFEST,
        OCI_ARTIFACT,
        DOCKER_SCHEMA1,
        DOCKER_SCHEMA1_SIGNED,
    ];
    entry.is_index() || images.contains(&entry.media_type.as_str())
}

/// Returns true if the entry has the media type of a layer or a config, as in older cache exports of `BuildKit`: then
/// it is never requested as a manifest.
pub(crate) fn names_blob(entry: &Descriptor) -> bool {
    const KINDS: [&str; 5] = [
        "application/vnd.oci.image.layer.",
        "application/vnd.oci.image.config.",
        "application/vnd.docker.image.rootfs.",
        "application/vnd.docker.container.image.",
        "application/vnd.buildkit.cacheconfig.",
    ];
    KINDS.iter().any(|kind| entry.media_type.starts_with(kind))
}

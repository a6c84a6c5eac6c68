//! Summary of an image for a list: kind, platforms and sizes.

use std::collections::HashSet;

use image_syncer_registry::manifest::{ImageView, ManifestView};
use image_syncer_registry::{Descriptor, Digest, Manifest, Platform};

use crate::failure::Failure;
use crate::graph::{IMAGE_CONFIGS, SourceImage};

/// Kind of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageKind {
    /// An index of images or artifacts.
    Index,
    /// A container image for one platform.
    Image,
    /// Another manifest, such as a chart or a signature.
    Artifact,
}

/// Content of an image, as far as its manifests describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSummary {
    /// Media type of the root.
    pub media_type: String,
    /// Kind of the root.
    pub kind: ImageKind,
    /// Type of an artifact: its own, or the media type of its config.
    pub artifact_type: Option<String>,
    /// Manifest that the root refers to.
    pub subject: Option<Digest>,
    /// Size of all manifests and blobs in bytes, each counted once. Layers that registries need not have are left out.
    /// `None` if a manifest is missing, or states no sizes (schema 1).
    pub size: Option<u64>,
    /// Images for platforms, in the order of the index. Attestations have no platform.
    pub platforms: Vec<PlatformSummary>,
    /// Reason for which a part of the image could not be read.
    pub failure: Option<Failure>,
}

/// Image for one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformSummary {
    /// The platform.
    pub platform: Platform,
    /// Digest of the manifest.
    pub digest: Digest,
    /// Size of the manifest and its blobs in bytes; `None` as in [`ImageSummary::size`].
    pub size: Option<u64>,
}

impl SourceImage {
    /// Returns the summary of the whole image. Fetches its manifests, and the config of a single image, which states its
    /// platform.
    ///
    /// # Errors
    /// If the root cannot be read. Another failure is part of the summary.
    pub(crate) async fn summary(&self) -> Result<ImageSummary, Failure> {
        let root = self.unfiltered_root().await?;
        let view = self.view(&root)?;
        let subject = view.subject().map(|subject| subject.digest.clone());
        let content = Box::pin(self.content(&root, |_| false)).await;
        let size = content.as_ref().ok().and_then(|content| {
            let children = content.children.iter().map(|child| child.size());
            total(children.chain([root.size()]), &content.blobs)
        });
        let mut summary = ImageSummary {
            media_type: root.media_type().to_owned(),
            kind: ImageKind::Image,
            artifact_type: None,
            subject,
            size,
            platforms: Vec::new(),
            failure: content.err(),
        };
        match view {
            ManifestView::Index(index) => {
                summary.kind = ImageKind::Index;
                summary.platforms = self.platform_entries(index.manifests);
            }
            ManifestView::Image(image) => self.describe_image(&mut summary, &root, image).await,
            ManifestView::Schema1(_) => {}
        }
        Ok(summary)
    }

    /// Adds type and platform of a single `image` to its summary.
    async fn describe_image(&self, summary: &mut ImageSummary, root: &Manifest, image: ImageView) {
        let config = image.config.as_ref().map(|config| &*config.media_type);
        if !config.is_some_and(|config| IMAGE_CONFIGS.contains(&config)) {
            summary.kind = ImageKind::Artifact;
            let config = config.filter(|config| !config.is_empty());
            summary.artifact_type = config.map(str::to_owned);
        }
        match self.platform(&image).await {
            Ok(platform) if is_stated(&platform) => summary.platforms.push(PlatformSummary {
                platform,
                digest: root.digest().clone(),
                size: summary.size,
            }),
            Ok(_) => {}
            Err(failure) => summary.failure = summary.failure.take().or(Some(failure)),
        }
        summary.artifact_type = image.artifact_type.or(summary.artifact_type.take());
    }

    /// Returns the platforms of these entries and of the indexes among them, as far as their manifests were read.
    fn platform_entries(&self, entries: Vec<Descriptor>) -> Vec<PlatformSummary> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        let mut waiting = entries;
        waiting.reverse();
        while let Some(entry) = waiting.pop() {
            if !seen.insert(entry.digest.clone()) {
                continue;
            }
            let held = self.seen_manifests().manifests.get(&entry.digest).cloned();
            let read = held.and_then(Result::ok);
            let view = read.as_ref().and_then(|manifest| self.view(manifest).ok());
            let size = match (view, &read) {
                (Some(ManifestView::Index(index)), _) => {
                    waiting.extend(index.manifests.into_iter().rev());
                    None
                }
                (Some(ManifestView::Image(image)), Some(manifest)) => {
                    let blobs: Vec<Descriptor> =
                        image.config.into_iter().chain(image.layers).collect();
                    total([manifest.size()], &blobs)
                }
                _ => None,
            };
            if let Some(platform) = entry.platform.filter(is_stated) {
                let digest = entry.digest;
                found.push(PlatformSummary {
                    platform,
                    digest,
                    size,
                });
            }
        }
        found
    }
}

/// Returns true for a platform of an image; attestations state `unknown/unknown`.
fn is_stated(platform: &Platform) -> bool {
    !["", "unknown"].contains(&&*platform.architecture)
}

/// Returns the size of manifests and blobs, each blob counted once. `None` if the size of one is unknown.
fn total(manifests: impl IntoIterator<Item = u64>, blobs: &[Descriptor]) -> Option<u64> {
    let mut seen = HashSet::new();
    let blobs = blobs.iter();
    let blobs = blobs.filter(|blob| !blob.is_foreign() && seen.insert(&blob.digest));
    let sizes = manifests.into_iter().map(Some);
    sizes
        .chain(blobs.map(Descriptor::known_size))
        .try_fold(0_u64, |sum, size| Some(sum.saturating_add(size?)))
}

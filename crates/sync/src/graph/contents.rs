//! Summary of an image that a plan shows.

use std::collections::HashSet;

use image_syncer_registry::manifest::ManifestView;
use image_syncer_registry::{Digest, Platform};

use crate::failure::Failure;
use crate::graph::SourceImage;

/// Platforms and layers of an image, as far as its manifests were read.
#[derive(Debug, Default)]
pub(crate) struct ImageContents {
    /// Platforms of its images, in the order of its indexes. Attestations have none.
    pub(crate) platforms: Vec<String>,
    /// Number of layers of the images that were read, each counted once.
    pub(crate) layers: u64,
}

impl SourceImage {
    /// Returns platforms and layers below the root `digest` of this image. Fetches nothing, except the config of a
    /// single image, which states its platform.
    pub(crate) async fn contents(&self, digest: &Digest) -> Result<ImageContents, Failure> {
        let mut anatomy = ImageContents::default();
        let mut layers = HashSet::new();
        let mut seen = HashSet::from([digest.clone()]);
        let mut next = vec![digest.clone()];
        while let Some(digest) = next.pop() {
            let Some(Ok(manifest)) = self.seen_manifests().manifests.get(&digest).cloned() else {
                continue;
            };
            match self.view(&manifest)? {
                ManifestView::Index(index) => {
                    let entries = index.manifests.into_iter();
                    for entry in entries.filter(|entry| !self.leaves_out(&entry.digest)) {
                        anatomy.states(entry.platform.as_ref());
                        if seen.insert(entry.digest.clone()) {
                            next.push(entry.digest);
                        }
                    }
                }
                ManifestView::Image(image) => {
                    if seen.len() == 1 {
                        anatomy.states(Some(&self.platform(&image).await?));
                    }
                    layers.extend(image.layers.into_iter().map(|layer| layer.digest));
                }
                ManifestView::Schema1(_) => {}
            }
        }
        anatomy.layers = layers.len() as u64;
        Ok(anatomy)
    }
}

impl ImageContents {
    fn states(&mut self, platform: Option<&Platform>) {
        let said = platform.filter(|platform| {
            let unsaid = ["", "unknown"];
            !unsaid.contains(&platform.architecture.as_str())
        });
        self.platforms.extend(said.map(Platform::to_string));
    }
}

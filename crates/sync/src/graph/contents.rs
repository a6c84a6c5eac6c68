//! What people want to know of an image before it is copied.

use std::collections::HashSet;

use image_syncer_registry::manifest::ManifestView;
use image_syncer_registry::{Digest, Platform};

use crate::failure::Failure;
use crate::graph::SourceImage;

/// What an image consists of, as far as it was read.
#[derive(Debug, Default)]
pub(crate) struct ImageContents {
    /// The platforms of its images, in the order of its indexes; attestations have none.
    pub(crate) platforms: Vec<String>,
    /// The layers of its images that were read, each once.
    pub(crate) layers: u64,
}

impl SourceImage {
    /// The anatomy of the root `digest` of this image. Nothing that was not read is fetched for it, but for the config of
    /// a single image, where the platform stands.
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

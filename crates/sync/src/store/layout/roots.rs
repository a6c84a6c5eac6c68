//! All images of a layout, those without a name included.

use std::collections::HashSet;

use image_syncer_registry::{Digest, ManifestHead};

use super::walk::Walk;
use super::{Layout, run_blocking};
use crate::lock::lock;
use crate::store::layout_format::{LayoutError, LayoutRoot, RootName};

impl Layout {
    /// Returns the roots that are images: all with a name, in the order of the index, and after them those that only
    /// their digest names. A root without a name that refers to another manifest of the layout is no image of its own.
    /// If several roots have one name, the first counts, as in lookups.
    ///
    /// # Errors
    /// If the layout cannot be read.
    pub(super) async fn images(&self) -> Result<Vec<(RootName, ManifestHead)>, LayoutError> {
        let attached = self.attached().await?;
        let state = lock(&self.state);
        let mut names = HashSet::new();
        let mut digests = HashSet::new();
        let mut images = Vec::new();
        for root in state.index.roots() {
            let name = match &root.name {
                RootName::Full(name) => name.to_string(),
                RootName::Tag(tag) => tag.to_string(),
                RootName::Unnamed => continue,
            };
            if names.insert(name) {
                digests.insert(&root.digest);
                images.push((root.name.clone(), head_of(root)));
            }
        }
        for root in state.index.roots() {
            if !attached.contains(&root.digest) && digests.insert(&root.digest) {
                images.push((RootName::Unnamed, head_of(root)));
            }
        }
        Ok(images)
    }
    /// Returns the manifests that refer to another one of the layout, if a root without a name may be one.
    async fn attached(&self) -> Result<HashSet<Digest>, LayoutError> {
        let is_unnamed = |root: &LayoutRoot| root.name == RootName::Unnamed;
        if !lock(&self.state).index.roots().any(is_unnamed) {
            return Ok(HashSet::new());
        }
        let walk = self.walk().await?;
        let referrers = walk.referrers.iter();
        let attached = referrers.filter(|(subject, _)| walk.reached.contains(subject));
        Ok(attached.flat_map(|(_, digests)| digests.clone()).collect())
    }
    /// Walks over all manifests, once.
    ///
    /// # Errors
    /// If the layout cannot be read.
    pub(super) async fn walk(&self) -> Result<&Walk, LayoutError> {
        let files = self.files()?;
        let walk = self.walk.get_or_try_init(|| {
            let roots = lock(&self.state).roots();
            run_blocking(&files, |files| Ok(Walk::run(files, roots)))
        });
        walk.await
    }
}

fn head_of(root: &LayoutRoot) -> ManifestHead {
    ManifestHead {
        digest: root.digest.clone(),
        media_type: Some(root.media_type.clone()).filter(|text| !text.is_empty()),
        size: Some(root.size),
    }
}

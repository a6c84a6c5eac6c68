//! One repository of a registry.

use std::collections::{BTreeMap, BTreeSet};

use crate::image::Manifest;

/// The manifests, tags and blob links of a repository.
#[derive(Clone, Debug, Default)]
pub(crate) struct Repository {
    /// Digests of the blobs that are linked here.
    pub(crate) blobs: BTreeSet<String>,
    /// Manifests by digest.
    pub(crate) manifests: BTreeMap<String, Manifest>,
    /// Tags with their digests, in the order of their creation.
    pub(crate) tags: Vec<(String, String)>,
}

impl Repository {
    /// The digest that a tag stands for.
    pub(crate) fn tag(&self, tag: &str) -> Option<&str> {
        self.tags
            .iter()
            .find(|(name, _)| name == tag)
            .map(|(_, digest)| digest.as_str())
    }

    /// A manifest by tag or digest.
    pub(crate) fn manifest(&self, reference: &str) -> Option<&Manifest> {
        let digest = if reference.contains(':') {
            reference
        } else {
            self.tag(reference)?
        };
        self.manifests.get(digest)
    }

    pub(crate) fn put_manifest(&mut self, manifest: Manifest) {
        self.manifests.insert(manifest.digest.clone(), manifest);
    }

    pub(crate) fn set_tag(&mut self, tag: &str, digest: &str) {
        match self.tags.iter_mut().find(|(name, _)| name == tag) {
            Some((_, old)) => digest.clone_into(old),
            None => self.tags.push((tag.to_owned(), digest.to_owned())),
        }
    }

    pub(crate) fn untag(&mut self, tag: &str) -> bool {
        let before = self.tags.len();
        self.tags.retain(|(name, _)| name != tag);
        before != self.tags.len()
    }

    pub(crate) fn remove_manifest(&mut self, digest: &str) -> bool {
        self.tags.retain(|(_, d)| d != digest);
        self.manifests.remove(digest).is_some()
    }

    /// The digests of all blobs that the manifests name.
    pub(crate) fn named_blobs(&self) -> BTreeSet<String> {
        self.manifests
            .values()
            .flat_map(|manifest| manifest.links().blobs)
            .map(|link| link.digest)
            .collect()
    }
}

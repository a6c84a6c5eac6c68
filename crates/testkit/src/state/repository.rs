//! One repository of a registry.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, SystemTime};

use crate::image::Manifest;

/// The manifests, tags and blob links of a repository.
#[derive(Clone, Debug, Default)]
pub(crate) struct Repository {
    /// Digests of the blobs that are linked here.
    pub(crate) blobs: BTreeSet<String>,
    /// Manifests by digest.
    pub(crate) manifests: BTreeMap<String, Manifest>,
    /// Tags with their digests, in order of creation.
    tags: Vec<(String, String)>,
    /// Index of each tag in `tags`, so that a repository may have a hundred thousand.
    places: HashMap<String, usize>,
    /// Push times of tags, where a test has set them.
    pushed: HashMap<String, SystemTime>,
}

impl Repository {
    /// Returns tags with their digests, in order of creation.
    pub(crate) fn tags(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.tags
            .iter()
            .map(|(tag, digest)| (tag.as_str(), digest.as_str()))
    }

    /// Returns the digest of a tag.
    pub(crate) fn tag(&self, tag: &str) -> Option<&str> {
        let (_, digest) = self.tags.get(*self.places.get(tag)?)?;
        Some(digest)
    }

    /// Returns a manifest by tag or digest.
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
        let known = self.places.get(tag).and_then(|&at| self.tags.get_mut(at));
        if let Some((_, old)) = known {
            digest.clone_into(old);
        } else {
            self.places.insert(tag.to_owned(), self.tags.len());
            self.tags.push((tag.to_owned(), digest.to_owned()));
        }
    }

    pub(crate) fn set_pushed(&mut self, tag: &str, time: SystemTime) {
        self.pushed.insert(tag.to_owned(), time);
    }

    /// Returns the push time of a tag.
    pub(crate) fn pushed(&self, tag: &str) -> SystemTime {
        let usual = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        self.pushed.get(tag).copied().unwrap_or(usual)
    }

    /// Returns the tags of a manifest, sorted, and the newest of their push times.
    pub(crate) fn tags_of(&self, digest: &str) -> (Vec<&str>, SystemTime) {
        let tags = self.tags().filter(|(_, root)| *root == digest);
        let mut tags: Vec<&str> = tags.map(|(tag, _)| tag).collect();
        tags.sort_unstable();
        let pushed = tags.iter().map(|tag| self.pushed(tag)).max();
        (tags, pushed.unwrap_or_else(|| self.pushed("")))
    }

    pub(crate) fn untag(&mut self, tag: &str) -> bool {
        let there = self.places.contains_key(tag);
        self.keep_tags(|(name, _)| name != tag);
        there
    }

    pub(crate) fn remove_manifest(&mut self, digest: &str) -> bool {
        self.keep_tags(|(_, d)| d != digest);
        self.manifests.remove(digest).is_some()
    }

    fn keep_tags(&mut self, keep: impl Fn(&(String, String)) -> bool) {
        self.tags.retain(keep);
        let places = self.tags.iter().enumerate();
        self.places = places.map(|(at, (tag, _))| (tag.clone(), at)).collect();
    }

    /// Returns the digests of all blobs that the manifests name.
    pub(crate) fn named_blobs(&self) -> BTreeSet<String> {
        self.manifests
            .values()
            .flat_map(|manifest| manifest.links().blobs)
            .map(|link| link.digest)
            .collect()
    }
}

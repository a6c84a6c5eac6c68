//! Content of a scenario's repositories.

use std::ops::Range;

use image_syncer_registry::manifest::media_type;
use image_syncer_registry::{Digest, Manifest, Tag};
use serde_json::{Value, json};

use crate::scenario::Scenario;
use crate::store::memory::{blob_json, entry, repository};

impl Scenario {
    /// Stores an image for linux/amd64 at the source, under `tags`.
    pub(crate) fn image(&self, name: &str, tags: &[&str], layers: &[&str]) -> Manifest {
        let image = self.stores.image(&self.source, name, "linux/amd64", layers);
        self.tag_all(tags, &image);
        image
    }
    /// Stores an image for linux/amd64 in the repository `place`, under `tags`.
    pub(crate) fn image_in(
        &self,
        place: &str,
        name: &str,
        tags: &[&str],
        layers: &[&str],
    ) -> Manifest {
        let place = repository(place);
        let image = self.stores.image(&place, name, "linux/amd64", layers);
        for tag in tags {
            self.stores.tag(&place, tag, &image);
        }
        image
    }
    /// Stores an image for linux/amd64 in the repository `src.example/PATH` for each tag. Its name, which is that of its
    /// layer as well, is `PATH-TAG`.
    pub(crate) fn image_for_each_tag(&self, path: &str, tags: &[&str]) {
        for tag in tags {
            let name = format!("{path}-{tag}");
            self.image_in(&format!("src.example/{path}"), &name, &[tag], &[&name]);
        }
    }
    /// Stores the images `t00`, `t01` and on for linux/amd64 at the source, each under its name and with a layer of its own.
    pub(crate) fn numbered_images(&self, count: usize) {
        for name in numbered("t", 0..count) {
            self.image(&name, &[&name], &[&name]);
        }
    }
    /// Stores an image at the source without a tag. Its layer has its name.
    pub(crate) fn child(&self, name: &str, platform: &str) -> Manifest {
        self.stores.image(&self.source, name, platform, &[name])
    }
    /// Stores an index at the source, under `tags`, with a child for each name and platform. Returns the index and its
    /// children.
    pub(crate) fn index<const N: usize>(
        &self,
        name: &str,
        tags: &[&str],
        children: [(&str, &str); N],
    ) -> (Manifest, [Manifest; N]) {
        let images = children.map(|(child, platform)| self.child(child, platform));
        let named = images.iter().zip(children);
        let entries: Vec<_> = named
            .map(|(image, (_, platform))| entry(image, Some(platform)))
            .collect();
        (self.index_of_entries(name, tags, &entries), images)
    }
    /// Stores an index of `entries` at the source, under `tags`.
    pub(crate) fn index_of_entries(
        &self,
        name: &str,
        tags: &[&str],
        entries: &[Value],
    ) -> Manifest {
        let index = self.stores.index(&self.source, name, entries);
        self.tag_all(tags, &index);
        index
    }
    /// Stores any document at the source, under `tags`.
    pub(crate) fn document(
        &self,
        name: &str,
        tags: &[&str],
        media_type: &str,
        document: &Value,
    ) -> Manifest {
        let source = &self.source;
        let manifest = self.stores.document(source, name, media_type, document);
        self.tag_all(tags, &manifest);
        manifest
    }
    /// Stores the index `index` with the children `amd64` and `arm64` at the source, under `tags`. Returns the index and
    /// its children.
    pub(crate) fn index_of_two_platforms(&self, tags: &[&str]) -> [Manifest; 3] {
        let children = [("amd64", "linux/amd64"), ("arm64", "linux/arm64")];
        let (index, [amd64, arm64]) = self.index("index", tags, children);
        [index, amd64, arm64]
    }
    /// Stores an artifact that refers to `subject` at the source. Its blob is `NAME.blob`.
    pub(crate) fn referrer(&self, name: &str, artifact_type: &str, subject: &Manifest) -> Manifest {
        let blob = format!("{name}.blob");
        let blob = self.stores.blob(&self.source, &blob, name.to_owned());
        let document = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "artifactType": artifact_type,
            "config": blob_json("application/vnd.oci.empty.v1+json", &blob),
            "layers": [],
            "subject": entry(subject, None),
        });
        self.document(name, &[], media_type::OCI_MANIFEST, &document)
    }
    fn tag_all(&self, tags: &[&str], manifest: &Manifest) {
        for tag in tags {
            self.tag(tag, manifest);
        }
    }
    /// Sets a tag at the source.
    pub(crate) fn tag(&self, tag: &str, manifest: &Manifest) {
        self.stores.tag(&self.source, tag, manifest);
    }
    /// Sets the tag of a companion of `subject` at the source. Returns the tag.
    pub(crate) fn tag_companion(
        &self,
        suffix: &str,
        subject: &Manifest,
        companion: &Manifest,
    ) -> String {
        let tag = companion_tag(subject.digest(), suffix);
        self.tag(&tag, companion);
        tag
    }
    /// Copies the source to the destination without a run.
    pub(crate) fn fill_destination(&self) {
        self.stores.copy_repository(&self.source, &self.destination);
    }
    /// Removes the blob `name` from the destination. Returns its digest.
    pub(crate) fn remove_copied_blob(&self, name: &str) -> Digest {
        let digest = digest_of(name);
        self.stores.remove_blob(&self.destination, &digest);
        digest
    }
}

/// Returns the digest of the blob whose bytes are `name`.
pub(crate) fn digest_of(name: &str) -> Digest {
    Digest::sha256(name.as_bytes())
}

/// Returns cosign's tag for `subject` (`.sig`), or with an empty suffix the fallback tag of its referrers.
pub(crate) fn companion_tag(subject: &Digest, suffix: &str) -> String {
    format!("{}{suffix}", Tag::of_referrers_to(subject))
}

/// Returns `prefix` with each number of two digits.
pub(crate) fn numbered(prefix: &str, numbers: Range<usize>) -> Vec<String> {
    numbers
        .map(|number| format!("{prefix}{number:02}"))
        .collect()
}

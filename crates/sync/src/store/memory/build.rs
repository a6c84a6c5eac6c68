//! Content for the stores: images, indexes, artifacts.

use bytes::Bytes;
use image_syncer_registry::manifest::media_type;
use image_syncer_registry::{Descriptor, Digest, Manifest, Tag};
use serde_json::{Value, json};

use crate::Repository;
use crate::store::memory::{MemoryStores, repository};

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

impl MemoryStores {
    /// Stores a blob under the name `name`.
    pub(crate) fn blob(
        &self,
        repository: &Repository,
        name: &str,
        bytes: impl Into<Bytes>,
    ) -> Descriptor {
        let bytes = bytes.into();
        let digest = Digest::sha256(&bytes);
        let size = Some(bytes.len() as u64);
        let mut state = self.state();
        state.names.insert(digest.clone(), name.to_owned());
        state
            .content(repository)
            .blobs
            .insert(digest.clone(), bytes);
        Descriptor {
            media_type: LAYER.to_owned(),
            digest,
            size,
            platform: None,
            annotations: std::collections::BTreeMap::new(),
            urls: Vec::new(),
            artifact_type: None,
        }
    }
    /// Stores a blob of this many bytes in `repositories`, where manifests name it, under the name `bN`.
    pub(crate) fn sized_blob(&self, bytes: usize, repositories: &[&str]) -> Descriptor {
        let content: Bytes = (0..bytes).map(|i| u8::try_from(i % 251).unwrap()).collect();
        let name = format!("b{bytes}");
        // Its content is known even if no repository has it.
        let blob = self.blob(&repository("nowhere.example/blob"), &name, content.clone());
        for repository_name in repositories {
            self.blob(&repository(repository_name), &name, content.clone());
            self.commit(repository_name);
        }
        blob
    }
    /// Stores an OCI image under the name `name`, its config as `name.config`, and its layers under their names: the
    /// bytes of a layer are its name, so that equal names are equal layers everywhere. The config states `platform`
    /// (`linux/arm/v7`).
    pub(crate) fn image(
        &self,
        repository: &Repository,
        name: &str,
        platform: &str,
        layers: &[&str],
    ) -> Manifest {
        let mut config = platform_json(platform);
        config["of"] = json!(name);
        let config = self.blob(repository, &format!("{name}.config"), config.to_string());
        let layers: Vec<Value> = layers
            .iter()
            .map(|layer| self.blob(repository, layer, layer.as_bytes().to_vec()))
            .map(|layer| blob_json(LAYER, &layer))
            .collect();
        let document = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": blob_json(CONFIG, &config),
            "layers": layers,
        });
        self.document(repository, name, media_type::OCI_MANIFEST, &document)
    }
    /// Stores an index of `entries` (see [`entry`]) under the name `name`.
    pub(crate) fn index(&self, repository: &Repository, name: &str, entries: &[Value]) -> Manifest {
        let document = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_INDEX,
            "manifests": entries,
            "annotations": { "name": name },
        });
        self.document(repository, name, media_type::OCI_INDEX, &document)
    }
    /// Stores any document under the name `name`.
    pub(crate) fn document(
        &self,
        repository: &Repository,
        name: &str,
        media_type: &str,
        document: &Value,
    ) -> Manifest {
        // Pretty printed, as some tools do: serialising it again changes its digest.
        let bytes = Bytes::from(serde_json::to_vec_pretty(document).unwrap());
        let digest = Digest::sha256(&bytes);
        let manifest = Manifest::new(bytes, Some(media_type), digest).unwrap();
        self.put(repository, name, &manifest);
        manifest
    }
    /// Stores a manifest that was built elsewhere under the name `name`, without the content that it names.
    pub(crate) fn put(&self, repository: &Repository, name: &str, manifest: &Manifest) {
        self.call(manifest.digest(), name);
        let mut state = self.state();
        let manifests = &mut state.content(repository).manifests;
        manifests.insert(manifest.digest().clone(), manifest.clone());
    }
    /// Uses `name` for `digest` in the log of calls.
    pub(crate) fn call(&self, digest: &Digest, name: &str) {
        self.state().names.insert(digest.clone(), name.to_owned());
    }
    /// Sets a tag.
    pub(crate) fn tag(&self, repository: &Repository, tag: &str, manifest: &Manifest) {
        let tag = Tag::parse(tag).unwrap();
        let mut state = self.state();
        let tags = &mut state.content(repository).tags;
        tags.insert(tag, manifest.digest().clone());
    }
    /// Lists `referrers` of `subject` explicitly, even if they name another subject.
    pub(crate) fn list(&self, repository: &Repository, subject: &Digest, referrers: &[&Manifest]) {
        let referrers = referrers
            .iter()
            .map(|one| one.referrer_descriptor().unwrap());
        let mut state = self.state();
        let listed = &mut state.content(repository).listed;
        listed.entry(subject.clone()).or_default().extend(referrers);
    }
    /// Copies the content of `from` to `to` without the program.
    pub(crate) fn copy_repository(&self, from: &Repository, to: &Repository) {
        let mut state = self.state();
        let source = state.content(from);
        let (tags, manifests, blobs) = (
            source.tags.clone(),
            source.manifests.clone(),
            source.blobs.clone(),
        );
        let copy = state.content(to);
        copy.tags.extend(tags);
        copy.manifests.extend(manifests);
        copy.blobs.extend(blobs);
    }
}

/// Returns the entry of `manifest` in an index.
pub(crate) fn entry(manifest: &Manifest, platform: Option<&str>) -> Value {
    let mut entry = json!({
        "mediaType": manifest.media_type(),
        "digest": manifest.digest().as_str(),
        "size": manifest.size(),
    });
    if let Some(platform) = platform {
        entry["platform"] = platform_json(platform);
    }
    entry
}

/// Returns the entry of a `BuildKit` attestation for `image`.
pub(crate) fn attestation(manifest: &Manifest, image: &Manifest) -> Value {
    let mut entry = entry(manifest, Some("unknown/unknown"));
    entry["annotations"] = json!({
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": image.digest().as_str(),
    });
    entry
}

/// Returns the descriptor of a blob in a manifest.
pub(crate) fn blob_json(media_type: &str, blob: &Descriptor) -> Value {
    json!({ "mediaType": media_type, "digest": blob.digest.as_str(), "size": blob.size })
}

fn platform_json(platform: &str) -> Value {
    let mut parts = platform.split('/');
    let mut json = json!({ "os": parts.next(), "architecture": parts.next() });
    if let Some(variant) = parts.next() {
        json["variant"] = json!(variant);
    }
    json
}

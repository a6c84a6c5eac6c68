//! Manifests as bytes, and the digests that they name.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{media, schema1};
use crate::digest;

/// A manifest or an index: the bytes with their media type and digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Media type for pushing and serving.
    pub media_type: String,
    /// The document.
    pub bytes: Bytes,
    /// Digest of the bytes.
    pub digest: String,
}

/// The descriptors in a manifest.
#[derive(Clone, Debug, Default)]
pub struct Links {
    /// Config and layers.
    pub blobs: Vec<Link>,
    /// Entries of an index.
    pub children: Vec<Link>,
    /// `subject` of the manifest; it need not exist.
    pub subject: Option<Link>,
}

/// One descriptor.
#[derive(Clone, Debug)]
pub struct Link {
    /// Digest.
    pub digest: String,
    /// Size in bytes; 0 if the document does not declare it.
    pub size: u64,
    /// Media type; empty if the document does not declare it.
    pub media_type: String,
    /// True if the layer is foreign, so that a registry may lack it.
    pub foreign: bool,
    /// True if it has `urls`.
    pub has_urls: bool,
}

impl Manifest {
    /// Returns a manifest of these bytes, with its sha256 digest.
    pub fn new(media_type: &str, bytes: impl Into<Bytes>) -> Self {
        let mut manifest = Self {
            media_type: media_type.to_owned(),
            digest: String::new(),
            bytes: bytes.into(),
        };
        manifest.digest = digest::sha256(&manifest.digested());
        manifest
    }

    /// Returns the bytes that are hashed for the digest: all of them, except for a signed schema 1 manifest, where it
    /// is the signed payload.
    pub fn digested(&self) -> Bytes {
        let payload = (self.media_type == media::DOCKER_SCHEMA1_SIGNED)
            .then(|| schema1::payload(&self.bytes))
            .flatten();
        payload.map_or_else(|| self.bytes.clone(), Bytes::from)
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The document, or null if it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }

    /// Returns a descriptor of this manifest.
    pub fn descriptor(&self) -> Value {
        json!({"mediaType": self.media_type, "digest": self.digest, "size": self.size()})
    }

    /// Returns a descriptor of this manifest as in a list of referrers: with its artifact type (its own, or else that
    /// of its config) and its annotations.
    pub fn referrer_descriptor(&self) -> Value {
        let document = self.json();
        let mut descriptor = self.descriptor();
        let artifact_type = document
            .get("artifactType")
            .or_else(|| document.pointer("/config/mediaType"));
        let annotations = document.get("annotations");
        if let Some(map) = descriptor.as_object_mut() {
            for (field, value) in [
                ("artifactType", artifact_type),
                ("annotations", annotations),
            ] {
                if let Some(value) = value {
                    map.insert(field.to_owned(), value.clone());
                }
            }
        }
        descriptor
    }

    /// Returns the descriptors in the document.
    pub fn links(&self) -> Links {
        links(&self.json())
    }
}

fn links(document: &Value) -> Links {
    let many = |name: &str| {
        let list = document.get(name).and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(link)
            .collect::<Vec<_>>()
    };
    let one = |name: &str| document.get(name).and_then(link);
    let mut blobs: Vec<Link> = one("config").into_iter().collect();
    blobs.extend(many("layers"));
    blobs.extend(many("blobs"));
    blobs.extend(schema1_layers(document));
    Links {
        blobs,
        children: many("manifests"),
        subject: one("subject"),
    }
}

fn schema1_layers(document: &Value) -> Vec<Link> {
    let layers = document.get("fsLayers").and_then(Value::as_array);
    layers
        .into_iter()
        .flatten()
        .filter_map(|layer| layer.get("blobSum")?.as_str())
        .map(|digest| Link {
            digest: digest.to_owned(),
            size: 0,
            media_type: String::new(),
            foreign: false,
            has_urls: false,
        })
        .collect()
}

fn link(descriptor: &Value) -> Option<Link> {
    let text = |name: &str| descriptor.get(name).and_then(Value::as_str);
    let media_type = text("mediaType").unwrap_or_default().to_owned();
    Some(Link {
        digest: text("digest")?.to_owned(),
        size: descriptor.get("size").and_then(Value::as_u64).unwrap_or(0),
        foreign: media_type == media::DOCKER_LAYER_FOREIGN
            || media_type.contains(".nondistributable."),
        has_urls: descriptor
            .get("urls")
            .and_then(Value::as_array)
            .is_some_and(|urls| !urls.is_empty()),
        media_type,
    })
}

//! Builders for images of every shape.
//!
//! An [`Image`] is a set of blobs and manifests with a root. It can be pushed to any registry: to one of this crate
//! ([`Registry::push`](crate::Registry::push)), or over HTTP to a real one
//! ([`raw::push_over_http`](crate::raw::push_over_http)). The same call builds the same bytes, so digests are stable
//! from run to run.
//!
//! ```
//! use testkit::image::{Image, Layer, Platform};
//! let shared = Layer::tar("base", 10_000);
//! let amd64 = Image::oci().layer(shared.clone()).build();
//! let arm64 = Image::oci().platform(Platform::linux("arm64")).layer(shared).build();
//! let index = Image::index([amd64, arm64]);
//! assert_eq!(index.manifests().len(), 2);
//! assert_eq!(index.blobs().len(), 3); // two configs and the shared layer
//! ```

mod builder;
mod corpus;
mod document;
mod index;
mod layer;
mod manifest;
pub mod media;
mod platform;
mod schema1;
mod special;

use crate::blob::Blob;

pub use builder::{ArtifactBuilder, ImageBuilder};
pub use corpus::{Shape, corpus};
pub use index::IndexBuilder;
pub use layer::Layer;
pub use manifest::{Link, Links, Manifest};
pub use platform::Platform;

/// The family of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OCI image manifests and indexes.
    Oci,
    /// Docker schema 2 manifests and manifest lists.
    Docker,
}

/// Blobs and manifests of one image, with the root for a tag.
#[derive(Clone, Debug)]
pub struct Image {
    blobs: Vec<Blob>,
    manifests: Vec<Manifest>,
    root: Manifest,
    platform: Option<Platform>,
    entry: serde_json::Map<String, serde_json::Value>,
}

impl Image {
    /// Returns an OCI image for linux/amd64 with these layers.
    pub fn single(layers: impl IntoIterator<Item = Layer>) -> Self {
        Self::oci().layers(layers).build()
    }

    /// Starts an OCI image, for linux/amd64 until another platform is set.
    pub fn oci() -> ImageBuilder {
        ImageBuilder::new(Format::Oci)
    }

    /// Starts a Docker schema 2 image, for linux/amd64 until another platform is set.
    pub fn docker() -> ImageBuilder {
        ImageBuilder::new(Format::Docker)
    }

    /// Returns an OCI index of these images, with their platforms.
    pub fn index(children: impl IntoIterator<Item = Self>) -> Self {
        IndexBuilder::new(Format::Oci).children(children).build()
    }

    /// Returns a Docker manifest list of these images.
    pub fn list(children: impl IntoIterator<Item = Self>) -> Self {
        IndexBuilder::new(Format::Docker).children(children).build()
    }

    /// Returns an image of exactly these parts. `manifests` contains the children, leaves first, without the root.
    pub fn of_parts(blobs: Vec<Blob>, manifests: Vec<Manifest>, root: Manifest) -> Self {
        Self {
            blobs,
            manifests,
            root,
            platform: None,
            entry: serde_json::Map::new(),
        }
    }

    /// Digest of the root.
    pub fn digest(&self) -> &str {
        &self.root.digest
    }

    /// The root manifest.
    pub fn root(&self) -> &Manifest {
        &self.root
    }

    /// The manifests below the root, leaves first, each once.
    pub fn manifests(&self) -> &[Manifest] {
        &self.manifests
    }

    /// Configs and layers, each once.
    pub fn blobs(&self) -> &[Blob] {
        &self.blobs
    }

    /// Sum of the sizes of all blobs.
    pub fn blob_bytes(&self) -> u64 {
        self.blobs.iter().map(Blob::size).sum()
    }

    /// Platform of this image in an index.
    pub fn platform(&self) -> Option<&Platform> {
        self.platform.as_ref()
    }

    /// Adds a field to the descriptor of this image in an index, such as `annotations`.
    pub fn descriptor_field(mut self, name: &str, value: serde_json::Value) -> Self {
        self.entry.insert(name.to_owned(), value);
        self
    }

    /// Removes the platform from the descriptor of this image in an index.
    pub fn without_platform(mut self) -> Self {
        self.platform = None;
        self
    }
}

/// Appends the missing items.
fn add_blob(blobs: &mut Vec<Blob>, blob: Blob) {
    if !blobs.iter().any(|b| b.digest() == blob.digest()) {
        blobs.push(blob);
    }
}

fn add_manifest(manifests: &mut Vec<Manifest>, manifest: Manifest) {
    if !manifests.iter().any(|m| m.digest == manifest.digest) {
        manifests.push(manifest);
    }
}

//! What a manifest says.

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::manifest::Manifest;

/// A document, read.
#[derive(Clone, Debug)]
pub enum View {
    /// An OCI index or a Docker manifest list.
    Index(IndexView),
    /// An OCI or Docker schema 2 manifest, or the withdrawn OCI artifact manifest.
    Image(ImageView),
    /// A Docker schema 1 manifest.
    Schema1(Schema1View),
}

/// An index.
#[derive(Clone, Debug)]
pub struct IndexView {
    /// Its entries in order, whatever their media types.
    pub manifests: Vec<Descriptor>,
    /// What it refers to, if anything.
    pub subject: Option<Descriptor>,
}

/// A manifest of one image or artifact.
#[derive(Clone, Debug)]
pub struct ImageView {
    /// The config; artifact manifests have none.
    pub config: Option<Descriptor>,
    /// The layers (`blobs` of the withdrawn artifact manifest), in order, repeated ones included.
    pub layers: Vec<Descriptor>,
    /// What it refers to, if anything.
    pub subject: Option<Descriptor>,
    /// The artifact type, where one is said.
    pub artifact_type: Option<String>,
}

/// A schema 1 manifest.
#[derive(Clone, Debug)]
pub struct Schema1View {
    /// The layers' digests without repeats; schema 1 names no sizes.
    pub layers: Vec<Digest>,
    /// The architecture that it states.
    pub architecture: Option<String>,
}

/// A descriptor (image-spec, descriptor.md).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The media type of what it names.
    pub media_type: String,
    /// The digest of what it names.
    pub digest: Digest,
    /// Its length in bytes; `None` only for layers of schema 1, which does not say.
    pub size: Option<u64>,
    /// The platform, in an index.
    pub platform: Option<Platform>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Where else the content may be had (foreign layers).
    pub urls: Vec<String>,
    /// The artifact type, where one is said.
    pub artifact_type: Option<String>,
}

/// A platform as descriptors and configs state it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Platform {
    /// `linux`, `windows`, …; empty where not said.
    pub os: String,
    /// `amd64`, `arm64`, …; empty where not said.
    pub architecture: String,
    /// `v7`, `v8`, …
    pub variant: Option<String>,
    /// The version of the operating system (Windows).
    pub os_version: Option<String>,
}

/// Why a document cannot be read. Reads as a clause: "the index has an entry without a digest".
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct ManifestError(pub(crate) String);

impl Descriptor {
    /// Whether the content is one that registries need not hold and clients should not push: Docker's foreign and
    /// OCI's non-distributable layers.
    pub fn is_foreign(&self) -> bool {
        todo!()
    }
    /// Whether it names an index or a manifest list.
    pub fn is_index(&self) -> bool {
        todo!()
    }
    /// For a BuildKit attestation child: the digest of the image that it attests.
    pub fn attests(&self) -> Option<Digest> {
        todo!()
    }
}

impl Platform {
    /// Reads the platform that an image's config blob states (`os`, `architecture`, `variant`, `os.version`).
    pub fn from_config(_config: &[u8]) -> Result<Self, ManifestError> {
        todo!()
    }
}

pub(super) fn media_type_of(
    _bytes: &[u8],
    _content_type: Option<&str>,
) -> Result<String, ManifestError> {
    todo!()
}
pub(super) fn read(_bytes: &[u8], _media_type: &str) -> Result<View, ManifestError> {
    todo!()
}
pub(super) fn retain(
    _manifest: &Manifest,
    _keep: impl FnMut(usize, &Descriptor) -> bool,
) -> Result<Manifest, ManifestError> {
    todo!()
}
pub(super) fn replace(
    _manifest: &Manifest,
    _replacements: &[(usize, Manifest)],
) -> Result<Manifest, ManifestError> {
    todo!()
}

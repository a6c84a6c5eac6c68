//! Parsed views of manifests.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::descriptor::{Descriptor, RawDescriptor, check_all, check_one};
use super::lenient::{self, BoundedList, LenientObject, LenientText};
use super::media_type;
use super::shape::{Shape, media_type_of};
use crate::digest::Digest;

/// A document, read.
#[allow(
    clippy::large_enum_variant,
    reason = "a view is read where it is used, one at a time; boxes would only be in the way"
)]
#[derive(Clone, Debug)]
pub enum ManifestView {
    /// An OCI index or a Docker manifest list.
    Index(IndexView),
    /// An OCI or Docker schema 2 manifest, or the withdrawn OCI artifact manifest.
    Image(ImageView),
    /// A Docker schema 1 manifest.
    Schema1(Schema1View),
}

impl ManifestView {
    /// Returns the `subject` of the document, if any. Schema 1 has none.
    pub fn subject(&self) -> Option<&Descriptor> {
        match self {
            Self::Index(index) => index.subject.as_ref(),
            Self::Image(image) => image.subject.as_ref(),
            Self::Schema1(_) => None,
        }
    }
}

/// An index.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct IndexView {
    /// Its entries in order, of every media type.
    pub manifests: Vec<Descriptor>,
    /// Subject, if any.
    pub subject: Option<Descriptor>,
}

/// A manifest of one image or artifact.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct ImageView {
    /// The config; artifact manifests have none.
    pub config: Option<Descriptor>,
    /// The layers (`blobs` of the withdrawn artifact manifest), in order, repeated ones included.
    pub layers: Vec<Descriptor>,
    /// Subject, if any.
    pub subject: Option<Descriptor>,
    /// The artifact type, where one is said.
    pub artifact_type: Option<String>,
}

/// A schema 1 manifest. The digest of a signed one is not that of its bytes: see
/// [`digested_bytes`](super::digested_bytes).
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Schema1View {
    /// The layers' digests without repeats; schema 1 names no sizes.
    pub layers: Vec<Digest>,
    /// The architecture that it states.
    pub architecture: Option<String>,
}

/// Error of a document that cannot be read. Reads as a clause: "the index has an entry without a digest".
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct ManifestError(pub(crate) String);

#[derive(Deserialize)]
struct IndexDocument {
    #[serde(default)]
    manifests: BoundedList<LenientObject<RawDescriptor>>,
    subject: Option<LenientObject<RawDescriptor>>,
}

#[derive(Deserialize)]
struct ImageDocument {
    config: Option<LenientObject<RawDescriptor>>,
    #[serde(default)]
    layers: BoundedList<LenientObject<RawDescriptor>>,
    subject: Option<LenientObject<RawDescriptor>>,
    #[serde(rename = "artifactType", default)]
    artifact_type: LenientText,
}

/// The withdrawn artifact manifest.
#[derive(Deserialize)]
struct ArtifactDocument {
    #[serde(default)]
    blobs: BoundedList<LenientObject<RawDescriptor>>,
    subject: Option<LenientObject<RawDescriptor>>,
    #[serde(rename = "artifactType", default)]
    artifact_type: LenientText,
}

#[derive(Deserialize)]
struct Schema1Document {
    #[serde(rename = "fsLayers", default)]
    layers: BoundedList<LenientObject<FsLayer>>,
    #[serde(default)]
    architecture: LenientText,
}

#[derive(Deserialize)]
struct FsLayer {
    #[serde(rename = "blobSum")]
    digest: Option<String>,
}

/// The entries of a list of referrers.
#[derive(Debug, Default)]
pub(crate) struct ReferrerList {
    /// The readable ones, in order.
    pub(crate) descriptors: Vec<Descriptor>,
    /// Reason why the others cannot be.
    pub(crate) unreadable: Vec<ManifestError>,
}

#[derive(Deserialize)]
struct ListDocument<'a> {
    #[serde(default, borrow)]
    manifests: BoundedList<&'a RawValue>,
}

impl ReferrerList {
    /// Reads the entries of an OCI index that came with `content_type`; `None` for any other document.
    pub(crate) fn from_index(
        bytes: &[u8],
        content_type: Option<&str>,
    ) -> Option<Result<Self, ManifestError>> {
        let media_type = media_type_of(bytes, content_type).ok()?;
        (media_type == media_type::OCI_INDEX).then(|| read_referrers(bytes))
    }
}

/// Reads a list of referrers. Unlike an index that is copied, it may have entries that cannot be read (`null`, without a
/// digest): they are not what the others are about.
pub(super) fn read_referrers(bytes: &[u8]) -> Result<ReferrerList, ManifestError> {
    let document: ListDocument = lenient::read(bytes, "index")?;
    let mut list = ReferrerList::default();
    for (at, entry) in document.manifests.0.into_iter().enumerate() {
        let place = format!("entry {} of `manifests`", at + 1);
        match lenient::read_entry(entry.get().as_bytes(), &place)
            .and_then(|raw: RawDescriptor| Descriptor::check(raw, &place))
        {
            Ok(descriptor) => list.descriptors.push(descriptor),
            Err(error) => list.unreadable.push(error),
        }
    }
    Ok(list)
}

/// Reads a document of a media type that [`media_type_of`](super::shape::media_type_of) found.
pub(super) fn read(bytes: &[u8], media_type: &str) -> Result<ManifestView, ManifestError> {
    match Shape::from_document(bytes, media_type)? {
        Shape::Index => {
            let document: IndexDocument = lenient::read(bytes, "index")?;
            Ok(ManifestView::Index(IndexView {
                manifests: check_all(document.manifests, "manifests")?,
                subject: check_one(document.subject, "subject")?,
            }))
        }
        Shape::Image => {
            let document: ImageDocument = lenient::read(bytes, "manifest")?;
            Ok(ManifestView::Image(ImageView {
                config: check_one(document.config, "config")?,
                layers: check_all(document.layers, "layers")?,
                subject: check_one(document.subject, "subject")?,
                artifact_type: document.artifact_type.filled(),
            }))
        }
        Shape::Artifact => {
            let document: ArtifactDocument = lenient::read(bytes, "artifact manifest")?;
            Ok(ManifestView::Image(ImageView {
                config: None,
                layers: check_all(document.blobs, "blobs")?,
                subject: check_one(document.subject, "subject")?,
                artifact_type: document.artifact_type.filled(),
            }))
        }
        Shape::Schema1 => read_schema1(bytes).map(ManifestView::Schema1),
    }
}

fn read_schema1(bytes: &[u8]) -> Result<Schema1View, ManifestError> {
    let document: Schema1Document = lenient::read(bytes, "schema 1 manifest")?;
    let mut seen = HashSet::new();
    let mut layers = Vec::new();
    for (at, LenientObject(layer)) in document.layers.0.into_iter().enumerate() {
        let refuse = |why: &str| ManifestError(format!("entry {} of `fsLayers` {why}", at + 1));
        let digest = layer.digest.ok_or_else(|| refuse("has no digest"))?;
        let digest = Digest::parse(&digest)
            .map_err(|error| refuse(&format!("has a digest that is none: {error}")))?;
        if seen.insert(digest.clone()) {
            layers.push(digest);
        }
    }
    Ok(Schema1View {
        layers,
        architecture: document.architecture.filled(),
    })
}

//! Kind of a document: by its own media type, else by that of the answer, else by its structure.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::lenient;
use super::{MAX_MANIFEST_BYTES, ManifestError, media_type};
use crate::quote::quoted;

/// The kinds of documents that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `manifests`.
    Index,
    /// `config` and `layers`.
    Image,
    /// `blobs`: the withdrawn artifact manifest.
    Artifact,
    /// `fsLayers`.
    Schema1,
}

/// Presence of fields; `null` counts as absent.
#[derive(Deserialize)]
struct Fields {
    #[serde(rename = "mediaType")]
    media_type: Option<String>,
    manifests: Option<IgnoredAny>,
    config: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
    blobs: Option<IgnoredAny>,
    #[serde(rename = "fsLayers")]
    fs_layers: Option<IgnoredAny>,
    signatures: Option<IgnoredAny>,
    // Of no matter here, but not to come twice either.
    #[serde(rename = "schemaVersion")]
    _schema_version: Option<IgnoredAny>,
    #[serde(rename = "artifactType")]
    _artifact_type: Option<IgnoredAny>,
    #[serde(rename = "subject")]
    _subject: Option<IgnoredAny>,
    #[serde(rename = "annotations")]
    _annotations: Option<IgnoredAny>,
}

impl Shape {
    /// The shape of the documents of a media type, where it is known.
    pub(super) fn from_media_type(media_type: &str) -> Option<Self> {
        match media_type {
            media_type::OCI_INDEX | media_type::DOCKER_LIST => Some(Self::Index),
            media_type::OCI_MANIFEST | media_type::DOCKER_MANIFEST => Some(Self::Image),
            media_type::OCI_ARTIFACT => Some(Self::Artifact),
            media_type::DOCKER_SCHEMA1 | media_type::DOCKER_SCHEMA1_SIGNED => Some(Self::Schema1),
            _ => None,
        }
    }
    /// The shape of a document, by its media type where that is known, else by its structure.
    pub(super) fn from_document(bytes: &[u8], media_type: &str) -> Result<Self, ManifestError> {
        match Self::from_media_type(media_type) {
            Some(shape) => Ok(shape),
            None => lenient::read::<Fields>(bytes, "document")?
                .structure()?
                .ok_or_else(|| unknown(media_type)),
        }
    }
    fn noun(self) -> &'static str {
        match self {
            Self::Index => "an index",
            Self::Image => "a manifest",
            Self::Artifact => "an artifact manifest",
            Self::Schema1 => "a schema 1 manifest",
        }
    }
}

impl Fields {
    /// The shape by structure, or `None` where no telling field is there.
    fn structure(&self) -> Result<Option<Shape>, ManifestError> {
        let telling = [
            ("manifests", self.manifests, Shape::Index),
            ("fsLayers", self.fs_layers, Shape::Schema1),
            ("layers", self.layers, Shape::Image),
            ("config", self.config, Shape::Image),
        ];
        let mut found: Option<(&str, Shape)> = None;
        for (field, value, shape) in telling {
            match (value, found) {
                (Some(_), Some((other, known))) if known != shape => {
                    return Err(ManifestError(format!(
                        "the document has both `{other}` and `{field}`, so it can be read as two different things"
                    )));
                }
                (Some(_), None) => found = Some((field, shape)),
                _ => {}
            }
        }
        // `blobs` alone tells: beside the others it is a field like any unknown one.
        Ok(found
            .map(|(_, shape)| shape)
            .or(self.blobs.map(|_| Shape::Artifact)))
    }
    /// The media type that a document of `shape` has when nothing says it.
    fn default_type(&self, shape: Shape) -> &'static str {
        match shape {
            Shape::Index => media_type::OCI_INDEX,
            Shape::Image => media_type::OCI_MANIFEST,
            Shape::Artifact => media_type::OCI_ARTIFACT,
            Shape::Schema1 if self.signatures.is_some() => media_type::DOCKER_SCHEMA1_SIGNED,
            Shape::Schema1 => media_type::DOCKER_SCHEMA1,
        }
    }
}

/// The media type of a document: its own `mediaType`, else the content type without parameters where that fits the
/// structure and says more than "JSON", else the one of its structure.
pub(super) fn media_type_of(
    bytes: &[u8],
    content_type: Option<&str>,
) -> Result<String, ManifestError> {
    if bytes.len() as u64 > MAX_MANIFEST_BYTES {
        return Err(ManifestError(format!(
            "the document has {} bytes, more than the {MAX_MANIFEST_BYTES} that are read",
            bytes.len()
        )));
    }
    let came_as = content_type
        .and_then(|value| value.split(';').next())
        .map(|value| value.trim().to_ascii_lowercase())
        .unwrap_or_default();
    let fields = fields_of(bytes, &came_as)?;
    let structure = fields.structure()?;
    if let Some(declared) = fields.media_type.as_deref().filter(|text| !text.is_empty()) {
        return check_declared(declared, structure).map(|()| declared.to_owned());
    }
    let by_content_type = Shape::from_media_type(&came_as);
    match structure {
        // What came with it says nothing, or the wrong thing: the document itself is what everyone will read.
        Some(shape) if is_generic(&came_as) || by_content_type.is_some_and(|s| s != shape) => {
            Ok(fields.default_type(shape).to_owned())
        }
        None if by_content_type.is_none() => Err(unknown(&came_as)),
        _ => Ok(came_as),
    }
}

fn fields_of(bytes: &[u8], came_as: &str) -> Result<Fields, ManifestError> {
    let came = || match came_as {
        "" => "something without a content type".to_owned(),
        other => quoted(other),
    };
    if bytes.trim_ascii().is_empty() {
        return Err(ManifestError(format!(
            "what came is empty, sent as {}",
            came()
        )));
    }
    if came_as == "text/html" {
        return Err(ManifestError(
            "what came is a web page (`text/html`), not a manifest".to_owned(),
        ));
    }
    let is_object = bytes.trim_ascii_start().starts_with(b"{");
    lenient::read::<Fields>(bytes, "document").map_err(|error| {
        if is_object {
            error
        } else {
            ManifestError(format!("what came is not a JSON document but {}", came()))
        }
    })
}

fn check_declared(declared: &str, structure: Option<Shape>) -> Result<(), ManifestError> {
    if !is_media_type(declared) {
        return Err(ManifestError(format!(
            "the document's `mediaType` {} is not a media type",
            quoted(declared)
        )));
    }
    match (Shape::from_media_type(declared), structure) {
        (Some(known), Some(shape)) if known != shape => Err(ManifestError(format!(
            "the document calls itself {}, but has the fields of {}",
            quoted(declared),
            shape.noun()
        ))),
        (None, None) => Err(unknown(declared)),
        _ => Ok(()),
    }
}

fn unknown(media_type: &str) -> ManifestError {
    let sent = match media_type {
        "" => "without a type".to_owned(),
        other => format!("of the type {}", quoted(other)),
    };
    ManifestError(format!(
        "the document, {sent}, is neither a manifest nor an index"
    ))
}

/// `type/subtype` of RFC 6838, section 4.2: what can stand in a `Content-Type` header.
fn is_media_type(text: &str) -> bool {
    let is_name = |name: &str| {
        name.len() <= 127
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    text.split_once('/')
        .is_some_and(|(kind, subtype)| is_name(kind) && is_name(subtype))
}

/// Types that servers give to content that they do not know.
fn is_generic(content_type: &str) -> bool {
    const GENERIC: [&str; 5] = [
        "",
        "application/json",
        "application/octet-stream",
        "binary/octet-stream",
        "text/plain",
    ];
    GENERIC.contains(&content_type) || !is_media_type(content_type)
}

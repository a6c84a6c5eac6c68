//! Descriptors: what names content (image-spec, descriptor.md).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::lenient::{BoundedList, LenientObject, LenientText, TextMap};
use super::platform::{Platform, RawPlatform};
use super::{ManifestError, media_type};
use crate::digest::Digest;

/// A descriptor (image-spec, descriptor.md).
///
/// It serialises as the JSON object of the specification, without the fields that are empty. Fields of a document that
/// have no place here (`data`) are not part of it: a document that is copied is copied as its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type of what it names; empty where not said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    /// The digest of what it names.
    pub digest: Digest,
    /// Its length in bytes; `None` only for layers of schema 1, which does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The artifact type, where one is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The platform, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Other addresses of the content (foreign layers).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
}

/// A descriptor as it stands in a document, before digest and size are checked.
#[derive(Deserialize)]
pub(super) struct RawDescriptor {
    #[serde(rename = "mediaType", default)]
    media_type: LenientText,
    digest: Option<String>,
    size: Option<serde_json::Number>,
    platform: Option<LenientObject<RawPlatform>>,
    #[serde(default)]
    annotations: TextMap,
    #[serde(default)]
    urls: BoundedList<LenientText>,
    #[serde(rename = "artifactType", default)]
    artifact_type: LenientText,
}

impl Descriptor {
    /// Returns the size, unless it is 0 and the digest that of something: some builders state 0 for every layer.
    pub fn known_size(&self) -> Option<u64> {
        let is_empty = || {
            let algorithm = self.digest.algorithm();
            algorithm.is_none_or(|algorithm| Digest::compute(algorithm, b"") == self.digest)
        };
        self.size.filter(|size| *size > 0 || is_empty())
    }
    /// Returns whether the content need not be stored by registries and should not be pushed: Docker's foreign and
    /// OCI's non-distributable layers. Only the media type decides, not `urls`.
    pub fn is_foreign(&self) -> bool {
        media_type::FOREIGN.iter().any(|foreign| {
            self.media_type
                .strip_prefix(foreign)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', '.']))
        })
    }
    /// Returns whether it describes an index or a manifest list.
    pub fn is_index(&self) -> bool {
        matches!(
            self.media_type.as_str(),
            media_type::OCI_INDEX | media_type::DOCKER_LIST
        )
    }
    /// For a `BuildKit` attestation child: the digest of the image that it attests.
    pub fn attested_digest(&self) -> Option<Digest> {
        let kind = self.annotations.get("vnd.docker.reference.type")?;
        if kind != "attestation-manifest" {
            return None;
        }
        let digest = self.annotations.get("vnd.docker.reference.digest")?;
        Digest::parse(digest).ok()
    }
    /// Returns whether it is a `BuildKit` attestation of any image: by its annotation, or by the platform
    /// `unknown/unknown` beside the digest of an image.
    pub fn is_attestation(&self) -> bool {
        let annotation = |name: &str| self.annotations.get(name).map(String::as_str);
        let is_unknown = self
            .platform
            .as_ref()
            .is_some_and(|platform| platform.os == "unknown" && platform.architecture == "unknown");
        annotation("vnd.docker.reference.type") == Some("attestation-manifest")
            || (is_unknown && annotation("vnd.docker.reference.digest").is_some())
    }
    /// Checks what was read; `place` names it in errors, as in: entry 3 of the list.
    pub(super) fn check(raw: RawDescriptor, place: &str) -> Result<Self, ManifestError> {
        let refuse = |why: &str| ManifestError(format!("{place} {why}"));
        let digest = raw.digest.ok_or_else(|| refuse("has no digest"))?;
        let digest = Digest::parse(&digest)
            .map_err(|error| refuse(&format!("has a digest that is none: {error}")))?;
        let size = raw.size.ok_or_else(|| refuse("has no size"))?;
        // Registries keep sizes in signed 64-bit integers.
        let size = size
            .as_i64()
            .and_then(|size| u64::try_from(size).ok())
            .ok_or_else(|| refuse(&format!("has a size that is none: {size}")))?;
        Ok(Self {
            media_type: raw.media_type.0.unwrap_or_default(),
            digest,
            size: Some(size),
            platform: raw.platform.map(|platform| platform.0.into()),
            annotations: raw.annotations.0,
            urls: raw
                .urls
                .0
                .into_iter()
                .filter_map(LenientText::filled)
                .collect(),
            artifact_type: raw.artifact_type.filled(),
        })
    }
}

/// Checks a list of descriptors.
pub(super) fn check_all(
    raw: BoundedList<LenientObject<RawDescriptor>>,
    field: &str,
) -> Result<Vec<Descriptor>, ManifestError> {
    raw.0
        .into_iter()
        .enumerate()
        .map(|(at, raw)| Descriptor::check(raw.0, &format!("entry {} of `{field}`", at + 1)))
        .collect()
}

/// Checks one that may be absent.
pub(super) fn check_one(
    raw: Option<LenientObject<RawDescriptor>>,
    field: &str,
) -> Result<Option<Descriptor>, ManifestError> {
    raw.map(|raw| Descriptor::check(raw.0, &format!("`{field}`")))
        .transpose()
}

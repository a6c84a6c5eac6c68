//! A manifest as a list of referrers names it (image-spec, descriptor.md; distribution-spec, "Listing referrers").

use serde::Deserialize;

use super::lenient::{self, LenientObject, LenientText, TextMap};
use super::{Descriptor, Manifest, ManifestError};

/// Fields of a document that a list of referrers repeats.
#[derive(Deserialize)]
struct Referrer {
    #[serde(rename = "artifactType", default)]
    artifact_type: LenientText,
    config: Option<LenientObject<Config>>,
    #[serde(default)]
    annotations: TextMap,
}

#[derive(Deserialize)]
struct Config {
    #[serde(rename = "mediaType", default)]
    media_type: LenientText,
}

/// The descriptor of `manifest` with its artifact type and its annotations.
pub(super) fn describe(manifest: &Manifest) -> Result<Descriptor, ManifestError> {
    let referrer: Referrer = lenient::read(&manifest.bytes, "document")?;
    // Only a manifest has a config: an index with one was refused when it was read.
    let by_config = || referrer.config?.0.media_type.filled();
    Ok(Descriptor {
        media_type: manifest.media_type.to_string(),
        digest: manifest.digest.clone(),
        size: Some(manifest.size()),
        platform: None,
        annotations: referrer.annotations.0,
        urls: Vec::new(),
        artifact_type: referrer.artifact_type.filled().or_else(by_config),
    })
}

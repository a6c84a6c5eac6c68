//! Answers to manifest requests that do not accept the stored type.

use serde_json::{Value, json};

use crate::image::{Manifest, media};
use crate::profile::AcceptRule;
use crate::server::call::Call;
use crate::state::Repository;

/// The form of the answer.
pub(super) enum NegotiatedManifest {
    AsStored,
    Converted(Manifest),
    Unacceptable(&'static str),
}

/// Compares the accepted types with the stored one. As in distribution, q-values are ignored, and a wildcard accepts
/// nothing newer than schema 1.
pub(super) fn negotiate(
    call: &Call,
    repository: &Repository,
    manifest: &Manifest,
    by_tag: bool,
) -> NegotiatedManifest {
    if call.profile.accept == AcceptRule::Ignored || accepts(call, &manifest.media_type) {
        return NegotiatedManifest::AsStored;
    }
    match manifest.media_type.as_str() {
        media::OCI_MANIFEST => NegotiatedManifest::Unacceptable(
            "OCI manifest found, but accept header does not support OCI manifests",
        ),
        media::OCI_INDEX => NegotiatedManifest::Unacceptable(
            "OCI index found, but accept header does not support OCI indexes",
        ),
        media::DOCKER_LIST if by_tag => amd64(call, repository, manifest),
        media::DOCKER_MANIFEST if by_tag => as_schema1(call, manifest),
        _ => NegotiatedManifest::AsStored,
    }
}

fn accepts(call: &Call, media_type: &str) -> bool {
    call.request()
        .headers
        .get_all("accept")
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .any(|item| item.split(';').next().unwrap_or_default().trim() == media_type)
}

/// Returns the linux/amd64 child of a list.
fn amd64(call: &Call, repository: &Repository, list: &Manifest) -> NegotiatedManifest {
    let document = list.json();
    let entries = document.get("manifests").and_then(Value::as_array);
    let is_amd64 = |entry: &&Value| {
        entry.pointer("/platform/architecture") == Some(&json!("amd64"))
            && entry.pointer("/platform/os") == Some(&json!("linux"))
    };
    let child = entries
        .into_iter()
        .flatten()
        .find(is_amd64)
        .and_then(|entry| entry.get("digest")?.as_str())
        .and_then(|digest| repository.manifests.get(digest));
    match child {
        None => NegotiatedManifest::Unacceptable("manifest unknown"),
        Some(child) if accepts(call, &child.media_type) => {
            NegotiatedManifest::Converted(child.clone())
        }
        Some(child) => as_schema1(call, child),
    }
}

/// Converts a schema 2 manifest as distribution 2.x does for a client that does not know it. The real one signs it
/// again, so that its bytes differ every time; here only the digest differs from the stored one.
fn as_schema1(call: &Call, manifest: &Manifest) -> NegotiatedManifest {
    if call.profile.accept == AcceptRule::Distribution3 {
        return NegotiatedManifest::AsStored;
    }
    let layers: Vec<Value> = manifest
        .links()
        .blobs
        .iter()
        .skip(1)
        .rev()
        .map(|layer| json!({"blobSum": layer.digest}))
        .collect();
    let document = json!({
        "schemaVersion": 1, "name": call.repository(), "tag": call.reference(),
        "architecture": "amd64", "fsLayers": layers, "history": [],
    });
    NegotiatedManifest::Converted(Manifest::new(
        media::DOCKER_SCHEMA1_SIGNED,
        document.to_string(),
    ))
}

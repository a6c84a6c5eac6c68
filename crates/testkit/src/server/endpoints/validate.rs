//! What is checked of a manifest before it is stored.

use serde_json::{Value, json};

use crate::image::{Links, Manifest, media};
use crate::server::pipeline::Call;
use crate::server::reply::Reply;
use crate::state::Inner;

/// The document itself.
pub(super) fn document(call: &Call, manifest: &Manifest) -> Result<(), Reply> {
    let document = manifest.json();
    let says = document.get("mediaType").and_then(Value::as_str);
    if let Some(says) = says
        && says != manifest.media_type
    {
        call.connection.shared.problem(format!(
            "{}: Content-Type {} for a document whose mediaType is {says}",
            call.request().line(),
            manifest.media_type,
        ));
        if call.profile.checks_content_type {
            let message = "if present, mediaType in manifest should be the Content-Type";
            return Err(invalid(message));
        }
    }
    if !document.is_object() {
        return Err(invalid("the document is no JSON object"));
    }
    if document.get("manifests").is_some() && document.get("layers").is_some() {
        return Err(invalid("both manifests and layers"));
    }
    let schema1 = matches!(
        manifest.media_type.as_str(),
        media::DOCKER_SCHEMA1 | media::DOCKER_SCHEMA1_SIGNED
    );
    if schema1 && !call.profile.schema1 {
        return Err(invalid("schema version 1 is not supported"));
    }
    if document.get("schemaVersion").and_then(Value::as_u64) != Some(if schema1 { 1 } else { 2 }) {
        return Err(invalid("unrecognized schema version"));
    }
    if !is_manifest_type(&manifest.media_type) && call.profile.validates_manifests {
        return Err(invalid("unknown media type"));
    }
    Ok(())
}

fn is_manifest_type(media_type: &str) -> bool {
    matches!(
        media_type,
        media::OCI_INDEX
            | media::OCI_MANIFEST
            | media::DOCKER_LIST
            | media::DOCKER_MANIFEST
            | media::DOCKER_SCHEMA1
            | media::DOCKER_SCHEMA1_SIGNED
    )
}

/// What it points to.
pub(super) fn links(call: &Call, manifest: &Manifest) -> Result<(), Reply> {
    let links = manifest.links();
    let foreign_urls = links.blobs.iter().any(|link| link.has_urls);
    if foreign_urls && !call.profile.foreign_urls {
        return Err(invalid("invalid URL on layer"));
    }
    let missing = {
        let state = call.connection.shared.state.lock();
        missing(&state, call.repository(), &links)
    };
    if missing.is_empty() {
        return Ok(());
    }
    if call.profile.validates_manifests {
        let errors: Vec<Value> = missing
            .iter()
            .map(|digest| {
                json!({
                    "code": "MANIFEST_BLOB_UNKNOWN",
                    "message": "blob unknown to registry",
                    "detail": digest,
                })
            })
            .collect();
        return Err(Reply::errors(400, &errors));
    }
    if !call.reference().contains(':') {
        call.connection.shared.problem(format!(
            "{}: a tag for a manifest of which {} is missing",
            call.request().line(),
            missing.join(", "),
        ));
    }
    Ok(())
}

/// The digests that a manifest points to and that the repository does not have; foreign layers may be missing.
fn missing(state: &Inner, repository: &str, links: &Links) -> Vec<String> {
    let stored = state.repositories.get(repository);
    let has_blob = |digest: &str| stored.is_some_and(|r| r.blobs.contains(digest));
    let has_manifest = |digest: &str| stored.is_some_and(|r| r.manifests.contains_key(digest));
    let blobs = links
        .blobs
        .iter()
        .filter(|link| !link.foreign && !has_blob(&link.digest));
    // An index may name plain blobs (BuildKit's caches).
    let children = links
        .children
        .iter()
        .filter(|link| !has_manifest(&link.digest) && !has_blob(&link.digest));
    let mut missing: Vec<String> = Vec::new();
    for link in blobs.chain(children) {
        if !missing.contains(&link.digest) {
            missing.push(link.digest.clone());
        }
    }
    missing
}

fn invalid(detail: &str) -> Reply {
    Reply::detailed(400, "MANIFEST_INVALID", "manifest invalid", json!(detail))
}

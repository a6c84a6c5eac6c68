//! Checks of a manifest before it is stored.

use serde_json::{Value, json};

use crate::image::{Links, Manifest, media};
use crate::reply::Reply;
use crate::server::call::Call;
use crate::state::Inner;

/// Checks the document itself.
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
    let attests = |link: &crate::image::Link| link.media_type == media::IN_TOTO;
    if call.profile.refuses_attestations && manifest.links().blobs.iter().any(attests) {
        return Err(invalid("Invalid image, fail to parse 'manifest.json'"));
    }
    let config = document.pointer("/config/mediaType");
    if let Some((status, types)) = call.profile.refuses_configs
        && let Some(config) = config.and_then(Value::as_str)
        && types.contains(&config)
    {
        let message = format!("unknown manifest class for {config}");
        return Err(Reply::error(status, "DENIED", &message));
    }
    if call.profile.refuses_oci && manifest.media_type.contains(".oci.") {
        return Err(invalid("unsupported media type"));
    }
    let schema1 = matches!(
        manifest.media_type.as_str(),
        media::DOCKER_SCHEMA1 | media::DOCKER_SCHEMA1_SIGNED
    );
    if schema1 && !call.profile.schema1 {
        return Err(invalid("schema version 1 is not supported"));
    }
    if call.profile.artifact_manifests && manifest.media_type == media::OCI_ARTIFACT {
        // This type has no schema version.
        return Ok(());
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

/// Checks the blobs and manifests that it names.
pub(super) fn links(call: &Call, manifest: &Manifest) -> Result<(), Reply> {
    let links = manifest.links();
    let with_urls = links.blobs.iter().filter(|link| link.has_urls);
    let with_urls: Vec<&str> = with_urls.map(|link| link.digest.as_str()).collect();
    let missing = {
        let state = call.connection.shared.state.lock();
        missing(
            &state,
            call.repository(),
            &links,
            call.profile.sparse_indexes,
        )
    };
    if !with_urls.is_empty() && !call.profile.foreign_urls {
        return Err(urls_refused(&with_urls, &missing));
    }
    // Foreign layers may be missing.
    let missing: Vec<String> = missing
        .into_iter()
        .filter(|digest| {
            !links
                .blobs
                .iter()
                .any(|link| link.foreign && link.digest == *digest)
        })
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if call.profile.validates_manifests {
        let errors: Vec<Value> = missing.iter().map(|digest| blob_unknown(digest)).collect();
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

fn blob_unknown(digest: &str) -> Value {
    json!({
        "code": "MANIFEST_BLOB_UNKNOWN",
        "message": "blob unknown to registry",
        "detail": digest,
    })
}

/// Answers layers with `urls` that the operator did not allow, as distribution does: a 500 in which each of them counts
/// as missing, even if it exists.
fn urls_refused(with_urls: &[&str], missing: &[String]) -> Reply {
    let mut errors = vec![json!({"code": "UNKNOWN", "message": "unknown error"})];
    for digest in with_urls {
        errors.push(json!({"code": "UNKNOWN", "message": "unknown error", "detail": {}}));
        errors.push(blob_unknown(digest));
    }
    let others = missing.iter().filter(|d| !with_urls.contains(&d.as_str()));
    errors.extend(others.map(|digest| blob_unknown(digest)));
    Reply::errors(500, &errors)
}

/// Returns the named digests that the repository lacks. Children may be missing if indexes may be `sparse`.
fn missing(state: &Inner, repository: &str, links: &Links, sparse: bool) -> Vec<String> {
    let stored = state.repositories.get(repository);
    let has_blob = |digest: &str| stored.is_some_and(|r| r.blobs.contains(digest));
    let has_manifest = |digest: &str| stored.is_some_and(|r| r.manifests.contains_key(digest));
    let blobs = links.blobs.iter().filter(|link| !has_blob(&link.digest));
    // An index may name plain blobs (BuildKit's caches).
    let children = links
        .children
        .iter()
        .filter(|link| !sparse && !has_manifest(&link.digest) && !has_blob(&link.digest));
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

//! The referrers API.

use serde_json::{Value, json};

use crate::image::{Manifest, media};
use crate::profile::Referrers;
use crate::server::pipeline::Call;
use crate::server::reply::{self, Reply};

pub(super) fn list(call: &Call) -> Reply {
    if !matches!(
        call.profile.referrers,
        Referrers::Api | Referrers::ApiWithoutHeader
    ) {
        return super::not_found();
    }
    let state = call.connection.shared.state.lock();
    let Some(repository) = state.repositories.get(call.repository()) else {
        return reply::name_unknown(call.repository());
    };
    let wanted = call.request().parameter("artifactType");
    let descriptors: Vec<Value> = repository
        .manifests
        .values()
        .filter(|manifest| {
            let subject = manifest.links().subject;
            subject.is_some_and(|subject| subject.digest == call.reference())
        })
        .map(descriptor)
        .filter(|d| {
            wanted
                .as_ref()
                .is_none_or(|wanted| d.get("artifactType") == Some(&json!(wanted)))
        })
        .collect();
    let index = json!({
        "schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": descriptors,
    });
    let reply = Reply::new(200).bytes(media::OCI_INDEX, index.to_string());
    match wanted {
        Some(_) => reply.named("oci-filters-applied", "artifactType"),
        None => reply,
    }
}

/// A descriptor with what the specification wants copied into it.
fn descriptor(manifest: &Manifest) -> Value {
    let document = manifest.json();
    let mut descriptor = manifest.descriptor();
    let artifact_type = document
        .get("artifactType")
        .or_else(|| document.pointer("/config/mediaType"));
    if let Some(map) = descriptor.as_object_mut() {
        if let Some(artifact_type) = artifact_type {
            map.insert("artifactType".into(), artifact_type.clone());
        }
        if let Some(annotations) = document.get("annotations") {
            map.insert("annotations".into(), annotations.clone());
        }
    }
    descriptor
}

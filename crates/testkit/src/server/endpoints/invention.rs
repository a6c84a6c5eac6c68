//! Referrers that a hostile registry invents for every requested manifest.

use serde_json::{Value, json};

use crate::blob::Blob;
use crate::image::{Manifest, media};
use crate::profile::Referrers;
use crate::server::call::Call;

/// Invents referrers of the manifest of a fallback tag, and the index of them.
pub(super) fn invent_by_tag(call: &Call) {
    let Some(hex) = call.reference().strip_prefix("sha256-") else {
        return;
    };
    if hex.len() == 64 && call.profile.referrers == Referrers::Absent {
        invent(call, &format!("sha256:{hex}"));
    }
}

/// Invents referrers of `subject`, if the profile requests it and none exist yet.
pub(super) fn invent(call: &Call, subject: &str) {
    let Some(rule) = call.profile.invents_referrers else {
        return;
    };
    let name = call.repository();
    let state = &call.connection.shared.state;
    if rule.each == 0
        || state
            .manifest(name, &first(subject, rule.children))
            .is_some()
    {
        return;
    }
    state.put_blob(name, &Blob::new("{}"));
    let mut descriptors = Vec::new();
    for number in 0..rule.each {
        let (referrer, children) = referrer(number, subject, rule.children);
        for manifest in children.iter().chain([&referrer]) {
            state.put_manifest(name, None, manifest);
        }
        descriptors.push(referrer.referrer_descriptor());
    }
    if call.profile.referrers == Referrers::Absent {
        let list = document(media::OCI_INDEX, json!({"manifests": descriptors}), None);
        state.put_manifest(name, Some(&subject.replace(':', "-")), &list);
    }
}

/// Returns the digest of the first of them.
fn first(subject: &str, children: usize) -> String {
    referrer(0, subject, children).0.digest
}

/// Returns one of them, and the manifests that it lists.
fn referrer(number: usize, subject: &str, children: usize) -> (Manifest, Vec<Manifest>) {
    let note = format!("{number} of {subject}");
    match children {
        0 => (image(&note, Some(subject)), Vec::new()),
        children => index(&note, subject, children),
    }
}

fn image(note: &str, subject: Option<&str>) -> Manifest {
    let config =
        json!({"mediaType": media::OCI_EMPTY, "digest": Blob::new("{}").digest(), "size": 2});
    let fields = json!({
        "artifactType": "application/x", "config": config, "layers": [], "annotations": {"note": note},
    });
    document(media::OCI_MANIFEST, fields, subject)
}

fn index(note: &str, subject: &str, children: usize) -> (Manifest, Vec<Manifest>) {
    let children: Vec<Manifest> = (0..children)
        .map(|child| image(&format!("{child} of {note}"), None))
        .collect();
    let entries: Vec<Value> = children.iter().map(Manifest::descriptor).collect();
    let fields = json!({"artifactType": "application/x", "manifests": entries});
    (document(media::OCI_INDEX, fields, Some(subject)), children)
}

fn document(media_type: &str, fields: Value, subject: Option<&str>) -> Manifest {
    let mut document = json!({"schemaVersion": 2, "mediaType": media_type});
    if let (Value::Object(document), Value::Object(fields)) = (&mut document, fields) {
        document.extend(fields);
        if let Some(subject) = subject {
            let named = json!({"mediaType": media::OCI_MANIFEST, "digest": subject, "size": 1});
            document.insert("subject".to_owned(), named);
        }
    }
    Manifest::new(media_type, document.to_string())
}

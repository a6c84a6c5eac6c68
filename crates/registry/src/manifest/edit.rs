//! The only documents that are ever written: indexes with some of their entries left out, replaced or added.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::view::{IndexView, ManifestView};
use super::{Descriptor, Manifest, ManifestError, media_type};
use crate::digest::Digest;
use crate::quote::quoted;

/// The most values of a document that is edited: what stands in memory as a tree is many times its text.
const MAX_VALUES: usize = 500_000;

/// The same index with only the entries that `keep` wants.
pub(super) fn retain(
    manifest: &Manifest,
    mut keep: impl FnMut(usize, &Descriptor) -> bool,
) -> Result<Manifest, ManifestError> {
    let index = index_of(manifest)?;
    let kept: Vec<bool> = index
        .manifests
        .iter()
        .enumerate()
        .map(|(at, entry)| keep(at, entry))
        .collect();
    if kept.iter().all(|&kept| kept) {
        return Ok(manifest.clone());
    }
    edit(manifest, |entries| {
        let mut kept = kept.iter();
        entries.retain(|_| kept.next().copied().unwrap_or(false));
        Ok(())
    })
}

/// The same index with the entries at the given positions naming other documents.
pub(super) fn replace(
    manifest: &Manifest,
    replacements: &[(usize, Manifest)],
) -> Result<Manifest, ManifestError> {
    let index = index_of(manifest)?;
    let is_same = |(at, new): &(usize, Manifest)| {
        index
            .manifests
            .get(*at)
            .is_some_and(|entry| entry.digest == new.digest && entry.size == Some(new.size()))
    };
    if replacements.iter().all(is_same) {
        return Ok(manifest.clone());
    }
    edit(manifest, |entries| {
        let count = entries.len();
        for (at, new) in replacements {
            let Some(Value::Object(entry)) = entries.get_mut(*at) else {
                return Err(ManifestError(format!(
                    "the index has {count} entries, none at position {at}"
                )));
            };
            entry.insert("digest".to_owned(), Value::from(new.digest.as_str()));
            entry.insert("size".to_owned(), Value::from(new.size()));
            // The embedded content would be that of the old document.
            entry.shift_remove("data");
        }
        Ok(())
    })
}

/// The same index with the descriptors at its end that it does not list yet.
pub(super) fn append(
    manifest: &Manifest,
    descriptors: &[Descriptor],
) -> Result<Manifest, ManifestError> {
    if &*manifest.media_type != media_type::OCI_INDEX {
        return Err(ManifestError(format!(
            "the document is not an OCI index but {}",
            quoted(&manifest.media_type)
        )));
    }
    let list = manifest.referrer_list()?;
    let listed = list.descriptors.into_iter().map(|entry| entry.digest);
    let new = unlisted(listed.collect(), descriptors)?;
    if new.is_empty() {
        return Ok(manifest.clone());
    }
    edit(manifest, |entries| {
        entries.extend(new);
        Ok(())
    })
}

/// A new index.
pub(super) fn index_of_descriptors(descriptors: &[Descriptor]) -> Result<Manifest, ManifestError> {
    let entries = unlisted(HashSet::new(), descriptors)?;
    write(
        &json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": entries}),
        media_type::OCI_INDEX.into(),
    )
}

/// The descriptors whose digests are not `listed`, each once, as they are written.
fn unlisted(
    mut listed: HashSet<Digest>,
    descriptors: &[Descriptor],
) -> Result<Vec<Value>, ManifestError> {
    descriptors
        .iter()
        .filter(|descriptor| listed.insert(descriptor.digest.clone()))
        .map(|descriptor| serde_json::to_value(descriptor).map_err(|error| unwritable(&error)))
        .collect()
}

fn index_of(manifest: &Manifest) -> Result<IndexView, ManifestError> {
    match manifest.view()? {
        ManifestView::Index(index) => Ok(index),
        ManifestView::Image(_) | ManifestView::Schema1(_) => Err(ManifestError(
            "the document is not an index, so it has no entries to choose from".to_owned(),
        )),
    }
}

fn edit(
    manifest: &Manifest,
    change: impl FnOnce(&mut Vec<Value>) -> Result<(), ManifestError>,
) -> Result<Manifest, ManifestError> {
    let values = manifest.bytes.iter().filter(|b| b",[{".contains(b)).count();
    if values > MAX_VALUES {
        return Err(ManifestError(format!(
            "the index has more than {MAX_VALUES} values, too many to edit it"
        )));
    }
    let mut document: Value =
        serde_json::from_slice(&manifest.bytes).map_err(|error| unwritable(&error))?;
    let Some(fields) = document.as_object_mut() else {
        return Err(ManifestError("the index is not a JSON object".to_owned()));
    };
    if let Some(Value::Array(entries)) = fields.get_mut("manifests") {
        change(entries)?;
    } else {
        // Absent or `null`: an index without entries.
        let mut entries = Vec::new();
        change(&mut entries)?;
        if !entries.is_empty() {
            fields.insert("manifests".to_owned(), Value::Array(entries));
        }
    }
    write(&document, manifest.media_type.clone())
}

fn write(document: &Value, media_type: Arc<str>) -> Result<Manifest, ManifestError> {
    let bytes = serde_json::to_vec(document).map_err(|error| unwritable(&error))?;
    Ok(Manifest {
        digest: Digest::sha256(&bytes),
        bytes: bytes.into(),
        media_type,
    })
}

fn unwritable(error: &serde_json::Error) -> ManifestError {
    ManifestError(format!("the index cannot be written anew: {error}"))
}

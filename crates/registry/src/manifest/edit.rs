//! The one document that is ever written: an index with some of its entries left out or replaced.

use serde_json::Value;

use super::view::{IndexView, View};
use super::{Descriptor, Manifest, ManifestError};
use crate::digest::Digest;

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

fn index_of(manifest: &Manifest) -> Result<IndexView, ManifestError> {
    match manifest.view()? {
        View::Index(index) => Ok(index),
        View::Image(_) | View::Schema1(_) => Err(ManifestError(
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
            "the index has more than {MAX_VALUES} values, too many to choose from its entries"
        )));
    }
    let unreadable = |error: serde_json::Error| {
        ManifestError(format!("the index cannot be written anew: {error}"))
    };
    let mut document: Value = serde_json::from_slice(&manifest.bytes).map_err(unreadable)?;
    match document.get_mut("manifests") {
        Some(Value::Array(entries)) => change(entries)?,
        // Absent or `null`: an index without entries.
        _ => change(&mut Vec::new())?,
    }
    let bytes = serde_json::to_vec(&document).map_err(unreadable)?;
    Ok(Manifest {
        digest: Digest::sha256(&bytes),
        bytes: bytes.into(),
        media_type: manifest.media_type.clone(),
    })
}

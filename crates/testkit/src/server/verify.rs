//! The check for completeness.

use std::collections::BTreeSet;

use crate::digest;
use crate::image::{Link, Manifest};
use crate::state::{Inner, State};

/// Walks an image.
pub(super) fn complete(state: &State, repository: &str, reference: &str) -> Result<(), String> {
    let inner = state.lock();
    let stored = inner
        .repositories
        .get(repository)
        .ok_or_else(|| format!("there is no repository {repository}"))?;
    let root = stored
        .manifest(reference)
        .ok_or_else(|| format!("{repository} has no {reference}"))?;
    let mut seen = BTreeSet::new();
    let mut open = vec![root];
    while let Some(manifest) = open.pop() {
        if !seen.insert(manifest.digest.clone()) {
            continue;
        }
        intact(repository, manifest)?;
        let links = manifest.links();
        for link in &links.blobs {
            blob(&inner, repository, manifest, link)?;
        }
        for link in &links.children {
            match stored.manifests.get(&link.digest) {
                Some(child) => {
                    sized(repository, manifest, link, child.size())?;
                    open.push(child);
                }
                None => blob(&inner, repository, manifest, link)?,
            }
        }
    }
    Ok(())
}

fn intact(repository: &str, manifest: &Manifest) -> Result<(), String> {
    let digest = &manifest.digest;
    match digest::same_algorithm(digest, &manifest.digested()) {
        Some(actual) if actual == *digest => Ok(()),
        _ => Err(format!("manifest {digest} of {repository} has other bytes")),
    }
}

fn blob(state: &Inner, repository: &str, parent: &Manifest, link: &Link) -> Result<(), String> {
    let Link {
        digest, foreign, ..
    } = link;
    match state.blob(repository, digest) {
        None if *foreign => Ok(()),
        None => Err(format!(
            "{repository} has no {digest}, which {} names",
            parent.digest
        )),
        Some(blob) if !blob.verifies() => {
            Err(format!("blob {digest} of {repository} has other bytes"))
        }
        Some(blob) => sized(repository, parent, link, blob.size()),
    }
}

fn sized(repository: &str, parent: &Manifest, link: &Link, size: u64) -> Result<(), String> {
    // Schema 1 has no sizes.
    if link.media_type.is_empty() || link.size == size {
        return Ok(());
    }
    Err(format!(
        "{} of {repository} says that {} has {} bytes; it has {size}",
        parent.digest, link.digest, link.size
    ))
}

//! Entry point for fuzzing: `index.json`.

use bytes::Bytes;
use image_syncer_registry::{Digest, Manifest, Tag};

use crate::store::layout_format::{LayoutIndex, LayoutName};

/// Reads an `index.json`, names an image in it, and reads the result again.
///
/// # Panics
/// If a root is lost or changed, or the written document cannot be read.
pub fn layout_index(data: &[u8]) {
    let mut index = match LayoutIndex::parse(data) {
        Ok(index) => index,
        Err(error) => {
            assert!(error.to_string().len() <= 4096);
            return;
        }
    };
    let roots = |index: &LayoutIndex| {
        let roots = index.roots();
        roots.map(|root| root.text().to_owned()).collect::<Vec<_>>()
    };
    let (before, again) = (roots(&index), read_again(&index));
    assert_eq!(before, roots(&again));
    let Some((name, manifest)) = image() else {
        return;
    };
    let is_new = index.named(&name).is_none();
    let Ok(changed) = index.set_name(&name, &manifest) else {
        return;
    };
    let after = roots(&index);
    let kept = after.iter().filter(|root| before.contains(root)).count();
    assert!(changed || after == before, "it changed and does not say so");
    assert!(
        !is_new || kept >= before.len(),
        "a new name replaces no root"
    );
    let again = read_again(&index);
    let digest = again.named(&name).map(|root| &root.digest);
    assert_eq!(digest, Some(manifest.digest()));
}

fn read_again(index: &LayoutIndex) -> LayoutIndex {
    let read = index
        .to_bytes()
        .and_then(|bytes| LayoutIndex::parse(&bytes));
    assert!(read.is_ok(), "{:?}", read.err());
    read.unwrap_or_else(|_| LayoutIndex::new())
}

fn image() -> Option<(LayoutName, Manifest)> {
    let bytes = Bytes::from_static(br#"{"schemaVersion":2,"layers":[]}"#);
    let digest = Digest::sha256(&bytes);
    let name = LayoutName::new("docker.io/library/alpine", Tag::parse("3.20").ok()?);
    Some((name, Manifest::new(bytes, None, digest).ok()?))
}

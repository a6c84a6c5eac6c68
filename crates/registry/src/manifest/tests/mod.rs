//! Manifests as registries send them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod edits;
mod referrers;
mod shapes;
mod views;

use super::*;

const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const C: &str = "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";

fn manifest(text: &str) -> Manifest {
    let bytes = Bytes::from(text.to_owned());
    let digest = Digest::sha256(&bytes);
    Manifest::new(bytes, None, digest).unwrap()
}

fn entry(digest: &str) -> String {
    format!(r#"{{"digest":"{digest}","size":7}}"#)
}

fn index(text: &str) -> IndexView {
    match manifest(text).view().unwrap() {
        ManifestView::Index(index) => index,
        other => panic!("{other:?}"),
    }
}

fn image(text: &str) -> ImageView {
    match manifest(text).view().unwrap() {
        ManifestView::Image(image) => image,
        other => panic!("{other:?}"),
    }
}

fn refusal(text: &str) -> String {
    let bytes = Bytes::from(text.to_owned());
    let digest = Digest::sha256(&bytes);
    let view = Manifest::new(bytes, None, digest).and_then(|manifest| manifest.view());
    view.unwrap_err().to_string()
}

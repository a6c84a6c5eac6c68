//! Images that tests write into layouts and archives.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use image_syncer_registry::{
    BlobSource, BlobStream, Descriptor, Digest, Error, Manifest, Tag, Target,
};
use testkit::image::Image;

use super::Layout;
use super::upload::LayoutUpload;
use crate::store::layout_format::LayoutName;

/// Source of a blob in memory.
pub(in crate::store) struct Memory(pub(in crate::store) Bytes);

impl BlobSource for Memory {
    fn open(&self, offset: u64) -> BoxFuture<'_, Result<BlobStream, Error>> {
        std::future::ready(Ok(BlobStream::from_bytes(self.0.clone(), offset))).boxed()
    }
}

pub(in crate::store) fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

pub(in crate::store) fn name(text: &str) -> LayoutName {
    let (repository, text) = text.rsplit_once(':').unwrap();
    LayoutName::new(repository, tag(text))
}

pub(in crate::store) fn digest(text: &str) -> Digest {
    Digest::parse(text).unwrap()
}

pub(in crate::store) fn manifest(manifest: &testkit::image::Manifest) -> Manifest {
    let bytes = manifest.bytes.clone();
    Manifest::new(bytes, Some(&manifest.media_type), digest(&manifest.digest)).unwrap()
}

pub(in crate::store) fn descriptor(digest: &str, size: u64) -> Descriptor {
    Descriptor {
        media_type: "application/vnd.oci.image.layer.v1.tar".to_owned(),
        digest: Digest::parse(digest).unwrap(),
        size: Some(size),
        platform: None,
        annotations: std::collections::BTreeMap::new(),
        urls: Vec::new(),
        artifact_type: None,
    }
}

pub(in crate::store) async fn upload(
    layout: &Arc<Layout>,
    bytes: Bytes,
    digest: &str,
) -> Result<(), Error> {
    let blob = descriptor(digest, bytes.len() as u64);
    LayoutUpload::open(layout, &blob).send(&Memory(bytes)).await
}

/// Writes the blobs and the children of an image, as the stages of a copy do.
pub(in crate::store) async fn push_parts(layout: &Arc<Layout>, repository: &str, image: &Image) {
    for blob in image.blobs() {
        upload(layout, blob.bytes().unwrap(), blob.digest())
            .await
            .unwrap();
    }
    for child in image.manifests() {
        let target = Target::Digest(digest(&child.digest));
        let child = manifest(child);
        layout
            .put_manifest(repository, &target, &child)
            .await
            .unwrap();
    }
}

/// Writes an image under a full name.
pub(in crate::store) async fn push(layout: &Arc<Layout>, full: &str, image: &Image) {
    let name = name(full);
    push_parts(layout, &name.repository, image).await;
    let (target, root) = (Target::Tag(name.tag), manifest(image.root()));
    layout
        .put_manifest(&name.repository, &target, &root)
        .await
        .unwrap();
}

/// Writes an image by its digest.
pub(in crate::store) async fn push_untagged(layout: &Arc<Layout>, repository: &str, image: &Image) {
    push_parts(layout, repository, image).await;
    let target = Target::Digest(digest(image.digest()));
    let root = manifest(image.root());
    layout
        .put_manifest(repository, &target, &root)
        .await
        .unwrap();
}

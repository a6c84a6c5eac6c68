//! Tests of layouts on the disk.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod confinement;
mod killing;
mod locking;
mod many;
mod naming;
mod opening;
mod programs;
mod reading;
mod referrers;
mod roots;
mod runs;
mod writing;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryStreamExt};
use image_syncer_registry::{
    BlobSource, BlobStream, Descriptor, Digest, Error, Manifest, Tag, Target,
};
use serde_json::Value;
use testkit::image::Image;

use super::name::LayoutName;
use super::reading::NameScope;
use super::upload::LayoutUpload;
use super::{Layout, blob_path};

const ALPINE: &str = "docker.io/library/alpine";

/// A directory for layouts.
struct Folder(tempfile::TempDir);

/// Source of a blob in memory.
struct Memory(Bytes);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn layout(&self) -> PathBuf {
        self.0.path().join("layout")
    }
    async fn open(&self) -> Arc<Layout> {
        Layout::open(&self.layout()).await.unwrap()
    }
    /// Reads a file of the layout.
    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.layout().join(name)).unwrap()
    }
    fn index(&self) -> Value {
        serde_json::from_slice(&self.read("index.json")).unwrap()
    }
    /// Returns name and digest of each root in the file; the name is empty if there is none.
    fn roots(&self) -> Vec<(String, String)> {
        let index = self.index();
        let roots = index["manifests"].as_array().unwrap().iter();
        roots
            .map(|root| {
                let name = &root["annotations"][super::name::REF_NAME];
                (
                    name.as_str().unwrap_or_default().to_owned(),
                    root["digest"].as_str().unwrap().to_owned(),
                )
            })
            .collect()
    }
    /// Returns the names of all files in the layout, sorted.
    fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        list(&self.layout(), "", &mut files);
        files.sort();
        files
    }
    fn blob(&self, digest: &str) -> PathBuf {
        self.layout()
            .join(blob_path::path(&Digest::parse(digest).unwrap()))
    }
}

fn list(folder: &Path, prefix: &str, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            list(&entry.path(), &format!("{name}/"), files);
        } else {
            files.push(name);
        }
    }
}

impl BlobSource for Memory {
    fn open(&self, offset: u64) -> BoxFuture<'_, Result<BlobStream, Error>> {
        std::future::ready(Ok(BlobStream::from_bytes(self.0.clone(), offset))).boxed()
    }
}

fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

fn name(text: &str) -> LayoutName {
    let (repository, text) = text.rsplit_once(':').unwrap();
    LayoutName::new(repository, tag(text))
}

fn digest(text: &str) -> Digest {
    Digest::parse(text).unwrap()
}

fn manifest(manifest: &testkit::image::Manifest) -> Manifest {
    let bytes = manifest.bytes.clone();
    Manifest::new(bytes, Some(&manifest.media_type), digest(&manifest.digest)).unwrap()
}

fn descriptor(digest: &str, size: u64) -> Descriptor {
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

async fn upload(layout: &Arc<Layout>, bytes: Bytes, digest: &str) -> Result<(), Error> {
    let blob = descriptor(digest, bytes.len() as u64);
    LayoutUpload::open(layout, &blob).send(&Memory(bytes)).await
}

/// Writes the blobs and the children of an image, as the stages of a copy do.
async fn push_parts(layout: &Arc<Layout>, repository: &str, image: &Image) {
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
async fn push(layout: &Arc<Layout>, full: &str, image: &Image) {
    let name = name(full);
    push_parts(layout, &name.repository, image).await;
    let (target, root) = (Target::Tag(name.tag), manifest(image.root()));
    layout
        .put_manifest(&name.repository, &target, &root)
        .await
        .unwrap();
}

/// Writes an image by its digest.
async fn push_untagged(layout: &Arc<Layout>, repository: &str, image: &Image) {
    push_parts(layout, repository, image).await;
    let target = Target::Digest(digest(image.digest()));
    let root = manifest(image.root());
    layout
        .put_manifest(repository, &target, &root)
        .await
        .unwrap();
}

async fn read_blob(layout: &Layout, blob: &Descriptor, offset: u64) -> Result<Vec<u8>, Error> {
    let stream = layout.open_blob(blob, offset).await?;
    let chunks: Vec<Bytes> = stream.try_collect().await?;
    Ok(chunks.concat())
}

/// Returns the tags of `repository`. Their listed digests are those that the tags resolve to.
fn tags(layout: &Layout, repository: &str, scope: NameScope) -> Vec<Tag> {
    let listed = layout.tags(repository, scope).into_iter();
    let tags = listed.map(|listed| {
        let head = layout.head_tag(repository, &listed.tag, scope).unwrap();
        assert_eq!(listed.digest, Some(head.digest));
        listed.tag
    });
    tags.collect()
}

fn head(layout: &Layout, full: &str) -> Option<String> {
    let name = name(full);
    let head = layout.head_tag(&name.repository, &name.tag, NameScope::FullNames);
    head.map(|head| head.digest.to_string())
}

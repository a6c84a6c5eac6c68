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
use image_syncer_registry::{BlobSource, BlobStream, Descriptor, Digest, Error, Tag, Target};
use serde_json::Value;
use testkit::image::Image;

use super::reading::NameScope;
use super::testing::*;
use super::upload::LayoutUpload;
use super::{End, Layout, LayoutError, blob_path};
use crate::store::{Archives, Endpoint, FileKind};

const ALPINE: &str = "docker.io/library/alpine";

/// A directory for layouts.
struct Folder(tempfile::TempDir);

/// Opens the layout at `path`.
async fn open_layout(path: &Path) -> Result<Arc<Layout>, LayoutError> {
    let endpoint = Endpoint::in_file(FileKind::Layout, path);
    Layout::open(&endpoint, End::Destination, &Archives::default()).await
}

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn layout(&self) -> PathBuf {
        self.0.path().join("layout")
    }
    async fn open(&self) -> Arc<Layout> {
        open_layout(&self.layout()).await.unwrap()
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
                let name = &root["annotations"][crate::store::layout_format::REF_NAME];
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

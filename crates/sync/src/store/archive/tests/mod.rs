//! Tests of archives on the disk.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod compressed;
mod hostile;
mod legacy;
mod writing;

use std::path::{Path, PathBuf};

use image_syncer_registry::{Digest, Manifest, Tag, Target};
use serde_json::json;
use tar::{Builder, EntryType, Header};

use super::{ArchiveOptions, Archives};
use crate::store::layout::{End, Layout, NameScope};
use crate::store::layout_format::LayoutError;
use crate::store::{ArchiveFormat, Endpoint, FileKind};

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A tar file in memory.
struct Tar(Builder<Vec<u8>>);

impl Tar {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }
    /// Adds a file.
    fn file(mut self, name: &str, bytes: &[u8]) -> Self {
        self.raw(name.as_bytes(), EntryType::Regular, bytes.len() as u64);
        self.0.get_mut().extend_from_slice(bytes);
        let padding = bytes.len().next_multiple_of(512) - bytes.len();
        self.0.get_mut().extend_from_slice(&vec![0; padding]);
        self
    }
    /// Adds a link.
    fn link(mut self, name: &str, kind: EntryType, target: &str) -> Self {
        let mut header = header(name.as_bytes(), kind, 0);
        header.set_link_name_literal(target).unwrap();
        header.set_cksum();
        self.0.get_mut().extend_from_slice(header.as_bytes());
        self
    }
    /// Adds a header alone.
    fn raw(&mut self, name: &[u8], kind: EntryType, length: u64) {
        let header = header(name, kind, length);
        self.0.get_mut().extend_from_slice(header.as_bytes());
    }
    fn entry(mut self, name: &str, kind: EntryType) -> Self {
        self.raw(name.as_bytes(), kind, 0);
        self
    }
    /// Returns the bytes with the mark of the end.
    fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
    /// Writes the file into `folder`.
    fn write(self, folder: &Path) -> PathBuf {
        write(folder, &self.bytes())
    }
}

/// Returns a header with a name that is not checked.
fn header(name: &[u8], kind: EntryType, length: u64) -> Header {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(length);
    header.set_cksum();
    header
}

fn write(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = folder.join("images.tar");
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Files of an image in a layout: the manifest, its config and one layer of `layer`.
struct Files {
    manifest: String,
    config: String,
    layer: Vec<u8>,
}

impl Files {
    fn new(layer: &[u8]) -> Self {
        let config = json!({
            "architecture": "amd64", "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [Digest::sha256(layer).as_str()]},
        });
        let config = config.to_string();
        let described = |media_type: &str, bytes: &[u8]| json!({"mediaType": media_type, "digest": Digest::sha256(bytes).as_str(), "size": bytes.len()});
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": described(CONFIG, config.as_bytes()), "layers": [described(LAYER, layer)],
        });
        Self {
            manifest: manifest.to_string(),
            config,
            layer: layer.to_vec(),
        }
    }
    fn digest(&self) -> Digest {
        Digest::sha256(self.manifest.as_bytes())
    }
    /// Returns an `index.json` that names the image.
    fn index(&self, name: &str) -> String {
        let root = json!({
            "mediaType": MANIFEST, "digest": self.digest().as_str(), "size": self.manifest.len(),
            "annotations": {"org.opencontainers.image.ref.name": name},
        });
        json!({"schemaVersion": 2, "manifests": [root]}).to_string()
    }
    /// Adds the blobs to a tar file.
    fn blobs(&self, tar: Tar) -> Tar {
        let blobs = [
            self.manifest.as_bytes(),
            self.config.as_bytes(),
            &self.layer,
        ];
        blobs.iter().fold(tar, |tar, bytes| {
            let name = format!("blobs/sha256/{}", Digest::sha256(bytes).encoded());
            tar.file(&name, bytes)
        })
    }
    /// Returns a whole archive.
    fn archive(&self, name: &str) -> Tar {
        let tar = Tar::new().file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
        self.blobs(tar)
            .file("index.json", self.index(name).as_bytes())
    }
}

fn endpoint(path: &Path) -> Endpoint {
    Endpoint::in_file(FileKind::Archive(ArchiveFormat::Oci), path)
}

fn partial() -> Archives {
    Archives::new(ArchiveOptions {
        partial: true,
        ..ArchiveOptions::default()
    })
}

async fn open(path: &Path) -> Result<std::sync::Arc<Layout>, LayoutError> {
    Layout::open(&endpoint(path), End::Source, &Archives::default()).await
}

/// Returns the reason for an archive that cannot be opened.
async fn refusal(path: &Path) -> String {
    let error = open(path).await.err().unwrap().to_string();
    let why = ["find", "read"].iter().find_map(|verb| {
        let start = format!("cannot {verb} images in oci-archive:{}: ", path.display());
        error.strip_prefix(&start)
    });
    why.unwrap_or(&error).to_owned()
}

/// Reads the manifest of a full name.
async fn read(layout: &Layout, repository: &str, tag: &str) -> Result<Manifest, LayoutError> {
    let target = Target::Tag(Tag::parse(tag).unwrap());
    let manifest = layout.manifest(repository, &target, NameScope::FullNames);
    manifest.await
}

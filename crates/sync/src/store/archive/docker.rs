//! Archives without an `index.json`: those of `docker save` before Docker 25, of Podman, Bazel and others, whose images are
//! listed in `manifest.json`.
//!
//! Such an archive has configs and layers, and no manifests. The manifests are made from them, always in the same way, so
//! that their digests are the same every time. They are not those that the images had in a registry: the layers are plain
//! tar files, whose digests are the `diff_ids` of the config.

use std::io;

use bytes::Bytes;
use image_syncer_registry::manifest::media_type::DOCKER_MANIFEST;
use image_syncer_registry::manifest::{MAX_MANIFEST_BYTES, ManifestView};
use image_syncer_registry::{Algorithm, Digest, ErrorKind, Hasher, Manifest};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::entries::shown;
use super::progress::Watcher;
use super::spool::{Compression, MAX_MARK};
use super::{ArchiveFiles, Content, Made};
use crate::store::layout_format::{
    CONTAINERD_NAME, INDEX_FILE, LayoutError, MAX_INDEX_BYTES, REF_NAME, blob_path,
};

/// File with the images of an archive.
pub(in crate::store) const MANIFEST_FILE: &str = "manifest.json";

/// File with the images of an archive before Docker 1.10.
const REPOSITORIES_FILE: &str = "repositories";

/// Bytes that are hashed at a time.
const CHUNK: u64 = 256 * 1024;

/// Media type of the config of an image (Docker).
pub(in crate::store) const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const PLAIN_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
const GZIP_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const ZSTD_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// An image in `manifest.json`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::store) struct SavedImage {
    /// Name of the entry with the config.
    pub(in crate::store) config: String,
    /// Names with tags.
    #[serde(default)]
    pub(in crate::store) repo_tags: Option<Vec<String>>,
    /// Names of the entries with the layers.
    #[serde(default)]
    pub(in crate::store) layers: Option<Vec<String>>,
}

/// The fields of a config that a manifest is made from.
#[derive(Deserialize)]
struct SavedConfig {
    rootfs: SavedLayers,
}

#[derive(Deserialize)]
struct SavedLayers {
    #[serde(default)]
    diff_ids: Vec<String>,
}

/// Makes the `index.json` and the manifests that `files` lacks. Of a truncated archive, images that are not complete are
/// left out if `partial` is set.
///
/// # Errors
/// If the archive has no images, or a config is missing or malformed.
pub(super) fn complete(
    files: &mut ArchiveFiles,
    partial: bool,
    watcher: &Watcher,
) -> Result<(), LayoutError> {
    let roots = if files.entries.has(MANIFEST_FILE) {
        let images = read_images(files)?;
        watcher.warn(format!(
            "{} has no manifests. They are made from {MANIFEST_FILE}, so that the digests of its images are not those that \
             they had in a registry.",
            files.endpoint()
        ));
        let mut roots = Vec::new();
        for image in images {
            match add_image(files, &image) {
                Ok(root) => roots.extend(root),
                Err(error) if partial => watcher.warn(format!("{error}. The image is left out.")),
                Err(error) => return Err(error),
            }
        }
        roots
    } else if partial {
        unnamed_manifests(files)
    } else {
        return Err(files.error(ErrorKind::Rejected, no_images(files)));
    };
    let index = json!({"schemaVersion": 2, "manifests": roots}).to_string();
    let made = Made::Bytes(index.into());
    files.made.insert(INDEX_FILE.to_owned(), made);
    Ok(())
}

/// Returns the reason for an archive without images.
fn no_images(files: &ArchiveFiles) -> String {
    if files.entries.has(REPOSITORIES_FILE) {
        return format!(
            "it has the form of Docker before 1.10, without {MANIFEST_FILE}. Load it into a newer Docker and save it again"
        );
    }
    format!("it is no archive of images: it has neither {INDEX_FILE} nor {MANIFEST_FILE}")
}

fn read_images(files: &ArchiveFiles) -> Result<Vec<SavedImage>, LayoutError> {
    let malformed = |why: String| {
        let why = format!("{MANIFEST_FILE} cannot be read: {why}");
        files.error(ErrorKind::Protocol, why)
    };
    let read = |name: &str| files.open(name)?.read(MAX_INDEX_BYTES);
    let bytes = read(MANIFEST_FILE).map_err(|error| malformed(error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| malformed(shown(&error.to_string())))
}

/// Makes the manifest of an image. Returns its roots, one for each name.
fn add_image(
    files: &mut ArchiveFiles,
    image: &SavedImage,
) -> Result<Vec<serde_json::Value>, LayoutError> {
    let named = || {
        let first = image.repo_tags.iter().flatten().next();
        shown(first.unwrap_or(&image.config))
    };
    let refuse = |files: &ArchiveFiles, why: String| {
        let why = format!("the image {} {why}", named());
        files.error(ErrorKind::Corrupt, why)
    };
    let config = read_config(files, &image.config).map_err(|why| refuse(files, why))?;
    let parsed: SavedConfig = serde_json::from_slice(&config).map_err(|error| {
        let why = format!("has a malformed config: {}", shown(&error.to_string()));
        refuse(files, why)
    })?;
    let names = image.layers.as_deref().unwrap_or_default();
    let ids = &parsed.rootfs.diff_ids;
    if names.len() != ids.len() {
        let why = format!(
            "has {} layers, and its config names {}",
            names.len(),
            ids.len()
        );
        return Err(refuse(files, why));
    }
    let config_digest = Digest::sha256(&config);
    let mut layers = Vec::with_capacity(names.len());
    for (name, id) in names.iter().zip(ids) {
        let layer = layer(files, name, id).map_err(|why| refuse(files, why))?;
        let entry = Made::Entry(entry_name(name));
        files.made.insert(blob_path::path(&layer.digest), entry);
        layers.push(json!({
            "mediaType": layer.media_type, "size": layer.size, "digest": layer.digest.as_str(),
        }));
    }
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": {"mediaType": DOCKER_CONFIG, "size": config.len(), "digest": config_digest.as_str()},
        "layers": layers,
    });
    let manifest = Bytes::from(manifest.to_string());
    let digest = Digest::sha256(&manifest);
    let root = json!({
        "mediaType": DOCKER_MANIFEST, "digest": digest.as_str(), "size": manifest.len(),
    });
    files.made.insert(
        blob_path::path(&config_digest),
        Made::Entry(entry_name(&image.config)),
    );
    files
        .made
        .insert(blob_path::path(&digest), Made::Bytes(manifest));
    Ok(with_names(
        &root,
        image.repo_tags.as_deref().unwrap_or_default(),
    ))
}

/// Returns `root` once for each name, or once without a name.
fn with_names(root: &serde_json::Value, names: &[String]) -> Vec<serde_json::Value> {
    let named = |name: &String| {
        let mut root = root.clone();
        let annotations = json!({CONTAINERD_NAME: name, REF_NAME: name});
        if let Some(fields) = root.as_object_mut() {
            fields.insert("annotations".to_owned(), annotations);
        }
        root
    };
    match names {
        [] => vec![root.clone()],
        names => names.iter().map(named).collect(),
    }
}

fn read_config(files: &ArchiveFiles, name: &str) -> Result<Bytes, String> {
    let read = || files.open(&entry_name(name))?.read(MAX_MANIFEST_BYTES);
    read().map_err(|error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => format!("lacks its config {}", shown(name)),
        _ => format!("has a config that cannot be read: {error}"),
    })
}

/// A layer in an archive.
struct Layer {
    media_type: &'static str,
    digest: Digest,
    /// 0 for a layer that is missing: its image fails when it is copied.
    size: u64,
}

/// Describes the layer in the entry `name`, whose uncompressed bytes have the digest `diff_id`. A plain layer is not read.
fn layer(files: &ArchiveFiles, name: &str, diff_id: &str) -> Result<Layer, String> {
    let plain = |size| {
        let digest = Digest::parse(diff_id)
            .map_err(|error| format!("has a config with the diff_id {}: {error}", shown(diff_id)));
        Ok(Layer {
            media_type: PLAIN_LAYER,
            digest: digest?,
            size,
        })
    };
    let failed =
        |error: io::Error| format!("has a layer {} that cannot be read: {error}", shown(name));
    let content = match files.open(&entry_name(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return plain(0),
        opened => opened.map_err(failed)?,
    };
    let beginning = content.read_at(0, MAX_MARK as u64).map_err(failed)?;
    let media_type = match Compression::of(&beginning) {
        Compression::Gzip => GZIP_LAYER,
        Compression::Zstd => ZSTD_LAYER,
        Compression::None | Compression::Other(_) => return plain(content.length()),
    };
    let digest = match digest_in_name(name) {
        Some(digest) => digest,
        None => digest_of(&content).map_err(failed)?,
    };
    Ok(Layer {
        media_type,
        digest,
        size: content.length(),
    })
}

/// Returns the digest that a name such as `0123….tar.gz` states. It is verified when the layer is read.
fn digest_in_name(name: &str) -> Option<Digest> {
    let file = name.rsplit('/').next()?;
    let stem = file.split('.').next()?;
    Digest::parse(&format!("sha256:{stem}")).ok()
}

fn digest_of(content: &Content) -> io::Result<Digest> {
    let mut hasher = Hasher::with_algorithm(Algorithm::Sha256);
    let mut position = 0;
    loop {
        let chunk = content.read_at(position, CHUNK)?;
        if chunk.is_empty() {
            return Ok(hasher.finish());
        }
        position = position.saturating_add(chunk.len() as u64);
        hasher.update(&chunk);
    }
}

/// Returns the name of an entry as the scan has it.
fn entry_name(written: &str) -> String {
    written.trim_start_matches("./").to_owned()
}

/// Returns the manifests of an archive whose end is lost, and its names with it. Those that an index names are left out.
fn unnamed_manifests(files: &ArchiveFiles) -> Vec<serde_json::Value> {
    let mut roots = Vec::new();
    let mut children = std::collections::HashSet::new();
    let mut blobs: Vec<Digest> = files.blobs().collect();
    blobs.sort();
    for digest in blobs {
        let Some(manifest) = read_manifest(files, &digest) else {
            continue;
        };
        match manifest.view() {
            Ok(ManifestView::Index(index)) => {
                children.extend(index.manifests.into_iter().map(|child| child.digest));
            }
            Ok(ManifestView::Image(_)) => {}
            Ok(ManifestView::Schema1(_)) | Err(_) => continue,
        }
        roots.push(manifest);
    }
    let roots = roots
        .iter()
        .filter(|root| !children.contains(root.digest()));
    roots
        .map(|root| {
            json!({
                "mediaType": root.media_type(), "digest": root.digest().as_str(), "size": root.size(),
            })
        })
        .collect()
}

fn read_manifest(files: &ArchiveFiles, digest: &Digest) -> Option<Manifest> {
    let content = files.open(&blob_path::path(digest)).ok()?;
    if content.read_at(0, 1).ok()?.first() != Some(&b'{') {
        return None;
    }
    let bytes = content.read(MAX_MANIFEST_BYTES).ok()?;
    Manifest::new(bytes, None, digest.clone()).ok()
}

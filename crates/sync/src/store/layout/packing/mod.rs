//! Packing of a layout into an archive: what its roots need, in the order of their names, and the place that it goes to.
//!
//! The bytes of the archive depend on the images alone. Each blob is verified once more on its way, since the directory
//! may be that of a run that was killed.

mod tar_writer;
mod target;

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

use image_syncer_registry::manifest::{ImageView, IndexView, MAX_MANIFEST_BYTES, ManifestView};
use image_syncer_registry::{Descriptor, Digest, ErrorKind, Hasher, Manifest, Platform};

use tar_writer::TarWriter;
pub(super) use target::{ArchiveTarget, gathering_folder};

use super::files::LayoutFiles;
use crate::store::archive::{DOCKER_CONFIG, MANIFEST_FILE, SavedImage, WorkProgress};
use crate::store::layout_format::{
    INDEX_FILE, LAYOUT_FILE, LAYOUT_VERSION, LayoutError, LayoutIndex, LayoutRoot, Located,
    RootName, blob_path,
};
use crate::store::{ArchiveFormat, FilePath};

const ACTION: &str = "write images";

/// Media type of the config of an image (image-spec).
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// Bytes that are copied at a time.
const CHUNK: u64 = 256 * 1024;

/// Content of an archive that is to be written.
pub(in crate::store) struct Packing<'a> {
    files: &'a LayoutFiles,
    index: LayoutIndex,
    format: ArchiveFormat,
    /// All blobs in the order of their first use.
    blobs: Vec<Digest>,
    /// Number of their bytes.
    bytes: u64,
    known: HashSet<Digest>,
    /// Images for `manifest.json`, by the digest of their manifest.
    images: HashMap<Digest, SavedImage>,
    /// The one image of each index around one, by the digest of the index.
    only_images: HashMap<Digest, Digest>,
}

impl<'a> Packing<'a> {
    /// Finds out what the roots of `index` need, in their order. Blocks.
    ///
    /// # Errors
    /// If a manifest is damaged, or a blob is missing.
    pub(in crate::store) fn new(
        files: &'a LayoutFiles,
        index: LayoutIndex,
        format: ArchiveFormat,
    ) -> Result<Self, LayoutError> {
        let mut packing = Self {
            files,
            index,
            format,
            blobs: Vec::new(),
            bytes: 0,
            known: HashSet::new(),
            images: HashMap::new(),
            only_images: HashMap::new(),
        };
        let roots: Vec<_> = packing.index.roots().map(wanted).collect();
        for (digest, media_type, is_named) in roots {
            packing.add_manifest(&digest, &media_type, is_named)?;
        }
        Ok(packing)
    }
    /// Returns the number of bytes of all blobs.
    pub(in crate::store) fn bytes(&self) -> u64 {
        self.bytes
    }
    /// Adds a manifest and what it needs. A manifest of an index that is not there is left out, as from the layout.
    fn add_manifest(
        &mut self,
        digest: &Digest,
        media_type: &str,
        is_named: bool,
    ) -> Result<(), LayoutError> {
        let mut waiting = vec![(digest.clone(), media_type.to_owned(), is_named, true)];
        while let Some((digest, media_type, is_named, is_root)) = waiting.pop() {
            let is_new = self.known.insert(digest.clone());
            if !is_new && !is_named {
                continue;
            }
            let Some(manifest) = self.manifest(&digest, &media_type, is_root)? else {
                continue;
            };
            if is_new {
                self.blobs.push(digest.clone());
                self.bytes = self.bytes.saturating_add(manifest.size());
            }
            match self.view(&manifest)? {
                ManifestView::Image(image) => {
                    let blobs: Vec<Descriptor> =
                        image.config.iter().chain(&image.layers).cloned().collect();
                    for blob in blobs.iter().filter(|blob| !blob.is_foreign()) {
                        self.add_blob(&digest, blob)?;
                    }
                    if let Some(config) = image
                        .config
                        .as_ref()
                        .filter(|_| is_named && is_runnable(&image))
                    {
                        let saved = saved_image(config, &image.layers);
                        self.images.insert(digest, saved);
                    }
                }
                ManifestView::Index(index) => {
                    let only = only_image(&index).filter(|_| is_named).cloned();
                    waiting.extend(index.manifests.into_iter().rev().map(|child| {
                        let is_only = only.as_ref() == Some(&child.digest);
                        (child.digest, child.media_type, is_only, false)
                    }));
                    self.only_images.extend(only.map(|only| (digest, only)));
                }
                ManifestView::Schema1(_) => {}
            }
        }
        Ok(())
    }
    fn add_blob(&mut self, manifest: &Digest, blob: &Descriptor) -> Result<(), LayoutError> {
        if !self.known.insert(blob.digest.clone()) {
            return Ok(());
        }
        let length = self.files.length(&blob_path::path(&blob.digest));
        let length = length.map_err(|error| self.files.error(ACTION, &error))?;
        let Some(length) = length else {
            let action = format!("write the image {manifest}");
            let (endpoint, missing) = (self.files.endpoint(), vec![blob.digest.clone()]);
            return Err(LayoutError::incomplete(action, endpoint, missing));
        };
        self.bytes = self.bytes.saturating_add(length);
        self.blobs.push(blob.digest.clone());
        Ok(())
    }
    fn manifest(
        &self,
        digest: &Digest,
        media_type: &str,
        is_root: bool,
    ) -> Result<Option<Manifest>, LayoutError> {
        let read = self
            .files
            .read(&blob_path::path(digest), MAX_MANIFEST_BYTES);
        let bytes = match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_root => return Ok(None),
            read => read.map_err(|error| {
                let action = format!("write the image {digest}");
                self.files.error(action, &error).of_part()
            })?,
        };
        let media_type = Some(media_type).filter(|text| !text.is_empty());
        let manifest = Manifest::new(bytes, media_type, digest.clone());
        manifest
            .map(Some)
            .map_err(|error| self.malformed(digest, &error))
    }
    fn view(&self, manifest: &Manifest) -> Result<ManifestView, LayoutError> {
        let view = manifest.view();
        view.map_err(|error| self.malformed(manifest.digest(), &error))
    }
    fn malformed(
        &self,
        digest: &Digest,
        error: &image_syncer_registry::manifest::ManifestError,
    ) -> LayoutError {
        let action = format!("write the image {digest}");
        let (kind, why) = (ErrorKind::Protocol, error.to_string());
        LayoutError::new(kind, action, self.files.endpoint(), why)
    }
    /// Writes the archive to `target`, and returns it. Blocks.
    ///
    /// # Errors
    /// If a blob is damaged, or `target` cannot be written.
    pub(in crate::store) fn write<W: Write>(
        &self,
        target: W,
        progress: &mut WorkProgress<'_>,
    ) -> Result<W, LayoutError> {
        let failed = |error: io::Error| self.files.error(ACTION, &error);
        let mut tar = TarWriter::new(target);
        tar.file(LAYOUT_FILE, LAYOUT_VERSION).map_err(failed)?;
        let mut folders = HashSet::from([blob_path::BLOBS.to_owned()]);
        tar.directory(&format!("{}/", blob_path::BLOBS))
            .map_err(failed)?;
        for digest in &self.blobs {
            let folder = blob_path::folder(digest);
            if !folders.contains(&folder) {
                tar.directory(&format!("{folder}/")).map_err(failed)?;
                folders.insert(folder);
            }
            self.write_blob(&mut tar, digest, progress)?;
        }
        let index = self
            .index
            .to_bytes()
            .map_err(io::Error::other)
            .map_err(failed)?;
        tar.file(INDEX_FILE, &index).map_err(failed)?;
        if self.format == ArchiveFormat::Docker {
            let images = serde_json::to_vec(&self.saved_images());
            let images = images.map_err(io::Error::other).map_err(failed)?;
            tar.file(MANIFEST_FILE, &images).map_err(failed)?;
        }
        tar.finish().map_err(failed)
    }
    fn write_blob<W: Write>(
        &self,
        tar: &mut TarWriter<W>,
        digest: &Digest,
        progress: &mut WorkProgress<'_>,
    ) -> Result<(), LayoutError> {
        let action = || format!("write blob {digest}");
        let failed = |error: io::Error| self.files.error(action(), &error);
        let refuse =
            |kind, why: String| LayoutError::new(kind, action(), self.files.endpoint(), why);
        let mut hasher =
            Hasher::new(digest).map_err(|error| refuse(ErrorKind::Rejected, error.to_string()))?;
        let content = self.files.open(&blob_path::path(digest)).map_err(failed)?;
        let length = content.length();
        tar.begin(&blob_path::path(digest), length)
            .map_err(failed)?;
        let mut position = 0;
        while position < length {
            let chunk = content.read_at(position, CHUNK).map_err(failed)?;
            if chunk.is_empty() {
                break;
            }
            hasher.update(&chunk);
            tar.append(&chunk).map_err(failed)?;
            progress.add(chunk.len() as u64);
            position = position.saturating_add(chunk.len() as u64);
        }
        if position < length || hasher.finish() != *digest {
            let why = if self.files.remove_damaged(digest) {
                "it is damaged. Run the command again: it is copied once more"
            } else {
                "it is damaged in the present file. Remove the file, and run the command again"
            };
            return Err(refuse(ErrorKind::Corrupt, why.to_owned()));
        }
        tar.end(length).map_err(failed)
    }
    /// Returns the images of `manifest.json`: those of one platform that have a name, or an index around one.
    fn saved_images(&self) -> Vec<SavedImage> {
        let mut saved: Vec<SavedImage> = Vec::new();
        let mut positions: HashMap<&Digest, usize> = HashMap::new();
        for root in self.index.roots() {
            let RootName::Full(name) = &root.name else {
                continue;
            };
            let digest = self.only_images.get(&root.digest).unwrap_or(&root.digest);
            let Some(image) = self.images.get(digest) else {
                continue;
            };
            let position = *positions.entry(digest).or_insert_with(|| {
                saved.push(image.clone());
                saved.len() - 1
            });
            if let Some(image) = saved.get_mut(position) {
                image
                    .repo_tags
                    .get_or_insert_default()
                    .push(name.to_string());
            }
        }
        saved
    }
}

/// Checks that an archive of Docker can name an image: one of a single platform.
///
/// # Errors
/// The reason, as a clause.
pub(in crate::store) fn check_docker(view: &ManifestView, path: &FilePath) -> Result<(), String> {
    let written = path.as_written().display();
    match view {
        ManifestView::Index(index) if only_image(index).is_none() => {
            let platforms = platform_images(index).filter_map(|image| image.platform.as_ref());
            let platforms: Vec<&Platform> = platforms.collect();
            let shown: Vec<String> = platforms.iter().map(ToString::to_string).collect();
            let flags = platforms.iter().find_map(|platform| flags_of(platform));
            let flags = flags.unwrap_or_else(|| DEFAULT_FLAGS.to_owned());
            Err(format!(
                "docker-archive holds images of one platform, and this one has {}: {}. Write oci-archive:{written}, or choose \
                 one with {flags}",
                shown.len(),
                shown.join(", ")
            ))
        }
        ManifestView::Image(image) if !is_runnable(image) => Err(format!(
            "it is no image but an artifact, which docker-archive cannot name. Write oci-archive:{written}"
        )),
        ManifestView::Index(_) | ManifestView::Image(_) | ManifestView::Schema1(_) => Ok(()),
    }
}

/// Flags that choose the most common platform.
const DEFAULT_FLAGS: &str = "--os linux --arch amd64";

/// Returns the flags that choose a platform; `None` if it has no name.
fn flags_of(platform: &Platform) -> Option<String> {
    let (os, architecture) = (&platform.os, &platform.architecture);
    if os.is_empty() || architecture.is_empty() {
        return None;
    }
    Some(match &platform.variant {
        Some(variant) => format!("--os {os} --arch {architecture}:{variant}"),
        None => format!("--os {os} --arch {architecture}"),
    })
}

/// Returns true for an image that has the config of one.
fn is_runnable(image: &ImageView) -> bool {
    let config = image.config.as_ref().map(|config| &*config.media_type);
    matches!(config, Some(OCI_CONFIG | DOCKER_CONFIG))
}

/// Returns the digest of the one image that an index is around; `None` if it has several, or none.
fn only_image(index: &IndexView) -> Option<&Digest> {
    let mut images = platform_images(index);
    let only = images.next()?;
    images.next().is_none().then_some(&only.digest)
}

/// Returns the images of an index that a platform can run, without attestations.
pub(in crate::store) fn platform_images(index: &IndexView) -> impl Iterator<Item = &Descriptor> {
    index
        .manifests
        .iter()
        .filter(|child| !child.is_attestation())
}

/// Returns digest and media type of a root, and whether it has a name.
fn wanted(root: &LayoutRoot) -> (Digest, String, bool) {
    let is_named = matches!(root.name, RootName::Full(_));
    (root.digest.clone(), root.media_type.clone(), is_named)
}

/// Returns the entry of `manifest.json` for an image, without names.
fn saved_image(config: &Descriptor, layers: &[Descriptor]) -> SavedImage {
    let layers = layers.iter().map(|layer| blob_path::path(&layer.digest));
    SavedImage {
        config: blob_path::path(&config.digest),
        repo_tags: None,
        layers: Some(layers.collect()),
    }
}

//! A layout in an archive: where it is read from, and how it is written.

use std::io;
use std::sync::{Arc, Mutex};

use image_syncer_registry::ErrorKind;
use image_syncer_registry::manifest::ManifestView;

use super::directory::LayoutDirectory;
use super::packing::{ArchiveTarget, Packing, check_docker, gathering_folder};
use super::writer::LayoutWriter;
use super::{End, Layout, blob_path, run_blocking};
use crate::lock::lock;
use crate::store::archive::{ArchiveFiles, Archives};
use crate::store::layout_format::{
    INDEX_FILE, LAYOUT_FILE, LayoutError, LayoutIndex, MAX_INDEX_BYTES,
};
use crate::store::{ArchiveFormat, Endpoint, FileKind, FilePath};

/// Endings of the names of compressed archives.
const COMPRESSED: [&str; 7] = [
    ".tar.gz", ".tgz", ".gz", ".tar.zst", ".tzst", ".zst", ".zstd",
];

const OPEN: &str = "find images";
const WRITE: &str = "write images";

/// The archive of a layout. Cheap to clone.
#[derive(Clone)]
pub(super) struct LayoutArchive(Arc<Inner>);

struct Inner {
    format: ArchiveFormat,
    endpoint: Endpoint,
    /// End of the copy at which it was named first.
    end: End,
    path: FilePath,
    archives: Archives,
    /// The archive as it was opened; `None` if it does not exist.
    files: Mutex<Option<Arc<ArchiveFiles>>>,
    /// `None` while nothing is written.
    target: Mutex<Option<Arc<ArchiveTarget>>>,
}

impl LayoutArchive {
    /// Creates the archive at `path`, which is not read yet.
    pub(super) fn new(
        (format, path): (ArchiveFormat, &FilePath),
        (endpoint, end): (&Endpoint, End),
        archives: &Archives,
    ) -> Self {
        Self(Arc::new(Inner {
            format,
            endpoint: endpoint.clone(),
            end,
            path: path.clone(),
            archives: archives.clone(),
            files: Mutex::default(),
            target: Mutex::default(),
        }))
    }
    /// Returns the format to write. An archive that Docker can load stays one.
    fn format(&self) -> ArchiveFormat {
        match self.files() {
            Some(files) if files.is_for_docker() => ArchiveFormat::Docker,
            _ => self.0.format,
        }
    }
    /// Checks that the archive, if it exists, can be replaced by one that is written.
    ///
    /// # Errors
    /// If it would have another form than its name or its present content.
    pub(super) fn check_destination(&self) -> Result<(), LayoutError> {
        let Inner {
            format,
            endpoint,
            path,
            ..
        } = &*self.0;
        let refuse = |why: String| Err(LayoutError::new(ErrorKind::Rejected, WRITE, endpoint, why));
        self.check_replaceable()?;
        let name = path.as_written().to_string_lossy();
        if let Some(suffix) = COMPRESSED.iter().find(|suffix| name.ends_with(**suffix)) {
            let plain = name.strip_suffix(suffix).unwrap_or(&name);
            return refuse(format!(
                "archives are written without compression, since layers are compressed already. Name it {plain}.tar"
            ));
        }
        match self.files() {
            Some(files) if files.is_unpacked() => refuse(
                "the file is compressed, and archives are written without compression. Name another file".to_owned(),
            ),
            Some(files) if *format == ArchiveFormat::Docker && !files.is_for_docker() => refuse(format!(
                "the file has no manifest.json, so that Docker could not find its present images. Write oci-archive:{name}, or name another file"
            )),
            _ => Ok(()),
        }
    }
    /// Refuses a pipe or a device as a destination, which cannot be replaced. Blocks.
    fn check_replaceable(&self) -> Result<(), LayoutError> {
        let Inner { endpoint, path, .. } = &*self.0;
        if path.is_standard_stream() {
            return Ok(());
        }
        match std::fs::metadata(path.as_written()) {
            Ok(found) if !found.is_file() && !found.is_dir() => {
                let scheme = FileKind::Archive(self.0.format).scheme();
                let why = format!(
                    "it is no regular file. Write {scheme}- for standard output, or name another file"
                );
                Err(LayoutError::new(ErrorKind::Rejected, WRITE, endpoint, why))
            }
            _ => Ok(()),
        }
    }
    /// Returns the files of the archive as it was opened.
    pub(super) fn files(&self) -> Option<Arc<ArchiveFiles>> {
        lock(&self.0.files).clone()
    }
    /// Opens the archive and reads its roots; `None` if it does not exist. Blocks.
    ///
    /// # Errors
    /// If it cannot be read, or is no archive of images.
    pub(super) fn open(&self) -> Result<Option<LayoutIndex>, LayoutError> {
        if self.0.end == End::Destination && self.0.path.is_standard_stream() {
            return Ok(None);
        }
        if self.0.end == End::Destination {
            self.check_replaceable()?;
        }
        let files = self.0.archives.open(&self.0.endpoint, &self.0.path)?;
        let index = files.as_deref().map(read_index).transpose()?;
        *lock(&self.0.files) = files;
        Ok(index)
    }
    /// Returns the place that the archive is written to.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn target(&self) -> Result<Arc<ArchiveTarget>, LayoutError> {
        let Inner { endpoint, path, .. } = &*self.0;
        let mut target = lock(&self.0.target);
        if let Some(target) = &*target {
            return Ok(Arc::clone(target));
        }
        let options = self.0.archives.options();
        let chosen = Arc::new(ArchiveTarget::new(endpoint, path, options)?);
        *target = Some(Arc::clone(&chosen));
        Ok(chosen)
    }
    /// Opens the directory in which an earlier run gathered blobs, so that none of them is downloaded again; `None` if
    /// there is none. Blocks.
    pub(super) fn gathered(&self) -> Option<Arc<LayoutDirectory>> {
        if self.0.end == End::Source {
            return None;
        }
        let folder = gathering_folder(&self.0.path, self.0.archives.options())?;
        let directory = LayoutDirectory::open(&folder, &self.0.endpoint);
        directory.ok().map(Arc::new)
    }
    /// Forgets what was opened, so that a later run reads the file again.
    pub(super) fn close(&self) {
        self.0.archives.close(&self.0.path);
    }
    /// Checks that an image can be named in the archive.
    ///
    /// # Errors
    /// The reason, as a clause.
    pub(super) fn accept(&self, view: &ManifestView) -> Result<(), String> {
        match self.0.format {
            ArchiveFormat::Oci => Ok(()),
            ArchiveFormat::Docker => check_docker(view, &self.0.path),
        }
    }
}

/// Reads the roots of an archive.
fn read_index(files: &ArchiveFiles) -> Result<LayoutIndex, LayoutError> {
    let refuse = |kind, why: String| {
        let action = format!("read {INDEX_FILE}");
        LayoutError::new(kind, action, files.endpoint(), why)
    };
    let bytes = files
        .open(INDEX_FILE)
        .and_then(|content| content.read(MAX_INDEX_BYTES))
        .map_err(|error: io::Error| refuse(ErrorKind::Corrupt, error.to_string()))?;
    LayoutIndex::parse(&bytes).map_err(|error| refuse(ErrorKind::Protocol, error.to_string()))
}

impl Layout {
    /// Opens the archive again, since another process may have replaced it, and returns its roots. The lock is held.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) async fn reopen_archive(&self) -> Result<LayoutIndex, LayoutError> {
        let Some(archive) = self.archive.clone() else {
            return Ok(LayoutIndex::new());
        };
        let opened = tokio::task::spawn_blocking(move || archive.open()).await;
        let opened = opened.unwrap_or_else(|_| Err(LayoutError::lost(OPEN, &self.endpoint)));
        Ok(opened?.unwrap_or_else(LayoutIndex::new))
    }
    /// Writes the archive of the layout, if it lacks something.
    ///
    /// # Errors
    /// If it cannot be written, or the run was `stopped`. The blobs stay for the next run.
    pub(super) async fn write_archive(
        &self,
        writer: &Arc<LayoutWriter>,
        stopped: bool,
    ) -> Result<(), LayoutError> {
        let Some(archive) = &self.archive else {
            return Ok(());
        };
        let target = archive.target()?;
        let (snapshot, index) = {
            let state = lock(&self.state);
            let snapshot = state.snapshot(writer.directory())?;
            (snapshot, state.index.sorted())
        };
        if snapshot.is_none() && !writer.has_written() {
            return Ok(());
        }
        if stopped {
            let kind = ErrorKind::Rejected;
            let why = target.stopped();
            return Err(LayoutError::new(kind, WRITE, &self.endpoint, why));
        }
        let (files, archive) = (self.files()?, archive.clone());
        run_blocking(&files, move |files| {
            let Inner {
                endpoint, archives, ..
            } = &*archive.0;
            let packing = Packing::new(files, index, archive.format())?;
            let progress = archives.writing(endpoint, packing.bytes());
            target.write(&packing, progress)
        })
        .await?;
        if let Some(snapshot) = &snapshot {
            lock(&self.state).is_written(snapshot);
        }
        Ok(())
    }
    /// Returns the directory in which the blobs of an archive were gathered, when nothing uses it any more.
    pub(super) fn gathered(&self) -> Option<Gathered> {
        let target = lock(&self.archive.as_ref()?.0.target).take()?;
        *lock(&self.directory) = None;
        Some(Gathered(target))
    }
}

/// Directory with the blobs of an archive that was written.
pub(super) struct Gathered(Arc<ArchiveTarget>);

impl Gathered {
    /// Removes the content, while the lock is held. The mark of a layout is last, so that the next run continues one that
    /// was killed here.
    pub(super) async fn clear(&self) {
        let folder = self.0.folder();
        let blobs = tokio::fs::remove_dir_all(folder.join(blob_path::BLOBS)).await;
        self.warn(blobs);
        for name in [INDEX_FILE, LAYOUT_FILE] {
            let removed = tokio::fs::remove_file(folder.join(name)).await;
            self.warn(removed);
        }
    }
    /// Removes the directory after its lock, unless another process has locked it since.
    pub(super) async fn remove(self) {
        match tokio::fs::remove_dir(self.0.folder()).await {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            removed => self.warn(removed),
        }
    }
    fn warn(&self, removed: io::Result<()>) {
        if let Err(error) = removed.or_else(ignore_missing) {
            let folder = self.0.folder().display();
            tracing::warn!(%error, "{folder} cannot be removed. Its content is not needed any more");
        }
    }
}

fn ignore_missing(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }
}

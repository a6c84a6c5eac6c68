//! An OCI image layout: a directory with the blobs of many images, and an index of their names (image-spec, "OCI
//! Image Layout Specification").
//!
//! A [`Layout`] is read without a lock. The first write takes the lock of the layout ([`write_lock`]), reads the index
//! again, and makes the directory a layout if it is none yet. Names are changed in memory. The file `index.json` is
//! written every five seconds while it lacks some, and at the end ([`Layout::finish`]): writing it for each image would
//! cost a time that grows with the square of their number.
//!
//! Every blob is complete before it has its name ([`writer`]), and every blob of an image is there before the index
//! names the image. So a process that is killed leaves a valid layout, which lacks at most the names of five seconds.
//!
//! An archive of images is a layout as well ([`in_archive`]): its files are read from the archive, and those that are
//! written are gathered in a directory, from which the archive is packed at the end.
//!
//! Referrers need no list. Each is a root without a name, so that other tools find it and keep it; [`walk`] finds what
//! it refers to.

mod blob_reader;
mod directory;
mod files;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod in_archive;
mod index_file;
mod lock_directory;
mod packing;
mod reading;
mod roots;
mod stores;
#[cfg(test)]
pub(in crate::store) mod testing;
#[cfg(test)]
mod tests;
mod upload;
mod walk;
mod write_lock;
mod writer;
mod writing;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use image_syncer_registry::{Descriptor, Digest, ErrorKind, Tag};
use tokio::sync::OnceCell;

use crate::keyed::KeyedLock;
use crate::lock::lock;
use crate::store::Endpoint;
use crate::store::archive::Archives;
use crate::store::layout_format::{
    LayoutError, LayoutIndex, LayoutName, Located, RootName, blob_path,
};
use directory::LayoutDirectory;
use files::LayoutFiles;
use in_archive::LayoutArchive;
use index_file::{Contents, IndexState};
#[cfg(test)]
pub(in crate::store) use reading::NameScope;
pub(crate) use stores::LayoutStores;
use walk::Walk;
use writer::LayoutWriter;

/// End of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Source,
    Destination,
}

/// An OCI image layout in a directory or an archive, or a place where one can be created.
pub(crate) struct Layout {
    endpoint: Endpoint,
    /// `None` as long as the directory does not exist. That of an archive exists while the archive is written, and after
    /// a run that was stopped.
    directory: Mutex<Option<Arc<LayoutDirectory>>>,
    state: Mutex<IndexState>,
    /// `None` for a directory.
    archive: Option<LayoutArchive>,
    /// The directory has an `index.json`; or the archive exists.
    exists: std::sync::atomic::AtomicBool,
    /// Result of the walk, made for the first question about referrers.
    walk: OnceCell<Walk>,
    /// Referrers that were written since, by subject.
    new_referrers: Mutex<HashMap<Digest, Vec<Digest>>>,
    unnamed: Mutex<UnnamedManifests>,
    /// `None` while nothing is written.
    writer: tokio::sync::Mutex<Option<Arc<LayoutWriter>>>,
    /// Held while the index is written.
    index_turn: tokio::sync::Mutex<()>,
    /// Blobs that are being written.
    blobs: Arc<KeyedLock<Digest>>,
    index_writes: AtomicU64,
}

/// Manifests that were written by digest, and may be parts of an index that follows.
#[derive(Default)]
struct UnnamedManifests {
    /// Manifests that become roots at the end, unless an index names them before.
    waiting: HashMap<Digest, Descriptor>,
    /// Manifests that became roots at the end of a run. Another run may still write the index that names them.
    listed: HashSet<Digest>,
}

impl Layout {
    /// Opens the layout of `endpoint`, which is no registry. A path that does not exist, and an empty directory, are layouts
    /// without images.
    ///
    /// # Errors
    /// If the path leads to something else, or the layout cannot be read. Nothing is changed.
    pub(crate) async fn open(
        endpoint: &Endpoint,
        end: End,
        archives: &Archives,
    ) -> Result<Arc<Self>, LayoutError> {
        let (at, archives) = (endpoint.clone(), archives.clone());
        let opened =
            tokio::task::spawn_blocking(move || open_contents((&at, end), &archives)).await;
        let opened = opened.unwrap_or_else(|_| Err(LayoutError::lost("open the layout", endpoint)));
        let Opened {
            directory,
            archive,
            index,
        } = opened?;
        let exists = index.is_some();
        Ok(Arc::new(Self {
            endpoint: endpoint.clone(),
            archive,
            directory: Mutex::new(directory),
            state: Mutex::new(IndexState::new(index.unwrap_or_else(LayoutIndex::new))),
            exists: exists.into(),
            walk: OnceCell::new(),
            new_referrers: Mutex::default(),
            unnamed: Mutex::default(),
            writer: tokio::sync::Mutex::default(),
            index_turn: tokio::sync::Mutex::default(),
            blobs: Arc::default(),
            index_writes: AtomicU64::new(0),
        }))
    }
    /// Returns the endpoint, as the user named it.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
    /// Checks that the layout exists, for a source.
    ///
    /// # Errors
    /// If it does not.
    pub(crate) fn require(&self) -> Result<(), LayoutError> {
        if self.exists.load(std::sync::atomic::Ordering::Acquire) {
            return Ok(());
        }
        Err(missing_layout(
            &self.endpoint,
            lock(&self.directory).is_some(),
        ))
    }
    /// Checks that the layout can be written to, as far as that is known without writing.
    ///
    /// # Errors
    /// For an archive that cannot be replaced.
    pub(in crate::store) fn check_destination(&self) -> Result<(), LayoutError> {
        self.archive
            .as_ref()
            .map_or(Ok(()), LayoutArchive::check_destination)
    }
    /// Forgets what was opened of an archive.
    fn close(&self) {
        if let Some(archive) = &self.archive {
            archive.close();
        }
    }
    /// Returns the bytes of the file `name`.
    #[cfg(test)]
    pub(in crate::store) fn read_file(&self, name: &str) -> bytes::Bytes {
        let read = self
            .files()
            .map(|files| files.read(name, crate::store::layout_format::MAX_INDEX_BYTES));
        read.ok().and_then(Result::ok).unwrap_or_default()
    }
    /// Returns the files.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] as long as neither the directory nor the archive exists.
    fn files(&self) -> Result<Arc<LayoutFiles>, LayoutError> {
        let archive = self.archive.as_ref().and_then(LayoutArchive::files);
        let directory = lock(&self.directory).clone();
        let files = LayoutFiles::new(self.endpoint.clone(), directory, archive);
        if files.is_nowhere() {
            return Err(missing_layout(&self.endpoint, false));
        }
        Ok(Arc::new(files))
    }
}

/// Returns the error for a path without a layout.
fn missing_layout(endpoint: &Endpoint, is_directory: bool) -> LayoutError {
    let (action, why) = match endpoint {
        Endpoint::Archive(..) => ("find images", "there is no such file"),
        _ if is_directory => (
            "open the layout",
            "the directory is no OCI layout: it has no file index.json",
        ),
        _ => ("open the layout", "there is no such directory"),
    };
    LayoutError::new(ErrorKind::NotFound, action, endpoint, why)
}

/// Names of the images in a layout.
#[derive(Debug, Default)]
pub(crate) struct LayoutNames {
    /// Full names.
    pub(crate) full: BTreeSet<LayoutName>,
    /// Tags of images that have no more than a tag.
    pub(crate) bare_tags: BTreeSet<Tag>,
    /// Digests of images without a name.
    pub(crate) unnamed: BTreeSet<Digest>,
}

/// Returns the names of the images in the layout or the archive of `endpoint`. Blocks.
///
/// # Errors
/// If there is none, or it cannot be read.
pub(crate) fn read_names(
    endpoint: &Endpoint,
    archives: &Archives,
) -> Result<LayoutNames, LayoutError> {
    let Opened {
        directory, index, ..
    } = open_contents((endpoint, End::Source), archives)?;
    let index = index.ok_or_else(|| missing_layout(endpoint, directory.is_some()))?;
    let mut names = LayoutNames::default();
    for root in index.roots() {
        match &root.name {
            RootName::Full(name) => drop(names.full.insert(name.clone())),
            RootName::Tag(tag) => drop(names.bare_tags.insert(tag.clone())),
            RootName::Unnamed => drop(names.unnamed.insert(root.digest.clone())),
        }
    }
    Ok(names)
}

/// A layout that was opened.
#[derive(Default)]
struct Opened {
    /// `None` if it does not exist, and for an archive.
    directory: Option<Arc<LayoutDirectory>>,
    archive: Option<LayoutArchive>,
    /// The roots; `None` if there is no layout yet.
    index: Option<LayoutIndex>,
}

/// Opens the directory or the archive, and reads the roots. Blocks.
fn open_contents(
    (endpoint, end): (&Endpoint, End),
    archives: &Archives,
) -> Result<Opened, LayoutError> {
    match endpoint {
        Endpoint::Layout(path) => open_directory(endpoint, path.as_written()),
        Endpoint::Archive(format, path) => {
            let archive = LayoutArchive::new((*format, path), (endpoint, end), archives);
            Ok(Opened {
                index: archive.open()?,
                directory: archive.gathered(),
                archive: Some(archive),
            })
        }
        Endpoint::Registry(_) => {
            let why = "it is no file; this is a defect of image-syncer, please report it";
            let kind = ErrorKind::Refused;
            Err(LayoutError::new(kind, "open the layout", endpoint, why))
        }
    }
}

fn open_directory(endpoint: &Endpoint, path: &Path) -> Result<Opened, LayoutError> {
    const ACTION: &str = "open the layout";
    let directory = match LayoutDirectory::open(path, endpoint) {
        Ok(directory) => Arc::new(directory),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Opened::default()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            let why = format!(
                "it is not a directory. Name a directory, or write oci-archive:{}",
                path.display()
            );
            return Err(LayoutError::new(ErrorKind::Rejected, ACTION, endpoint, why));
        }
        Err(error) => return Err(LayoutError::io(ACTION, endpoint, &error)),
    };
    let index = match Contents::read(&directory)? {
        Contents::Empty | Contents::Begun => None,
        Contents::Layout(index) => Some(index),
    };
    Ok(Opened {
        directory: Some(directory),
        index,
        archive: None,
    })
}

/// Runs `work`, which blocks, on a thread for such work.
async fn run_blocking<F: Located, T: Send + 'static>(
    files: &Arc<F>,
    work: impl FnOnce(&Arc<F>) -> Result<T, LayoutError> + Send + 'static,
) -> Result<T, LayoutError> {
    let at = Arc::clone(files);
    let done = tokio::task::spawn_blocking(move || work(&at)).await;
    done.unwrap_or_else(|_| Err(LayoutError::lost("access the layout", files.endpoint())))
}

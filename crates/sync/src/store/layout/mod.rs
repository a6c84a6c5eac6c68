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
//! Referrers need no list. Each is a root without a name, so that other tools find it and keep it; [`walk`] finds what
//! it refers to.

mod blob_path;
mod blob_reader;
mod directory;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod index;
mod index_file;
mod name;
mod reading;
mod roots;
mod stores;
#[cfg(test)]
mod tests;
mod upload;
mod walk;
mod write_lock;
mod writer;
mod writing;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use image_syncer_registry::{Descriptor, Digest, ErrorKind, Tag};
use tokio::sync::OnceCell;

use crate::keyed::KeyedLock;
use crate::lock::lock;
use directory::LayoutDirectory;
pub(crate) use error::LayoutError;
use index::LayoutIndex;
use index_file::{Contents, IndexState};
pub(crate) use name::split_path;
use name::{LayoutName, RootName};
pub(crate) use stores::LayoutStores;
use walk::Walk;
use writer::LayoutWriter;

/// An OCI image layout, or a place where one can be created.
pub(crate) struct Layout {
    path: PathBuf,
    /// `None` as long as the directory does not exist.
    directory: Mutex<Option<Arc<LayoutDirectory>>>,
    state: Mutex<IndexState>,
    /// The directory has an `index.json`.
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
    /// Opens the layout at `path`. A path that does not exist, and an empty directory, are layouts without images.
    ///
    /// # Errors
    /// If `path` leads to something else, or the layout cannot be read. Nothing is changed.
    pub(crate) async fn open(path: &Path) -> Result<Arc<Self>, LayoutError> {
        let at = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || open_contents(&at)).await;
        let opened = opened.unwrap_or_else(|_| Err(LayoutError::lost("open the layout", path)));
        let (directory, index) = opened?;
        let exists = index.is_some();
        Ok(Arc::new(Self {
            path: path.to_owned(),
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
    /// Path of the layout, as the user wrote it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
    /// Checks that the layout exists, for a source.
    ///
    /// # Errors
    /// If it does not.
    pub(crate) fn require(&self) -> Result<(), LayoutError> {
        if self.exists.load(std::sync::atomic::Ordering::Acquire) {
            return Ok(());
        }
        Err(missing_layout(&self.path, lock(&self.directory).is_some()))
    }
    /// Returns the directory.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] as long as it does not exist.
    fn directory(&self) -> Result<Arc<LayoutDirectory>, LayoutError> {
        let directory = lock(&self.directory).clone();
        directory.ok_or_else(|| {
            let why = "there is no such directory";
            LayoutError::new(ErrorKind::NotFound, "open the layout", &self.path, why)
        })
    }
}

/// Returns the error for a path without a layout.
fn missing_layout(path: &Path, is_directory: bool) -> LayoutError {
    let why = if is_directory {
        "the directory is no OCI layout: it has no file index.json"
    } else {
        "there is no such directory"
    };
    LayoutError::new(ErrorKind::NotFound, "open the layout", path, why)
}

/// Names of the images in a layout.
#[derive(Debug, Default)]
pub(crate) struct LayoutNames {
    /// Full names.
    pub(crate) full: BTreeSet<LayoutName>,
    /// Tags of images that have no more than a tag.
    pub(crate) bare_tags: BTreeSet<Tag>,
}

/// Returns the names of the images in the layout at `path`. Blocks.
///
/// # Errors
/// If there is no layout, or it cannot be read.
pub(crate) fn read_names(path: &Path) -> Result<LayoutNames, LayoutError> {
    let (directory, index) = open_contents(path)?;
    let index = index.ok_or_else(|| missing_layout(path, directory.is_some()))?;
    let mut names = LayoutNames::default();
    for root in index.roots() {
        match &root.name {
            RootName::Full(name) => drop(names.full.insert(name.clone())),
            RootName::Tag(tag) => drop(names.bare_tags.insert(tag.clone())),
            RootName::Unnamed => {}
        }
    }
    Ok(names)
}

/// Opens the directory and reads the roots. `None` for what does not exist.
fn open_contents(
    path: &Path,
) -> Result<(Option<Arc<LayoutDirectory>>, Option<LayoutIndex>), LayoutError> {
    let directory = match LayoutDirectory::open(path) {
        Ok(directory) => Arc::new(directory),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((None, None)),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            let why = "it is not a directory. Name a directory, or oci-archive:FILE";
            let kind = ErrorKind::Rejected;
            return Err(LayoutError::new(kind, "open the layout", path, why));
        }
        Err(error) => return Err(LayoutError::io("open the layout", path, &error)),
    };
    let index = match Contents::read(&directory)? {
        Contents::Empty | Contents::Begun => None,
        Contents::Layout(index) => Some(index),
    };
    Ok((Some(directory), index))
}

/// Runs `work`, which blocks, on a thread for such work.
async fn run_blocking<T: Send + 'static>(
    directory: &Arc<LayoutDirectory>,
    work: impl FnOnce(&Arc<LayoutDirectory>) -> Result<T, LayoutError> + Send + 'static,
) -> Result<T, LayoutError> {
    let at = Arc::clone(directory);
    let done = tokio::task::spawn_blocking(move || work(&at)).await;
    done.unwrap_or_else(|_| Err(LayoutError::lost("access the layout", directory.path())))
}

//! Opening of archives for reading.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{self, IsTerminal, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use image_syncer_registry::{ErrorKind, io_clause};

use super::entries::{self, BLOCK, Entries, ScanError};
use super::progress::{WatchedReader, Watcher, WorkProgress};
use super::spool::{self, Compression, SpoolError, Spooled};
use super::{ArchiveFiles, docker};
use crate::event::{ArchiveWork, Listener};
use crate::lock::lock;
use crate::store::layout_format::{INDEX_FILE, LayoutError};
use crate::store::{Endpoint, FilePath};

const ACTION: &str = "find images";

/// Settings of archives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchiveOptions {
    /// Directory for what is unpacked or gathered; without one, the directory of the system, and for an archive that is
    /// written the one beside it.
    pub temp: Option<PathBuf>,
    /// Reads an archive that is truncated as far as it goes.
    pub partial: bool,
}

/// Opened archives, each of which is unpacked and scanned once. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Archives(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    options: ArchiveOptions,
    watcher: Watcher,
    open: Mutex<HashMap<PathBuf, Opened>>,
}

#[derive(Debug)]
struct Opened {
    /// `None` for standard input and pipes, which can be read once.
    identity: Option<Identity>,
    files: Arc<ArchiveFiles>,
}

/// Properties of a file that change with its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Identity {
    fn of(metadata: &Metadata) -> Option<Self> {
        metadata.is_file().then(|| Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }
}

impl Archives {
    /// Creates a set without archives.
    pub fn new(options: ArchiveOptions) -> Self {
        Self(Arc::new(Inner {
            options,
            watcher: Watcher::default(),
            open: Mutex::default(),
        }))
    }
    /// Sets the receiver of events about archives, for as long as it lives.
    pub fn watch(&self, listener: &Arc<dyn Listener>) {
        self.0.watcher.set(listener);
    }
    /// Starts the progress of an archive of `total` bytes that is written.
    pub(in crate::store) fn writing(&self, endpoint: &Endpoint, total: u64) -> WorkProgress<'_> {
        WorkProgress::start(&self.0.watcher, endpoint, ArchiveWork::Write, Some(total))
    }
    /// The settings.
    pub(in crate::store) fn options(&self) -> &ArchiveOptions {
        &self.0.options
    }
    /// Opens the archive of `endpoint`; `None` if there is no such file. Blocks.
    ///
    /// # Errors
    /// If it cannot be read or unpacked, or is no archive of images.
    pub(in crate::store) fn open(
        &self,
        endpoint: &Endpoint,
        path: &FilePath,
    ) -> Result<Option<Arc<ArchiveFiles>>, LayoutError> {
        let failed = |error: io::Error| LayoutError::io(ACTION, endpoint, &error);
        let key = path.absolute().to_owned();
        let metadata = match std::fs::metadata(path.as_written()) {
            _ if path.is_standard_stream() => None,
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        if metadata.as_ref().is_some_and(Metadata::is_dir) {
            let why = format!(
                "it is a directory. Write oci:{}",
                path.as_written().display()
            );
            return Err(LayoutError::new(ErrorKind::Rejected, ACTION, endpoint, why));
        }
        if metadata.as_ref().is_some_and(is_device) {
            // It may have no end.
            let why = "it is a device. Name a file";
            return Err(LayoutError::new(ErrorKind::Rejected, ACTION, endpoint, why));
        }
        let identity = metadata.as_ref().and_then(Identity::of);
        if let Some(known) = lock(&self.0.open).get(&key)
            && known.identity == identity
        {
            return Ok(Some(Arc::clone(&known.files)));
        }
        let opening = Opening {
            endpoint,
            options: &self.0.options,
            watcher: &self.0.watcher,
        };
        let file = match metadata {
            Some(_) => File::open(path.as_written()).map_err(failed)?,
            None => standard_input().map_err(failed)?,
        };
        let files = Arc::new(opening.open(file)?);
        let opened = Opened {
            identity,
            files: Arc::clone(&files),
        };
        lock(&self.0.open).insert(key, opened);
        Ok(Some(files))
    }
    /// Forgets an archive that can be opened again.
    pub(in crate::store) fn close(&self, path: &FilePath) {
        let mut open = lock(&self.0.open);
        let is_file = open
            .get(path.absolute())
            .is_some_and(|opened| opened.identity.is_some());
        if is_file {
            open.remove(path.absolute());
        }
    }
}

/// An archive that is being opened.
struct Opening<'a> {
    endpoint: &'a Endpoint,
    options: &'a ArchiveOptions,
    watcher: &'a Watcher,
}

impl Opening<'_> {
    fn open(&self, file: File) -> Result<ArchiveFiles, LayoutError> {
        let Plain {
            file,
            is_unpacked,
            cut,
        } = self.plain(file)?;
        let length = file.metadata().map_err(|error| self.failed(&error))?.len();
        let mut progress = self.progress(ArchiveWork::Scan, Some(length));
        let entries = Entries::scan(&file, length, &mut progress);
        let entries = entries.map_err(|error| match error {
            ScanError::Refused(why) => self.refused(ErrorKind::Rejected, why),
            ScanError::Io(error) => self.failed(&error),
        })?;
        drop(progress);
        let mut files = ArchiveFiles {
            endpoint: self.endpoint.clone(),
            file: Arc::new(file),
            entries,
            is_unpacked,
            made: HashMap::new(),
        };
        self.check_end(&files, cut.as_ref())?;
        if !files.entries.has(INDEX_FILE) {
            docker::complete(&mut files, self.options.partial, self.watcher)?;
        }
        Ok(files)
    }
    /// Unpacks `file`, unless it has no compression and can be read at offsets.
    fn plain(&self, mut file: File) -> Result<Plain, LayoutError> {
        let metadata = file.metadata().map_err(|error| self.failed(&error))?;
        let beginning = beginning(&mut file).map_err(|error| self.failed(&error))?;
        if beginning.is_empty() && !metadata.is_file() {
            let why = "it is empty. The command before it may have failed";
            return Err(self.refused(ErrorKind::Rejected, why.to_owned()));
        }
        let compression = Compression::of(&beginning);
        if metadata.is_file() && compression == Compression::None {
            return Ok(Plain {
                file,
                is_unpacked: false,
                cut: None,
            });
        }
        if compression == Compression::None {
            // A stream of something else may have no end.
            let checked = entries::check_start(&beginning);
            checked.map_err(|why| self.refused(ErrorKind::Rejected, why.to_owned()))?;
        }
        let folder = self.options.temp.clone();
        let folder = folder.unwrap_or_else(std::env::temp_dir);
        let size = metadata.is_file().then_some(metadata.len());
        let progress = self.progress(ArchiveWork::Unpack, size);
        let watched = WatchedReader::new(file, progress);
        match spool::unpack(&beginning, watched, &folder) {
            Ok(Spooled { file, cut }) => Ok(Plain {
                file,
                is_unpacked: true,
                cut,
            }),
            Err(SpoolError::Unsupported(name)) => {
                let why = format!(
                    "it is compressed with {name}. Only gzip and zstd are supported: unpack it first"
                );
                Err(self.refused(ErrorKind::Rejected, why))
            }
            Err(SpoolError::Target(error)) => Err(self.no_room(&folder, &error)),
        }
    }
    /// Refuses an archive that is not complete, unless it may be.
    fn check_end(&self, files: &ArchiveFiles, cut: Option<&io::Error>) -> Result<(), LayoutError> {
        let why = match (cut, files.cut()) {
            (Some(error), _) => format!("its compression is damaged: {}", io_clause(error)),
            (None, Some(cut)) if !(cut.lacks_mark_only && files.entries.has(INDEX_FILE)) => {
                cut.to_string()
            }
            (None, _) => return Ok(()),
        };
        if self.options.partial {
            let endpoint = self.endpoint;
            self.watcher.warn(format!(
                "{endpoint}: {why}. Images that are complete are read."
            ));
            return Ok(());
        }
        let why = format!("{why}. Add --partial to read the images that are complete");
        Err(self.refused(ErrorKind::Corrupt, why))
    }
    fn progress(&self, work: ArchiveWork, total: Option<u64>) -> WorkProgress<'_> {
        WorkProgress::start(self.watcher, self.endpoint, work, total)
    }
    fn failed(&self, error: &io::Error) -> LayoutError {
        LayoutError::io(ACTION, self.endpoint, error)
    }
    fn refused(&self, kind: ErrorKind, why: String) -> LayoutError {
        LayoutError::new(kind, ACTION, self.endpoint, why)
    }
    fn no_room(&self, folder: &Path, error: &io::Error) -> LayoutError {
        LayoutError::io("unpack images", self.endpoint, error).with_advice(&format!(
            "The directory is {}; --temp names another",
            folder.display()
        ))
    }
}

/// A file without compression that can be read at offsets.
struct Plain {
    file: File,
    is_unpacked: bool,
    /// The error after which its source could not be read further.
    cut: Option<io::Error>,
}

fn is_device(metadata: &Metadata) -> bool {
    let kind = metadata.file_type();
    kind.is_char_device() || kind.is_block_device()
}

/// Returns standard input as a file of its own.
fn standard_input() -> io::Result<File> {
    let input = io::stdin();
    if input.is_terminal() {
        let why = "standard input is a terminal. Pipe an archive into the command, or name a file";
        return Err(io::Error::other(why));
    }
    Ok(File::from(input.as_fd().try_clone_to_owned()?))
}

/// Reads the first block of a file, as far as there is one.
fn beginning(file: &mut File) -> io::Result<Vec<u8>> {
    if file.metadata()?.is_file() {
        // Standard input may have been read before.
        file.seek(SeekFrom::Start(0))?;
    }
    let mut bytes = Vec::with_capacity(BLOCK);
    file.take(BLOCK as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

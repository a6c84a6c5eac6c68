//! Place of an archive that is written: a file that is replaced as a whole, or standard output.

use std::fs::{File, TryLockError};
use std::io::{self, IsTerminal, Seek, SeekFrom, StdoutLock, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use image_syncer_registry::{Digest, ErrorKind};
use tempfile::TempDir;

use super::Packing;
use crate::lock::lock;
use crate::store::archive::{ArchiveOptions, WorkProgress};
use crate::store::layout_format::LayoutError;
use crate::store::{Endpoint, FilePath};

const ACTION: &str = "write images";

/// Maximum wait for another process.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// Place of an archive that is written.
#[derive(Debug)]
pub(in crate::store) struct ArchiveTarget {
    endpoint: Endpoint,
    path: FilePath,
    /// The file, or what a link with its name leads to.
    file: PathBuf,
    /// Directory in which its blobs are gathered.
    folder: PathBuf,
    /// File that becomes the archive; `None` for standard output, and once it is the archive.
    partial: Mutex<Option<PartialFile>>,
    /// Removes the directory of an archive that goes to standard output, which no later run continues.
    _temporary: Option<TempDir>,
}

impl ArchiveTarget {
    /// Chooses the place for the blobs of the archive at `path`, and creates the file that becomes the archive, so that a
    /// directory that cannot be written to is found before anything is copied. Blocks.
    ///
    /// # Errors
    /// If the file cannot be created, another process writes it, or standard output is a terminal.
    pub(in crate::store) fn new(
        endpoint: &Endpoint,
        path: &FilePath,
        options: &ArchiveOptions,
    ) -> Result<Self, LayoutError> {
        let failed = |error: &io::Error| LayoutError::io(ACTION, endpoint, error);
        let file = linked(path.as_written());
        let gathering = gathering_folder(path, options);
        let (folder, partial, temporary) = if let Some(folder) = gathering {
            let partial = PartialFile::open(endpoint, &file)?;
            (folder, Some(partial), None)
        } else {
            if io::stdout().is_terminal() {
                let why = "standard output is a terminal. Redirect it, or name a file";
                return Err(LayoutError::new(ErrorKind::Rejected, ACTION, endpoint, why));
            }
            let parent = options.temp.clone().unwrap_or_else(std::env::temp_dir);
            let folder = tempfile::Builder::new()
                .prefix("image-syncer-")
                .tempdir_in(parent);
            let folder = folder.map_err(|error| failed(&error))?;
            (folder.path().to_owned(), None, Some(folder))
        };
        Ok(Self {
            endpoint: endpoint.clone(),
            path: path.clone(),
            file,
            folder,
            partial: Mutex::new(partial),
            _temporary: temporary,
        })
    }
    /// Returns the directory in which the blobs are gathered.
    pub(in crate::store) fn folder(&self) -> &Path {
        &self.folder
    }
    /// Returns the reason for an archive that was not written, since its run was stopped.
    pub(in crate::store) fn stopped(&self) -> String {
        if self.path.is_standard_stream() {
            return "the run was stopped before".to_owned();
        }
        let folder = self.folder.display();
        format!(
            "the run was stopped before. Run the command again: it goes on with what is in {folder}"
        )
    }
    /// Writes the archive. A file has its old content until all of the new one is on the disk. Blocks.
    ///
    /// # Errors
    /// If a blob is damaged, or the archive cannot be written.
    pub(in crate::store) fn write(
        &self,
        packing: &Packing<'_>,
        mut progress: WorkProgress<'_>,
    ) -> Result<(), LayoutError> {
        if self.path.is_standard_stream() {
            let mut output = packing.write(Output(io::stdout().lock()), &mut progress)?;
            return output.flush().map_err(|error| self.failed(&error));
        }
        let opened = lock(&self.partial).take();
        let partial = match opened {
            Some(partial) => partial,
            None => PartialFile::open(&self.endpoint, &self.file)?,
        };
        partial.clear().map_err(|error| self.failed(&error))?;
        packing.write(&partial.file, &mut progress)?;
        let replaced = partial.replace(&self.file);
        replaced.map_err(|error| self.failed(&error))
    }
    fn failed(&self, error: &io::Error) -> LayoutError {
        LayoutError::io(ACTION, &self.endpoint, error)
    }
}

/// Standard output, with a clause for a reader that has ended.
struct Output(StdoutLock<'static>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(closed)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(closed)
    }
}

fn closed(error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::BrokenPipe {
        return error;
    }
    let why = "the command that reads standard output ended before it had the whole archive";
    io::Error::other(why)
}

/// A file that becomes an archive when it is complete, locked for this process. It is removed when it is dropped before.
#[derive(Debug)]
struct PartialFile {
    path: PathBuf,
    file: File,
    is_named: AtomicBool,
}

impl PartialFile {
    /// Creates the file beside `archive`, and the directories above. One that a killed process left is used again.
    ///
    /// # Errors
    /// If another process has it for longer than five seconds, or it cannot be created.
    fn open(endpoint: &Endpoint, archive: &Path) -> Result<Self, LayoutError> {
        let path = partial_file(archive);
        let failed = |error: io::Error| {
            let action = format!("create {}", path.display());
            LayoutError::io(action, endpoint, &error)
        };
        if let Some(parent) = path.parent().filter(|parent| *parent != Path::new("")) {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut options = File::options();
            let options = options.write(true).create(true).truncate(false);
            let file = options.open(&path).map_err(failed)?;
            match file.try_lock() {
                Ok(()) if is_at(&file, &path) => {
                    return Ok(Self {
                        path,
                        file,
                        is_named: false.into(),
                    });
                }
                // It became an archive, or was removed, meanwhile.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                    let why = format!(
                        "another process has been writing it for {} seconds. Wait for its end, or name another file",
                        PATIENCE.as_secs()
                    );
                    let kind = ErrorKind::Rejected;
                    return Err(LayoutError::new(kind, ACTION, endpoint, why));
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
    }
    /// Removes the bytes of an earlier try.
    fn clear(&self) -> io::Result<()> {
        self.file.set_len(0)?;
        (&self.file).seek(SeekFrom::Start(0)).map(drop)
    }
    /// Replaces `archive` when all bytes are on the disk.
    fn replace(self, archive: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        std::fs::rename(&self.path, archive)?;
        self.is_named.store(true, Ordering::Release);
        sync_folder(archive)
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if !self.is_named.load(Ordering::Acquire) {
            // One that stays is used again by the next process.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Returns true if `file` is still the one at `path`.
fn is_at(file: &File, path: &Path) -> bool {
    let id = |metadata: &std::fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(named)) => id(&open) == id(&named),
        _ => false,
    }
}

/// Returns the file that a symbolic link leads to, so that the link stays one; the path itself if it is none.
fn linked(path: &Path) -> PathBuf {
    let is_link = path.symlink_metadata().is_ok_and(|it| it.is_symlink());
    let target = is_link.then(|| path.canonicalize().ok()).flatten();
    target.unwrap_or_else(|| path.to_owned())
}

/// Returns the directory in which the blobs of the archive at `path` are gathered: the same for each run. `None`
/// for standard output, which no later run continues.
pub(in crate::store) fn gathering_folder(
    path: &FilePath,
    options: &ArchiveOptions,
) -> Option<PathBuf> {
    const DIGITS: usize = 16;
    if path.is_standard_stream() {
        return None;
    }
    let file = linked(path.as_written());
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let Some(temp) = &options.temp else {
        return Some(beside(&file, &format!(".{name}.blobs")));
    };
    let absolute = std::path::absolute(&file).unwrap_or_else(|_| file.clone());
    let digest = Digest::sha256(absolute.as_os_str().as_encoded_bytes());
    let id = digest.encoded().get(..DIGITS).unwrap_or_default();
    Some(temp.join(format!("image-syncer-{name}-{id}.blobs")))
}

/// Returns the name of the file before it is complete.
fn partial_file(file: &Path) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    beside(file, &format!(".{name}.partial"))
}

fn beside(file: &Path, name: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(name)
}

/// Waits until the name of the file is on the disk.
fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        // Some file systems do not sync directories.
        Err(error) if error.kind() != io::ErrorKind::InvalidInput => Err(error),
        _ => Ok(()),
    }
}

//! Place of an archive that is written: a file that is replaced as a whole, or standard output.

use std::fs::{File, TryLockError};
use std::io::{self, IsTerminal, StdoutLock, Write};
use std::path::{Path, PathBuf};

use image_syncer_registry::{Digest, ErrorKind};
use tempfile::TempDir;

use super::ArchiveOptions;
use super::pack::Packing;
use super::progress::WorkProgress;
use crate::store::layout::LayoutError;
use crate::store::{Endpoint, FilePath};

const ACTION: &str = "write images";

/// Place of an archive that is written.
#[derive(Debug)]
pub(in crate::store) struct ArchiveTarget {
    endpoint: Endpoint,
    path: FilePath,
    /// The file, or what a link with its name leads to.
    file: PathBuf,
    /// Directory in which its blobs are gathered.
    folder: PathBuf,
    /// Removes the directory of an archive that goes to standard output, which no later run continues.
    _temporary: Option<TempDir>,
}

impl ArchiveTarget {
    /// Chooses the place for the blobs of the archive at `path`. Nothing is written to a file. Blocks.
    ///
    /// # Errors
    /// If standard output is a terminal, or there is no place for its blobs.
    pub(in crate::store) fn new(
        endpoint: &Endpoint,
        path: &FilePath,
        options: &ArchiveOptions,
    ) -> Result<Self, LayoutError> {
        let failed = |error: &io::Error| LayoutError::io(ACTION, endpoint, error);
        let file = linked(path.as_written());
        let (folder, temporary) = if path.is_standard_stream() {
            if io::stdout().is_terminal() {
                let why = "standard output is a terminal. Redirect it, or name a file";
                return Err(LayoutError::new(ErrorKind::Rejected, ACTION, endpoint, why));
            }
            let parent = options.temp.clone().unwrap_or_else(std::env::temp_dir);
            let folder = tempfile::Builder::new()
                .prefix("image-syncer-")
                .tempdir_in(parent);
            let folder = folder.map_err(|error| failed(&error))?;
            (folder.path().to_owned(), Some(folder))
        } else {
            (gathering_folder(&file, options.temp.as_deref()), None)
        };
        Ok(Self {
            endpoint: endpoint.clone(),
            path: path.clone(),
            file,
            folder,
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
        let file = self.file.as_path();
        let partial = partial_file(file);
        let target = self.open_partial(&partial)?;
        let written = packing.write(target, &mut progress).and_then(|written| {
            let replaced = written
                .sync_all()
                .and_then(|()| std::fs::rename(&partial, file))
                .and_then(|()| sync_folder(file));
            replaced.map_err(|error| self.failed(&error))
        });
        if written.is_err() {
            // Its space may be what the disk lacks.
            let _ = std::fs::remove_file(&partial);
        }
        written
    }
    /// Opens the file that becomes the archive, for this process alone.
    fn open_partial(&self, partial: &Path) -> Result<File, LayoutError> {
        let open = || {
            let mut options = File::options();
            options
                .write(true)
                .create(true)
                .truncate(false)
                .open(partial)
        };
        let file = open().map_err(|error| self.failed(&error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let why = format!("another process is writing {}", partial.display());
                let kind = ErrorKind::Rejected;
                return Err(LayoutError::new(kind, ACTION, &self.endpoint, why));
            }
            Err(TryLockError::Error(error)) => return Err(self.failed(&error)),
        }
        file.set_len(0).map_err(|error| self.failed(&error))?;
        Ok(file)
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

/// Returns the file that a symbolic link leads to, so that the link stays one; the path itself if it is none.
fn linked(path: &Path) -> PathBuf {
    let is_link = path.symlink_metadata().is_ok_and(|it| it.is_symlink());
    let target = is_link.then(|| path.canonicalize().ok()).flatten();
    target.unwrap_or_else(|| path.to_owned())
}

/// Returns the directory in which the blobs of the archive `file` are gathered: the same for each run.
fn gathering_folder(file: &Path, temp: Option<&Path>) -> PathBuf {
    const DIGITS: usize = 16;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let Some(temp) = temp else {
        return beside(file, &format!(".{name}.blobs"));
    };
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let digest = Digest::sha256(absolute.as_os_str().as_encoded_bytes());
    let id = digest.encoded().get(..DIGITS).unwrap_or_default();
    temp.join(format!("image-syncer-{name}-{id}.blobs"))
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

//! Faults of the history file, and what to do about them.

use std::fmt;
use std::path::Path;

use image_syncer_sync::sqlite_file::{FileError, FileErrorKind};

/// Reason why the history cannot be used. Its text is a sentence that names the file, the fault and the remedy.
#[derive(Clone, Debug)]
pub(crate) struct HistoryError(FileError);

impl HistoryError {
    pub(super) fn with_kind(path: &Path, kind: FileErrorKind) -> Self {
        Self(FileError::with_kind(path, kind, ""))
    }

    /// Describes `error` for the file at `path`.
    pub(super) fn new(path: &Path, error: rusqlite::Error) -> Self {
        Self(FileError::new(path, error))
    }

    pub(super) fn io(path: &Path, error: &std::io::Error) -> Self {
        Self(FileError::io(path, error))
    }

    /// Returns the kind of fault.
    pub(crate) fn kind(&self) -> FileErrorKind {
        self.0.kind()
    }
}

impl From<FileError> for HistoryError {
    fn from(error: FileError) -> Self {
        Self(error)
    }
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use FileErrorKind as Kind;
        let (path, detail) = (self.0.path().display(), self.0.detail());
        write!(f, "history file {path}: ")?;
        match self.0.kind() {
            Kind::Missing => f.write_str("it does not exist yet: image-syncer serve creates it"),
            Kind::Locked if detail.is_empty() => f.write_str(
                "another image-syncer serve uses it: stop that one, or give this one another directory with --state",
            ),
            Kind::Locked => write!(
                f,
                "another program keeps it locked ({detail}): end that program"
            ),
            Kind::Damaged => write!(
                f,
                "it is damaged or is not a history file ({detail}): stop the service and move a damaged one away, with \
                 {path}-wal and {path}-shm if they exist; the next start begins a new one"
            ),
            Kind::Foreign => f.write_str(
                "it is a database of another program, which is not changed: move it away, or name another directory \
                 with --state",
            ),
            Kind::Newer => write!(
                f,
                "a newer image-syncer wrote it ({detail}): use that version, or name another directory with --state"
            ),
            Kind::Denied => write!(
                f,
                "it cannot be opened or written ({detail}): name a directory that exists and may be written to with \
                 --state"
            ),
            Kind::Full => write!(f, "the disk is full ({detail}): make space"),
            Kind::Slow => f.write_str("writing to it takes too long, so its last entries are lost"),
            Kind::Other => write!(
                f,
                "it cannot be used ({detail}): name another directory with --state"
            ),
        }
    }
}

impl std::error::Error for HistoryError {}

//! Faults of a records file, and what to do about them.

use std::fmt;
use std::path::Path;

use crate::sqlite_file::FileError;
pub use crate::sqlite_file::FileErrorKind as RecordsErrorKind;

/// Reason why a records file cannot be used. Its text is a sentence that names the file, the fault and the remedy.
#[derive(Clone, Debug)]
pub struct RecordsError(FileError);

impl RecordsError {
    pub(super) fn with_kind(path: &Path, kind: RecordsErrorKind) -> Self {
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
    pub fn kind(&self) -> RecordsErrorKind {
        self.0.kind()
    }
}

impl From<FileError> for RecordsError {
    fn from(error: FileError) -> Self {
        Self(error)
    }
}

impl fmt::Display for RecordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use RecordsErrorKind as Kind;
        let (path, detail) = (self.0.path().display(), self.0.detail());
        write!(f, "records file {path}: ")?;
        match self.kind() {
            Kind::Missing => f.write_str("it does not exist yet: a run creates it"),
            Kind::Locked => write!(
                f,
                "another program keeps it locked ({detail}): end that program, or name another file with --records FILE"
            ),
            Kind::Damaged => write!(
                f,
                "it is damaged or is not a records file ({detail}): delete a damaged one, with {path}-wal and \
                 {path}-shm if they exist, or name another file with --records FILE"
            ),
            Kind::Foreign => f.write_str(
                "it is a database of another program, which is not changed: name another file with --records FILE",
            ),
            Kind::Newer => write!(
                f,
                "a newer image-syncer wrote it ({detail}): use that version, or name another file with --records FILE"
            ),
            Kind::Denied => write!(
                f,
                "it cannot be opened or written ({detail}): name a file in a directory that exists and may be written \
                 to with --records FILE, or give --no-records"
            ),
            Kind::Full => write!(
                f,
                "the disk is full ({detail}): make space, or name a file elsewhere with --records FILE"
            ),
            Kind::Slow => f.write_str(
                "writing to it takes too long, so what was learnt last is not remembered: name a file on a faster, \
                 local disk with --records FILE",
            ),
            Kind::Other => write!(
                f,
                "it cannot be used ({detail}): name another file with --records FILE, or give --no-records"
            ),
        }
    }
}

impl std::error::Error for RecordsError {}

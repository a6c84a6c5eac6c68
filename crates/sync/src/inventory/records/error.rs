//! Faults of a records file, and what to do about them.

use std::fmt;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::inventory::records::file;

/// Reason why a records file cannot be used. Its text is a sentence that names the file, the fault and the remedy.
#[derive(Clone, Debug)]
pub struct RecordsError {
    path: PathBuf,
    kind: RecordsErrorKind,
    detail: String,
}

/// Kind of fault of a records file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordsErrorKind {
    /// The file does not exist, and the command does not create it.
    Missing,
    /// Another program keeps the file locked.
    Locked,
    /// The file is damaged, or is not a database.
    Damaged,
    /// The file is a database of another program.
    Foreign,
    /// A later version of this program wrote the file.
    Newer,
    /// The file cannot be read or written where it is.
    Denied,
    /// The disk is full.
    Full,
    /// Writing takes too long.
    Slow,
    /// Any other fault.
    Other,
}

impl RecordsError {
    pub(super) fn with_kind(
        path: &Path,
        kind: RecordsErrorKind,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            path: path.to_owned(),
            kind,
            detail: detail.into(),
        }
    }
    /// Describes `error` for the file at `path`.
    pub(super) fn new(path: &Path, error: rusqlite::Error) -> Self {
        use RecordsErrorKind as Kind;
        let kind = match error.sqlite_error_code() {
            _ if file::is_busy(&error) => Kind::Locked,
            // `Unknown` is a missing table or column: no version of this program wrote such a file.
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown) => {
                Kind::Damaged
            }
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                Kind::Denied
            }
            Some(ErrorCode::DiskFull) => Kind::Full,
            _ => Kind::Other,
        };
        let detail = match error {
            rusqlite::Error::SqliteFailure(code, None) => code.to_string(),
            rusqlite::Error::SqliteFailure(_, Some(message)) => message,
            other => other.to_string(),
        };
        Self::with_kind(path, kind, detail)
    }
    pub(super) fn io(path: &Path, error: &std::io::Error) -> Self {
        use RecordsErrorKind as Kind;
        use std::io::ErrorKind;
        let kind = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Kind::Full,
            ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::NotFound
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory => Kind::Denied,
            _ => Kind::Other,
        };
        Self::with_kind(path, kind, image_syncer_registry::io_clause(error))
    }
    /// Returns the kind of fault.
    pub fn kind(&self) -> RecordsErrorKind {
        self.kind
    }
}

impl fmt::Display for RecordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use RecordsErrorKind as Kind;
        let (path, detail) = (self.path.display(), &self.detail);
        write!(f, "records file {path}: ")?;
        match self.kind {
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

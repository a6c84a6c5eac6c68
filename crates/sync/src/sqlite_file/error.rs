//! Faults of an `SQLite` file.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Reason why a file cannot be used, for the error types of the formats, which say what to do.
#[derive(Clone, Debug)]
pub struct FileError {
    path: PathBuf,
    kind: FileErrorKind,
    detail: String,
}

/// Kind of fault of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileErrorKind {
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

impl FileError {
    /// Creates an error of this kind for the file at `path`.
    pub fn with_kind(path: &Path, kind: FileErrorKind, detail: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            kind,
            detail: detail.into(),
        }
    }

    /// Describes `error` for the file at `path`.
    pub fn new(path: &Path, error: rusqlite::Error) -> Self {
        use FileErrorKind as Kind;
        let kind = match error.sqlite_error_code() {
            _ if is_busy(&error) => Kind::Locked,
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

    /// Describes an error of the file system for the file at `path`.
    pub fn io(path: &Path, error: &std::io::Error) -> Self {
        use FileErrorKind as Kind;
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
    pub fn kind(&self) -> FileErrorKind {
        self.kind
    }

    /// Returns the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the message of `SQLite` or the operating system; empty if the kind says everything.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

/// Returns whether another process holds the file.
pub fn is_busy(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(
        code,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

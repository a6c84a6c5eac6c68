//! `SQLite` files that processes of this program share: how they are recognised, created and opened.
//!
//! A file is in WAL mode, where a writer never blocks a reader. It carries the id of its format and the version of its
//! schema, so that files of other programs and of later versions are refused instead of changed.

mod error;

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::path::Path;
use std::time::{Duration, Instant};

use image_syncer_registry::require_regular;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

pub use error::{FileError, FileErrorKind, is_busy};

/// Maximum wait of a writer for the batch of another process.
const MAX_WAIT: Duration = Duration::from_secs(3);

/// Format of a file.
#[derive(Clone, Copy, Debug)]
pub struct FileFormat {
    /// Marks the file as one of this format.
    pub application: i64,
    /// Version of the schema, at least 1.
    pub schema: i64,
    /// Maximum part of the file that a writer keeps in memory, in KiB.
    pub cache_kib: i64,
    /// Creates the tables that a file of this version lacks. A new file has version 0.
    pub create: fn(&Connection, i64) -> rusqlite::Result<()>,
}

impl FileFormat {
    /// Opens the file for writing, and creates it if it does not exist.
    ///
    /// # Errors
    /// The file cannot be used, has another format, or a later schema.
    pub fn open(&self, path: &Path) -> Result<Connection, FileError> {
        // SQLite would only say that it is unable to open the file.
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .and_then(|_| require_regular(path))
            .map_err(|error| FileError::io(path, &error))?;
        let failed = |error| FileError::new(path, error);
        let mut connection = connect(path).map_err(failed)?;
        retry_while_locked(|| self.check(&connection, path))?;
        retry_while_locked(|| self.prepare(&mut connection).map_err(failed))?;
        retry_while_locked(|| self.check(&connection, path))?;
        Ok(connection)
    }

    /// Opens the file for writing, which exists and has its tables.
    ///
    /// # Errors
    /// The errors of `SQLite`.
    pub fn open_to_write(&self, path: &Path) -> rusqlite::Result<Connection> {
        let connection = connect(path)?;
        self.configure(&connection)?;
        Ok(connection)
    }

    /// Opens the file read-only, with the version of its schema, which may be an older one. Returns `None` if the file
    /// does not exist or is empty.
    ///
    /// `SQLite` may create its `-wal` and `-shm` files beside it, as readers and writers share them.
    ///
    /// # Errors
    /// The file exists and cannot be read, has another format, or a later schema.
    pub fn open_to_read(&self, path: &Path) -> Result<Option<(Connection, i64)>, FileError> {
        if !path.exists() {
            return Ok(None);
        }
        require_regular(path).map_err(|error| FileError::io(path, &error))?;
        match self.open_at(path, path.as_os_str()) {
            // If no file can be created beside it, no process of this program writes to it either.
            Err(error) if error.kind() == FileErrorKind::Denied => self.open_unchanging(path),
            opened => opened,
        }
    }

    /// Opens the file as one that no process writes to.
    ///
    /// # Errors
    /// The file cannot be read, has another format, or a later schema.
    pub fn open_unchanging(&self, path: &Path) -> Result<Option<(Connection, i64)>, FileError> {
        let absolute = std::path::absolute(path).map_err(|error| FileError::io(path, &error))?;
        let escaped = absolute.to_string_lossy().replace('%', "%25");
        let escaped = escaped.replace('?', "%3f").replace('#', "%23");
        self.open_at(path, format!("file:{escaped}?immutable=1").as_ref())
    }

    /// Opens an empty file in memory.
    ///
    /// # Errors
    /// The errors of `SQLite`.
    pub fn open_empty(&self) -> rusqlite::Result<Connection> {
        let connection = Connection::open_in_memory()?;
        self.create_missing_tables(&connection, 0)?;
        Ok(connection)
    }

    /// Opens the file at `path` by the name `at`.
    fn open_at(&self, path: &Path, at: &OsStr) -> Result<Option<(Connection, i64)>, FileError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        let failed = |error| FileError::new(path, error);
        let connection = Connection::open_with_flags(at, flags).map_err(failed)?;
        connection.busy_timeout(MAX_WAIT).map_err(failed)?;
        self.check(&connection, path)?;
        let (_, version, _) = version_stamp(&connection).map_err(failed)?;
        Ok((version > 0).then_some((connection, version)))
    }

    fn configure(&self, connection: &Connection) -> rusqlite::Result<()> {
        // A power failure may lose the last batches, but does not damage the file.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        // Negative values are KiB.
        connection.pragma_update(None, "cache_size", -self.cache_kib)?;
        connection.pragma_update(None, "journal_size_limit", 1 << 20)?;
        // Nothing is written except beside the file.
        connection.pragma_update(None, "temp_store", "MEMORY")
    }

    /// Refuses any other file than one of this format and a known version; a new file is accepted.
    fn check(&self, connection: &Connection, path: &Path) -> Result<(), FileError> {
        let version_stamp =
            version_stamp(connection).map_err(|error| FileError::new(path, error))?;
        let (application, version, objects) = version_stamp;
        if application != self.application {
            return if (application, version, objects) == (0, 0, 0) {
                Ok(())
            } else {
                Err(FileError::with_kind(path, FileErrorKind::Foreign, ""))
            };
        }
        if version > self.schema {
            let detail = format!("schema {version}; this version knows {}", self.schema);
            return Err(FileError::with_kind(path, FileErrorKind::Newer, detail));
        }
        Ok(())
    }

    /// Creates the missing tables: all of them, or those that an older version lacked.
    fn prepare(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        self.configure(connection)?;
        let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if mode == "wal" && version == self.schema {
            return Ok(());
        }
        // Has an effect before the first table only: returns pages that pruning emptied to the disk.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have created them meanwhile.
        let version: i64 =
            transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        self.create_missing_tables(&transaction, version)?;
        transaction.commit()
    }

    fn create_missing_tables(&self, connection: &Connection, version: i64) -> rusqlite::Result<()> {
        (self.create)(connection, version)?;
        connection.pragma_update(None, "application_id", self.application)?;
        connection.pragma_update(None, "user_version", self.schema)
    }
}

/// Returns the space of deleted rows to the disk.
///
/// # Errors
/// The errors of `SQLite`.
pub fn shrink(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("PRAGMA incremental_vacuum")?;
    let mut pages = statement.query(())?;
    while pages.next()?.is_some() {}
    Ok(())
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(MAX_WAIT)?;
    Ok(connection)
}

/// Returns application, schema version and number of tables and indexes, read in one transaction, as another process
/// may be creating them.
fn version_stamp(connection: &Connection) -> rusqlite::Result<(i64, i64, i64)> {
    // The connection is not shared, so that no transaction can be nested in another.
    let moment = connection.unchecked_transaction()?;
    let number = |name: &str| moment.pragma_query_value(None, name, |row| row.get(0));
    let objects = "SELECT count(*) FROM sqlite_schema";
    let objects = moment.query_row(objects, (), |row| row.get(0))?;
    Ok((number("application_id")?, number("user_version")?, objects))
}

/// Repeats `act` while another process, which may be creating the same file, holds it: `SQLite` itself does not wait
/// where it could deadlock.
fn retry_while_locked(mut act: impl FnMut() -> Result<(), FileError>) -> Result<(), FileError> {
    let started = Instant::now();
    loop {
        match act() {
            Err(error) if error.kind() == FileErrorKind::Locked && started.elapsed() < MAX_WAIT => {
                std::thread::sleep(Duration::from_millis(10));
            }
            result => return result,
        }
    }
}

//! The records file: how it is opened, and its tables.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::path::Path;
use std::time::{Duration, Instant};

use image_syncer_registry::require_regular;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::inventory::records::{RecordsError, RecordsErrorKind};

/// Version of the schema.
pub(super) const SCHEMA: i64 = 3;

/// Marks the file as a records file of this program: `imsy`.
const APPLICATION: i64 = 0x696d_7379;

/// Maximum wait of a writer for the batch of another process.
const MAX_WAIT: Duration = Duration::from_secs(3);

/// Ids are never reused, so that rows of a deleted repository stay invalid, in other processes as well. Blobs are keyed
/// by registry and digest: finding the repositories to mount from takes one lookup.
const TABLES: &str = "
    CREATE TABLE registries (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE
    ) STRICT;
    CREATE TABLE repositories (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        registry INTEGER NOT NULL,
        path TEXT NOT NULL,
        UNIQUE (registry, path)
    ) STRICT;
    CREATE TABLE blobs (
        registry INTEGER NOT NULL,
        digest BLOB NOT NULL,
        repository INTEGER NOT NULL,
        seen INTEGER NOT NULL,
        PRIMARY KEY (registry, digest, repository)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE copies (
        repository INTEGER NOT NULL,
        tag TEXT NOT NULL,
        source INTEGER NOT NULL,
        source_tag TEXT,
        filter INTEGER NOT NULL,
        digest ANY NOT NULL,
        seen INTEGER NOT NULL,
        PRIMARY KEY (repository, tag)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE upkeep (
        pruned INTEGER NOT NULL
    ) STRICT;
";

/// Version that added the tables of [`REFERRERS`].
pub(super) const WITH_REFERRERS: i64 = 2;

/// Table that version 2 added: the time of the last check for referrers of a root, in seconds since 1970.
const REFERRERS: &str = "
    CREATE TABLE referrers (
        repository INTEGER NOT NULL,
        digest ANY NOT NULL,
        source INTEGER NOT NULL,
        asked INTEGER NOT NULL,
        looked INTEGER NOT NULL,
        PRIMARY KEY (repository, digest, source, asked)
    ) STRICT, WITHOUT ROWID;
";

/// Version that added the tables of [`SEEN`].
pub(super) const WITH_SEEN: i64 = 3;

/// Table that version 3 added: the time at which a run first saw a digest in a source repository, in seconds since 1970,
/// and the day of the last run that saw it.
const SEEN: &str = "
    CREATE TABLE seen (
        repository INTEGER NOT NULL,
        digest ANY NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        PRIMARY KEY (repository, digest)
    ) STRICT, WITHOUT ROWID;
";

/// Opens the file for writing, and creates it if it does not exist.
pub(super) fn open(path: &Path) -> Result<Connection, RecordsError> {
    // SQLite would only say that it is unable to open the file.
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
        .and_then(|_| require_regular(path))
        .map_err(|error| RecordsError::io(path, &error))?;
    let failed = |error| RecordsError::new(path, error);
    let mut connection = connect(path).map_err(failed)?;
    retry_while_locked(|| check(&connection, path))?;
    retry_while_locked(|| prepare(&mut connection).map_err(failed))?;
    retry_while_locked(|| check(&connection, path))?;
    Ok(connection)
}

/// Opens the file for writing, which exists and has its tables.
pub(super) fn open_to_write(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path)?;
    configure(&connection)?;
    Ok(connection)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(MAX_WAIT)?;
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    // A power failure may lose hints, but does not damage the file.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // Negative values are KiB: the maximum part of the file that is kept in memory.
    connection.pragma_update(None, "cache_size", -1024)?;
    connection.pragma_update(None, "journal_size_limit", 1 << 20)?;
    // Nothing is written except beside the file.
    connection.pragma_update(None, "temp_store", "MEMORY")
}

/// Opens the file read-only, with the version of its schema, which may be an older one. Returns `None` if the file does
/// not exist or is empty.
///
/// `SQLite` may create its `-wal` and `-shm` files beside it, as readers and writers share them.
pub(super) fn open_to_read(path: &Path) -> Result<Option<(Connection, i64)>, RecordsError> {
    if !path.exists() {
        return Ok(None);
    }
    require_regular(path).map_err(|error| RecordsError::io(path, &error))?;
    match open_at(path, path.as_os_str()) {
        // If no file can be created beside it, no process of this program writes to it either.
        Err(error) if error.kind() == RecordsErrorKind::Denied => open_unchanging(path),
        opened => opened,
    }
}

/// Opens the file at `path` by the name `at`.
fn open_at(path: &Path, at: &OsStr) -> Result<Option<(Connection, i64)>, RecordsError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let failed = |error| RecordsError::new(path, error);
    let connection = Connection::open_with_flags(at, flags).map_err(failed)?;
    connection.busy_timeout(MAX_WAIT).map_err(failed)?;
    check(&connection, path)?;
    let (_, version, _) = version_stamp(&connection).map_err(failed)?;
    Ok((version > 0).then_some((connection, version)))
}

/// Opens the file as one that no process writes to.
pub(super) fn open_unchanging(path: &Path) -> Result<Option<(Connection, i64)>, RecordsError> {
    let absolute = std::path::absolute(path).map_err(|error| RecordsError::io(path, &error))?;
    let escaped = absolute.to_string_lossy().replace('%', "%25");
    let escaped = escaped.replace('?', "%3f").replace('#', "%23");
    open_at(path, format!("file:{escaped}?immutable=1").as_ref())
}

/// Refuses any other file than a records file of this version; a new file is accepted.
fn check(connection: &Connection, path: &Path) -> Result<(), RecordsError> {
    let version_stamp =
        version_stamp(connection).map_err(|error| RecordsError::new(path, error))?;
    let (application, version, objects) = version_stamp;
    if application != APPLICATION {
        return if (application, version, objects) == (0, 0, 0) {
            Ok(())
        } else {
            Err(RecordsError::with_kind(path, RecordsErrorKind::Foreign, ""))
        };
    }
    if version > SCHEMA {
        let detail = format!("schema {version}; this version knows {SCHEMA}");
        let kind = RecordsErrorKind::Newer;
        return Err(RecordsError::with_kind(path, kind, detail));
    }
    Ok(())
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

/// Creates the missing tables: all of them, or those that an older version lacked.
fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    configure(connection)?;
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if mode == "wal" && version == SCHEMA {
        return Ok(());
    }
    // Has an effect before the first table only: returns pages that pruning emptied to the disk.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have created them meanwhile.
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    create_missing_tables(&transaction, version)?;
    transaction.commit()
}

/// Creates the tables that a file of `version` lacks. A new file has version 0.
fn create_missing_tables(connection: &Connection, version: i64) -> rusqlite::Result<()> {
    if version == 0 {
        connection.execute_batch(TABLES)?;
        connection.pragma_update(None, "application_id", APPLICATION)?;
    }
    if version < WITH_REFERRERS {
        connection.execute_batch(REFERRERS)?;
    }
    if version < WITH_SEEN {
        connection.execute_batch(SEEN)?;
    }
    connection.pragma_update(None, "user_version", SCHEMA)
}

/// Returns the names of the registries with records.
pub(super) fn registries(connection: &Connection) -> rusqlite::Result<HashSet<String>> {
    let mut statement = connection.prepare("SELECT name FROM registries")?;
    let names = statement.query_map((), |row| row.get(0))?;
    names.collect()
}

/// Opens empty records in memory.
pub(super) fn open_empty() -> rusqlite::Result<Connection> {
    let connection = Connection::open_in_memory()?;
    create_missing_tables(&connection, 0)?;
    Ok(connection)
}

/// Returns whether another process holds the file.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(
        code,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// Repeats `act` while another process, which may be creating the same file, holds it: `SQLite` itself does not wait
/// where it could deadlock.
fn retry_while_locked(
    mut act: impl FnMut() -> Result<(), RecordsError>,
) -> Result<(), RecordsError> {
    let started = Instant::now();
    loop {
        match act() {
            Err(error)
                if error.kind() == RecordsErrorKind::Locked && started.elapsed() < MAX_WAIT =>
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            result => return result,
        }
    }
}

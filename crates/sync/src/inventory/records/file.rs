//! The file itself: how it is opened, and what is in it.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::path::Path;
use std::time::{Duration, Instant};

use image_syncer_registry::require_regular;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::inventory::records::{RecordsError, RecordsErrorKind};

/// Which version of the schema this is.
pub(super) const SCHEMA: i64 = 2;

/// What marks the file as one of ours: `imsy`.
const APPLICATION: i64 = 0x696d_7379;

/// How long a writer waits for another process to end its batch.
const PATIENCE: Duration = Duration::from_secs(3);

/// Numbers are never given twice, so that what is left of a repository that was deleted is dead for good, in other
/// processes as well. Blobs stand by registry and digest: where a blob can be mounted from is one look-up.
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

/// Which version added what [`REFERRERS`] makes.
pub(super) const WITH_REFERRERS: i64 = 2;

/// What version 2 added: when it was last seen to what refers to a root, in seconds since 1970.
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

/// Opens the file for writing, and makes it where there is none.
pub(super) fn open(path: &Path) -> Result<Connection, RecordsError> {
    // SQLite would say no more than that it is unable to open the file.
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
        .and_then(|_| require_regular(path))
        .map_err(|error| RecordsError::io(path, &error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error| RecordsError::new(path, error);
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(PATIENCE).map_err(failed)?;
    patiently(|| check(&connection, path))?;
    patiently(|| prepare(&mut connection).map_err(failed))?;
    patiently(|| check(&connection, path))?;
    Ok(connection)
}

/// Opens the file for reading, and makes none: `None` where there is none, or nothing in it yet. With the version of its
/// schema, which may be an older one.
///
/// `SQLite` may put its `-wal` and `-shm` beside it meanwhile, as readers and writers meet there.
pub(super) fn open_to_read(path: &Path) -> Result<Option<(Connection, i64)>, RecordsError> {
    if !path.exists() {
        return Ok(None);
    }
    require_regular(path).map_err(|error| RecordsError::io(path, &error))?;
    match open_at(path, path.as_os_str()) {
        // Where nothing may be put beside it, nobody like us writes to it either.
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
    connection.busy_timeout(PATIENCE).map_err(failed)?;
    check(&connection, path)?;
    let (_, version, _) = stamp(&connection).map_err(failed)?;
    Ok((version > 0).then_some((connection, version)))
}

/// Opens the file as one that nobody writes to.
pub(super) fn open_unchanging(path: &Path) -> Result<Option<(Connection, i64)>, RecordsError> {
    let absolute = std::path::absolute(path).map_err(|error| RecordsError::io(path, &error))?;
    let escaped = absolute.to_string_lossy().replace('%', "%25");
    let escaped = escaped.replace('?', "%3f").replace('#', "%23");
    open_at(path, format!("file:{escaped}?immutable=1").as_ref())
}

/// Refuses what is not a records file of this version; a new file is fine.
fn check(connection: &Connection, path: &Path) -> Result<(), RecordsError> {
    let stamp = stamp(connection).map_err(|error| RecordsError::new(path, error))?;
    let (application, version, objects) = stamp;
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

/// Whose file it is, of which version, and how many tables and indexes are in it: all three at one moment, as another
/// process may be making it.
fn stamp(connection: &Connection) -> rusqlite::Result<(i64, i64, i64)> {
    // The connection is nobody else's, so that no transaction can be within another.
    let moment = connection.unchecked_transaction()?;
    let number = |name: &str| moment.pragma_query_value(None, name, |row| row.get(0));
    let objects = "SELECT count(*) FROM sqlite_schema";
    let objects = moment.query_row(objects, (), |row| row.get(0))?;
    Ok((number("application_id")?, number("user_version")?, objects))
}

/// Makes the tables that are not there: all of them, or those that an older version did not have.
fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    // Whatever is lost with the power is a hint; what stays is whole.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // In KiB, where it is negative: of the file, no more than this is held in memory.
    connection.pragma_update(None, "cache_size", -1024)?;
    connection.pragma_update(None, "journal_size_limit", 1 << 20)?;
    // Nothing is written anywhere but beside the file.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if mode == "wal" && version == SCHEMA {
        return Ok(());
    }
    // Before the first table, or it has no effect: pages that pruning has emptied are given back.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Somebody else may have made them meanwhile.
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == 0 {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
    }
    if version < SCHEMA {
        transaction.execute_batch(REFERRERS)?;
        transaction.pragma_update(None, "user_version", SCHEMA)?;
    }
    transaction.commit()
}

/// Whether another process is in the way.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(
        code,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// Does it again while another process, which may be making the same file, is in the way: `SQLite` itself does not wait
/// where it could wait for ever.
fn patiently(mut act: impl FnMut() -> Result<(), RecordsError>) -> Result<(), RecordsError> {
    let started = Instant::now();
    loop {
        match act() {
            Err(error)
                if error.kind() == RecordsErrorKind::Locked && started.elapsed() < PATIENCE =>
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            result => return result,
        }
    }
}

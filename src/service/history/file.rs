//! The history file: its tables, and how the service opens it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use image_syncer_sync::sqlite_file::{FileErrorKind, FileFormat};
use rusqlite::{Connection, TransactionBehavior};
use rustix::fs::{FlockOperation, flock};

use crate::service::history::HistoryError;

/// Format of the history file. Its id is `imsh`.
pub(super) const FORMAT: FileFormat = FileFormat {
    application: 0x696d_7368,
    schema: 2,
    cache_kib: 4096,
    create: |connection, version| {
        if version < 1 {
            connection.execute_batch(TABLES)?;
        }
        connection.execute_batch(THROUGHPUTS)
    },
};

/// Throughput of runs that are over, in the form of `samples`. Version 1 lacked it.
const THROUGHPUTS: &str = "
    CREATE TABLE throughputs (
        run INTEGER PRIMARY KEY,
        samples BLOB NOT NULL
    ) STRICT";

/// Times are microseconds since 1970. A digest is the 32 bytes of a SHA-256, otherwise text. References are split into a
/// repository and the rest, with its separator: `:v1`, `@sha256:…`, or nothing.
///
/// `tags` has what was last seen of each tag at a destination, `past_tags` what it named before. Triggers keep the
/// numbers, so that no query counts rows.
const TABLES: &str = "
    CREATE TABLE rules (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        checked INTEGER
    ) STRICT;
    CREATE TABLE repositories (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE
    ) STRICT;
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY,
        rule INTEGER NOT NULL,
        cause TEXT NOT NULL,
        purpose TEXT NOT NULL,
        scope TEXT,
        is_full INTEGER NOT NULL,
        state TEXT NOT NULL,
        requested INTEGER NOT NULL,
        started INTEGER,
        ended INTEGER,
        alive INTEGER NOT NULL,
        images INTEGER NOT NULL,
        copied INTEGER NOT NULL,
        unchanged INTEGER NOT NULL,
        different INTEGER NOT NULL,
        skipped INTEGER NOT NULL,
        failed INTEGER NOT NULL,
        interrupted INTEGER NOT NULL,
        fetched_bytes INTEGER NOT NULL,
        sent_bytes INTEGER NOT NULL,
        saved_bytes INTEGER NOT NULL,
        failure TEXT,
        kept INTEGER NOT NULL,
        lost INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX runs_by_rule ON runs (rule);
    CREATE INDEX runs_by_state ON runs (state);
    CREATE INDEX runs_by_rule_and_state ON runs (rule, state);
    CREATE INDEX full_runs ON runs (rule)
        WHERE is_full = 1 AND started IS NOT NULL;
    CREATE INDEX runs_with_images ON runs (id) WHERE kept > 0;
    CREATE TABLE failures (
        id INTEGER PRIMARY KEY,
        run INTEGER NOT NULL,
        side TEXT NOT NULL,
        cause TEXT NOT NULL,
        host TEXT NOT NULL,
        hint TEXT,
        number INTEGER NOT NULL,
        UNIQUE (run, side, cause, host)
    ) STRICT;
    CREATE TABLE images (
        run INTEGER NOT NULL,
        number INTEGER NOT NULL,
        source INTEGER NOT NULL,
        source_target TEXT NOT NULL,
        destination INTEGER,
        destination_target TEXT,
        outcome TEXT NOT NULL,
        digest ANY,
        replaced ANY,
        bytes INTEGER NOT NULL,
        change TEXT,
        failure INTEGER,
        reason TEXT,
        hint TEXT,
        elapsed INTEGER NOT NULL,
        PRIMARY KEY (run, number)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX images_by_outcome ON images (run, outcome, number);
    CREATE INDEX images_by_failure ON images (failure, number) WHERE failure IS NOT NULL;
    CREATE TABLE tags (
        id INTEGER PRIMARY KEY,
        repository INTEGER NOT NULL,
        target TEXT NOT NULL,
        rule INTEGER NOT NULL,
        source INTEGER NOT NULL,
        source_target TEXT NOT NULL,
        state TEXT NOT NULL,
        since INTEGER NOT NULL,
        expected ANY,
        digest ANY,
        at INTEGER NOT NULL,
        run INTEGER NOT NULL,
        is_copied INTEGER NOT NULL,
        UNIQUE (repository, target)
    ) STRICT;
    CREATE INDEX tags_by_source ON tags (source, source_target);
    CREATE INDEX tags_by_digest ON tags (digest) WHERE digest IS NOT NULL;
    CREATE INDEX differences ON tags (rule, source, source_target) WHERE state <> 'same';
    CREATE TABLE past_tags (
        id INTEGER PRIMARY KEY,
        tag INTEGER NOT NULL,
        digest ANY NOT NULL,
        at INTEGER NOT NULL,
        run INTEGER NOT NULL,
        is_copied INTEGER NOT NULL,
        until INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX past_tags_by_tag ON past_tags (tag);
    CREATE INDEX past_tags_by_digest ON past_tags (digest);
    CREATE INDEX past_tags_by_end ON past_tags (until);
    CREATE TABLE tag_counts (
        rule INTEGER NOT NULL,
        source INTEGER NOT NULL,
        state TEXT NOT NULL,
        number INTEGER NOT NULL,
        PRIMARY KEY (rule, source, state)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE totals (
        runs INTEGER NOT NULL,
        images INTEGER NOT NULL,
        tags INTEGER NOT NULL
    ) STRICT;
    INSERT INTO totals VALUES (0, 0, 0);
    CREATE TABLE deliveries (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        receiver TEXT NOT NULL,
        body TEXT NOT NULL,
        created INTEGER NOT NULL,
        state TEXT NOT NULL,
        next INTEGER NOT NULL,
        tries INTEGER NOT NULL,
        error TEXT
    ) STRICT;
    CREATE INDEX deliveries_by_state ON deliveries (state, next);
    CREATE TRIGGER run_added AFTER INSERT ON runs BEGIN
        UPDATE totals SET runs = runs + 1, images = images + new.kept;
    END;
    CREATE TRIGGER run_changed AFTER UPDATE OF kept ON runs WHEN new.kept <> old.kept BEGIN
        UPDATE totals SET images = images + new.kept - old.kept;
    END;
    CREATE TRIGGER run_removed AFTER DELETE ON runs BEGIN
        UPDATE totals SET runs = runs - 1, images = images - old.kept;
    END;
    CREATE TRIGGER tag_added AFTER INSERT ON tags BEGIN
        INSERT INTO tag_counts VALUES (new.rule, new.source, new.state, 1)
            ON CONFLICT DO UPDATE SET number = number + 1;
        UPDATE totals SET tags = tags + 1;
    END;
    CREATE TRIGGER tag_changed AFTER UPDATE OF rule, source, state ON tags
    WHEN (new.rule, new.source, new.state) <> (old.rule, old.source, old.state) BEGIN
        INSERT INTO tag_counts VALUES (new.rule, new.source, new.state, 1)
            ON CONFLICT DO UPDATE SET number = number + 1;
        UPDATE tag_counts SET number = number - 1
            WHERE rule = old.rule AND source = old.source AND state = old.state;
        DELETE FROM tag_counts
            WHERE rule = old.rule AND source = old.source AND state = old.state AND number = 0;
    END;
    CREATE TRIGGER tag_removed AFTER DELETE ON tags BEGIN
        UPDATE tag_counts SET number = number - 1
            WHERE rule = old.rule AND source = old.source AND state = old.state;
        DELETE FROM tag_counts
            WHERE rule = old.rule AND source = old.source AND state = old.state AND number = 0;
        UPDATE totals SET tags = tags - 1;
    END;
";

/// Runs that a process left behind. The last time at which it wrote about them is their end.
const INTERRUPT: &str = "
    UPDATE runs SET state = 'interrupted', ended = alive WHERE state IN ('queued', 'running')";

/// Keeps a second service from the file for as long as it is held. Commands that only read need none.
pub(super) struct ServiceLock {
    _file: File,
}

impl ServiceLock {
    /// Locks the history at `path`.
    ///
    /// # Errors
    /// Another service has it, or the file of the lock cannot be created.
    pub(super) fn acquire(path: &Path) -> Result<Self, HistoryError> {
        // A file of its own: closing a file drops the locks of the process that SQLite holds on it.
        let mut name = path.as_os_str().to_owned();
        name.push("-lock");
        let opened = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&name);
        let file = opened.map_err(|error| HistoryError::io(path, &error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(HistoryError::with_kind(path, FileErrorKind::Locked))
            }
            Err(error) => Err(HistoryError::io(path, &error.into())),
        }
    }
}

/// Creates the directory of the file, for the user alone.
pub(super) fn create_directory_of(path: &Path) -> Result<(), HistoryError> {
    let Some(directory) = path.parent() else {
        return Ok(());
    };
    let mut builder = DirBuilder::new();
    let created = builder.recursive(true).mode(0o700).create(directory);
    created.map_err(|error| match error.kind() {
        // A file has its name.
        ErrorKind::AlreadyExists => HistoryError::io(path, &ErrorKind::NotADirectory.into()),
        _ => HistoryError::io(path, &error),
    })
}

/// Opens the file for the service, and marks the runs of an earlier process as interrupted.
pub(super) fn open(path: &Path) -> Result<Connection, HistoryError> {
    let mut connection = FORMAT.open(path)?;
    interrupt_unfinished(&mut connection).map_err(|error| HistoryError::new(path, error))?;
    Ok(connection)
}

fn interrupt_unfinished(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute(INTERRUPT, ())?;
    transaction.commit()
}

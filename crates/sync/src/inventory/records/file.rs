//! The format of the records file: its tables.

use std::collections::HashSet;

use rusqlite::Connection;

use crate::sqlite_file::FileFormat;

/// Version of the schema.
pub(super) const SCHEMA: i64 = 3;

/// Format of a records file. Its id is `imsy`.
pub(super) const FORMAT: FileFormat = FileFormat {
    application: 0x696d_7379,
    schema: SCHEMA,
    cache_kib: 1024,
    create: create_missing_tables,
};

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

/// Creates the tables that a file of `version` lacks. A new file has version 0.
fn create_missing_tables(connection: &Connection, version: i64) -> rusqlite::Result<()> {
    if version == 0 {
        connection.execute_batch(TABLES)?;
    }
    if version < WITH_REFERRERS {
        connection.execute_batch(REFERRERS)?;
    }
    if version < WITH_SEEN {
        connection.execute_batch(SEEN)?;
    }
    Ok(())
}

/// Returns the names of the registries with records.
pub(super) fn registries(connection: &Connection) -> rusqlite::Result<HashSet<String>> {
    let mut statement = connection.prepare("SELECT name FROM registries")?;
    let names = statement.query_map((), |row| row.get(0))?;
    names.collect()
}

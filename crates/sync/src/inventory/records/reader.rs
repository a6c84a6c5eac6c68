//! Lookups by key over a read-only connection.

use std::path::Path;

use image_syncer_registry::{Digest, Tag};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};

use crate::inventory::records::writer::StoredDigest;
use crate::inventory::records::{BlobRepositories, RecordedCopy, ReferrersCheck, file};
use crate::inventory::registry_facts::DigestKey;
use crate::{Endpoint, Repository};

/// Read-only connection.
pub(super) struct RecordsReader {
    connection: Connection,
    /// Version of its schema.
    version: i64,
}

// CROSS JOIN keeps the joins in this order: from key to key.
const IS_IN: &str = "
    SELECT 1 FROM registries
    CROSS JOIN repositories ON repositories.registry = registries.id AND repositories.path = ?2
    CROSS JOIN blobs ON blobs.registry = registries.id AND blobs.digest = ?3
        AND blobs.repository = repositories.id
    WHERE registries.name = ?1";

const OTHERS: &str = "
    SELECT repositories.path FROM registries
    CROSS JOIN blobs ON blobs.registry = registries.id AND blobs.digest = ?3
    CROSS JOIN repositories ON repositories.id = blobs.repository
    WHERE registries.name = ?1 AND repositories.path <> ?2
    LIMIT ?4";

/// Maximum number of other repositories that a lookup returns. One is tried; if it was wrong, the next.
const MAX_OTHERS: i64 = 3;

const COPY_AT: &str = "
    SELECT registries.name, sources.path, copies.source_tag, copies.filter, copies.digest
    FROM copies
    JOIN repositories AS sources ON sources.id = copies.source
    JOIN registries ON registries.id = sources.registry
    WHERE copies.repository = (
        SELECT id FROM repositories
        WHERE registry = (SELECT id FROM registries WHERE name = ?1) AND path = ?2
    ) AND copies.tag = ?3";

const HAS_COPIES_IN: &str = "
    SELECT 1 FROM copies
    WHERE repository = (
        SELECT id FROM repositories
        WHERE registry = (SELECT id FROM registries WHERE name = ?1) AND path = ?2
    ) LIMIT 1";

const LOOKED_AT: &str = "
    SELECT looked FROM referrers
    WHERE repository = (
        SELECT id FROM repositories
        WHERE registry = (SELECT id FROM registries WHERE name = ?1) AND path = ?2
    ) AND digest = ?3 AND source = (
        SELECT id FROM repositories
        WHERE registry = (SELECT id FROM registries WHERE name = ?4) AND path = ?5
    ) AND asked = ?6";

const FIRST_SEEN: &str = "
    SELECT first FROM seen
    WHERE repository = (
        SELECT id FROM repositories
        WHERE registry = (SELECT id FROM registries WHERE name = ?1) AND path = ?2
    ) AND digest = ?3";

impl RecordsReader {
    /// Opens the file, which exists and has its tables.
    pub(super) fn open(path: &Path) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        Self::over(connection, file::SCHEMA)
    }
    /// Reads over `connection`, whose tables have that version.
    pub(super) fn over(connection: Connection, version: i64) -> rusqlite::Result<Self> {
        // Tasks wait for its answers, so it does not wait for locks.
        connection.busy_timeout(std::time::Duration::ZERO)?;
        connection.pragma_update(None, "cache_size", -512)?;
        Ok(Self {
            connection,
            version,
        })
    }
    /// Returns the connection. Must not be called on a thread of the runtime, whose tasks would wait for the disk.
    fn connection(&self) -> &Connection {
        debug_assert!(
            tokio::runtime::Handle::try_current().is_err(),
            "the records were read on a thread of the runtime"
        );
        &self.connection
    }
    /// Returns the repositories of the registry that have the blob, the repository itself first.
    pub(super) fn locations(
        &mut self,
        repository: &Repository,
        blob: DigestKey,
    ) -> rusqlite::Result<BlobRepositories> {
        let (endpoint, path) = (repository.endpoint(), repository.path());
        let name = endpoint.record_name();
        let is_in = self.connection().prepare_cached(IS_IN)?.exists(params![
            name,
            path,
            blob.as_bytes()
        ])?;
        let mut locations: BlobRepositories =
            is_in.then(|| repository.clone()).into_iter().collect();
        let mut others = self.connection().prepare_cached(OTHERS)?;
        let mut rows = others.query(params![name, path, blob.as_bytes(), MAX_OTHERS])?;
        while let Some(row) = rows.next()? {
            let path: String = row.get(0)?;
            // An invalid path is skipped: the file may be damaged.
            locations.extend(Repository::at(endpoint, &path));
        }
        Ok(locations)
    }
    /// Returns the last copy to `tag` of `destination`.
    pub(super) fn copy_at(
        &mut self,
        destination: &Repository,
        tag: &Tag,
    ) -> rusqlite::Result<Option<RecordedCopy>> {
        let key = (
            destination.endpoint().record_name(),
            destination.path(),
            tag.as_str(),
        );
        let found = self
            .connection()
            .prepare_cached(COPY_AT)?
            .query_row(key, |row| copy(row, tag))
            .optional();
        Ok(found?.flatten())
    }
    /// Returns whether anything was ever copied to `destination`.
    pub(super) fn has_copies_in(&mut self, destination: &Repository) -> rusqlite::Result<bool> {
        let key = (destination.endpoint().record_name(), destination.path());
        self.connection().prepare_cached(HAS_COPIES_IN)?.exists(key)
    }
    /// Returns the time of the last answer to `check` for `destination`, in seconds since 1970.
    pub(super) fn last_check(
        &mut self,
        destination: &Repository,
        check: &ReferrersCheck,
    ) -> rusqlite::Result<Option<i64>> {
        if self.version < file::WITH_REFERRERS {
            return Ok(None);
        }
        let key = params![
            destination.endpoint().record_name(),
            destination.path(),
            StoredDigest(&check.root),
            check.source.endpoint().record_name(),
            check.source.path(),
            check.scope
        ];
        let mut statement = self.connection().prepare_cached(LOOKED_AT)?;
        statement.query_row(key, |row| row.get(0)).optional()
    }
    /// Returns the time at which a run first saw `digest` in `source`, in seconds since 1970.
    pub(super) fn first_seen(
        &mut self,
        source: &Repository,
        digest: &Digest,
    ) -> rusqlite::Result<Option<i64>> {
        if self.version < file::WITH_SEEN {
            return Ok(None);
        }
        let name = source.endpoint().record_name();
        let key = params![name, source.path(), StoredDigest(digest)];
        let mut statement = self.connection().prepare_cached(FIRST_SEEN)?;
        statement.query_row(key, |row| row.get(0)).optional()
    }
}

/// Parses a row; `None` if its values are invalid, as they may be in a damaged file.
fn copy(row: &Row<'_>, tag: &Tag) -> rusqlite::Result<Option<RecordedCopy>> {
    let (registry, path): (String, String) = (row.get(0)?, row.get(1)?);
    let source_tag: Option<String> = row.get(2)?;
    let source_tag = source_tag.map_or(Ok(tag.clone()), |text| Tag::parse(&text));
    let source =
        Endpoint::from_name(&registry).and_then(|endpoint| Repository::at(&endpoint, &path));
    let (Some(source), Ok(source_tag), Some(digest)) =
        (source, source_tag, digest(row.get_ref(4)?))
    else {
        return Ok(None);
    };
    Ok(Some(RecordedCopy {
        source,
        source_tag,
        filter: row.get(3)?,
        digest,
    }))
}

/// Parses a stored digest: the 32 bytes of a SHA-256, otherwise text.
fn digest(value: ValueRef<'_>) -> Option<Digest> {
    match value {
        ValueRef::Blob(bytes) => Some(Digest::from_sha256(bytes.try_into().ok()?)),
        ValueRef::Text(text) => Digest::parse(std::str::from_utf8(text).ok()?).ok(),
        _ => None,
    }
}

//! Lookups by key.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use image_syncer_registry::{Digest, Tag};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, Rows, params};

use crate::inventory::recorded_digests::DigestTable;
use crate::inventory::records::copies::{MAX_COPIES, RecordedCopies, RecordedDigest, RecordedTag};
use crate::inventory::records::writer::StoredDigest;
use crate::inventory::records::{
    BlobRepositories, REFRESHED_AFTER, RecordedSighting, ReferrersChecks, file,
};
use crate::inventory::registry_facts::DigestKey;
use crate::{Endpoint, Repository};

/// Connection that writes nothing.
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

const COPIES: &str = "
    SELECT tag, source, source_tag, filter, digest, seen FROM copies
    WHERE repository = (
        SELECT id FROM repositories
        WHERE registry = (SELECT id FROM registries WHERE name = ?1) AND path = ?2
    ) ORDER BY tag LIMIT ?3";

const SOURCE: &str = "
    SELECT registries.name, repositories.path FROM repositories
    JOIN registries ON registries.id = repositories.registry
    WHERE repositories.id = ?1";

const CHECKS: &str = "
    SELECT digest, looked FROM referrers
    WHERE repository = (
        SELECT id FROM repositories
        WHERE registry = (SELECT id FROM registries WHERE name = ?1) AND path = ?2
    ) AND source = (
        SELECT id FROM repositories
        WHERE registry = (SELECT id FROM registries WHERE name = ?3) AND path = ?4
    ) AND asked = ?5 LIMIT ?6";

const LAST_CHECK: &str = "
    SELECT looked FROM referrers
    WHERE repository = (
        SELECT id FROM repositories
        WHERE registry = (SELECT id FROM registries WHERE name = ?1) AND path = ?2
    ) AND source = (
        SELECT id FROM repositories
        WHERE registry = (SELECT id FROM registries WHERE name = ?3) AND path = ?4
    ) AND asked = ?5 AND digest = ?6";

const SIGHTINGS: &str = "
    SELECT digest, first, last FROM seen
    WHERE repository = (
        SELECT id FROM repositories
        WHERE registry = (SELECT id FROM registries WHERE name = ?1) AND path = ?2
    ) LIMIT ?3";

const SIGHTING: &str = "
    SELECT first, last FROM seen
    WHERE repository = (
        SELECT id FROM repositories
        WHERE registry = (SELECT id FROM registries WHERE name = ?1) AND path = ?2
    ) AND digest = ?3";

impl RecordsReader {
    /// Reads over `connection`, whose tables have that version.
    pub(super) fn over(connection: Connection, version: i64) -> rusqlite::Result<Self> {
        // Tasks wait for its answers, so it does not wait for locks.
        connection.busy_timeout(std::time::Duration::ZERO)?;
        connection.pragma_update(None, "cache_size", -512)?;
        connection.pragma_update(None, "query_only", true)?;
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
    /// Returns the last copies to the tags of `destination`, with those that are too old to be kept on the day `today`
    /// marked as such.
    pub(super) fn copies(
        &mut self,
        destination: &Repository,
        today: i64,
    ) -> rusqlite::Result<RecordedCopies> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(COPIES)?;
        let name = destination.endpoint().record_name();
        let mut rows = statement.query(params![name, destination.path(), MAX_COPIES])?;
        let mut found = RecordedCopies::default();
        // Positions of the sources by their ids; `None` for deleted ones.
        let mut positions: HashMap<i64, Option<usize>> = HashMap::new();
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(1)?;
            let position = match positions.entry(id) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => {
                    let position = source(connection, id)?.map(|source| {
                        found.sources.push(source);
                        found.sources.len() - 1
                    });
                    *new.insert(position)
                }
            };
            if let Some(position) = position {
                found.copies.extend(copy(row, position, today)?);
            }
        }
        Ok(found)
    }
    /// Returns the times of the last of `checks`, in seconds since 1970; `None` if there are more than `limit`.
    pub(super) fn checks(
        &mut self,
        checks: &ReferrersChecks,
        limit: usize,
    ) -> rusqlite::Result<Option<DigestTable<i64>>> {
        if self.version < file::WITH_REFERRERS {
            return Ok(Some(DigestTable::new()));
        }
        let mut statement = self.connection().prepare_cached(CHECKS)?;
        let rows = statement.query(params![
            checks.destination.endpoint().record_name(),
            checks.destination.path(),
            checks.source.endpoint().record_name(),
            checks.source.path(),
            checks.scope,
            i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
        ])?;
        table(rows, limit, |row| row.get(1))
    }
    /// Returns the time of the last of `checks` of `root`, in seconds since 1970.
    pub(super) fn last_check(
        &mut self,
        checks: &ReferrersChecks,
        root: &Digest,
    ) -> rusqlite::Result<Option<i64>> {
        if self.version < file::WITH_REFERRERS {
            return Ok(None);
        }
        let key = params![
            checks.destination.endpoint().record_name(),
            checks.destination.path(),
            checks.source.endpoint().record_name(),
            checks.source.path(),
            checks.scope,
            StoredDigest(root)
        ];
        let mut statement = self.connection().prepare_cached(LAST_CHECK)?;
        statement.query_row(key, |row| row.get(0)).optional()
    }
    /// Returns the times at which runs saw the digests of `source`; `None` if there are more than `limit`.
    pub(super) fn sightings(
        &mut self,
        source: &Repository,
        today: i64,
        limit: usize,
    ) -> rusqlite::Result<Option<DigestTable<RecordedSighting>>> {
        if self.version < file::WITH_SEEN {
            return Ok(Some(DigestTable::new()));
        }
        let mut statement = self.connection().prepare_cached(SIGHTINGS)?;
        let rows = statement.query(params![
            source.endpoint().record_name(),
            source.path(),
            i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
        ])?;
        table(rows, limit, |row| sighting(row, today))
    }
    /// Returns the times at which runs saw `digest` in `source`.
    pub(super) fn sighting(
        &mut self,
        source: &Repository,
        digest: &Digest,
        today: i64,
    ) -> rusqlite::Result<Option<RecordedSighting>> {
        if self.version < file::WITH_SEEN {
            return Ok(None);
        }
        let name = source.endpoint().record_name();
        let key = params![name, source.path(), StoredDigest(digest)];
        let mut statement = self.connection().prepare_cached(SIGHTING)?;
        let found = statement.query_row(key, |row| sighting(row, today));
        found.optional()
    }
}

/// Returns the values of `rows`, whose first column is a digest; `None` if there are more than `limit`. Invalid digests,
/// as they may be in a damaged file, are skipped.
fn table<T>(
    mut rows: Rows<'_>,
    limit: usize,
    value: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<DigestTable<T>>> {
    let mut table = DigestTable::new();
    while let Some(row) = rows.next()? {
        if table.len() >= limit {
            return Ok(None);
        }
        let key = match digest(row.get_ref(0)?) {
            Some(RecordedDigest::Sha256(key)) => key,
            Some(RecordedDigest::Other(digest)) => DigestKey::from_digest(&digest),
            None => continue,
        };
        table.insert(key, value(row)?);
    }
    Ok(Some(table))
}

/// Parses the columns `first` and `last` of a row.
fn sighting(row: &Row<'_>, today: i64) -> rusqlite::Result<RecordedSighting> {
    let last: i64 = row.get("last")?;
    Ok(RecordedSighting {
        first: row.get("first")?,
        is_recent: today < last.saturating_add(REFRESHED_AFTER),
    })
}

/// Returns the repository of this id; `None` if it was deleted, or its name is invalid, as it may be in a damaged file.
fn source(connection: &Connection, id: i64) -> rusqlite::Result<Option<Repository>> {
    let mut statement = connection.prepare_cached(SOURCE)?;
    let named = statement.query_row((id,), |row| Ok((row.get(0)?, row.get(1)?)));
    let named: Option<(String, String)> = named.optional()?;
    Ok(named.and_then(|(registry, path)| {
        Endpoint::from_name(&registry).and_then(|endpoint| Repository::at(&endpoint, &path))
    }))
}

/// Parses a copy from the source at this position; `None` if its values are invalid, as they may be in a damaged file.
fn copy(row: &Row<'_>, source: usize, today: i64) -> rusqlite::Result<Option<RecordedTag>> {
    let tag = |column| {
        let text = row.get_ref(column)?.as_str_or_null()?;
        Ok::<_, rusqlite::Error>(text.map(Tag::parse))
    };
    let (Some(Ok(tag)), source_tag) = (tag(0)?, tag(2)?) else {
        return Ok(None);
    };
    let (Ok(source_tag), Some(digest)) = (source_tag.transpose(), digest(row.get_ref(4)?)) else {
        return Ok(None);
    };
    let seen: i64 = row.get(5)?;
    Ok(Some(RecordedTag {
        tag,
        source,
        source_tag,
        filter: row.get(3)?,
        digest,
        is_recent: today < seen.saturating_add(REFRESHED_AFTER),
    }))
}

/// Parses a stored digest: the 32 bytes of a SHA-256, otherwise text.
fn digest(value: ValueRef<'_>) -> Option<RecordedDigest> {
    Some(match value {
        ValueRef::Blob(bytes) => {
            RecordedDigest::Sha256(DigestKey::from_sha256(bytes.try_into().ok()?))
        }
        ValueRef::Text(text) => {
            RecordedDigest::Other(Digest::parse(std::str::from_utf8(text).ok()?).ok()?)
        }
        _ => return None,
    })
}

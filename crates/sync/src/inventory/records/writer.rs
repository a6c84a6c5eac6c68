//! Writes updates to the file.

use std::collections::HashMap;
use std::path::Path;
use std::time::SystemTime;

use image_syncer_registry::{Digest, Tag};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::Repository;
use crate::inventory::BlobUpdate;
use crate::inventory::records::file::FORMAT;
use crate::inventory::records::{
    REFRESHED_AFTER, RecordUpdate, RecordedCopy, ReferrersChecks, maintenance, seconds,
};
use crate::inventory::registry_facts::DigestKey;
use crate::sqlite_file::is_busy;

/// Maximum number of repositories whose ids are kept in memory; at the limit all are dropped and read again.
const MAX_IDS: usize = 10_000;

const HOLDS: &str = "
    INSERT INTO blobs (registry, digest, repository, seen) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT DO UPDATE SET seen = excluded.seen WHERE excluded.seen >= seen + ?5";

const GONE: &str = "DELETE FROM blobs WHERE registry = ?1 AND digest = ?2 AND repository = ?3";

const IDS: &str = "
    SELECT registries.id, repositories.id FROM registries
    JOIN repositories ON repositories.registry = registries.id
    WHERE registries.name = ?1 AND repositories.path = ?2";

const COPIED: &str = "
    INSERT INTO copies (repository, tag, source, source_tag, filter, digest, seen)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT DO UPDATE SET
        source = excluded.source, source_tag = excluded.source_tag, filter = excluded.filter,
        digest = excluded.digest, seen = excluded.seen
    WHERE excluded.seen >= seen + ?8 OR digest <> excluded.digest OR source <> excluded.source
        OR source_tag IS NOT excluded.source_tag OR filter <> excluded.filter";

const LOOKED: &str = "
    INSERT INTO referrers (repository, digest, source, asked, looked) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT DO UPDATE SET looked = excluded.looked";

const SEEN: &str = "
    INSERT INTO seen (repository, digest, first, last) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT DO UPDATE SET first = min(first, excluded.first), last = excluded.last
    WHERE excluded.last >= last + ?5 OR excluded.first < first";

/// Writes updates to the file.
pub(super) struct RecordsWriter {
    connection: Connection,
    /// Day since 1970, fixed for a run.
    today: i64,
    ids: HashMap<Repository, RepositoryId>,
}

/// Ids of a repository in the file.
#[derive(Clone, Copy)]
struct RepositoryId {
    registry: i64,
    repository: i64,
}

impl RecordsWriter {
    /// Opens the file, which exists and has its tables.
    pub(super) fn open(path: &Path, today: i64) -> rusqlite::Result<Self> {
        Ok(Self::over(FORMAT.open_to_write(path)?, today))
    }
    /// Writes over `connection`.
    pub(super) fn over(connection: Connection, today: i64) -> Self {
        Self {
            connection,
            today,
            ids: HashMap::new(),
        }
    }
    /// Writes `updates` in one transaction.
    pub(super) fn write(&mut self, updates: Vec<RecordUpdate>) -> rusqlite::Result<()> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        if self.ids.len() > MAX_IDS {
            self.ids.clear();
        }
        let mut page = WriteBatch {
            transaction,
            today: self.today,
            ids: &mut self.ids,
        };
        updates
            .into_iter()
            .try_for_each(|update| page.write(update))?;
        page.transaction.commit()
    }
    /// Prunes the file if that is due, and closes it.
    pub(super) fn finish(mut self) -> rusqlite::Result<()> {
        match maintenance::prune_if_due(&mut self.connection, self.today) {
            // Another process holds the file and prunes it.
            Err(error) if is_busy(&error) => Ok(()),
            tidied => tidied,
        }
    }
}

/// Transaction of one batch.
struct WriteBatch<'a> {
    transaction: Transaction<'a>,
    today: i64,
    ids: &'a mut HashMap<Repository, RepositoryId>,
}

impl WriteBatch<'_> {
    fn write(&mut self, update: RecordUpdate) -> rusqlite::Result<()> {
        match update {
            RecordUpdate::Blobs(BlobUpdate::Holds(repository, blobs)) => {
                self.write_blobs(&repository, &blobs)
            }
            RecordUpdate::Blobs(BlobUpdate::Gone(repository, blob)) => self.gone(&repository, blob),
            RecordUpdate::Blobs(BlobUpdate::Forget(repository)) => self.forget(&repository),
            RecordUpdate::Copied(destination, tag, copy) => self.copied(&destination, &tag, &copy),
            RecordUpdate::Seen(source, digest, at) => self.write_seen(&source, &digest, at),
            RecordUpdate::ReferrersChecked(checks, root, at) => {
                self.write_referrers_check(&checks, &root, at)
            }
        }
    }
    fn write_blobs(
        &mut self,
        repository: &Repository,
        blobs: &[DigestKey],
    ) -> rusqlite::Result<()> {
        let number = self.number(repository)?;
        let mut statement = self.transaction.prepare_cached(HOLDS)?;
        for blob in blobs {
            statement.execute(params![
                number.registry,
                blob.as_bytes(),
                number.repository,
                self.today,
                REFRESHED_AFTER
            ])?;
        }
        Ok(())
    }
    fn gone(&mut self, repository: &Repository, blob: DigestKey) -> rusqlite::Result<()> {
        let number = self.number(repository)?;
        self.transaction.prepare_cached(GONE)?.execute(params![
            number.registry,
            blob.as_bytes(),
            number.repository
        ])?;
        Ok(())
    }
    /// Deletes the repository's id: rows with a deleted id are skipped, and pruning removes them.
    fn forget(&mut self, repository: &Repository) -> rusqlite::Result<()> {
        if let Some(number) = self.find_id(repository)? {
            self.transaction
                .prepare_cached("DELETE FROM repositories WHERE id = ?1")?
                .execute((number.repository,))?;
        }
        self.ids.remove(repository);
        Ok(())
    }
    fn copied(
        &mut self,
        destination: &Repository,
        tag: &Tag,
        copy: &RecordedCopy,
    ) -> rusqlite::Result<()> {
        let number = self.number(destination)?.repository;
        let source = self.number(&copy.source)?.repository;
        // Most tags keep their name.
        let source_tag = (copy.source_tag != *tag).then_some(copy.source_tag.as_str());
        self.transaction.prepare_cached(COPIED)?.execute(params![
            number,
            tag.as_str(),
            source,
            source_tag,
            copy.filter,
            StoredDigest(&copy.digest),
            self.today,
            REFRESHED_AFTER
        ])?;
        Ok(())
    }
    fn write_referrers_check(
        &mut self,
        checks: &ReferrersChecks,
        root: &Digest,
        at: SystemTime,
    ) -> rusqlite::Result<()> {
        let number = self.number(&checks.destination)?.repository;
        let source = self.number(&checks.source)?.repository;
        self.transaction.prepare_cached(LOOKED)?.execute(params![
            number,
            StoredDigest(root),
            source,
            checks.scope,
            seconds(at)
        ])?;
        Ok(())
    }
    fn write_seen(
        &mut self,
        source: &Repository,
        digest: &Digest,
        at: SystemTime,
    ) -> rusqlite::Result<()> {
        let number = self.number(source)?.repository;
        self.transaction.prepare_cached(SEEN)?.execute(params![
            number,
            StoredDigest(digest),
            seconds(at),
            self.today,
            REFRESHED_AFTER
        ])?;
        Ok(())
    }
    /// Returns the ids of the repository, new ones for a new repository.
    fn number(&mut self, repository: &Repository) -> rusqlite::Result<RepositoryId> {
        if let Some(number) = self.ids.get(repository) {
            return Ok(*number);
        }
        let number = match self.find_id(repository)? {
            Some(number) => number,
            None => self.insert_id(repository)?,
        };
        self.ids.insert(repository.clone(), number);
        Ok(number)
    }
    /// Returns the ids that the file has.
    fn find_id(&self, repository: &Repository) -> rusqlite::Result<Option<RepositoryId>> {
        let key = (repository.endpoint().record_name(), repository.path());
        let mut statement = self.transaction.prepare_cached(IDS)?;
        let number = statement.query_row(key, |row| {
            Ok(RepositoryId {
                registry: row.get(0)?,
                repository: row.get(1)?,
            })
        });
        number.optional()
    }
    fn insert_id(&self, repository: &Repository) -> rusqlite::Result<RepositoryId> {
        let name = repository.endpoint().record_name();
        self.transaction
            .prepare_cached("INSERT OR IGNORE INTO registries (name) VALUES (?1)")?
            .execute((&name,))?;
        let registry = self
            .transaction
            .prepare_cached("SELECT id FROM registries WHERE name = ?1")?
            .query_row((&name,), |row| row.get(0))?;
        let repository = self
            .transaction
            .prepare_cached("INSERT INTO repositories (registry, path) VALUES (?1, ?2)")?
            .insert((registry, repository.path()))?;
        Ok(RepositoryId {
            registry,
            repository,
        })
    }
}

/// Digest in its stored form: a SHA-256 as 32 bytes, any other as text.
pub(super) struct StoredDigest<'a>(pub(super) &'a Digest);

impl ToSql for StoredDigest<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match DigestKey::sha256(self.0) {
            Some(key) => ToSqlOutput::Owned(key.as_bytes().to_vec().into()),
            None => ToSqlOutput::Borrowed(ValueRef::Text(self.0.as_str().as_bytes())),
        })
    }
}

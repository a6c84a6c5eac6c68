//! What people do with a records file: look at it, prune it, forget a part of it.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use image_syncer_registry::{Registry, Repository};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use crate::inventory::records::{DAY, RecordsError, RecordsErrorKind, day, file};

/// Records that were not seen for so many days are dropped.
pub const KEPT_DAYS: u32 = 90;

/// How many days pass before a run prunes again.
const PRUNED_EVERY: i64 = 7;

/// A records file in the hands of a person.
pub struct RecordsMaintenance {
    path: PathBuf,
    connection: Connection,
}

/// What is in a records file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordsOverview {
    /// Bytes on disk, what is not yet in its place included.
    pub bytes: u64,
    /// How many days ago the oldest record was seen; `None` where there is none.
    pub oldest_days: Option<u64>,
    /// By registry, sorted by name.
    pub registries: Vec<RegistryRecords>,
}

/// What is recorded of one registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryRecords {
    /// Which.
    pub registry: String,
    /// Repositories that anything is recorded of, as destinations or as sources.
    pub repositories: u64,
    /// Blobs in repositories: one that is in two counts twice.
    pub blobs: u64,
    /// Tags that were copied there.
    pub tags: u64,
}

impl RecordsMaintenance {
    /// Opens the file, which must be there.
    pub fn open(path: &Path) -> Result<Self, RecordsError> {
        if !path.exists() {
            return Err(RecordsError::with_kind(path, RecordsErrorKind::Missing, ""));
        }
        Ok(Self {
            path: path.to_owned(),
            connection: file::open(path)?,
        })
    }
    /// Counts what is in it.
    pub fn overview(&self) -> Result<RecordsOverview, RecordsError> {
        self.count()
            .map_err(|error| RecordsError::new(&self.path, error))
    }
    /// Drops what was not seen for that many days; says how many records that were.
    pub fn prune(&mut self, older_than: u32) -> Result<u64, RecordsError> {
        let before = day(SystemTime::now()) - i64::from(older_than);
        prune(&mut self.connection, before).map_err(|error| RecordsError::new(&self.path, error))
    }
    /// Drops what is recorded of the registry, or of one of its repositories; says how many records that were.
    pub fn forget(
        &mut self,
        registry: &Registry,
        repository: Option<&Repository>,
    ) -> Result<u64, RecordsError> {
        let path = repository.map(Repository::path);
        forget(&mut self.connection, registry, path)
            .map_err(|error| RecordsError::new(&self.path, error))
    }

    fn count(&self) -> rusqlite::Result<RecordsOverview> {
        let mut statement = self.connection.prepare(
            "SELECT name,
                (SELECT count(*) FROM repositories WHERE registry = registries.id),
                (SELECT count(*) FROM blobs
                    JOIN repositories ON repositories.id = blobs.repository
                    WHERE blobs.registry = registries.id),
                (SELECT count(*) FROM repositories
                    JOIN copies ON copies.repository = repositories.id
                    WHERE repositories.registry = registries.id)
            FROM registries ORDER BY name",
        )?;
        let rows = statement.query_map((), |row| {
            Ok(RegistryRecords {
                registry: row.get(0)?,
                repositories: number(row.get(1)?),
                blobs: number(row.get(2)?),
                tags: number(row.get(3)?),
            })
        })?;
        let registries = rows.collect::<rusqlite::Result<Vec<RegistryRecords>>>()?;
        let oldest: Option<i64> = self.connection.query_row(
            "SELECT min(seen) FROM (
                SELECT min(seen) AS seen FROM blobs UNION ALL SELECT min(seen) FROM copies
                UNION ALL SELECT min(looked) / ?1 FROM referrers
            )",
            (DAY,),
            |row| row.get(0),
        )?;
        Ok(RecordsOverview {
            bytes: self.bytes(),
            oldest_days: oldest.map(|oldest| number(day(SystemTime::now()) - oldest)),
            registries: registries
                .into_iter()
                .filter(|registry| registry.repositories > 0)
                .collect(),
        })
    }
    fn bytes(&self) -> u64 {
        let mut wal = self.path.clone().into_os_string();
        wal.push("-wal");
        [self.path.as_path(), Path::new(&wal)]
            .into_iter()
            .filter_map(|path| Some(std::fs::metadata(path).ok()?.len()))
            .sum()
    }
}

/// Prunes the file if that was not done for a while: what a writer does at the end of a run. Where another process has
/// the file, that one or a later run does it.
pub(super) fn tidy(connection: &mut Connection, today: i64) -> rusqlite::Result<()> {
    let last: Option<i64> = connection
        .query_row("SELECT max(pruned) FROM upkeep", (), |row| row.get(0))
        .optional()?
        .flatten();
    if last.is_some_and(|last| today < last + PRUNED_EVERY) {
        return Ok(());
    }
    // Said before it is done: a file that takes long to prune must not hold up the end of every run.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute("DELETE FROM upkeep", ())?;
    transaction.execute("INSERT INTO upkeep (pruned) VALUES (?1)", (today,))?;
    transaction.commit()?;
    if last.is_some() {
        prune(connection, today - i64::from(KEPT_DAYS))?;
    }
    Ok(())
}

/// Drops what was last seen before that day, and what is left of the dead.
fn prune(connection: &mut Connection, before: i64) -> rusqlite::Result<u64> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut dropped = 0;
    for table in ["blobs", "copies"] {
        let statement = format!("DELETE FROM {table} WHERE seen < ?1");
        dropped += transaction.execute(&statement, (before,))?;
    }
    let looked_before = before.saturating_mul(DAY);
    let statement = "DELETE FROM referrers WHERE looked < ?1";
    dropped += transaction.execute(statement, (looked_before,))?;
    delete_unreferenced(&transaction)?;
    transaction.commit()?;
    shrink_file(connection)?;
    Ok(dropped as u64)
}

fn forget(
    connection: &mut Connection,
    registry: &Registry,
    path: Option<&str>,
) -> rusqlite::Result<u64> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    delete_unreferenced(&transaction)?;
    transaction.execute(
        "DELETE FROM repositories
        WHERE registry = (SELECT id FROM registries WHERE name = ?1) AND (?2 IS NULL OR path = ?2)",
        (registry.as_str(), path),
    )?;
    let dropped = delete_unreferenced(&transaction)?;
    transaction.commit()?;
    shrink_file(connection)?;
    Ok(dropped)
}

/// Drops what refers to repositories that were forgotten, and names that nothing refers to.
fn delete_unreferenced(transaction: &Transaction<'_>) -> rusqlite::Result<u64> {
    let mut dropped = 0;
    for statement in [
        "DELETE FROM blobs WHERE repository NOT IN (SELECT id FROM repositories)",
        "DELETE FROM copies WHERE repository NOT IN (SELECT id FROM repositories)
            OR source NOT IN (SELECT id FROM repositories)",
        "DELETE FROM referrers WHERE repository NOT IN (SELECT id FROM repositories)
            OR source NOT IN (SELECT id FROM repositories)",
    ] {
        dropped += transaction.execute(statement, ())?;
    }
    for statement in [
        "DELETE FROM repositories WHERE id NOT IN (
            SELECT repository FROM blobs
            UNION SELECT repository FROM copies UNION SELECT source FROM copies
            UNION SELECT repository FROM referrers UNION SELECT source FROM referrers
        )",
        "DELETE FROM registries WHERE id NOT IN (SELECT registry FROM repositories)",
    ] {
        transaction.execute(statement, ())?;
    }
    Ok(dropped as u64)
}

/// Gives the space of what was dropped back to the disk.
fn shrink_file(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("PRAGMA incremental_vacuum")?;
    let mut pages = statement.query(())?;
    while pages.next()?.is_some() {}
    Ok(())
}

/// What a damaged file may say is less than nothing.
fn number(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

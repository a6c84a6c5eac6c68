//! Operations of a user on a records file: overview, prune, forget.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::inventory::records::file::FORMAT;
use crate::inventory::records::{DAY, RecordsError, RecordsErrorKind, day};
use crate::sqlite_file::shrink;
use crate::{Endpoint, Repository};

/// Days after which records that were not seen are dropped.
pub const KEPT_DAYS: u32 = 90;

/// Days between two prunings by runs.
const PRUNED_EVERY: i64 = 7;

/// Records file that a user inspects or changes.
pub struct RecordsMaintenance {
    path: PathBuf,
    connection: Connection,
}

/// Contents of a records file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordsOverview {
    /// Bytes on disk, the write-ahead log included.
    pub bytes: u64,
    /// Age in days of the oldest record; `None` if there are no records.
    pub oldest_days: Option<u64>,
    /// By registry, sorted by name.
    pub registries: Vec<RegistryRecords>,
}

/// Records of one registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryRecords {
    /// Name of the registry.
    pub registry: String,
    /// Repositories with any record, as destinations or as sources.
    pub repositories: u64,
    /// Blobs in repositories: a blob in two repositories counts twice.
    pub blobs: u64,
    /// Tags that were copied there.
    pub tags: u64,
}

impl RecordsMaintenance {
    /// Opens the file, which must exist.
    pub fn open(path: &Path) -> Result<Self, RecordsError> {
        if !path.exists() {
            return Err(RecordsError::with_kind(path, RecordsErrorKind::Missing));
        }
        Ok(Self {
            path: path.to_owned(),
            connection: FORMAT.open(path)?,
        })
    }
    /// Counts the records.
    pub fn overview(&self) -> Result<RecordsOverview, RecordsError> {
        self.count()
            .map_err(|error| RecordsError::new(&self.path, error))
    }
    /// Drops records that were not seen for that many days. Returns how many.
    pub fn prune(&mut self, older_than: u32) -> Result<u64, RecordsError> {
        let before = day(SystemTime::now()) - i64::from(older_than);
        prune(&mut self.connection, before).map_err(|error| RecordsError::new(&self.path, error))
    }
    /// Drops the records of the endpoint, or of one of its repositories. Returns how many.
    pub fn forget(
        &mut self,
        endpoint: &Endpoint,
        repository: Option<&Repository>,
    ) -> Result<u64, RecordsError> {
        let path = repository.map(Repository::path);
        forget(&mut self.connection, &endpoint.record_name(), path)
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
                UNION ALL SELECT min(last) FROM seen
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

/// Returns true if the last pruning is so old that a run should prune the file at its end.
pub(super) fn is_due(connection: &Connection, today: i64) -> rusqlite::Result<bool> {
    Ok(is_old(last_pruning(connection)?, today))
}

/// Returns the day of the last pruning; `None` before the first run.
fn last_pruning(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    connection.query_row("SELECT max(pruned) FROM upkeep", (), |row| row.get(0))
}

fn is_old(pruning: Option<i64>, today: i64) -> bool {
    pruning.is_none_or(|last| today >= last.saturating_add(PRUNED_EVERY))
}

/// Prunes the file at the end of a run, if the last pruning is old enough. If another process holds the file, that
/// process or a later run does it.
pub(super) fn prune_if_due(connection: &mut Connection, today: i64) -> rusqlite::Result<()> {
    let last = last_pruning(connection)?;
    if !is_old(last, today) {
        return Ok(());
    }
    // Written before the pruning: a file that takes long to prune must not delay the end of every run.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute("DELETE FROM upkeep", ())?;
    transaction.execute("INSERT INTO upkeep (pruned) VALUES (?1)", (today,))?;
    transaction.commit()?;
    if last.is_some() {
        prune(connection, today - i64::from(KEPT_DAYS))?;
    }
    Ok(())
}

/// Drops records that were last seen before that day, and rows that refer to deleted repositories.
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
    dropped += transaction.execute("DELETE FROM seen WHERE last < ?1", (before,))?;
    delete_unreferenced(&transaction)?;
    transaction.commit()?;
    shrink(connection)?;
    Ok(dropped as u64)
}

fn forget(
    connection: &mut Connection,
    endpoint: &str,
    path: Option<&str>,
) -> rusqlite::Result<u64> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    delete_unreferenced(&transaction)?;
    transaction.execute(
        "DELETE FROM repositories
        WHERE registry = (SELECT id FROM registries WHERE name = ?1) AND (?2 IS NULL OR path = ?2)",
        (endpoint, path),
    )?;
    let dropped = delete_unreferenced(&transaction)?;
    transaction.commit()?;
    shrink(connection)?;
    Ok(dropped)
}

/// Drops rows that refer to deleted repositories, and names without rows.
fn delete_unreferenced(transaction: &Transaction<'_>) -> rusqlite::Result<u64> {
    let mut dropped = 0;
    for statement in [
        "DELETE FROM blobs WHERE repository NOT IN (SELECT id FROM repositories)",
        "DELETE FROM copies WHERE repository NOT IN (SELECT id FROM repositories)
            OR source NOT IN (SELECT id FROM repositories)",
        "DELETE FROM referrers WHERE repository NOT IN (SELECT id FROM repositories)
            OR source NOT IN (SELECT id FROM repositories)",
        "DELETE FROM seen WHERE repository NOT IN (SELECT id FROM repositories)",
    ] {
        dropped += transaction.execute(statement, ())?;
    }
    for statement in [
        "DELETE FROM repositories WHERE id NOT IN (
            SELECT repository FROM blobs
            UNION SELECT repository FROM copies UNION SELECT source FROM copies
            UNION SELECT repository FROM referrers UNION SELECT source FROM referrers
            UNION SELECT repository FROM seen
        )",
        "DELETE FROM registries WHERE id NOT IN (SELECT registry FROM repositories)",
    ] {
        transaction.execute(statement, ())?;
    }
    Ok(dropped as u64)
}

/// Returns the count as unsigned; a damaged file may hold negative ones.
fn number(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

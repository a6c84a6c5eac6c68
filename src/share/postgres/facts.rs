//! Blobs at registries, as all workers know them.
//!
//! A row says that a manifest in a repository names a blob. Rows are hints: a lookup that takes too long knows nothing,
//! and updates are dropped where the server is away. A layer that one worker uploaded is then uploaded once more.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use image_syncer_registry::Registry;
use image_syncer_sync::Repository;
use image_syncer_sync::inventory::{BlobFacts, BlobUpdate, DigestKey};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Row;

use crate::lock::lock;
use crate::share::postgres::connection::{Parameter, Statement};
use crate::share::postgres::{Database, DatabaseConnection, DatabaseError, SqlType, parameters};

/// Time that a copy waits for hints. An upload may be faster than a slow server.
const PATIENCE: Duration = Duration::from_secs(2);
/// Time without lookups after one that failed.
const PAUSE: Duration = Duration::from_secs(5);
/// Time in which updates are gathered.
const GATHERED: Duration = Duration::from_millis(100);
/// Maximum number of updates that wait. Further ones are dropped.
const MAX_QUEUED: usize = 20_000;
/// Maximum number of updates that are written at a time.
const MAX_WRITTEN: usize = 500;
/// Maximum number of times that updates are written again after the server was away.
const RETRIES: usize = 2;

/// Hints that are lost with the server cost an upload each.
const NO_FLUSH: &str = "SET LOCAL synchronous_commit = off";
/// The repository itself, and a few others. A base layer may be in any number.
const FIND: &str = "\
SELECT wanted.digest, found.repository
FROM unnest($3) AS wanted (digest)
CROSS JOIN LATERAL (
    (
        SELECT repository FROM image_syncer.facts
        WHERE registry = $1 AND digest = wanted.digest AND repository = $2
    )
    UNION ALL
    (
        SELECT repository FROM image_syncer.facts
        WHERE registry = $1 AND digest = wanted.digest AND repository <> $2
        LIMIT 3
    )
) AS found";
/// In the order of the key, so that workers that write the same rows do not wait for each other in a circle. The time of
/// a row that is seen again is written once a week.
const ADD: &str = "\
INSERT INTO image_syncer.facts AS fact (registry, digest, repository)
SELECT registry, digest, repository
FROM unnest($1, $2, $3) AS added (registry, digest, repository)
ORDER BY registry, digest, repository
ON CONFLICT (registry, digest, repository) DO UPDATE SET seen = EXCLUDED.seen
WHERE fact.seen < EXCLUDED.seen - interval '7 days'";
const REMOVE: &str = "\
WITH gone AS (
    SELECT fact.registry, fact.digest, fact.repository
    FROM image_syncer.facts AS fact
    JOIN unnest($1, $2, $3) AS gone (registry, digest, repository) USING (registry, digest, repository)
    ORDER BY fact.registry, fact.digest, fact.repository
    FOR UPDATE OF fact
)
DELETE FROM image_syncer.facts AS fact USING gone
WHERE fact.registry = gone.registry AND fact.digest = gone.digest AND fact.repository = gone.repository";
const FORGET: &str = "\
WITH gone AS (
    SELECT fact.registry, fact.digest, fact.repository
    FROM image_syncer.facts AS fact
    JOIN unnest($1, $2) AS gone (registry, repository) USING (registry, repository)
    ORDER BY fact.registry, fact.digest, fact.repository
    FOR UPDATE OF fact
)
DELETE FROM image_syncer.facts AS fact USING gone
WHERE fact.registry = gone.registry AND fact.digest = gone.digest AND fact.repository = gone.repository";

/// Rows that no worker has confirmed for long.
pub(super) const PRUNE: &str =
    "DELETE FROM image_syncer.facts WHERE seen < clock_timestamp() - interval '90 days'";

/// Knowledge of all workers about blobs, by a table.
pub(crate) struct Facts {
    connection: DatabaseConnection,
    updates: mpsc::Sender<BlobUpdate>,
    /// End of the time without lookups.
    paused_until: Mutex<Option<Instant>>,
    task: AbortHandle,
}

/// Updates of one transaction, the last one for each row.
#[derive(Default)]
struct Batch {
    forgotten: HashSet<(String, String)>,
    /// True for rows that exist, by registry, digest and repository.
    rows: HashMap<(String, DigestKey, String), bool>,
}

/// Columns of rows.
#[derive(Default)]
struct Columns {
    registries: Vec<String>,
    digests: Vec<Vec<u8>>,
    repositories: Vec<String>,
}

impl std::fmt::Debug for Facts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Facts").finish_non_exhaustive()
    }
}

impl Drop for Facts {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Facts {
    /// Starts the task that writes.
    pub(crate) fn start(database: &Database) -> Arc<Self> {
        let (updates, queue) = mpsc::channel(MAX_QUEUED);
        let connection = database.work.clone();
        let task = tokio::spawn(write(connection.clone(), queue)).abort_handle();
        Arc::new(Self {
            connection,
            updates,
            paused_until: Mutex::default(),
            task,
        })
    }

    /// Returns the locations, or `None` if the server does not answer in time.
    async fn find(
        &self,
        registry: &Registry,
        repository: &str,
        blobs: &[DigestKey],
    ) -> Option<Vec<Row>> {
        let is_over = |until: Instant| until <= Instant::now();
        if !lock(&self.paused_until).is_none_or(is_over) {
            return None;
        }
        let registry = registry.as_str();
        let digests: Vec<Vec<u8>> = blobs.iter().map(|blob| blob.as_bytes().to_vec()).collect();
        let parameters = parameters!(registry: &str, repository: &str, digests: Vec<Vec<u8>>);
        let why = match timeout(PATIENCE, self.connection.query(FIND, &parameters)).await {
            Ok(Ok(rows)) => return Some(rows),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the server does not answer in time".to_owned(),
        };
        tracing::debug!(registry, "blobs of other workers are not known: {why}");
        *lock(&self.paused_until) = Instant::now().checked_add(PAUSE);
        None
    }
}

impl BlobFacts for Facts {
    fn locations<'a>(
        &'a self,
        repository: &'a Repository,
        blobs: Vec<DigestKey>,
    ) -> BoxFuture<'a, Vec<(DigestKey, Vec<Repository>)>> {
        async move {
            // A file of one machine is none of another.
            let Some(registry) = repository.endpoint().registry() else {
                return Vec::new();
            };
            let rows = self.find(registry, repository.path(), &blobs).await;
            let mut found: HashMap<DigestKey, Vec<Repository>> = HashMap::new();
            for row in rows.unwrap_or_default() {
                if let Some((blob, place)) = location(&row, registry) {
                    found.entry(blob).or_default().push(place);
                }
            }
            found.into_iter().collect()
        }
        .boxed()
    }

    fn record(&self, update: BlobUpdate) {
        if update.repository().endpoint().registry().is_some() {
            // What does not fit is dropped.
            let _ = self.updates.try_send(update);
        }
    }
}

/// Returns the blob and the repository of a row; `None` if they are invalid.
fn location(row: &Row, registry: &Registry) -> Option<(DigestKey, Repository)> {
    let digest: &[u8] = row.try_get(0).ok()?;
    let path: &str = row.try_get(1).ok()?;
    let repository = image_syncer_registry::Repository::new(registry.clone(), path).ok()?;
    let blob = DigestKey::from_sha256(digest.try_into().ok()?);
    Some((blob, Repository::from(repository)))
}

/// Writes updates, some at a time.
async fn write(connection: DatabaseConnection, mut queue: mpsc::Receiver<BlobUpdate>) {
    let mut updates = Vec::new();
    while queue.recv_many(&mut updates, MAX_WRITTEN).await > 0 {
        sleep(GATHERED).await;
        while updates.len() < MAX_WRITTEN
            && let Ok(update) = queue.try_recv()
        {
            updates.push(update);
        }
        let mut batch = Batch::default();
        for update in updates.drain(..) {
            batch.add(update);
        }
        for _ in 0..=RETRIES {
            let Err(error) = batch.write(&connection).await else {
                break;
            };
            tracing::debug!(%error, "what this worker knows about blobs is not written");
            if !error.is_temporary() {
                break;
            }
            connection.back().await;
        }
    }
}

impl Batch {
    /// Adds an update, which replaces earlier ones of the same rows.
    fn add(&mut self, update: BlobUpdate) {
        let repository = update.repository();
        let Some(registry) = repository.endpoint().registry() else {
            return;
        };
        let (registry, path) = (registry.as_str().to_owned(), repository.path().to_owned());
        let mut set = |blob, is_there| {
            let row = (registry.clone(), blob, path.clone());
            self.rows.insert(row, is_there);
        };
        match update {
            BlobUpdate::Holds(_, blobs) => blobs.into_iter().for_each(|blob| set(blob, true)),
            BlobUpdate::Gone(_, blob) => set(blob, false),
            BlobUpdate::Forget(_) => {
                self.rows
                    .retain(|row, _| (&row.0, &row.2) != (&registry, &path));
                self.forgotten.insert((registry, path));
            }
        }
    }

    async fn write(&self, connection: &DatabaseConnection) -> Result<(), DatabaseError> {
        let (mut added, mut removed) = (Columns::default(), Columns::default());
        for (row, is_there) in &self.rows {
            let columns = if *is_there { &mut added } else { &mut removed };
            columns.push(row);
        }
        let (registries, repositories): (Vec<String>, Vec<String>) =
            self.forgotten.iter().cloned().unzip();
        let forgotten = parameters!(registries: Vec<String>, repositories: Vec<String>);
        let (added, removed) = (&added, &removed);
        let (added_rows, removed_rows) = (added.parameters(), removed.parameters());
        let mut statements: Vec<Statement<'_>> = vec![(NO_FLUSH, &[])];
        // Rows that were learned after a repository was forgotten stay.
        if !registries.is_empty() {
            statements.push((FORGET, &forgotten));
        }
        if !removed.registries.is_empty() {
            statements.push((REMOVE, &removed_rows));
        }
        if !added.registries.is_empty() {
            statements.push((ADD, &added_rows));
        }
        connection.batch(&statements).await.map(drop)
    }
}

impl Columns {
    fn push(&mut self, (registry, digest, repository): &(String, DigestKey, String)) {
        self.registries.push(registry.clone());
        self.digests.push(digest.as_bytes().to_vec());
        self.repositories.push(repository.clone());
    }

    fn parameters(&self) -> [Parameter<'_>; 3] {
        let Self {
            registries,
            digests,
            repositories,
        } = self;
        [
            (registries, <Vec<String> as SqlType>::TYPE),
            (digests, <Vec<Vec<u8>> as SqlType>::TYPE),
            (repositories, <Vec<String> as SqlType>::TYPE),
        ]
    }
}

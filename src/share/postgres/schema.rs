//! Tables, and their changes from version to version.

use tokio_postgres::Client;

use crate::share::postgres::failure::{DatabaseError, DatabaseErrorKind, SCHEMA, Step};
use crate::share::postgres::url::ServerUrl;

/// Statements that lead from each version to the next, the first from none.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/1.sql")];
/// Oldest version of `PostgreSQL`, as `server_version_num`.
const OLDEST_SERVER: i32 = 120_000;

const STATE: &str = "SELECT current_setting('transaction_read_only') = 'on', \
                     current_setting('server_version_num')::int, \
                     to_regclass('image_syncer.schema_versions') IS NOT NULL";
const VERSION: &str =
    "SELECT COALESCE(max(version), 0), max(program) FROM image_syncer.schema_versions";
/// Waits for other processes that prepare the tables: the number means nothing. A pooler keeps a transaction together.
const LOCK: &str =
    "SET LOCAL statement_timeout = '120s'; SELECT pg_advisory_xact_lock(7310029447265617001)";
const HAS_SCHEMA: &str = "SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'image_syncer'";
const VERSIONS_TABLE: &str = "CREATE TABLE IF NOT EXISTS image_syncer.schema_versions ( \
                              version integer PRIMARY KEY, program text NOT NULL, \
                              at timestamptz NOT NULL DEFAULT clock_timestamp())";
const ADD_VERSION: &str =
    "INSERT INTO image_syncer.schema_versions (version, program) VALUES ($1, $2)";

/// Brings the tables to the version of this program. Any number of processes may do so at the same time.
///
/// # Errors
/// The tables are newer than this program, the server is read-only or too old, or refuses.
pub(super) async fn migrate(client: &mut Client, url: &ServerUrl) -> Result<(), DatabaseError> {
    let failed = |error| DatabaseError::describe(url, Step::Migrate, &error);
    let state = client.query_typed_one(STATE, &[]).await.map_err(failed)?;
    let (is_read_only, server): (bool, i32) = (
        state.try_get(0).map_err(failed)?,
        state.try_get(1).map_err(failed)?,
    );
    if is_read_only {
        return Err(refused(
            url,
            "the server is read-only, such as a replica. Use the URL of the primary server, or name all servers in it \
             with target_session_attrs=read-write.",
        ));
    }
    if server < OLDEST_SERVER {
        let version = server / 10_000;
        return Err(refused(
            url,
            &format!("PostgreSQL {version} is too old. Use version 12 or later."),
        ));
    }
    if state.try_get(2).map_err(failed)? && version(client, url).await? == newest() {
        return Ok(());
    }
    upgrade(client, url).await
}

async fn upgrade(client: &mut Client, url: &ServerUrl) -> Result<(), DatabaseError> {
    let failed = |error| DatabaseError::describe(url, Step::Migrate, &error);
    client.batch_execute("BEGIN").await.map_err(failed)?;
    client.batch_execute(LOCK).await.map_err(failed)?;
    let schemas = client.query_typed(HAS_SCHEMA, &[]).await.map_err(failed)?;
    if schemas.is_empty() {
        let create = format!("CREATE SCHEMA {SCHEMA}");
        client.batch_execute(&create).await.map_err(failed)?;
    }
    client.batch_execute(VERSIONS_TABLE).await.map_err(failed)?;
    let old = version(client, url).await?;
    for (next, migration) in (1..).zip(MIGRATIONS).skip_while(|(next, _)| *next <= old) {
        client.batch_execute(migration).await.map_err(failed)?;
        let program = env!("CARGO_PKG_VERSION");
        let values = super::parameters!(next: i32, program: &str);
        client
            .execute_typed(ADD_VERSION, &values)
            .await
            .map_err(failed)?;
    }
    client.batch_execute("COMMIT").await.map_err(failed)
}

/// Returns the version of the tables.
///
/// # Errors
/// They are newer than this program.
async fn version(client: &Client, url: &ServerUrl) -> Result<i32, DatabaseError> {
    let failed = |error| DatabaseError::describe(url, Step::Migrate, &error);
    let row = client.query_typed_one(VERSION, &[]).await.map_err(failed)?;
    let found: i32 = row.try_get(0).map_err(failed)?;
    if found > newest() {
        let program: Option<String> = row.try_get(1).map_err(failed)?;
        let program = program.unwrap_or_default();
        return Err(refused(
            url,
            &format!(
                "its tables have version {found} (image-syncer {program}), and this program, image-syncer {}, knows \
                 version {}. Update image-syncer.",
                env!("CARGO_PKG_VERSION"),
                newest()
            ),
        ));
    }
    Ok(found)
}

/// Returns the version that this program uses.
fn newest() -> i32 {
    i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX)
}

fn refused(url: &ServerUrl, why: &str) -> DatabaseError {
    let message = format!("cannot prepare the tables in {url}: {why}");
    DatabaseError::new(DatabaseErrorKind::Refused, message)
}

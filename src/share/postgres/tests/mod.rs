//! Tests with a real server.

mod budgets;
mod connecting;
mod division;
mod facts;
mod loads;
mod losses;
mod queue;
#[path = "../../../../tests/it/support/postgres.rs"]
#[allow(dead_code, clippy::expect_used)]
mod server;
mod sizes;

use std::sync::{Arc, Mutex};

use server::Postgres;

use super::{Database, DatabaseError, ServerUrl};

/// Lines that were printed.
type Lines = Arc<Mutex<Vec<String>>>;

async fn database(url: &str) -> Result<Database, DatabaseError> {
    Ok(database_with_lines(url).await?.0)
}

async fn database_with_lines(url: &str) -> Result<(Database, Lines), DatabaseError> {
    let lines = Lines::default();
    let printed = Arc::clone(&lines);
    let report = Arc::new(move |line: &str| printed.lock().unwrap().push(line.to_owned()));
    let url = ServerUrl::parse(url).unwrap();
    Ok((Database::connect(url, report).await?, lines))
}

/// Waits until `condition` holds.
async fn until(mut condition: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("this does not happen");
}

/// Returns the number of units in each state, by state.
fn units_by_state(server: &Postgres) -> String {
    server.sql("SELECT state, count(*) FROM image_syncer.units GROUP BY state ORDER BY state")
}

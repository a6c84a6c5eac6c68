//! Retention of the history: the last 90 days, at most a million images and a million runs, and the last runs of each rule
//! in any case.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::service::history::columns::Moment;
use crate::service::run::RunId;

/// Limits of the history.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retention {
    /// Time for which runs are kept.
    pub(super) age: Duration,
    /// Maximum number of images.
    pub(super) images: i64,
    /// Maximum number of runs.
    pub(super) runs: i64,
    /// Time between two looks at what is not kept any more.
    pub(super) every: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            age: Duration::from_secs(90 * 24 * 60 * 60),
            images: 1_000_000,
            runs: 1_000_000,
            every: Duration::from_secs(10 * 60),
        }
    }
}

/// Maximum number of rows that a step deletes, so that it takes a few milliseconds.
const STEP: i64 = 1_000;

const TOTALS: &str = "SELECT runs, images FROM totals";

/// The last run of a rule, and the last one that copied all of it, are kept.
const IS_NOT_LAST: &str = "
    id < (SELECT max(id) FROM runs AS newer WHERE newer.rule = runs.rule)
    AND id <> coalesce((
        SELECT max(id) FROM runs AS newer WHERE newer.rule = runs.rule AND is_full = 1 AND started IS NOT NULL
    ), 0)";

const DELETE_IMAGES: &str = "
    DELETE FROM images WHERE run = ?1 AND number IN (SELECT number FROM images WHERE run = ?1 LIMIT ?2)";

const OLD_PAST_TAGS: &str = "
    DELETE FROM past_tags WHERE id IN (SELECT id FROM past_tags WHERE until < ?1 LIMIT ?2)";

const OLD_DELIVERIES: &str = "
    DELETE FROM deliveries WHERE id IN (
        SELECT id FROM deliveries WHERE state = ?1 AND next < ?2 LIMIT ?3
    )";

/// Tags that are gone for so long.
const OLD_EXTRA_TAGS: &str = "
    SELECT tags.id FROM tag_counts CROSS JOIN tags INDEXED BY differences
        ON tags.rule = tag_counts.rule AND tags.source = tag_counts.source AND tags.state <> 'same'
    WHERE tag_counts.state = 'extra' AND tags.state = 'extra' AND since < ?1 LIMIT ?2";

/// Tags of rules that did not run for so long.
const TAGS_OF_OLD_RULES: &str = "
    SELECT tags.id FROM rules CROSS JOIN tag_counts ON tag_counts.rule = rules.id
    CROSS JOIN tags ON tags.source = tag_counts.source AND tags.rule = rules.id
    WHERE NOT EXISTS (SELECT 1 FROM runs WHERE runs.rule = rules.id AND runs.id >= ?1) LIMIT ?2";

/// Deletes some of what is not kept at `now`. Returns true if there is more.
pub(super) fn step(
    connection: &mut Connection,
    retention: &Retention,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let oldest = now
        .checked_sub(retention.age)
        .unwrap_or(Timestamp::UNIX_EPOCH);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let is_more = match next_run(&transaction, retention, oldest)? {
        Some(run) => {
            delete_run(&transaction, run)?;
            true
        }
        None => delete_others(&transaction, oldest)?,
    };
    transaction.commit()?;
    Ok(is_more)
}

/// Returns the oldest run that is not kept.
fn next_run(
    connection: &Connection,
    retention: &Retention,
    oldest: Timestamp,
) -> rusqlite::Result<Option<i64>> {
    let (runs, images): (i64, i64) =
        connection.query_row(TOTALS, (), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let condition = if images > retention.images {
        "kept > 0 AND id < ?1"
    } else {
        "id < ?1"
    };
    let is_full = images > retention.images || runs > retention.runs;
    let before = if is_full {
        i64::MAX
    } else {
        RunId::after(oldest, None).number()
    };
    let statement =
        format!("SELECT id FROM runs WHERE {condition} AND {IS_NOT_LAST} ORDER BY id LIMIT 1");
    let mut statement = connection.prepare_cached(&statement)?;
    statement.query_row((before,), |row| row.get(0)).optional()
}

/// All statements that look for rows, for the test of their plans.
#[cfg(test)]
pub(super) fn statements() -> Vec<(&'static str, String)> {
    let next_run = |condition: &str| {
        format!("SELECT id FROM runs WHERE {condition} AND {IS_NOT_LAST} ORDER BY id LIMIT 1")
    };
    vec![
        ("old runs", next_run("id < ?1")),
        ("old runs with images", next_run("kept > 0 AND id < ?1")),
        ("old images", DELETE_IMAGES.to_owned()),
        ("old digests", OLD_PAST_TAGS.to_owned()),
        ("old notifications", OLD_DELIVERIES.to_owned()),
        ("old extra tags", OLD_EXTRA_TAGS.to_owned()),
        ("tags of old rules", TAGS_OF_OLD_RULES.to_owned()),
    ]
}

/// Deletes images of a run, and the run with the last of them.
fn delete_run(connection: &Connection, run: i64) -> rusqlite::Result<()> {
    let deleted = connection
        .prepare_cached(DELETE_IMAGES)?
        .execute((run, STEP))?;
    let deleted = i64::try_from(deleted).unwrap_or(i64::MAX);
    if deleted < STEP {
        connection.execute("DELETE FROM failures WHERE run = ?1", (run,))?;
        connection.execute("DELETE FROM throughputs WHERE run = ?1", (run,))?;
        connection.execute("DELETE FROM runs WHERE id = ?1", (run,))?;
    } else {
        let statement = "UPDATE runs SET kept = kept - ?2 WHERE id = ?1";
        connection.execute(statement, (run, deleted))?;
    }
    Ok(())
}

/// Deletes digests, tags and notifications of the past. Returns true if there is more.
fn delete_others(connection: &Connection, oldest: Timestamp) -> rusqlite::Result<bool> {
    let mut deleted = connection.execute(OLD_PAST_TAGS, params![Moment(oldest), STEP])?;
    for state in ["delivered", "failed"] {
        let values = params![state, Moment(oldest), STEP];
        deleted += connection.execute(OLD_DELIVERIES, values)?;
    }
    let first_run = RunId::after(oldest, None).number();
    let mut old = ids(connection, OLD_EXTRA_TAGS, oldest.as_microsecond())?;
    old.extend(ids(connection, TAGS_OF_OLD_RULES, first_run)?);
    for id in &old {
        connection.execute("DELETE FROM past_tags WHERE tag = ?1", (id,))?;
        connection.execute("DELETE FROM tags WHERE id = ?1", (id,))?;
    }
    Ok(deleted + old.len() > 0)
}

fn ids(connection: &Connection, statement: &str, before: i64) -> rusqlite::Result<Vec<i64>> {
    let mut statement = connection.prepare_cached(statement)?;
    let ids = statement.query_map((before, STEP), |row| row.get(0))?;
    ids.collect()
}

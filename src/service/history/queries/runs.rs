//! Runs.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use crate::service::history::columns::{Fields, Moment, Word};
use crate::service::history::queries::limited;
use crate::service::history::records::RunFilter;
use crate::service::history::samples;
use crate::service::run::{Run, RunCounts, RunId, RunState};
use crate::service::schedule::LastStart;
use crate::service::throughput::Sample;

const COLUMNS: &str = "
    SELECT runs.id, rules.name AS rule, cause, purpose, scope, state, requested, started, ended, images, copied,
        unchanged, different, skipped, failed, interrupted, fetched_bytes, sent_bytes, saved_bytes, failure
    FROM runs CROSS JOIN rules ON rules.id = runs.rule";

const BY_ID: &str = "WHERE runs.id = :id";

const ALL: &str = "WHERE runs.id < :before ORDER BY runs.id DESC LIMIT :limit";

const BY_STATE: &str =
    "WHERE state = :state AND runs.id < :before ORDER BY runs.id DESC LIMIT :limit";

const OF_RULE: &str = "
    WHERE runs.rule = (SELECT id FROM rules WHERE name = :rule) AND runs.id < :before
    ORDER BY runs.id DESC LIMIT :limit";

const OF_RULE_IN_STATE: &str = "
    WHERE runs.rule = (SELECT id FROM rules WHERE name = :rule) AND state = :state AND runs.id < :before
    ORDER BY runs.id DESC LIMIT :limit";

const RULES: &str = "SELECT name FROM rules";

const STARTS: &str = "
    SELECT rules.name, runs.started, runs.state FROM rules CROSS JOIN runs ON runs.id = (
        SELECT id FROM runs AS newer
        WHERE newer.rule = rules.id AND is_full = 1 AND started IS NOT NULL ORDER BY id DESC LIMIT 1
    )";

const SUCCESSES: &str = "
    SELECT name, (
        SELECT ended FROM runs
        WHERE rule = rules.id AND state = 'succeeded' AND purpose = 'sync' ORDER BY id DESC LIMIT 1
    ) FROM rules";

const THROUGHPUT: &str = "SELECT samples FROM throughputs WHERE run = :run";

const NEWEST: &str = "SELECT max(id) FROM runs";

/// Returns the runs that the filter selects, the newest first.
pub(in crate::service::history) fn runs(
    connection: &Connection,
    filter: &RunFilter,
) -> rusqlite::Result<Vec<Run>> {
    let before = filter.before.map_or(i64::MAX, RunId::number);
    let limit = limited(filter.limit);
    if !filter.rules.is_empty() {
        return runs_of_rules(connection, filter, before, limit);
    }
    if let Some(state) = filter.state {
        let mut statement = connection.prepare_cached(&format!("{COLUMNS} {BY_STATE}"))?;
        let values = named_params! {":state": Word(state), ":before": before, ":limit": limit};
        return statement.query_map(values, parse)?.collect();
    }
    let mut statement = connection.prepare_cached(&format!("{COLUMNS} {ALL}"))?;
    let values = named_params! {":before": before, ":limit": limit};
    statement.query_map(values, parse)?.collect()
}

/// Returns the newest runs of some rules: the newest of each, merged.
fn runs_of_rules(
    connection: &Connection,
    filter: &RunFilter,
    before: i64,
    limit: i64,
) -> rusqlite::Result<Vec<Run>> {
    let size = usize::try_from(limit).unwrap_or_default();
    let mut found = Vec::new();
    for rule in &filter.rules {
        found.extend(of_rule(connection, rule, filter.state, before, limit)?);
        if found.len() >= 2 * size {
            keep_newest(&mut found, size);
        }
    }
    keep_newest(&mut found, size);
    Ok(found)
}

fn keep_newest(runs: &mut Vec<Run>, size: usize) {
    runs.sort_unstable_by_key(|run| std::cmp::Reverse(run.id));
    runs.truncate(size);
}

fn of_rule(
    connection: &Connection,
    rule: &str,
    state: Option<RunState>,
    before: i64,
    limit: i64,
) -> rusqlite::Result<Vec<Run>> {
    if let Some(state) = state {
        let statement = format!("{COLUMNS} {OF_RULE_IN_STATE}");
        let mut statement = connection.prepare_cached(&statement)?;
        let values = named_params! {
            ":rule": rule, ":state": Word(state), ":before": before, ":limit": limit
        };
        return statement.query_map(values, parse)?.collect();
    }
    let mut statement = connection.prepare_cached(&format!("{COLUMNS} {OF_RULE}"))?;
    let values = named_params! {":rule": rule, ":before": before, ":limit": limit};
    statement.query_map(values, parse)?.collect()
}

/// Returns a run.
pub(in crate::service::history) fn run(
    connection: &Connection,
    id: RunId,
) -> rusqlite::Result<Option<Run>> {
    let mut statement = connection.prepare_cached(&format!("{COLUMNS} {BY_ID}"))?;
    let run = statement.query_row(named_params! {":id": id.number()}, parse);
    run.optional()
}

/// Returns the throughput of a run that is over; empty if none is known.
pub(in crate::service::history) fn throughput(
    connection: &Connection,
    run: RunId,
) -> rusqlite::Result<Vec<Sample>> {
    let mut statement = connection.prepare_cached(THROUGHPUT)?;
    let stored = statement.query_row(named_params! {":run": run.number()}, |row| {
        row.get::<_, Vec<u8>>(0)
    });
    let stored = stored.optional()?.unwrap_or_default();
    Ok(samples::decode(&stored))
}

/// Returns the last runs of each rule, the newest first, at most `number` of each.
pub(in crate::service::history) fn last_runs(
    connection: &Connection,
    number: usize,
) -> rusqlite::Result<HashMap<Arc<str>, Vec<Run>>> {
    let mut found = HashMap::new();
    for rule in rules(connection)? {
        let runs = of_rule(connection, &rule, None, i64::MAX, limited(number))?;
        if !runs.is_empty() {
            found.insert(rule, runs);
        }
    }
    Ok(found)
}

/// Returns the names of all rules that ever had a run.
pub(in crate::service::history) fn rules(
    connection: &Connection,
) -> rusqlite::Result<Vec<Arc<str>>> {
    let mut statement = connection.prepare_cached(RULES)?;
    statement.query_map((), |row| row.get(0))?.collect()
}

/// Returns the last start of each whole rule by a run that copies.
pub(in crate::service::history) fn last_starts(
    connection: &Connection,
) -> rusqlite::Result<HashMap<Arc<str>, LastStart>> {
    let mut statement = connection.prepare_cached(STARTS)?;
    let starts = statement.query_map((), |row| {
        let Moment(started) = row.get(1)?;
        let start = match row.get(2)? {
            Word(RunState::Interrupted) => LastStart::Interrupted(started),
            _ => LastStart::At(started),
        };
        Ok((row.get(0)?, start))
    })?;
    starts.collect()
}

/// Returns the end of the last run of each rule that copied, and succeeded.
pub(in crate::service::history) fn last_successes(
    connection: &Connection,
) -> rusqlite::Result<HashMap<Arc<str>, Timestamp>> {
    let mut statement = connection.prepare_cached(SUCCESSES)?;
    let mut rows = statement.query(())?;
    let mut found = HashMap::new();
    while let Some(row) = rows.next()? {
        if let Some(Moment(ended)) = row.get(1)? {
            found.insert(row.get(0)?, ended);
        }
    }
    Ok(found)
}

/// Returns the newest run.
pub(in crate::service::history) fn newest_run(
    connection: &Connection,
) -> rusqlite::Result<Option<RunId>> {
    let number: Option<i64> = connection.query_row(NEWEST, (), |row| row.get(0))?;
    Ok(number.and_then(RunId::from_number))
}

/// Parses the id of a run in this column.
pub(super) fn run_id(row: &Row<'_>, column: &str) -> rusqlite::Result<RunId> {
    let number: i64 = row.get(column)?;
    let index = row.as_ref().column_index(column)?;
    RunId::from_number(number).ok_or(rusqlite::Error::IntegralValueOutOfRange(index, number))
}

/// Parses a row with [`COLUMNS`].
fn parse(row: &Row<'_>) -> rusqlite::Result<Run> {
    let mut fields = Fields::new(row);
    let number: i64 = fields.next()?;
    let id = RunId::from_number(number);
    let rule = fields.next()?;
    let Word(cause) = fields.next()?;
    let Word(purpose) = fields.next()?;
    let scope: Option<String> = fields.next()?;
    let Word(state) = fields.next()?;
    let Moment(requested) = fields.next()?;
    let started: Option<Moment> = fields.next()?;
    let ended: Option<Moment> = fields.next()?;
    let counts = RunCounts {
        images: fields.number()?,
        copied: fields.number()?,
        unchanged: fields.number()?,
        different: fields.number()?,
        skipped: fields.number()?,
        failed: fields.number()?,
        interrupted: fields.number()?,
        fetched_bytes: fields.number()?,
        sent_bytes: fields.number()?,
        saved_bytes: fields.number()?,
    };
    Ok(Run {
        id: id.ok_or(rusqlite::Error::IntegralValueOutOfRange(0, number))?,
        rule,
        cause,
        purpose,
        // A scope of another form, as it may be in a damaged file, is none.
        scope: scope
            .and_then(|scope| serde_json::from_str(&scope).ok())
            .unwrap_or_default(),
        state,
        requested,
        started: started.map(|Moment(time)| time),
        ended: ended.map(|Moment(time)| time),
        counts,
        failure: fields.next()?,
    })
}

#[cfg(test)]
pub(super) fn statements() -> Vec<(&'static str, String)> {
    vec![
        ("runs", format!("{COLUMNS} {ALL}")),
        ("runs in a state", format!("{COLUMNS} {BY_STATE}")),
        ("a run", format!("{COLUMNS} {BY_ID}")),
        ("runs of a rule", format!("{COLUMNS} {OF_RULE}")),
        (
            "runs of a rule in a state",
            format!("{COLUMNS} {OF_RULE_IN_STATE}"),
        ),
        ("rules", RULES.to_owned()),
        ("last starts", STARTS.to_owned()),
        ("last successes", SUCCESSES.to_owned()),
        ("newest run", NEWEST.to_owned()),
        ("throughput", THROUGHPUT.to_owned()),
    ]
}

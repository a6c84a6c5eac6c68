//! Failures of a run, grouped by their remedy.

use rusqlite::{Connection, named_params};

use crate::service::history::columns::unsigned;
use crate::service::history::queries::images;
use crate::service::history::records::{FailureGroup, FailureKey};
use crate::service::run::RunId;

/// Number of examples of a group.
const EXAMPLES: i64 = 5;

/// Maximum number of groups.
const MAX_GROUPS: usize = 1_000;

const GROUPS: &str = "SELECT id, side, cause, host, hint, number FROM failures WHERE run = :run";

const BY_FAILURE: &str = "
    WHERE images.failure = :failure ORDER BY images.number LIMIT :limit";

/// Returns the failures of a run by side, cause and host: the most frequent first.
pub(in crate::service::history) fn failures(
    connection: &Connection,
    run: RunId,
) -> rusqlite::Result<Vec<FailureGroup>> {
    let mut statement = connection.prepare_cached(GROUPS)?;
    let groups = statement.query_map(named_params! {":run": run.number()}, |row| {
        let group = FailureGroup {
            key: FailureKey {
                side: row.get("side")?,
                cause: row.get("cause")?,
                host: row.get("host")?,
            },
            count: row.get("number").map(unsigned)?,
            hint: row.get("hint")?,
            examples: Vec::new(),
        };
        Ok((row.get("id")?, group))
    })?;
    let mut groups: Vec<(i64, FailureGroup)> = groups.collect::<rusqlite::Result<_>>()?;
    groups.sort_by_key(|(id, group)| (std::cmp::Reverse(group.count), *id));
    groups.truncate(MAX_GROUPS);
    let mut examples = connection.prepare_cached(&format!("{} {BY_FAILURE}", images::COLUMNS))?;
    for (id, group) in &mut groups {
        let values = named_params! {":failure": *id, ":limit": EXAMPLES};
        let rows = examples.query_map(values, images::parse)?;
        group.examples = rows.collect::<rusqlite::Result<_>>()?;
    }
    Ok(groups.into_iter().map(|(_, group)| group).collect())
}

#[cfg(test)]
pub(super) fn statements() -> Vec<(&'static str, String)> {
    let examples = format!("{} {BY_FAILURE}", images::COLUMNS);
    vec![("failures", GROUPS.to_owned()), ("examples", examples)]
}

//! Queries of the history. Each uses an index; a test asserts it for every statement.

mod deliveries;
mod failures;
mod images;
mod runs;
mod tags;

pub(super) use deliveries::{due_deliveries, waiting_deliveries};
pub(super) use failures::failures;
pub(super) use images::images;
pub(super) use runs::{
    last_runs, last_starts, last_successes, newest_run, rules, run, runs, throughput,
};
pub(super) use tags::{
    difference_counts, differences, past_tags, repositories, repository_tags, tags,
};

/// Maximum number of rows of a page.
pub(super) const MAX_PAGE: usize = 1_000;

/// Returns the number of rows to read for a page: one more, which shows that there is a next page.
fn limited(limit: usize) -> i64 {
    i64::try_from(limit.clamp(1, MAX_PAGE)).unwrap_or(i64::MAX)
}

/// All statements, for the test of their plans.
#[cfg(test)]
pub(super) fn statements() -> Vec<(&'static str, String)> {
    let lists = [
        runs::statements(),
        images::statements(),
        failures::statements(),
        tags::statements(),
        deliveries::statements(),
    ];
    lists.into_iter().flatten().collect()
}

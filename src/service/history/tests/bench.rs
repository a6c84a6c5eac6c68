#![allow(clippy::print_stdout, reason = "its result are figures")]

use std::time::{Duration, Instant};

use crate::service::history::queries;
use crate::service::history::records::{ImageFilter, ImageOutcome, RunFilter, TagCursor, TagQuery};
use crate::service::history::tests::{Fixture, PATIENCE, digest};
use crate::service::history::{HistoryFile, RunId};
use crate::service::run::RunState;

/// Rules, runs of each, and images of each run.
const RULES: i64 = 500;

/// A million images in 100,000 runs of 500 rules, and a million tags.
const FILL: &str = include_str!("million_rows.sql");

/// Prints the time of each query of a large history, which must be below 50 ms.
#[test]
#[ignore = "writes a file of 500 MB: run it with --release, by name"]
fn pages_of_a_million_rows() {
    let fixture = Fixture::new();
    fixture.history.close(PATIENCE).unwrap();
    let writing = rusqlite::Connection::open(fixture.path()).unwrap();
    let started = Instant::now();
    writing.execute_batch("PRAGMA synchronous = OFF").unwrap();
    writing.execute_batch(FILL).unwrap();
    println!("filled in {:?}", started.elapsed());
    let file = fixture.file();
    let run = RunId::from_number(99_999_000).unwrap();
    let middle = RunId::from_number(50_000_000);
    let runs = |rules: &[&str], state, before| RunFilter {
        rules: rules.iter().map(|rule| (*rule).into()).collect(),
        state,
        before,
        limit: 100,
    };
    let images = |outcome, text: Option<&str>, after| ImageFilter {
        outcome,
        text: text.map(str::to_owned),
        after,
        limit: 100,
    };
    let failed = Some(ImageOutcome::Failed);
    let all = runs(&[], None, None);
    measure(&file, "newest runs", |file| queries::runs(file, &all));
    let old = runs(&[], None, middle);
    measure(&file, "runs in the middle", |file| {
        queries::runs(file, &old)
    });
    let of_rule = runs(&["rule-499"], Some(RunState::Succeeded), middle);
    measure(&file, "runs of a rule in a state", |file| {
        queries::runs(file, &of_rule)
    });
    measure(&file, "last 30 runs of 500 rules", |file| {
        queries::last_runs(file, 30)
    });
    measure(&file, "last starts", queries::last_starts);
    measure(&file, "last successes", queries::last_successes);
    let last = images(None, None, Some(999_000));
    measure(&file, "last images", |file| {
        queries::images(file, run, &last)
    });
    let failures = images(failed, None, Some(950_000));
    measure(&file, "failed images", |file| {
        queries::images(file, run, &failures)
    });
    let nothing = images(None, Some("nothing"), None);
    measure(&file, "search without result", |file| {
        queries::images(file, run, &nothing)
    });
    measure(&file, "failures", |file| queries::failures(file, run));
    let unknown = TagQuery::Digest(digest(1));
    measure(&file, "a digest", |file| queries::tags(file, &unknown));
    let source = "registry.example.com/team/app-5000";
    let start = TagCursor::default();
    measure(&file, "tags of a repository", |file| {
        queries::repository_tags(file, source, &start, 100)
    });
    measure(&file, "differences", |file| {
        queries::differences(file, "rule-250", &start, 100)
    });
    measure(&file, "numbers of tags", queries::difference_counts);
    measure(&file, "repositories", |file| {
        queries::repositories(file, "rule-250")
    });
    assert_eq!(fixture.number("SELECT count(*) FROM rules"), RULES);
}

fn measure<T>(
    file: &HistoryFile,
    name: &str,
    query: impl Fn(&rusqlite::Connection) -> rusqlite::Result<T>,
) {
    let started = Instant::now();
    query(&file.connection).unwrap();
    let first = started.elapsed();
    let started = Instant::now();
    query(&file.connection).unwrap();
    println!("{name}: {first:?}, then {:?}", started.elapsed());
    let limit = Duration::from_millis(if cfg!(debug_assertions) { 500 } else { 50 });
    assert!(first < limit, "{name}: {first:?}");
}

//! Queries that `--referrers-interval` saves.

use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::inventory::records::Records;

/// Reached only by a failing test.
const PATIENCE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// A records file, and runs with an interval of one hour.
struct Hourly {
    scenario: Scenario,
    directory: TempDir,
}

fn hourly() -> Referrers {
    Referrers {
        interval: HOUR,
        ..Referrers::default()
    }
}

impl Hourly {
    /// `app:v1` is an index with a referrer. One of its images has one as well, and cosign signed both. All of it was
    /// copied.
    async fn new(rule: &str) -> Self {
        let scenario = scenario(rule);
        let [index, amd, _] = push_index(&scenario, "v1");
        push_referrer(&scenario, "signature", SIGNATURE, &index);
        push_referrer(&scenario, "sbom", SBOM, &amd);
        tag_companion(
            &scenario,
            ".sig",
            &index,
            &push_image(&scenario, "cosign", &[]),
        );
        tag_companion(
            &scenario,
            ".sig",
            &amd,
            &push_image(&scenario, "cosign-amd", &[]),
        );
        let directory = tempfile::tempdir().unwrap();
        let hourly = Self {
            scenario,
            directory,
        };
        let heard = hourly.run(self::hourly()).await;
        assert_eq!((heard.summary().copied, heard.copied().referrers), (1, 4));
        hourly
    }
    /// Runs once, after clearing the calls.
    async fn run(&self, referrers: Referrers) -> Arc<Heard> {
        let settings = Settings {
            referrers: Some(Arc::new(referrers)),
            ..settings()
        };
        self.run_with(settings).await
    }
    async fn run_with(&self, settings: Settings) -> Arc<Heard> {
        let path = self.directory.path().join("r.sqlite3");
        let records = Arc::new(Records::open(&path, |error| panic!("{error}")).unwrap());
        let settings = Settings {
            records: Some(Arc::clone(&records)),
            ..settings
        };
        self.scenario.stores.take_sorted();
        let heard = self.scenario.run_with(settings).await;
        records.close(PATIENCE);
        heard
    }
    /// Ages the records. Returns the number of recorded checks.
    fn let_pass(&self, seconds: i64) -> usize {
        let path = self.directory.path().join("r.sqlite3");
        let file = rusqlite::Connection::open(path).unwrap();
        let older = "UPDATE referrers SET looked = looked - ?1";
        file.execute(older, (seconds,)).unwrap()
    }
    fn calls(&self) -> Vec<String> {
        self.scenario.stores.take_sorted()
    }
}

const HEADS: [&str; 2] = [
    "resolve src.example/app:v1",
    "resolve-for-push dst.example/copy:v1",
];
const QUESTION: [&str; 1] = ["referrers src.example/app@index"];

#[tokio::test]
async fn an_unchanged_image_costs_two_heads_within_the_interval() {
    let hourly_runs = Hourly::new("src.example/app:v1").await;
    assert_eq!(hourly_runs.let_pass(3_000), 1);
    let heard = hourly_runs.run(hourly()).await;
    assert_eq!(heard.summary().unchanged, 1);
    assert_eq!(hourly_runs.calls(), HEADS);
    // An omitted query is not recorded.
    assert_eq!(hourly_runs.let_pass(600), 1);
    hourly_runs.run(hourly()).await;
    let questions = take_queries(&hourly_runs.scenario);
    assert_eq!(questions[..1], QUESTION);
    // Now it was queried.
    hourly_runs.run(hourly()).await;
    assert_eq!(hourly_runs.calls(), HEADS);
}

#[tokio::test]
async fn a_check_for_other_referrers_does_not_count() {
    let hourly_runs = Hourly::new("src.example/app:v1").await;
    let types = vec![SIGNATURE.to_owned()];
    let only_some = Referrers { types, ..hourly() };
    let deep = Referrers {
        deep: true,
        ..hourly()
    };
    for other in [only_some, deep, Referrers::default()] {
        hourly_runs.run(other).await;
        let questions = take_queries(&hourly_runs.scenario);
        assert!(questions.iter().any(|question| question == QUESTION[0]));
    }
    for (force, verify) in [(true, false), (false, true)] {
        let settings = Settings {
            force,
            verify,
            referrers: Some(Arc::new(hourly())),
            ..settings()
        };
        hourly_runs.run_with(settings).await;
        let questions = take_queries(&hourly_runs.scenario);
        assert!(questions.iter().any(|question| question == QUESTION[0]));
    }
}

#[tokio::test]
async fn a_contended_list_is_checked_again() {
    let scenario = scenario("src.example/app:v1");
    let image = push_image(&scenario, "image", &["v1"]);
    push_referrer(&scenario, "signature", SIGNATURE, &image);
    let directory = tempfile::tempdir().unwrap();
    let contended = Hourly {
        scenario,
        directory,
    };
    let stores = &contended.scenario.stores;
    stores.behave(|behaviour| behaviour.contended = true);
    let heard = contended.run(hourly()).await;
    assert_eq!(heard.copied().contended, 1);
    assert_eq!(contended.let_pass(0), 0);
}

#[tokio::test]
async fn signature_tags_of_skipped_checks_are_no_orphans() {
    let hourly_runs = Hourly::new("src.example/app").await;
    // The tag of the child belongs to the image as well, as its root shows.
    hourly_runs.run(hourly()).await;
    assert_eq!(take_queries(&hourly_runs.scenario), [""; 0]);
    let heard = hourly_runs.run(hourly()).await;
    assert_eq!(heard.summary().unchanged, 1);
    let expected = [
        "manifest src.example/app@index",
        "resolve src.example/app:v1",
        "resolve-for-push dst.example/copy:v1",
        "tags src.example/app",
        "tags src.example/app",
    ];
    assert_eq!(hourly_runs.calls(), expected);
}

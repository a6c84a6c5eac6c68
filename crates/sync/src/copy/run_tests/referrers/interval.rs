//! Queries that `--referrers-interval` saves.

use std::time::Duration;

use super::*;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Returns referrers with an interval of one hour.
fn hourly() -> Referrers {
    Referrers {
        interval: HOUR,
        ..Referrers::default()
    }
}

/// Returns a scenario with records whose tag `v1` is an index with a referrer. One of its images has one as well, and
/// cosign signed both. All of it was copied.
async fn copied_index(source: &str) -> Scenario {
    let scenario = scenario(source).with_records();
    let [index, amd, _] = push_index(&scenario, "v1");
    scenario.referrer("signature", SIGNATURE, &index);
    scenario.referrer("sbom", SBOM, &amd);
    for (name, subject) in [("cosign", &index), ("cosign-amd", &amd)] {
        let signature = push_image(&scenario, name, &[]);
        scenario.tag_companion(".sig", subject, &signature);
    }
    let events = run(&scenario, hourly()).await;
    assert_eq!((events.summary().copied, events.copied().referrers), (1, 4));
    scenario
}

/// Runs once, after clearing the calls.
async fn run(scenario: &Scenario, referrers: Referrers) -> Arc<RunEvents> {
    let settings = Settings {
        referrers: Some(Arc::new(referrers)),
        ..settings()
    };
    scenario.run_with_records(settings).await
}

/// Ages the records. Returns the number of recorded checks.
fn aged_checks(scenario: &Scenario, seconds: i64) -> usize {
    let file = rusqlite::Connection::open(scenario.records_path()).unwrap();
    let older = "UPDATE referrers SET looked = looked - ?1";
    file.execute(older, (seconds,)).unwrap()
}

const HEADS: [&str; 2] = [
    "resolve src.example/app:v1",
    "resolve-for-push dst.example/copy:v1",
];
/// Query for the referrers of the root.
const QUERY: [&str; 1] = ["referrers src.example/app@index"];

#[tokio::test]
async fn an_unchanged_image_costs_two_heads_within_the_interval() {
    let scenario = copied_index("src.example/app:v1").await;
    assert_eq!(aged_checks(&scenario, 3_000), 1);
    let events = run(&scenario, hourly()).await;
    assert_eq!(events.summary().unchanged, 1);
    assert_eq!(scenario.stores.take_sorted(), HEADS);
    // An omitted query is not recorded.
    assert_eq!(aged_checks(&scenario, 600), 1);
    run(&scenario, hourly()).await;
    let queries = take_queries(&scenario);
    assert_eq!(queries[..1], QUERY);
    // Now it was queried.
    run(&scenario, hourly()).await;
    assert_eq!(scenario.stores.take_sorted(), HEADS);
}

#[tokio::test]
async fn a_check_for_other_referrers_does_not_count() {
    let scenario = copied_index("src.example/app:v1").await;
    let types = vec![SIGNATURE.to_owned()];
    let only_some = Referrers { types, ..hourly() };
    let deep = Referrers {
        deep: true,
        ..hourly()
    };
    for other in [only_some, deep, Referrers::default()] {
        run(&scenario, other).await;
        let queries = take_queries(&scenario);
        assert!(queries.iter().any(|query| query == QUERY[0]));
    }
    for (force, verify) in [(true, false), (false, true)] {
        let settings = Settings {
            force,
            verify,
            referrers: Some(Arc::new(hourly())),
            ..settings()
        };
        scenario.run_with_records(settings).await;
        let queries = take_queries(&scenario);
        assert!(queries.iter().any(|query| query == QUERY[0]));
    }
}

#[tokio::test]
async fn a_contended_list_is_checked_again() {
    let scenario = signed_image().0.with_records();
    scenario
        .stores
        .behave(|behaviour| behaviour.contended = true);
    let events = run(&scenario, hourly()).await;
    assert_eq!(events.copied().contended, 1);
    assert_eq!(aged_checks(&scenario, 0), 0);
}

#[tokio::test]
async fn signature_tags_of_skipped_checks_are_no_orphans() {
    let scenario = copied_index("src.example/app").await;
    // The tag of the child belongs to the image as well, as its root shows.
    run(&scenario, hourly()).await;
    assert_eq!(take_queries(&scenario), [""; 0]);
    let events = run(&scenario, hourly()).await;
    assert_eq!(events.summary().unchanged, 1);
    let expected = [
        "manifest src.example/app@index",
        "resolve src.example/app:v1",
        "resolve-for-push dst.example/copy:v1",
        "tags src.example/app",
        "tags src.example/app",
    ];
    assert_eq!(scenario.stores.take_sorted(), expected);
}

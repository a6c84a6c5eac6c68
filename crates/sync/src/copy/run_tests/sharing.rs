//! One image and several destinations: read once, each destination on its own.

use image_syncer_registry::ErrorKind;

use crate::scenario::*;
use crate::store::memory::{error, repository};

const DESTINATIONS: [&str; 2] = ["one.example/copy", "two.example/copy"];

/// Returns the scenario with an image of these layers under `v1`.
fn scenario_with(layers: &[&str]) -> Scenario {
    let scenario = Scenario::new("src.example/app:v1", &DESTINATIONS);
    scenario.image("image", &["v1"], layers);
    scenario
}

fn is_copied_to(scenario: &Scenario, destination: &str) -> bool {
    scenario
        .stores
        .tagged(&repository(destination), "v1")
        .is_some()
}

#[tokio::test]
async fn the_source_is_read_once_for_all() {
    let scenario = scenario_with(&["base", "app"]);
    let events = scenario.run().await;
    assert_eq!(events.summary().copied, 2);
    let calls = scenario.stores.take_sorted();
    let at_source: Vec<_> = calls
        .iter()
        .filter(|call| call.contains("src.example"))
        .collect();
    let expected = [
        "manifest src.example/app@image",
        "open-blob src.example/app@app",
        "open-blob src.example/app@base",
        "open-blob src.example/app@image.config",
        "resolve src.example/app:v1",
    ];
    assert_eq!(at_source, expected);
    // A HEAD and a PUT each, and two calls for each blob.
    assert_eq!(calls.len() - at_source.len(), 2 * (2 + 2 * 3));
}

#[tokio::test]
async fn blobs_are_sent_only_to_the_destination_that_lacks_them() {
    let scenario = scenario_with(&["base"]);
    scenario.fill_destination();
    let events = scenario.run().await;
    let expected = [
        "src.example/app:v1 -> one.example/copy:v1: unchanged",
        "src.example/app:v1 -> two.example/copy:v1: copied",
    ];
    assert_eq!(events.endings(), expected);
    assert_eq!(scenario.count("open-upload one.example"), 0);
}

#[tokio::test]
async fn a_destination_that_fails_fails_alone() {
    for call in [
        "resolve-for-push one",
        "open-upload one",
        "send one",
        "put-manifest one",
    ] {
        let scenario = scenario_with(&["base", "app"]);
        scenario
            .stores
            .fail(call, 1, || error(ErrorKind::Denied, "one.example"));
        let events = scenario.run().await;
        let summary = events.summary();
        assert_eq!((summary.failed, summary.copied), (1, 1), "{call}");
        assert_eq!(summary.failures[0].failure.host, "one.example", "{call}");
        assert!(
            !is_copied_to(&scenario, DESTINATIONS[0]) && is_copied_to(&scenario, DESTINATIONS[1]),
            "{call}"
        );
    }
}

#[tokio::test]
async fn a_failing_source_fails_all_destinations_with_one_request() {
    let scenario = scenario_with(&["base"]);
    scenario.stores.fail("manifest src", 1, || {
        error(ErrorKind::Server, "src.example")
    });
    let events = scenario.run().await;
    assert_eq!(events.summary().failed, 2);
    assert_eq!(scenario.count("manifest src"), 1);
}

#[tokio::test]
async fn a_destination_that_failed_is_sent_no_further_blobs() {
    let layers: Vec<String> = (10..30).map(|number| format!("layer-{number}")).collect();
    let layers: Vec<&str> = layers.iter().map(String::as_str).collect();
    let scenario = scenario_with(&layers);
    let refused = || error(ErrorKind::Denied, "one.example");
    scenario
        .stores
        .fail("open-upload one.example", 1_000, refused);
    let gate = scenario.stores.block_calls("open-upload two.example");

    let run = scenario.prepare(settings(), &scenario.rules);
    let opening = async {
        gate.reached(16).await;
        until(|| !run.events.endings().is_empty()).await;
        gate.open();
    };
    run.finish_during(opening).await;
    // Sixteen are in flight at a time. The other five were not started for the failed destination.
    assert_eq!(scenario.count("open-upload one.example"), 16);
    assert_eq!(scenario.count("open-upload two.example"), 21);
    assert!(is_copied_to(&scenario, DESTINATIONS[1]));
}

#[tokio::test(start_paused = true)]
async fn a_slow_comparison_delays_the_others_for_a_bounded_time() {
    let scenario = scenario_with(&["base"]);
    let slow = scenario.stores.block_calls("resolve-for-push two.example");
    let quick = scenario.stores.block_calls("put-manifest one.example");
    let opening = async {
        quick.reached(1).await;
        slow.open();
        quick.open();
    };
    let (events, ()) = tokio::join!(scenario.run(), opening);
    assert_eq!(events.summary().copied, 2);
    assert_eq!(scenario.count("manifest src"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_slightly_slower_comparison_shares_the_download() {
    let scenario = scenario_with(&["base"]);
    let slow = scenario.stores.block_calls("resolve-for-push two.example");
    let opening = async {
        tokio::time::sleep(std::time::Duration::from_millis(900)).await;
        assert_eq!(scenario.count("open-upload"), 0);
        slow.open();
    };
    let (events, ()) = tokio::join!(scenario.run(), opening);
    assert_eq!(events.summary().copied, 2);
    assert_eq!(scenario.count("open-blob"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_destination_with_all_blobs_is_committed_at_once() {
    let scenario = scenario_with(&["base"]);
    let slow = scenario.stores.block_calls("send two.example");
    let quick = scenario.stores.block_calls("put-manifest one.example");
    let opening = async {
        quick.reached(1).await;
        assert_eq!(scenario.count("put-manifest two.example"), 0);
        slow.open();
        quick.open();
    };
    let (events, ()) = tokio::join!(scenario.run(), opening);
    assert_eq!(events.summary().copied, 2);
}

#[tokio::test]
async fn a_second_repository_of_the_registry_takes_the_blobs_from_the_first() {
    let scenario = scenario_with(&["base", "app"]);
    let destinations = ["one.example/copy", "one.example/other"];
    let rules = [rule("src.example/app:v1", &destinations)];
    let events = scenario.run_rules(settings(), &rules).await;
    assert_eq!(events.summary().copied, 2);
    assert_eq!(scenario.count("open-blob"), 3);
    assert_eq!(scenario.count("mount"), 3);
    assert_eq!(scenario.count("send"), 3);
}

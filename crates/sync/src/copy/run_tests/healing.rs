//! Destinations that contradict known facts.

use image_syncer_registry::{Error, ErrorKind};

use crate::failure::Side;
use crate::scenario::*;
use crate::store::memory::{entry, error};

fn scenario() -> Scenario {
    Scenario::new("src.example/app:v1", &["dst.example/copy"])
}

/// Returns a source with two tags that share a layer.
fn scenario_with_two_tags() -> Scenario {
    let scenario = scenario();
    for (name, tag) in [("one", "v1"), ("two", "v2")] {
        scenario.image(name, &[tag], &["base", name]);
    }
    scenario
}

/// Copies the first tag, removes the shared layer from the destination, and copies the second.
async fn lose_a_layer_between_tags(scenario: &Scenario) -> Arc<RunEvents> {
    let gate = scenario.stores.block_calls("resolve src.example/app:v2");
    let rules = [rule("src.example/app:v1,v2", &["dst.example/copy"])];
    let losing = async {
        gate.reached(1).await;
        scenario.remove_copied_blob("base");
        gate.open();
    };
    let (events, ()) = tokio::join!(scenario.run_rules(one_at_a_time(), &rules), losing);
    events
}

fn base_is_missing() -> Error {
    let error = error(ErrorKind::MissingContent, "dst.example");
    error.with_missing(vec![digest_of("base")])
}

#[tokio::test]
async fn a_blob_that_was_lost_is_sent_again_and_no_other() {
    let scenario = scenario_with_two_tags();
    let events = lose_a_layer_between_tags(&scenario).await;
    assert_eq!(events.summary().copied, 2);
    assert_eq!(scenario.count("put-manifest dst.example/copy:v2"), 2);
    assert_eq!(scenario.count("send dst.example/copy@base"), 2);
    assert_eq!(scenario.count("send dst.example/copy@two"), 2);
    assert_eq!(scenario.count("open-upload dst.example/copy@two.config"), 1);
    assert_eq!(scenario.count("open-upload dst.example/copy@two"), 2);
    assert!(scenario.copied_digest("v2").is_some());
}

#[tokio::test]
async fn all_blobs_are_queried_again_after_an_unnamed_loss() {
    let scenario = scenario_with_two_tags();
    scenario
        .stores
        .behave(|behaviour| behaviour.names_missing = false);
    let events = lose_a_layer_between_tags(&scenario).await;
    assert_eq!(events.summary().copied, 2);
    assert_eq!(scenario.count("open-upload dst.example/copy@two.config"), 2);
    assert_eq!(scenario.count("send dst.example/copy@two.config"), 1);
    assert_eq!(scenario.count("send dst.example/copy@base"), 2);
    // 4 + 3 + 6 bytes of layers and the configs of the first, then those of the second and `base` again.
    assert_eq!(events.summary().volume.blobs, 3 + 2 + 1);
}

#[tokio::test]
async fn a_missing_child_of_the_old_index_is_pushed() {
    let scenario = scenario();
    let amd64 = ("amd64", "linux/amd64");
    let (_, [lost, _]) = scenario.index("old", &["v1"], [amd64, ("arm64-1", "linux/arm64")]);
    scenario.fill_destination();
    scenario
        .stores
        .remove_manifest(&scenario.destination, lost.digest());
    let (new, _) = scenario.index("new", &["v1"], [amd64, ("arm64-2", "linux/arm64")]);

    let events = scenario.run().await;
    let pushed = scenario.calls_with(&["put-manifest"]);
    let expected = [
        "put-manifest dst.example/copy@arm64-2",
        "put-manifest dst.example/copy:v1",
        "put-manifest dst.example/copy@amd64",
        "put-manifest dst.example/copy:v1",
    ];
    assert_eq!(pushed, expected);
    assert_eq!(events.copied().volume.manifests, 3);
    assert_eq!(scenario.count("manifest dst"), 1);
    assert_eq!(scenario.copied_digest("v1").as_ref(), Some(new.digest()));
}

#[tokio::test]
async fn a_falsely_claimed_blob_is_sent_without_another_query() {
    let scenario = scenario();
    scenario.image("image", &["v1"], &["base"]);
    scenario
        .stores
        .claim_blob(&scenario.destination, &digest_of("base"));
    let events = scenario.run().await;
    assert_eq!(events.copied().volume.blobs, 2);
    for (call, times) in [
        ("put-manifest", 2),
        ("open-upload dst.example/copy@base", 1),
        ("open-session dst.example/copy@base", 1),
        ("send dst.example/copy@base", 1),
        ("open-upload dst.example/copy@image.config", 1),
    ] {
        assert_eq!(scenario.count(call), times, "{call}");
    }
    assert!(scenario.copied_digest("v1").is_some());
}

#[tokio::test]
async fn a_mount_of_a_missing_blob_is_not_repeated() {
    let scenario = scenario();
    scenario.image("image", &["v1"], &["base"]);
    scenario
        .stores
        .fail("put-manifest dst.example/copy", 1, base_is_missing);
    let rules = ["dst.example/other", "dst.example/copy"]
        .map(|destination| rule("src.example/app:v1", &[destination]));
    let events = scenario.run_rules(one_at_a_time(), &rules).await;
    assert_eq!(events.summary().copied, 2);
    let base = |verb: &str| scenario.count(&format!("{verb} dst.example/copy@base"));
    // According to the registry, the first attempt mounted it.
    assert_eq!(
        scenario.count("mount dst.example/copy@base from dst.example/other"),
        1
    );
    assert_eq!(
        (base("open-session"), base("send")),
        (1, 1),
        "{:?}",
        scenario.stores.calls()
    );
}

#[tokio::test]
async fn a_registry_that_loses_each_upload_fails_after_three_attempts() {
    let scenario = scenario();
    scenario.image("image", &["v1"], &["base"]);
    scenario
        .stores
        .fail_after("put-manifest", 0, base_is_missing);
    let events = scenario.run().await;
    assert_eq!(scenario.count("put-manifest"), 3);
    assert_eq!(scenario.count("send dst.example/copy@base"), 3);
    assert_eq!(
        scenario.count("open-upload dst.example/copy@image.config"),
        1
    );
    let failure = events.failure();
    assert_eq!(
        events.failure_kind(),
        (Side::Destination, Some(ErrorKind::MissingContent))
    );
    let says = "the missing content was sent, or the registry reported it as present, 3 times";
    assert!(failure.reason.ends_with(says), "{}", failure.reason);
    assert!(scenario.copied_digest("v1").is_none());
}

#[tokio::test]
async fn an_unreadable_old_root_is_ignored() {
    let scenario = scenario();
    let image = scenario.image("image", &[], &["base"]);
    scenario.index_of_entries("old", &["v1"], &[]);
    scenario.fill_destination();
    scenario.index_of_entries("new", &["v1"], &[entry(&image, None)]);
    let denied = || error(ErrorKind::Denied, "dst.example");
    scenario.stores.fail("manifest dst", 1, denied);
    let events = scenario.run().await;
    assert_eq!(events.copied().volume.manifests, 2);
}

//! Destinations that contradict known facts.

use image_syncer_registry::{Digest, ErrorKind};

use crate::failure::Side;
use crate::scenario::*;
use crate::store::memory::{entry, repository};

fn scenario() -> Scenario {
    Scenario::new("src.example/app:v1", &["dst.example/copy"])
}

/// Two tags that share a layer.
fn two_tags(scenario: &Scenario) {
    for (name, tag) in [("one", "v1"), ("two", "v2")] {
        let image = scenario
            .stores
            .image(&scenario.source, name, "linux/amd64", &["base", name]);
        scenario.stores.tag(&scenario.source, tag, &image);
    }
}

/// Copies the first tag, removes the shared layer from the destination, and copies the second.
async fn lose_a_layer_between_tags(scenario: &Scenario) -> Arc<Heard> {
    let gate = scenario.stores.block_calls("resolve src.example/app:v2");
    let one_at_a_time = Settings {
        images: 1,
        ..settings()
    };
    let rules = [rule("src.example/app:v1,v2", &["dst.example/copy"])];
    let losing = async {
        gate.reached(1).await;
        scenario
            .stores
            .remove_blob(&scenario.destination, &Digest::sha256(b"base"));
        gate.open();
    };
    let (heard, ()) = tokio::join!(run(&scenario.stores, one_at_a_time, &rules), losing);
    heard
}

#[tokio::test]
async fn a_blob_that_was_lost_is_sent_again_and_no_other() {
    let scenario = scenario();
    two_tags(&scenario);
    let heard = lose_a_layer_between_tags(&scenario).await;
    assert_eq!(heard.summary().copied, 2);
    assert_eq!(scenario.stores.count("put-manifest dst.example/copy:v2"), 2);
    assert_eq!(scenario.stores.count("send dst.example/copy@base"), 2);
    assert_eq!(scenario.stores.count("send dst.example/copy@two"), 2);
    assert_eq!(
        scenario
            .stores
            .count("open-upload dst.example/copy@two.config"),
        1
    );
    assert_eq!(scenario.stores.count("open-upload dst.example/copy@two"), 2);
    assert!(
        scenario
            .stores
            .tagged(&scenario.destination, "v2")
            .is_some()
    );
}

#[tokio::test]
async fn all_blobs_are_queried_again_after_an_unnamed_loss() {
    let scenario = scenario();
    two_tags(&scenario);
    scenario
        .stores
        .behave(|behaviour| behaviour.names_missing = false);
    let heard = lose_a_layer_between_tags(&scenario).await;
    assert_eq!(heard.summary().copied, 2);
    assert_eq!(
        scenario
            .stores
            .count("open-upload dst.example/copy@two.config"),
        2
    );
    assert_eq!(scenario.stores.count("send dst.example/copy@two.config"), 1);
    assert_eq!(scenario.stores.count("send dst.example/copy@base"), 2);
    // 4 + 3 + 6 bytes of layers and the configs of the first, then those of the second and `base` again.
    assert_eq!(heard.summary().volume.blobs, 3 + 2 + 1);
}

#[tokio::test]
async fn a_missing_child_of_the_old_index_is_pushed() {
    let scenario = scenario();
    let child = |name, platform| {
        let image = scenario
            .stores
            .image(&scenario.source, name, platform, &[name]);
        (entry(&image, Some(platform)), image)
    };
    let (amd64, lost) = child("amd64", "linux/amd64");
    let (old_arm64, _) = child("arm64-1", "linux/arm64");
    let (new_arm64, _) = child("arm64-2", "linux/arm64");
    let old = scenario
        .stores
        .index(&scenario.source, "old", &[amd64.clone(), old_arm64]);
    scenario.stores.tag(&scenario.source, "v1", &old);
    scenario
        .stores
        .copy_repository(&scenario.source, &scenario.destination);
    scenario
        .stores
        .remove_manifest(&scenario.destination, lost.digest());
    let new = scenario
        .stores
        .index(&scenario.source, "new", &[amd64, new_arm64]);
    scenario.stores.tag(&scenario.source, "v1", &new);

    let rules = [rule("src.example/app:v1", &["dst.example/copy"])];
    let heard = run(&scenario.stores, settings(), &rules).await;
    let calls = scenario.stores.calls();
    let pushed: Vec<_> = calls
        .iter()
        .filter(|call| call.starts_with("put-manifest"))
        .collect();
    let expected = [
        "put-manifest dst.example/copy@arm64-2",
        "put-manifest dst.example/copy:v1",
        "put-manifest dst.example/copy@amd64",
        "put-manifest dst.example/copy:v1",
    ];
    assert_eq!(pushed, expected);
    assert_eq!(heard.copied().volume.manifests, 3);
    assert_eq!(scenario.stores.count("manifest dst"), 1);
    assert_eq!(
        scenario.stores.tagged(&scenario.destination, "v1").as_ref(),
        Some(new.digest())
    );
}

#[tokio::test]
async fn a_falsely_claimed_blob_is_sent_without_another_query() {
    let scenario = scenario();
    let image = scenario
        .stores
        .image(&scenario.source, "image", "linux/amd64", &["base"]);
    scenario.stores.tag(&scenario.source, "v1", &image);
    scenario
        .stores
        .claim_blob(&scenario.destination, &Digest::sha256(b"base"));
    let rules = [rule("src.example/app:v1", &["dst.example/copy"])];
    let heard = run(&scenario.stores, settings(), &rules).await;
    assert_eq!(heard.copied().volume.blobs, 2);
    for (call, times) in [
        ("put-manifest", 2),
        ("open-upload dst.example/copy@base", 1),
        ("open-session dst.example/copy@base", 1),
        ("send dst.example/copy@base", 1),
        ("open-upload dst.example/copy@image.config", 1),
    ] {
        assert_eq!(scenario.stores.count(call), times, "{call}");
    }
    assert!(
        scenario
            .stores
            .tagged(&scenario.destination, "v1")
            .is_some()
    );
}

#[tokio::test]
async fn a_mount_of_a_missing_blob_is_not_repeated() {
    let scenario = scenario();
    let other = repository("dst.example/other");
    let image = scenario
        .stores
        .image(&scenario.source, "image", "linux/amd64", &["base"]);
    scenario.stores.tag(&scenario.source, "v1", &image);
    let missing = || {
        let error = crate::store::memory::error(ErrorKind::MissingContent, "dst.example");
        error.with_missing(vec![Digest::sha256(b"base")])
    };
    scenario
        .stores
        .fail("put-manifest dst.example/copy", 1, missing);
    let one_at_a_time = Settings {
        images: 1,
        ..settings()
    };
    let rules = ["dst.example/other", "dst.example/copy"]
        .map(|destination| rule("src.example/app:v1", &[destination]));
    let heard = run(&scenario.stores, one_at_a_time, &rules).await;
    assert_eq!(heard.summary().copied, 2);
    let base = |verb: &str| {
        scenario
            .stores
            .count(&format!("{verb} dst.example/copy@base"))
    };
    // According to the registry, the first attempt mounted it.
    assert_eq!(
        scenario
            .stores
            .count(&format!("mount dst.example/copy@base from {other}")),
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
    let image = scenario
        .stores
        .image(&scenario.source, "image", "linux/amd64", &["base"]);
    scenario.stores.tag(&scenario.source, "v1", &image);
    let missing = || {
        let error = crate::store::memory::error(ErrorKind::MissingContent, "dst.example");
        error.with_missing(vec![Digest::sha256(b"base")])
    };
    scenario.stores.fail_after("put-manifest", 0, missing);
    let rules = [rule("src.example/app:v1", &["dst.example/copy"])];
    let heard = run(&scenario.stores, settings(), &rules).await;
    assert_eq!(scenario.stores.count("put-manifest"), 3);
    assert_eq!(scenario.stores.count("send dst.example/copy@base"), 3);
    assert_eq!(
        scenario
            .stores
            .count("open-upload dst.example/copy@image.config"),
        1
    );
    let failure = &heard.summary().failures[0].failure;
    assert_eq!(
        (failure.side, failure.kind),
        (Side::Destination, Some(ErrorKind::MissingContent))
    );
    let says = "the missing content was sent, or the registry reported it as present, 3 times";
    assert!(failure.reason.ends_with(says), "{}", failure.reason);
    assert!(
        scenario
            .stores
            .tagged(&scenario.destination, "v1")
            .is_none()
    );
}

#[tokio::test]
async fn an_unreadable_old_root_is_ignored() {
    let scenario = scenario();
    let image = scenario
        .stores
        .image(&scenario.source, "image", "linux/amd64", &["base"]);
    let old = scenario.stores.index(&scenario.source, "old", &[]);
    scenario.stores.tag(&scenario.source, "v1", &old);
    scenario
        .stores
        .copy_repository(&scenario.source, &scenario.destination);
    let new = scenario
        .stores
        .index(&scenario.source, "new", &[entry(&image, None)]);
    scenario.stores.tag(&scenario.source, "v1", &new);
    let denied = || crate::store::memory::error(ErrorKind::Denied, "dst.example");
    scenario.stores.fail("manifest dst", 1, denied);
    let rules = [rule("src.example/app:v1", &["dst.example/copy"])];
    let heard = run(&scenario.stores, settings(), &rules).await;
    assert_eq!(heard.copied().volume.manifests, 2);
}

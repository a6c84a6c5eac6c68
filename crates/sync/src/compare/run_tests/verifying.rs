//! Deep checks of images that the destination already has.

use image_syncer_registry::{ErrorKind, Manifest};

use crate::event::Loss;
use crate::failure::Side;
use crate::scenario::*;
use crate::store::memory::{entry, error, repository};

/// Returns a scenario whose ends both have `v1`, and its manifests: an index of an index of `amd64` and of `arm64`, which
/// share a layer.
fn copied_index() -> (Scenario, [Manifest; 2]) {
    let scenario = Scenario::new("src.example/app:v1", &["dst.example/copy"]);
    let image = |name, platform, layers: &[&str]| {
        let stores = &scenario.stores;
        stores.image(&scenario.source, name, platform, layers)
    };
    let amd64 = image("amd64", "linux/amd64", &["base", "one"]);
    let arm64 = image("arm64", "linux/arm64", &["base", "two"]);
    let inner = scenario.index_of_entries("inner", &[], &[entry(&amd64, Some("linux/amd64"))]);
    let entries = [entry(&inner, None), entry(&arm64, Some("linux/arm64"))];
    let index = scenario.index_of_entries("index", &["v1"], &entries);
    scenario.fill_destination();
    (scenario, [index, amd64])
}

/// Returns the calls that changed content, in order.
fn changes(scenario: &Scenario) -> Vec<String> {
    scenario.calls_with(&[
        "put-manifest",
        "send",
        "open-session",
        "open-upload",
        "mount",
    ])
}

/// Calls of a check that finds nothing missing.
const CHECK: [&str; 11] = [
    "head-blob dst.example/copy@amd64.config",
    "head-blob dst.example/copy@arm64.config",
    "head-blob dst.example/copy@base",
    "head-blob dst.example/copy@one",
    "head-blob dst.example/copy@two",
    "manifest dst.example/copy@amd64",
    "manifest dst.example/copy@arm64",
    "manifest dst.example/copy@index",
    "manifest dst.example/copy@inner",
    "resolve src.example/app:v1",
    "resolve-for-push dst.example/copy:v1",
];

#[tokio::test]
async fn a_complete_image_costs_one_lookup_for_each_part_and_none_at_the_source() {
    let (scenario, _) = copied_index();
    let events = scenario.run_with(verifying()).await;
    let ending = "src.example/app:v1 -> dst.example/copy:v1: verified";
    assert_eq!(events.endings(), [ending]);
    assert_eq!(scenario.stores.take_sorted(), CHECK);
    let summary = events.summary();
    assert_eq!(
        (summary.unchanged, summary.verified, summary.repaired),
        (1, 1, 0)
    );
}

#[tokio::test]
async fn without_verify_nothing_below_the_root_is_checked() {
    let (scenario, _) = copied_index();
    let base = scenario.remove_copied_blob("base");
    let events = scenario.run().await;
    let ending = "src.example/app:v1 -> dst.example/copy:v1: unchanged";
    assert_eq!(events.endings(), [ending]);
    assert_eq!(scenario.stores.take_sorted(), CHECK[9..]);
    assert!(!scenario.has_copied_blob(&base));
    assert_eq!(events.summary().verified, 0);
}

#[tokio::test]
async fn only_the_lost_blob_is_sent() {
    let (scenario, _) = copied_index();
    let base = scenario.remove_copied_blob("base");
    let events = scenario.run_with(verifying()).await;
    assert_eq!(
        changes(&scenario),
        [
            "open-session dst.example/copy@base",
            "send dst.example/copy@base"
        ]
    );
    assert!(scenario.has_copied_blob(&base));
    let copied = events.copied();
    assert_eq!(copied.losses, [Loss::Blob(base)]);
    assert_eq!((events.copied_counts(), copied.volume.bytes), ((0, 1), 4));
    let summary = events.summary();
    assert_eq!((summary.copied, summary.repaired), (1, 1));
    scenario.stores.take_sorted();
    let events = scenario.run_with(verifying()).await;
    assert_eq!(events.summary().verified, 1);
    assert_eq!(scenario.stores.take_sorted(), CHECK);
}

#[tokio::test]
async fn lost_manifests_at_any_depth_are_pushed_without_the_root() {
    let (scenario, [_, amd64]) = copied_index();
    let lost = amd64.digest().clone();
    scenario
        .stores
        .remove_manifest(&scenario.destination, &lost);
    let one = scenario.remove_copied_blob("one");
    let events = scenario.run_with(verifying()).await;
    assert_eq!(
        changes(&scenario),
        [
            "open-session dst.example/copy@one",
            "send dst.example/copy@one",
            "put-manifest dst.example/copy@amd64",
        ]
    );
    // The source is queried only for lost content.
    assert_eq!(scenario.count("manifest src.example"), 1);
    assert_eq!(
        events.copied().losses,
        [Loss::Manifest(lost.clone()), Loss::Blob(one)]
    );
    assert!(scenario.stores.holds_manifest(&scenario.destination, &lost));
}

#[tokio::test]
async fn a_root_that_exists_only_by_its_tag_is_pushed_again() {
    let (scenario, [index, _]) = copied_index();
    let gone = || error(ErrorKind::NotFound, "dst.example");
    scenario
        .stores
        .fail("manifest dst.example/copy@index", 1, gone);
    let events = scenario.run_with(verifying()).await;
    assert_eq!(changes(&scenario), ["put-manifest dst.example/copy:v1"]);
    let digest = index.digest().clone();
    assert_eq!(events.copied().losses, [Loss::Manifest(digest)]);
    assert_eq!(events.copied().volume.manifests, 1);
}

#[tokio::test]
async fn a_blob_with_another_size_is_sent_and_reported() {
    let (scenario, _) = copied_index();
    let base = digest_of("base");
    scenario
        .stores
        .spoil_blob(&scenario.destination, &base, "bas");
    let events = scenario.run_with(verifying()).await;
    let [loss] = &events.copied().losses[..] else {
        panic!("{:?}", events.copied().losses);
    };
    assert_eq!(
        loss.to_string(),
        format!("blob {base} had 3 bytes instead of 4")
    );
    assert_eq!(scenario.count("head-blob dst.example/copy@base"), 1);
    assert_eq!(scenario.copied_blob(&base).unwrap(), "base");
}

#[tokio::test]
async fn a_blob_that_stays_wrong_is_a_failure_of_the_destination() {
    let (scenario, _) = copied_index();
    let base = digest_of("base");
    scenario
        .stores
        .spoil_blob(&scenario.destination, &base, "bas");
    scenario
        .stores
        .behave(|behaviour| behaviour.keeps_what_it_has = true);
    let events = scenario.run_with(verifying()).await;
    assert_eq!(
        events.failure_kind(),
        (Side::Destination, Some(ErrorKind::Corrupt))
    );
    assert_eq!(
        events.failure().reason,
        format!("cannot upload {base} to copy at dst.example: 3 bytes are there and stay")
    );
}

#[tokio::test]
async fn a_manifest_with_other_bytes_is_pushed_and_read_again() {
    let (scenario, [_, amd64]) = copied_index();
    let wrong = || error(ErrorKind::Corrupt, "dst.example");
    scenario
        .stores
        .fail("manifest dst.example/copy@amd64", 1, wrong);
    let events = scenario.run_with(verifying()).await;
    assert_eq!(changes(&scenario), ["put-manifest dst.example/copy@amd64"]);
    assert_eq!(scenario.count("manifest dst.example/copy@amd64"), 2);
    let digest = amd64.digest().clone();
    assert_eq!(events.copied().losses, [Loss::WrongManifest(digest)]);
}

#[tokio::test]
async fn content_that_tags_share_is_checked_once() {
    let (scenario, [index, amd64]) = copied_index();
    scenario.tag("v2", &index);
    let other = [entry(&amd64, Some("linux/amd64"))];
    scenario.index_of_entries("other", &["v3"], &other);
    scenario.fill_destination();
    let rules = [rule("src.example/app:v1,v2,v3", &["dst.example/copy"])];
    let events = scenario.run_rules(verifying(), &rules).await;
    assert_eq!(events.summary().verified, 3);
    assert_eq!(scenario.count("head-blob"), 5);
    assert_eq!(scenario.count("manifest dst.example/copy@index"), 1);
    assert_eq!(scenario.count("manifest dst.example/copy@other"), 1);
}

#[tokio::test]
async fn tags_that_share_a_lost_blob_send_it_once() {
    let (scenario, _) = copied_index();
    scenario.image("single", &["v2"], &["base", "three"]);
    scenario.fill_destination();
    scenario.remove_copied_blob("base");
    let rules = [rule("src.example/app:v1,v2", &["dst.example/copy"])];
    let events = scenario.run_rules(verifying(), &rules).await;
    assert_eq!(events.summary().copied + events.summary().verified, 2);
    assert_eq!(scenario.count("send dst.example/copy@base"), 1);
    assert_eq!(scenario.count("head-blob dst.example/copy@base"), 1);
}

#[tokio::test]
async fn content_pushed_by_the_run_is_not_checked() {
    let (scenario, _) = copied_index();
    let rules = ["dst.example/new", "dst.example/new:again"]
        .map(|destination| rule("src.example/app:v1", &[destination]));
    let one_at_a_time = Settings {
        images: 1,
        ..verifying()
    };
    let events = scenario.run_rules(one_at_a_time, &rules).await;
    assert_eq!(events.summary().copied, 2);
    assert_eq!(events.summary().repaired, 0);
    assert_eq!(scenario.count("head-blob"), 0);
    assert_eq!(scenario.count("manifest dst.example"), 0);
}

#[tokio::test]
async fn a_changed_image_is_walked_although_its_children_exist() {
    let (scenario, [_, amd64]) = copied_index();
    let base = scenario.remove_copied_blob("base");
    let changed = [entry(&amd64, Some("linux/amd64"))];
    scenario.index_of_entries("changed", &["v1"], &changed);
    let events = scenario.run_with(verifying()).await;
    assert_eq!(events.summary().copied, 1);
    assert!(scenario.has_copied_blob(&base));
    assert_eq!(scenario.count("put-manifest dst.example/copy@amd64"), 1);
}

#[tokio::test]
async fn a_filtered_image_is_checked_and_repaired_with_its_filter() {
    let (scenario, [_, amd64]) = copied_index();
    let filtered = Settings {
        verify: true,
        ..only("amd64")
    };
    let destination = repository("dst.example/filtered");
    let rules = [rule("src.example/app:v1", &["dst.example/filtered"])];
    scenario.run_rules(filtered.clone(), &rules).await;
    let base = digest_of("base");
    scenario.stores.remove_blob(&destination, &base);
    scenario
        .stores
        .remove_manifest(&destination, amd64.digest());
    scenario.stores.take_sorted();
    let events = scenario.run_rules(filtered, &rules).await;
    let copied = events.copied();
    assert!(copied.filtered);
    let lost = amd64.digest().clone();
    assert_eq!(copied.losses, [Loss::Manifest(lost), Loss::Blob(base)]);
    assert_eq!((copied.volume.manifests, copied.volume.blobs), (1, 1));
    assert_eq!(scenario.count("put-manifest"), 1);
    // Content that the filter excluded is not lost.
    assert_eq!(scenario.count("head-blob dst.example/filtered@two"), 0);
}

#[tokio::test]
async fn an_image_by_digest_is_checked_as_well() {
    let (scenario, [index, _]) = copied_index();
    scenario.remove_copied_blob("two");
    let source = format!("src.example/app@{}", index.digest());
    let rules = [rule(&source, &["dst.example/copy"])];
    let events = scenario.run_rules(verifying(), &rules).await;
    assert_eq!(events.copied().volume.blobs, 1);
    assert_eq!(scenario.count("put-manifest"), 0);
}

#[tokio::test]
async fn content_lost_at_both_ends_is_a_failure_of_the_source() {
    let (scenario, _) = copied_index();
    for repository in [&scenario.source, &scenario.destination] {
        let base = digest_of("base");
        scenario.stores.remove_blob(repository, &base);
    }
    let events = scenario.run_with(verifying()).await;
    assert_eq!(
        events.failure_kind(),
        (Side::Source, Some(ErrorKind::NotFound))
    );
}

#[tokio::test]
async fn a_destination_that_may_not_be_read_cannot_be_verified() {
    let (scenario, _) = copied_index();
    let denied = || error(ErrorKind::Denied, "dst.example");
    scenario.stores.fail("manifest dst.example", 1, denied);
    let events = scenario.run_with(verifying()).await;
    assert_eq!(
        events.failure_kind(),
        (Side::Destination, Some(ErrorKind::Denied))
    );
    assert_eq!(changes(&scenario), [""; 0]);
}

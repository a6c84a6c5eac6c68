//! Children of indexes that are queried, fetched and pushed.

use serde_json::json;

use crate::scenario::*;
use crate::store::memory::entry;

fn scenario() -> Scenario {
    Scenario::new("src.example/app:v1", &["dst.example/copy"])
}

#[tokio::test]
async fn only_changed_children_of_an_index_cost_requests() {
    let scenario = scenario();
    let same = [
        ("amd64-1", "linux/amd64"),
        ("arm-1", "linux/arm/v7"),
        ("s390x-1", "linux/s390x"),
    ];
    scenario.index(
        "old",
        &["v1"],
        [same[0], same[1], same[2], ("arm64-1", "linux/arm64")],
    );
    scenario.fill_destination();
    let (new, _) = scenario.index(
        "new",
        &["v1"],
        [same[0], same[1], same[2], ("arm64-2", "linux/arm64")],
    );

    let events = scenario.run().await;
    assert_eq!(events.copied().digest, *new.digest());
    assert_eq!(events.copied_counts(), (2, 2));
    let expected = [
        "manifest dst.example/copy@old",
        "manifest src.example/app@arm64-2",
        "manifest src.example/app@new",
        "open-blob src.example/app@arm64-2",
        "open-blob src.example/app@arm64-2.config",
        "open-upload dst.example/copy@arm64-2",
        "open-upload dst.example/copy@arm64-2.config",
        "put-manifest dst.example/copy:v1",
        "put-manifest dst.example/copy@arm64-2",
        "resolve src.example/app:v1",
        "resolve-for-push dst.example/copy:v1",
        "send dst.example/copy@arm64-2",
        "send dst.example/copy@arm64-2.config",
    ];
    assert_eq!(scenario.stores.take_sorted(), expected);
}

#[tokio::test]
async fn an_unchanged_index_costs_a_head_at_each_end() {
    let scenario = scenario();
    scenario.index_of_two_platforms(&["v1"]);
    scenario.fill_destination();
    let events = scenario.run().await;
    assert_eq!(events.summary().unchanged, 1);
    assert_eq!(scenario.stores.calls().len(), 2);
}

#[tokio::test]
async fn one_child_of_a_new_index_is_queried_and_leaves_are_pushed_first() {
    let scenario = scenario();
    scenario.index_of_two_platforms(&["v1"]);
    let events = scenario.run().await;
    assert_eq!(events.copied_counts(), (3, 4));
    let heads = scenario.calls_with(&["resolve-for-push"]);
    let expected = [
        "resolve-for-push dst.example/copy:v1",
        "resolve-for-push dst.example/copy@amd64",
    ];
    assert_eq!(heads, expected);
    let calls = scenario.stores.calls();
    let mut pushed: Vec<_> = calls[calls.len() - 3..].to_vec();
    pushed[..2].sort();
    let expected = [
        "put-manifest dst.example/copy@amd64",
        "put-manifest dst.example/copy@arm64",
        "put-manifest dst.example/copy:v1",
    ];
    assert_eq!(pushed, expected);
}

#[tokio::test]
async fn a_repository_without_children_is_not_queried_again() {
    let scenario = scenario();
    for tag in ["v1", "v2", "v3"] {
        scenario.index(&format!("index-{tag}"), &[tag], [(tag, "linux/amd64")]);
    }
    let rules = [rule("src.example/app:v1,v2,v3", &["dst.example/copy"])];
    let events = scenario.run_rules(one_at_a_time(), &rules).await;
    assert_eq!(events.summary().copied, 3);
    assert_eq!(scenario.count("resolve-for-push dst.example/copy@"), 1);
}

#[tokio::test]
async fn a_new_tag_for_existing_children_costs_no_blob() {
    let scenario = scenario();
    let [index, ..] = scenario.index_of_two_platforms(&["v0"]);
    scenario.fill_destination();
    scenario.tag("v1", &index);
    let events = scenario.run().await;
    assert_eq!(events.copied_counts(), (1, 0));
    let expected = [
        "manifest src.example/app@index",
        "put-manifest dst.example/copy:v1",
        "resolve src.example/app:v1",
        "resolve-for-push dst.example/copy:v1",
        "resolve-for-push dst.example/copy@amd64",
        "resolve-for-push dst.example/copy@arm64",
    ];
    assert_eq!(scenario.stores.take_sorted(), expected);
}

#[tokio::test]
async fn an_old_image_may_be_a_child_of_the_new_index() {
    let scenario = scenario();
    scenario.image("amd64", &["v1"], &["amd64"]);
    scenario.fill_destination();
    scenario.index_of_two_platforms(&["v1"]);
    let events = scenario.run().await;
    assert_eq!(events.copied_counts(), (2, 2));
    assert_eq!(scenario.count("manifest dst"), 0);
    assert_eq!(scenario.count("manifest src.example/app@amd64"), 0);
}

#[tokio::test]
async fn indexes_within_indexes_are_pushed_inner_first() {
    let scenario = scenario();
    let (inner, _) = scenario.index("inner", &[], [("amd64", "linux/amd64")]);
    let middle = scenario.index_of_entries("middle", &[], &[entry(&inner, None)]);
    let entries = [entry(&middle, None), entry(&inner, None)];
    scenario.index_of_entries("outer", &["v1"], &entries);
    let events = scenario.run().await;
    assert_eq!(events.copied().volume.manifests, 4);
    let pushed = scenario.calls_with(&["put-manifest"]);
    let expected = [
        "put-manifest dst.example/copy@amd64",
        "put-manifest dst.example/copy@inner",
        "put-manifest dst.example/copy@middle",
        "put-manifest dst.example/copy:v1",
    ];
    assert_eq!(pushed, expected);
    assert_eq!(scenario.count("manifest src.example/app@inner"), 1);
}

#[tokio::test]
async fn an_index_may_list_plain_blobs() {
    let scenario = scenario();
    let layer = scenario.stores.blob(&scenario.source, "cache", "cache");
    let listed = json!({
        "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
        "digest": layer.digest.as_str(),
        "size": layer.size,
    });
    scenario.index_of_entries("index", &["v1"], &[listed]);
    let events = scenario.run().await;
    assert_eq!(events.copied_counts(), (1, 1));
    assert!(scenario.has_copied_blob(&layer.digest));
}

#[tokio::test]
async fn a_child_that_the_source_lacks_fails_the_image() {
    let scenario = scenario();
    let [.., lost] = scenario.index_of_two_platforms(&["v1"]);
    scenario
        .stores
        .remove_manifest(&scenario.source, lost.digest());
    let events = scenario.run().await;
    assert_eq!(events.summary().failed, 1);
    assert_eq!(scenario.count("put-manifest"), 0);
    assert!(scenario.copied_digest("v1").is_none());
}

#[tokio::test]
async fn tags_of_one_index_side_by_side_push_its_children_once() {
    let scenario = scenario();
    scenario.index_of_two_platforms(&["v1", "v2", "v3"]);
    let rules = [rule("src.example/app:v1,v2,v3", &["dst.example/copy"])];
    let events = scenario.run_rules(settings(), &rules).await;
    let summary = events.summary();
    assert_eq!((summary.copied, summary.volume.manifests), (3, 2 + 3));
    assert_eq!(scenario.count("put-manifest dst.example/copy@"), 2);
    assert_eq!(scenario.count("put-manifest dst.example/copy:"), 3);
    assert_eq!(scenario.count("resolve-for-push dst.example/copy@"), 1);
}

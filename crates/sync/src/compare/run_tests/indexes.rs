//! Children of indexes that are queried, fetched and pushed.

use image_syncer_registry::Manifest;
use serde_json::json;

use crate::scenario::*;
use crate::store::memory::entry;

fn scenario() -> Scenario {
    Scenario::new("src.example/app:v1", &["dst.example/copy"])
}

/// An index `name` with one image for each platform. Each image has one layer with the image's name.
fn push_index(scenario: &Scenario, name: &str, children: &[(&str, &str)]) -> Manifest {
    let entries: Vec<_> = children
        .iter()
        .map(|(child, platform)| {
            let image = scenario
                .stores
                .image(&scenario.source, child, platform, &[child]);
            entry(&image, Some(platform))
        })
        .collect();
    scenario.stores.index(&scenario.source, name, &entries)
}

async fn run_cleared(scenario: &Scenario) -> Arc<Heard> {
    scenario.stores.take_sorted();
    scenario.run_with(settings()).await
}

#[tokio::test]
async fn only_changed_children_of_an_index_cost_requests() {
    let scenario = scenario();
    let same = [
        ("amd64-1", "linux/amd64"),
        ("arm-1", "linux/arm/v7"),
        ("s390x-1", "linux/s390x"),
    ];
    let old = push_index(
        &scenario,
        "old",
        &[same[0], same[1], same[2], ("arm64-1", "linux/arm64")],
    );
    scenario.stores.tag(&scenario.source, "v1", &old);
    scenario
        .stores
        .copy_repository(&scenario.source, &scenario.destination);
    let new = push_index(
        &scenario,
        "new",
        &[same[0], same[1], same[2], ("arm64-2", "linux/arm64")],
    );
    scenario.stores.tag(&scenario.source, "v1", &new);

    let heard = run_cleared(&scenario).await;
    assert_eq!(heard.copied().digest, *new.digest());
    assert_eq!(
        (heard.copied().volume.manifests, heard.copied().volume.blobs),
        (2, 2)
    );
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
    let index = push_index(
        &scenario,
        "index",
        &[("amd64", "linux/amd64"), ("arm64", "linux/arm64")],
    );
    scenario.stores.tag(&scenario.source, "v1", &index);
    scenario
        .stores
        .copy_repository(&scenario.source, &scenario.destination);
    let heard = run_cleared(&scenario).await;
    assert_eq!(heard.summary().unchanged, 1);
    assert_eq!(scenario.stores.calls().len(), 2);
}

#[tokio::test]
async fn one_child_of_a_new_index_is_queried_and_leaves_are_pushed_first() {
    let scenario = scenario();
    let index = push_index(
        &scenario,
        "index",
        &[("amd64", "linux/amd64"), ("arm64", "linux/arm64")],
    );
    scenario.stores.tag(&scenario.source, "v1", &index);
    let heard = run_cleared(&scenario).await;
    assert_eq!(
        (heard.copied().volume.manifests, heard.copied().volume.blobs),
        (3, 4)
    );
    let calls = scenario.stores.calls();
    let asked: Vec<_> = calls
        .iter()
        .filter(|call| call.starts_with("resolve-for-push"))
        .collect();
    let expected = [
        "resolve-for-push dst.example/copy:v1",
        "resolve-for-push dst.example/copy@amd64",
    ];
    assert_eq!(asked, expected);
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
        let index = push_index(&scenario, &format!("index-{tag}"), &[(tag, "linux/amd64")]);
        scenario.stores.tag(&scenario.source, tag, &index);
    }
    let one_at_a_time = Settings {
        images: 1,
        ..settings()
    };
    let rules = [rule("src.example/app:v1,v2,v3", &["dst.example/copy"])];
    let heard = run(&scenario.stores, one_at_a_time, &rules).await;
    assert_eq!(heard.summary().copied, 3);
    assert_eq!(
        scenario.stores.count("resolve-for-push dst.example/copy@"),
        1
    );
}

#[tokio::test]
async fn a_new_tag_for_existing_children_costs_no_blob() {
    let scenario = scenario();
    let index = push_index(
        &scenario,
        "index",
        &[("amd64", "linux/amd64"), ("arm64", "linux/arm64")],
    );
    scenario.stores.tag(&scenario.source, "v0", &index);
    scenario
        .stores
        .copy_repository(&scenario.source, &scenario.destination);
    scenario.stores.tag(&scenario.source, "v1", &index);
    let heard = run_cleared(&scenario).await;
    assert_eq!(
        (heard.copied().volume.manifests, heard.copied().volume.blobs),
        (1, 0)
    );
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
    let image = scenario
        .stores
        .image(&scenario.source, "amd64", "linux/amd64", &["amd64"]);
    scenario.stores.tag(&scenario.source, "v1", &image);
    scenario
        .stores
        .copy_repository(&scenario.source, &scenario.destination);
    let index = push_index(
        &scenario,
        "index",
        &[("amd64", "linux/amd64"), ("arm64", "linux/arm64")],
    );
    scenario.stores.tag(&scenario.source, "v1", &index);
    let heard = run_cleared(&scenario).await;
    assert_eq!(
        (heard.copied().volume.manifests, heard.copied().volume.blobs),
        (2, 2)
    );
    assert_eq!(scenario.stores.count("manifest dst"), 0);
    assert_eq!(scenario.stores.count("manifest src.example/app@amd64"), 0);
}

#[tokio::test]
async fn indexes_within_indexes_are_pushed_inner_first() {
    let scenario = scenario();
    let inner = push_index(&scenario, "inner", &[("amd64", "linux/amd64")]);
    let middle = scenario
        .stores
        .index(&scenario.source, "middle", &[entry(&inner, None)]);
    let entries = [entry(&middle, None), entry(&inner, None)];
    let outer = scenario.stores.index(&scenario.source, "outer", &entries);
    scenario.stores.tag(&scenario.source, "v1", &outer);
    let heard = run_cleared(&scenario).await;
    assert_eq!(heard.copied().volume.manifests, 4);
    let calls = scenario.stores.calls();
    let pushed: Vec<_> = calls
        .iter()
        .filter(|call| call.starts_with("put-manifest"))
        .collect();
    let expected = [
        "put-manifest dst.example/copy@amd64",
        "put-manifest dst.example/copy@inner",
        "put-manifest dst.example/copy@middle",
        "put-manifest dst.example/copy:v1",
    ];
    assert_eq!(pushed, expected);
    assert_eq!(scenario.stores.count("manifest src.example/app@inner"), 1);
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
    let index = scenario.stores.index(&scenario.source, "index", &[listed]);
    scenario.stores.tag(&scenario.source, "v1", &index);
    let heard = run_cleared(&scenario).await;
    assert_eq!(
        (heard.copied().volume.manifests, heard.copied().volume.blobs),
        (1, 1)
    );
    assert!(
        scenario
            .stores
            .blob_bytes(&scenario.destination, &layer.digest)
            .is_some()
    );
}

#[tokio::test]
async fn a_child_that_the_source_lacks_fails_the_image() {
    let scenario = scenario();
    let index = push_index(
        &scenario,
        "index",
        &[("amd64", "linux/amd64"), ("arm64", "linux/arm64")],
    );
    scenario.stores.tag(&scenario.source, "v1", &index);
    let lost = scenario
        .stores
        .image(&scenario.source, "arm64", "linux/arm64", &["arm64"]);
    scenario
        .stores
        .remove_manifest(&scenario.source, lost.digest());
    let heard = run_cleared(&scenario).await;
    assert_eq!(heard.summary().failed, 1);
    assert_eq!(scenario.stores.count("put-manifest"), 0);
    assert!(
        scenario
            .stores
            .tagged(&scenario.destination, "v1")
            .is_none()
    );
}

#[tokio::test]
async fn tags_of_one_index_side_by_side_push_its_children_once() {
    let scenario = scenario();
    let index = push_index(
        &scenario,
        "index",
        &[("amd64", "linux/amd64"), ("arm64", "linux/arm64")],
    );
    for tag in ["v1", "v2", "v3"] {
        scenario.stores.tag(&scenario.source, tag, &index);
    }
    let rules = [rule("src.example/app:v1,v2,v3", &["dst.example/copy"])];
    let heard = run(&scenario.stores, settings(), &rules).await;
    let summary = heard.summary();
    assert_eq!((summary.copied, summary.volume.manifests), (3, 2 + 3));
    assert_eq!(scenario.stores.count("put-manifest dst.example/copy@"), 2);
    assert_eq!(scenario.stores.count("put-manifest dst.example/copy:"), 3);
    assert_eq!(
        scenario.stores.count("resolve-for-push dst.example/copy@"),
        1
    );
}

//! Platform filters on every kind of image.

use image_syncer_registry::Digest;
use image_syncer_registry::manifest::{ManifestView, media_type};
use serde_json::json;

use crate::scenario::*;
use crate::store::memory::{attestation, blob_json, entry};

fn scenario() -> Scenario {
    Scenario::new("src.example/app:v1", &["dst.example/copy"])
}

async fn filtered_run(scenario: &Scenario, arch: &str) -> Arc<RunEvents> {
    scenario.stores.take_sorted();
    scenario.run_with(only(arch)).await
}

/// Returns the entries of the index under the destination's tag, or under `digest`.
fn entry_digests(scenario: &Scenario, digest: Option<&Digest>) -> Vec<Digest> {
    let tagged = scenario.copied_digest("v1");
    let digest = digest.or(tagged.as_ref()).unwrap();
    let manifest = scenario.copied_manifest(digest);
    let ManifestView::Index(index) = manifest.view().unwrap() else {
        panic!("not an index");
    };
    index
        .manifests
        .into_iter()
        .map(|entry| entry.digest)
        .collect()
}

#[tokio::test]
async fn an_index_is_narrowed_and_the_second_run_costs_its_root() {
    let scenario = scenario();
    let amd64 = scenario.child("amd64", "linux/amd64");
    let arm64 = scenario.child("arm64", "linux/arm64");
    let unsaid = scenario.child("unsaid", "linux/riscv64");
    let entries = [
        entry(&amd64, Some("linux/amd64")),
        entry(&arm64, Some("linux/arm64")),
        entry(&unsaid, None),
    ];
    let index = scenario.index_of_entries("index", &["v1"], &entries);
    let events = filtered_run(&scenario, "arm64").await;
    let copied = events.copied();
    assert!(copied.filtered && copied.digest != *index.digest());
    assert_eq!((copied.volume.manifests, copied.volume.blobs), (3, 4));
    assert_eq!(
        entry_digests(&scenario, None),
        [arm64.digest().clone(), unsaid.digest().clone()]
    );
    assert_eq!(scenario.count("manifest src.example/app@amd64"), 0);

    let events = filtered_run(&scenario, "arm64").await;
    assert_eq!(events.summary().unchanged, 1);
    let expected = [
        "manifest src.example/app@index",
        "resolve src.example/app:v1",
        "resolve-for-push dst.example/copy:v1",
    ];
    assert_eq!(scenario.stores.take_sorted(), expected);
}

#[tokio::test]
async fn an_index_whose_entries_all_pass_is_unchanged() {
    let scenario = scenario();
    let entries = ["arm64", "other-arm64"]
        .map(|name| entry(&scenario.child(name, "linux/arm64"), Some("linux/arm64")));
    let index = scenario.index_of_entries("index", &["v1"], &entries);
    let events = filtered_run(&scenario, "arm64").await;
    assert_eq!(
        (events.copied().digest, events.copied().filtered),
        (index.digest().clone(), false)
    );
}

#[tokio::test]
async fn a_docker_list_is_narrowed_by_variant() {
    let scenario = scenario();
    let v6 = scenario.child("v6", "linux/arm/v6");
    let v7 = scenario.child("v7", "linux/arm/v7");
    let document = json!({
        "schemaVersion": 2,
        "mediaType": media_type::DOCKER_LIST,
        "manifests": [entry(&v6, Some("linux/arm/v6")), entry(&v7, Some("linux/arm/v7"))],
    });
    scenario.document("list", &["v1"], media_type::DOCKER_LIST, &document);
    filtered_run(&scenario, "arm:v7").await;
    assert_eq!(entry_digests(&scenario, None), [v7.digest().clone()]);
    let root = scenario.copied_manifest(&scenario.copied_digest("v1").unwrap());
    assert_eq!(root.media_type(), media_type::DOCKER_LIST);
}

#[tokio::test]
async fn an_index_within_an_index_is_narrowed_too() {
    let scenario = scenario();
    let children = [("amd64", "linux/amd64"), ("arm64", "linux/arm64")];
    let (inner, [amd64, arm64]) = scenario.index("inner", &[], children);
    let left_out = [entry(&amd64, Some("linux/amd64"))];
    let left_out = scenario.index_of_entries("left-out", &[], &left_out);
    let entries = [entry(&left_out, None), entry(&inner, None)];
    scenario.index_of_entries("outer", &["v1"], &entries);
    let events = filtered_run(&scenario, "arm64").await;
    assert_eq!(events.copied_counts(), (3, 2));
    let entries = entry_digests(&scenario, None);
    assert_eq!(entries.len(), 1);
    assert!(entries[0] != *inner.digest());
    assert_eq!(
        entry_digests(&scenario, Some(&entries[0])),
        [arm64.digest().clone()]
    );
    assert_eq!(scenario.count("manifest src.example/app@inner"), 1);
}

#[tokio::test]
async fn attestations_follow_their_image() {
    let scenario = scenario();
    let amd64 = scenario.child("amd64", "linux/amd64");
    let arm64 = scenario.child("arm64", "linux/arm64");
    let of_amd64 = scenario.child("of-amd64", "unknown/unknown");
    let of_arm64 = scenario.child("of-arm64", "unknown/unknown");
    let entries = [
        entry(&amd64, Some("linux/amd64")),
        attestation(&of_amd64, &amd64),
        attestation(&of_arm64, &arm64),
        entry(&arm64, Some("linux/arm64")),
    ];
    scenario.index_of_entries("index", &["v1"], &entries);
    filtered_run(&scenario, "arm64").await;
    assert_eq!(
        entry_digests(&scenario, None),
        [of_arm64.digest().clone(), arm64.digest().clone()]
    );
}

#[tokio::test]
async fn an_index_without_passing_entries_is_skipped() {
    let scenario = scenario();
    let amd64 = scenario.child("amd64", "linux/amd64");
    let attests = scenario.child("of-amd64", "unknown/unknown");
    let entries = [
        entry(&amd64, Some("linux/amd64")),
        attestation(&attests, &amd64),
    ];
    scenario.index_of_entries("index", &["v1"], &entries);
    let events = filtered_run(&scenario, "arm64").await;
    let expected = "src.example/app:v1 -> dst.example/copy:v1: \
                    skipped, no platform of it passes --arch arm64";
    assert_eq!(events.endings(), [expected]);
    assert_eq!(scenario.count("put-manifest"), 0);
}

#[tokio::test]
async fn a_single_image_is_filtered_by_its_config_which_is_read_once() {
    let scenario = scenario();
    scenario.tag("v1", &scenario.child("image", "linux/arm/v7"));
    let events = filtered_run(&scenario, "amd64,arm:v6").await;
    let expected = "src.example/app:v1 -> dst.example/copy:v1: \
                    skipped, its platform linux/arm/v7 does not pass --arch amd64,arm:v6";
    assert_eq!(events.endings(), [expected]);
    assert_eq!(scenario.count("read-blob src.example/app@image.config"), 1);

    let events = filtered_run(&scenario, "arm:v7").await;
    assert_eq!(
        (events.copied().filtered, events.copied().volume.blobs),
        (false, 2)
    );
    assert_eq!(scenario.count("read-blob src.example/app@image.config"), 1);
    assert_eq!(scenario.count("open-blob src.example/app@image.config"), 0);

    // A filter writes no new images: equal digests settle it.
    let events = filtered_run(&scenario, "arm:v7").await;
    assert_eq!(events.summary().unchanged, 1);
    assert_eq!(scenario.stores.calls().len(), 2);
}

#[tokio::test]
async fn an_artifact_has_no_platform_and_passes() {
    let scenario = scenario();
    let config = scenario
        .stores
        .blob(&scenario.source, "config", "not even json");
    let document = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": blob_json("application/vnd.cncf.helm.config.v1+json", &config),
        "layers": [],
    });
    scenario.document("chart", &["v1"], media_type::OCI_MANIFEST, &document);
    let events = filtered_run(&scenario, "arm64").await;
    assert_eq!(events.copied().volume.blobs, 1);
    assert_eq!(scenario.count("read-blob"), 0);
}

#[tokio::test]
async fn a_filtered_image_without_a_tag_is_pushed_by_its_new_digest() {
    let scenario = scenario();
    let [index, _, arm64] = scenario.index_of_two_platforms(&[]);
    let source = format!("src.example/app@{}", index.digest());
    let rules = [rule(&source, &["dst.example/copy"])];
    let events = scenario.run_rules(only("arm64"), &rules).await;
    let digest = events.copied().digest;
    assert!(digest != *index.digest());
    assert_eq!(
        entry_digests(&scenario, Some(&digest)),
        [arm64.digest().clone()]
    );
    let events = scenario.run_rules(only("arm64"), &rules).await;
    assert_eq!(events.summary().unchanged, 1);
}

//! One image and one destination: the calls, their order, and the volume.

use image_syncer_registry::ErrorKind;
use image_syncer_registry::manifest::media_type;
use serde_json::json;

use crate::failure::Side;
use crate::scenario::*;
use crate::store::memory::{blob_json, error};

fn scenario() -> Scenario {
    Scenario::new("src.example/app:v1", &["dst.example/copy"])
}

/// Returns the three calls of the upload of a blob.
fn upload_calls(blob: &str) -> [String; 3] {
    [
        format!("open-upload dst.example/copy@{blob}"),
        format!("send dst.example/copy@{blob}"),
        format!("open-blob src.example/app@{blob}"),
    ]
}

#[tokio::test]
async fn an_unchanged_image_costs_a_head_at_each_end() {
    let scenario = scenario();
    scenario.image("image", &["v1"], &["base"]);
    scenario.fill_destination();
    let events = scenario.run().await;
    let expected = ["src.example/app:v1 -> dst.example/copy:v1: unchanged"];
    assert_eq!(events.endings(), expected);
    let expected = [
        "resolve src.example/app:v1",
        "resolve-for-push dst.example/copy:v1",
    ];
    assert_eq!(scenario.stores.take_sorted(), expected);
}

#[tokio::test]
async fn a_new_image_costs_three_requests_a_blob_and_four_more() {
    let scenario = scenario();
    let image = scenario.image("image", &["v1"], &["base", "app"]);
    let events = scenario.run().await;

    let calls = scenario.stores.calls();
    let layers = 2;
    assert_eq!(calls.len(), 3 * layers + 7);
    let mut heads = calls[..2].to_vec();
    heads.sort();
    let expected = [
        "resolve src.example/app:v1",
        "resolve-for-push dst.example/copy:v1",
    ];
    assert_eq!(heads, expected);
    assert_eq!(calls[2], "manifest src.example/app@image");
    assert_eq!(calls.last().unwrap(), "put-manifest dst.example/copy:v1");
    let mut blobs = calls[3..calls.len() - 1].to_vec();
    let mut expected = [
        upload_calls("base"),
        upload_calls("app"),
        upload_calls("image.config"),
    ]
    .concat();
    blobs.sort();
    expected.sort();
    assert_eq!(blobs, expected);

    let copied = events.copied();
    assert_eq!(copied.digest, *image.digest());
    assert_eq!((events.copied_counts(), copied.filtered), ((1, 3), false));
    for name in ["base", "app"] {
        let bytes = scenario.copied_blob(&digest_of(name));
        assert_eq!(bytes.unwrap(), name);
    }
    assert_eq!(scenario.copied_digest("v1").as_ref(), Some(image.digest()));
}

#[tokio::test]
async fn the_largest_blob_is_started_first() {
    let scenario = scenario();
    let big = "a layer that is much longer than any config could be, said over and over again, \
               until nobody can doubt that it is the biggest of them all by far and wide";
    scenario.image("image", &["v1"], &["base", big, "app"]);
    scenario.run().await;
    let uploads = scenario.calls_with(&["open-upload"]);
    assert_eq!(uploads[0], format!("open-upload dst.example/copy@{big}"));
}

#[tokio::test]
async fn existing_blobs_are_not_sent() {
    let scenario = scenario();
    scenario.image("image", &["v1"], &["base", "app"]);
    scenario.stores.blob(&scenario.destination, "base", "base");
    let events = scenario.run().await;
    let copied = events.copied();
    assert_eq!((copied.volume.blobs, copied.volume.present_bytes), (2, 4));
    assert_eq!(scenario.count("open-upload dst.example/copy@base"), 1);
    assert_eq!(scenario.count("open-blob src.example/app@base"), 0);
}

#[tokio::test]
async fn layers_of_an_earlier_tag_are_not_queried() {
    let scenario = scenario();
    scenario.image("one", &["v1"], &["base", "one"]);
    scenario.image("two", &["v2"], &["base", "two"]);
    let rules = [rule("src.example/app:v1,v2", &["dst.example/copy"])];
    let events = scenario.run_rules(one_at_a_time(), &rules).await;
    assert_eq!(events.summary().copied, 2);
    assert_eq!(events.summary().volume.shared_bytes, 4);
    assert_eq!(scenario.count("open-upload dst.example/copy@base"), 1);
}

#[tokio::test]
async fn further_tags_of_one_digest_cost_a_get_at_the_source_and_a_push() {
    let scenario = scenario();
    let image = scenario.image("image", &["v1", "v2", "latest"], &["base"]);
    let rules = [rule("src.example/app", &["dst.example/copy"])];
    let events = scenario.run_rules(settings(), &rules).await;
    assert_eq!(events.summary().copied, 3);
    for tag in ["v1", "v2", "latest"] {
        assert_eq!(scenario.copied_digest(tag).as_ref(), Some(image.digest()));
        assert_eq!(
            scenario.count(&format!("put-manifest dst.example/copy:{tag}")),
            1
        );
    }
    // The source's list takes two requests, up to its empty last page. The destination has no repository: one request.
    assert_eq!(scenario.count("tags src"), 2);
    assert_eq!(scenario.count("tags dst"), 1);
    assert_eq!(scenario.count("manifest src.example/app:"), 3);
    let blobs = 2;
    assert_eq!(scenario.stores.calls().len(), 3 + 3 + 3 * blobs + 3);
}

#[tokio::test]
async fn an_image_by_digest_needs_no_head_at_the_source() {
    let scenario = scenario();
    let image = scenario.image("image", &[], &["base"]);
    let source = format!("src.example/app@{}", image.digest());
    let rules = [rule(&source, &["dst.example/copy"])];
    let events = scenario.run_rules(settings(), &rules).await;
    let calls = scenario.stores.calls();
    assert_eq!(calls[0], "resolve-for-push dst.example/copy@image");
    assert_eq!(calls[1], "manifest src.example/app@image");
    assert_eq!(calls.last().unwrap(), "put-manifest dst.example/copy@image");
    let name = format!("dst.example/copy@{}", image.digest());
    assert_eq!(events.endings(), [format!("{source} -> {name}: copied")]);

    scenario.stores.take_sorted();
    scenario.run_rules(settings(), &rules).await;
    assert_eq!(
        scenario.stores.calls(),
        ["resolve-for-push dst.example/copy@image"]
    );
}

#[tokio::test]
async fn force_pushes_the_manifest_and_no_existing_blob() {
    let scenario = scenario();
    scenario.image("image", &["v1"], &["base"]);
    scenario.fill_destination();
    let events = scenario.run_with(forced()).await;
    assert_eq!(events.copied_counts(), (1, 0));
    let expected = [
        "head-blob dst.example/copy@base",
        "head-blob dst.example/copy@image.config",
        "manifest src.example/app@image",
        "put-manifest dst.example/copy:v1",
        "resolve src.example/app:v1",
        "resolve-for-push dst.example/copy:v1",
    ];
    assert_eq!(scenario.stores.take_sorted(), expected);
}

#[tokio::test]
async fn force_restores_lost_blobs() {
    let scenario = scenario();
    scenario.image("image", &["v1"], &["base"]);
    scenario.fill_destination();
    let base = scenario.remove_copied_blob("base");
    let events = scenario.run_with(forced()).await;
    assert_eq!(
        (events.copied().volume.blobs, events.copied().volume.bytes),
        (1, 4)
    );
    assert!(scenario.has_copied_blob(&base));
}

#[tokio::test]
async fn a_missing_image_fails_with_a_message() {
    let scenario = scenario();
    scenario.image("image", &["v1"], &["base"]);
    let rules = [rule("src.example/app:v9", &["dst.example/copy"])];
    let events = scenario.run_rules(settings(), &rules).await;
    let expected = "src.example/app:v9 -> dst.example/copy:v9: failed, \
                    cannot find app:v9 at src.example: the registry does not have it";
    assert_eq!(events.endings(), [expected]);
    assert_eq!(
        events.failure_kind(),
        (Side::Source, Some(ErrorKind::NotFound))
    );
}

#[tokio::test]
async fn an_error_at_the_destination_is_not_taken_for_absence() {
    let scenario = scenario();
    scenario.image("image", &["v1"], &["base"]);
    let fault = || error(ErrorKind::Server, "dst.example");
    scenario.stores.fail("resolve-for-push", 1, fault);
    let events = scenario.run().await;
    assert_eq!(events.summary().failed, 1);
    assert_eq!(events.failure().side, Side::Destination);
    assert_eq!(scenario.count("put-manifest"), 0);
    assert_eq!(scenario.count("manifest"), 0);
}

#[tokio::test]
async fn foreign_layers_stay_where_they_are() {
    let scenario = scenario();
    let config = scenario.stores.blob(&scenario.source, "config", "{}");
    let foreign = scenario.stores.blob(&scenario.source, "foreign", "foreign");
    let document = json!({
        "schemaVersion": 2,
        "mediaType": media_type::DOCKER_MANIFEST,
        "config": blob_json("application/vnd.docker.container.image.v1+json", &config),
        "layers": [blob_json("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", &foreign)],
    });
    scenario.document("image", &["v1"], media_type::DOCKER_MANIFEST, &document);
    let events = scenario.run().await;
    assert_eq!(events.copied().volume.blobs, 1);
    assert_eq!(scenario.count("open-upload dst.example/copy@foreign"), 0);
}

#[tokio::test]
async fn a_tag_that_moves_meanwhile_does_not_mix_versions() {
    let scenario = scenario();
    let old = scenario.image("old", &["v1"], &["base"]);
    let gate = scenario.stores.block_calls("manifest src.example/app@old");
    let moving = async {
        gate.reached(1).await;
        scenario.image("new", &["v1"], &["other"]);
        gate.open();
    };
    let (events, ()) = tokio::join!(scenario.run(), moving);
    assert_eq!(events.summary().copied, 1);
    assert_eq!(scenario.copied_digest("v1").as_ref(), Some(old.digest()));
    assert_eq!(scenario.count("resolve src"), 1);
}

#[tokio::test(start_paused = true)]
async fn stages_do_not_wait_for_each_other() {
    let scenario = scenario();
    for tag in ["v1", "v2", "v3"] {
        scenario.image(tag, &[tag], &["base", tag]);
    }
    let rules = [
        rule("src.example/app", &["dst.example/copy", "two.example/copy"]),
        rule("src.example/app:v1", &["dst.example/renamed:stable"]),
    ];
    let start = tokio::time::Instant::now();
    for outcome in ["copied", "unchanged"] {
        let events = scenario.run_rules(settings(), &rules).await;
        let endings = events.endings();
        assert_eq!(endings.len(), 7);
        assert!(
            endings.iter().all(|line| line.ends_with(outcome)),
            "{endings:?}"
        );
    }
    assert_eq!(start.elapsed(), std::time::Duration::ZERO);
}

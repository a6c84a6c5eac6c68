//! Referrers of an image: calls, pushes, their order, and failures.

use image_syncer_registry::{ErrorKind, Manifest};

use crate::scenario::*;
use crate::store::memory::{error, repository};

mod interval;
mod trouble;

const SIGNATURE: &str = "application/vnd.example.signature";
const SBOM: &str = "application/vnd.example.sbom";
const DESTINATION: &str = "dst.example/copy";

/// Returns a scenario that copies referrers.
fn scenario(source: &str) -> Scenario {
    Scenario::new(source, &[DESTINATION]).with_settings(with_referrers())
}

fn deep() -> Settings {
    Settings {
        referrers: Some(Arc::new(Referrers {
            deep: true,
            ..Referrers::default()
        })),
        ..settings()
    }
}

fn only_types(types: &[&str]) -> Settings {
    Settings {
        referrers: Some(Arc::new(Referrers {
            types: types.iter().map(|&t| t.to_owned()).collect(),
            ..Referrers::default()
        })),
        ..settings()
    }
}

fn push_image(scenario: &Scenario, name: &str, tags: &[&str]) -> Manifest {
    scenario.image(name, tags, &["base"])
}

/// Stores an index of two images, `amd` and `arm`. Returns the index and the images.
fn push_index(scenario: &Scenario, tag: &str) -> [Manifest; 3] {
    let children = [("amd", "linux/amd64"), ("arm", "linux/arm64")];
    let (index, [amd, arm]) = scenario.index("index", &[tag], children);
    [index, amd, arm]
}

/// Returns a scenario with the image `v1` and its referrer, and both.
fn signed_image() -> (Scenario, [Manifest; 2]) {
    let scenario = scenario("src.example/app:v1");
    let image = push_image(&scenario, "image", &["v1"]);
    let signature = scenario.referrer("signature", SIGNATURE, &image);
    (scenario, [image, signature])
}

/// Returns pushes and list updates, in order. Clears all calls.
fn take_pushes(scenario: &Scenario) -> Vec<String> {
    let pushes = scenario.calls_with(&["put-manifest", "update-index"]);
    scenario.stores.take_sorted();
    let shortened = pushes
        .iter()
        .map(|push| push.replace(" dst.example/copy", " "));
    shortened.collect()
}

/// Returns the referrer queries, sorted. Clears all calls.
fn take_queries(scenario: &Scenario) -> Vec<String> {
    let mut calls = scenario.stores.take_sorted();
    calls.retain(|call| call.starts_with("referrers"));
    calls
}

fn has_copy(scenario: &Scenario, manifest: &Manifest) -> bool {
    let digest = manifest.digest();
    scenario
        .stores
        .holds_manifest(&scenario.destination, digest)
}

fn warnings(events: &RunEvents) -> Vec<String> {
    events.summary().warnings
}

#[tokio::test]
async fn the_tag_comes_last_after_children_root_and_signatures() {
    let scenario = scenario("src.example/app:v1");
    let [index, amd, _] = push_index(&scenario, "v1");
    let signature = scenario.referrer("signature", SIGNATURE, &index);
    scenario.referrer("note", SIGNATURE, &signature);
    scenario.referrer("sbom", SBOM, &amd);
    let cosign = push_image(&scenario, "cosign", &[]);
    let tag = scenario.tag_companion(".sig", &index, &cosign);
    let events = scenario.run().await;
    assert_eq!(events.summary().copied, 1);
    assert_eq!(events.copied().referrers, 4);
    let pushes = take_pushes(&scenario);
    let at = |push: &str| {
        let found = pushes.iter().position(|found| found == push);
        found.unwrap_or_else(|| panic!("no {push} in {pushes:#?}"))
    };
    let root = at("put-manifest @index");
    assert!(at("put-manifest @amd") < root && at("put-manifest @arm") < root);
    assert!(root < at("put-manifest @signature"));
    assert!(root < at("put-manifest @sbom"));
    assert!(root < at(&format!("put-manifest :{tag}")));
    assert!(at("put-manifest @signature") < at("update-index @index"));
    assert!(at("update-index @index") < at("put-manifest @note"));
    assert!(at("put-manifest @note") < at("update-index @signature"));
    assert_eq!(at("put-manifest :v1"), pushes.len() - 1);
    // Three and five manifests, the root twice, and three lists.
    assert_eq!(pushes.len(), 3 + 4 + 1 + 3);
}

#[tokio::test]
async fn an_image_without_referrers_costs_no_further_push() {
    let scenario = scenario("src.example/app:v1");
    push_image(&scenario, "image", &["v1"]);
    scenario.run().await;
    assert_eq!(take_pushes(&scenario), ["put-manifest :v1"]);
}

#[tokio::test]
async fn the_root_of_an_unchanged_image_is_queried_and_a_late_signature_is_copied_alone() {
    let scenario = scenario("src.example/app:v1");
    let [index, amd, _] = push_index(&scenario, "v1");
    scenario.run().await;
    scenario.stores.take_sorted();
    let events = scenario.run().await;
    assert_eq!(events.summary().unchanged, 1);
    assert_eq!(take_queries(&scenario), ["referrers src.example/app@index"]);

    scenario.referrer("late", SIGNATURE, &index);
    scenario.referrer("late-sbom", SBOM, &amd);
    let events = scenario.run().await;
    let copied = events.copied();
    assert_eq!((copied.referrers, copied.volume.manifests), (1, 1));
    assert!(copied.root_unchanged);
    assert_eq!(
        take_pushes(&scenario),
        ["put-manifest @late", "update-index @index"]
    );

    // Only the deep query finds those of the children.
    let events = scenario.run_with(deep()).await;
    assert_eq!(events.copied().referrers, 1);
    assert_eq!(
        take_pushes(&scenario),
        ["put-manifest @late-sbom", "update-index @amd"]
    );

    let events = scenario.run().await;
    assert_eq!(events.summary().unchanged, 1);
    let expected = [
        "referrers src.example/app@index",
        "referrers-for-push dst.example/copy@index",
    ];
    assert_eq!(take_queries(&scenario), expected);
}

#[tokio::test]
async fn without_referrers_no_query_is_sent() {
    let (scenario, [image, signature]) = signed_image();
    scenario.run_with(settings()).await;
    assert_eq!(take_queries(&scenario), Vec::<String>::new());
    assert!(has_copy(&scenario, &image) && !has_copy(&scenario, &signature));
}

#[tokio::test]
async fn referrers_of_tags_with_one_digest_are_copied_once() {
    let scenario = scenario("src.example/app:v1,v2,v3");
    let image = push_image(&scenario, "image", &["v1", "v2", "v3"]);
    scenario.referrer("signature", SIGNATURE, &image);
    let events = scenario.run().await;
    assert_eq!(events.summary().copied, 3);
    let mut queries = scenario.calls_with(&["referrers"]);
    queries.sort();
    let expected = [
        "referrers src.example/app@image",
        "referrers src.example/app@signature",
    ];
    assert_eq!(queries, expected);
    let pushes = take_pushes(&scenario);
    let signatures = pushes.iter().filter(|push| push.ends_with("@signature"));
    assert_eq!(signatures.count(), 1);

    let events = scenario.run().await;
    assert_eq!(events.summary().unchanged, 3);
    let expected = [
        "referrers src.example/app@image",
        "referrers-for-push dst.example/copy@image",
    ];
    assert_eq!(take_queries(&scenario), expected);
}

#[tokio::test]
async fn destinations_share_the_queries_at_the_source() {
    let mut scenario = scenario("src.example/app:v1");
    scenario.rules = vec![rule(
        "src.example/app:v1",
        &["one.example/a", "two.example/a"],
    )];
    let image = push_image(&scenario, "image", &["v1"]);
    let signature = scenario.referrer("signature", SIGNATURE, &image);
    let events = scenario.run().await;
    assert_eq!(events.summary().copied, 2);
    for place in ["one.example/a", "two.example/a"] {
        assert!(
            scenario
                .stores
                .holds_manifest(&repository(place), signature.digest())
        );
    }
    assert_eq!(scenario.count("manifest src.example/app@signature"), 1);
    let expected = [
        "referrers src.example/app@image",
        "referrers src.example/app@signature",
    ];
    assert_eq!(take_queries(&scenario), expected);
}

#[tokio::test]
async fn what_the_filter_drops_leaves_its_referrers_behind() {
    let scenario = scenario("src.example/app:v1");
    let [index, amd, arm] = push_index(&scenario, "v1");
    let whole = scenario.referrer("whole", SIGNATURE, &index);
    let kept = scenario.referrer("kept", SIGNATURE, &amd);
    let dropped = scenario.referrer("dropped", SIGNATURE, &arm);
    let filtered = Settings {
        referrers: Some(Arc::default()),
        ..only("amd64")
    };
    let events = scenario.run_with(filtered.clone()).await;
    assert!(events.copied().filtered);
    assert_eq!(events.copied().referrers, 1);
    assert!(
        has_copy(&scenario, &kept)
            && !has_copy(&scenario, &whole)
            && !has_copy(&scenario, &dropped)
    );
    let warnings = warnings(&events);
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(
        warnings[0].contains("do not cover it and are left behind"),
        "{}",
        warnings[0]
    );
    assert_eq!(scenario.run_with(filtered).await.summary().unchanged, 1);
}

#[tokio::test]
async fn an_image_pinned_by_digest_needs_no_tag() {
    let mut scenario = scenario("src.example/app:v1");
    let image = push_image(&scenario, "image", &[]);
    let signature = scenario.referrer("signature", SIGNATURE, &image);
    let pinned = format!("src.example/app@{}", image.digest());
    scenario.rules = vec![rule(&pinned, &[DESTINATION])];
    let events = scenario.run().await;
    assert_eq!(events.copied().referrers, 1);
    let expected = [
        "put-manifest @image",
        "put-manifest @signature",
        "update-index @image",
    ];
    assert_eq!(take_pushes(&scenario), expected);
    assert!(has_copy(&scenario, &signature));
    assert_eq!(scenario.run().await.summary().unchanged, 1);
}

#[tokio::test]
async fn only_the_selected_types_are_copied() {
    for (types, expected) in [
        (vec![SBOM], [false, true, false]),
        (vec![SIGNATURE, "cosign"], [true, false, true]),
        (vec!["cosign"], [false, false, true]),
    ] {
        let scenario = scenario("src.example/app:v1");
        let image = push_image(&scenario, "image", &["v1"]);
        let signature = scenario.referrer("signature", SIGNATURE, &image);
        let sbom = scenario.referrer("sbom", SBOM, &image);
        let cosign = push_image(&scenario, "cosign", &[]);
        scenario.tag_companion(".att", &image, &cosign);
        scenario.run_with(only_types(&types)).await;
        let found = [&signature, &sbom, &cosign].map(|one| has_copy(&scenario, one));
        assert_eq!(found, expected, "{types:?}");
    }
}

#[tokio::test]
async fn referrers_of_a_signature_are_pushed_before_its_tag() {
    let scenario = scenario("src.example/app:v1");
    let image = push_image(&scenario, "image", &["v1"]);
    let cosign = push_image(&scenario, "cosign", &[]);
    let tag = scenario.tag_companion(".sig", &image, &cosign);
    scenario.referrer("note", SIGNATURE, &cosign);
    let events = scenario.run().await;
    assert_eq!(events.copied().referrers, 2);
    let expected = [
        "put-manifest @image".to_owned(),
        "put-manifest @cosign".to_owned(),
        "put-manifest @note".to_owned(),
        "update-index @cosign".to_owned(),
        format!("put-manifest :{tag}"),
        "put-manifest :v1".to_owned(),
    ];
    assert_eq!(take_pushes(&scenario), expected);
}

#[tokio::test]
async fn a_moved_signature_tag_is_copied_again() {
    let scenario = scenario("src.example/app:v1");
    let image = push_image(&scenario, "image", &["v1"]);
    let tag = scenario.tag_companion(".sig", &image, &push_image(&scenario, "first", &[]));
    scenario.run().await;
    take_pushes(&scenario);
    assert_eq!(scenario.run().await.summary().unchanged, 1);
    assert_eq!(take_pushes(&scenario), Vec::<String>::new());
    scenario.tag_companion(".sig", &image, &push_image(&scenario, "second", &[]));
    let events = scenario.run().await;
    assert!(events.copied().root_unchanged);
    assert_eq!(take_pushes(&scenario), [format!("put-manifest :{tag}")]);
}

#[tokio::test]
async fn force_pushes_referrers_and_verify_repairs_them() {
    let (scenario, [_, signature]) = signed_image();
    scenario.run().await;
    take_pushes(&scenario);

    let forced = Settings {
        force: true,
        ..with_referrers()
    };
    scenario.run_with(forced).await;
    let expected = [
        "put-manifest @image",
        "put-manifest @signature",
        "update-index @image",
        "put-manifest :v1",
    ];
    assert_eq!(take_pushes(&scenario), expected);

    let blob = signature.view().unwrap();
    let image_syncer_registry::manifest::ManifestView::Image(blob) = blob else {
        panic!("it is an image");
    };
    let blob = blob.config.unwrap().digest;
    scenario.stores.remove_blob(&scenario.destination, &blob);
    let verifying = Settings {
        verify: true,
        ..with_referrers()
    };
    let events = scenario.run_with(verifying.clone()).await;
    assert_eq!(events.copied().referrers, 1);
    assert!(scenario.has_copied_blob(&blob));
    let events = scenario.run_with(verifying).await;
    assert_eq!(
        (events.summary().unchanged, events.summary().verified),
        (1, 1)
    );
}

//! Runs that use the records of earlier runs.

use image_syncer_registry::{Digest, ErrorKind, Tag};

use crate::inventory::Inventory;
use crate::scenario::*;
use crate::store::memory::{error, repository};

fn scenario() -> Scenario {
    Scenario::new("src.example/app", &["dst.example/app"]).with_records()
}

/// Stores an image of these layers under `src.example/PATH:TAG`. Returns its digest.
fn push_image(scenario: &Scenario, path: &str, tag: &str, layers: &[&str]) -> Digest {
    let source = format!("src.example/{path}");
    let name = format!("{path}-{tag}");
    let image = scenario.image_in(&source, &name, &[tag], layers);
    image.digest().clone()
}

/// Copies these images (`app:v1`), one after the other. Returns the calls at the destination, sorted.
async fn copy_calls(scenario: &mut Scenario, images: &[&str]) -> Vec<String> {
    let rule = |image: &&str| {
        let (path, _) = image.split_once(':').unwrap();
        let destination = format!("dst.example/{path}");
        rule(&format!("src.example/{image}"), &[&destination])
    };
    scenario.rules = images.iter().map(rule).collect();
    let events = scenario.run_with_records(one_at_a_time()).await;
    assert_eq!(events.summary().failed, 0, "{:?}", events.endings());
    let mut calls = scenario.stores.take_sorted();
    calls.retain(|call| call.contains(" dst.example/"));
    calls
}

/// Copies these images. Returns the calls at the destination for blobs, sorted.
async fn blob_calls(scenario: &mut Scenario, images: &[&str]) -> Vec<String> {
    let mut calls = copy_calls(scenario, images).await;
    calls.retain(|call| !call.contains("resolve") && !call.starts_with("put-manifest"));
    calls
}

#[tokio::test]
async fn recorded_blobs_are_looked_up_and_not_sent() {
    let mut scenario = scenario();
    scenario
        .stores
        .behave(|behaviour| behaviour.tells_present = false);
    push_image(&scenario, "app", "v1", &["base"]);
    copy_calls(&mut scenario, &["app:v1"]).await;
    push_image(&scenario, "app", "v2", &["base", "new"]);
    let expected = [
        "head-blob dst.example/app@base",
        "open-upload dst.example/app@app-v2.config",
        "open-upload dst.example/app@new",
        "send dst.example/app@app-v2.config",
        "send dst.example/app@new",
    ];
    assert_eq!(blob_calls(&mut scenario, &["app:v2"]).await, expected);
}

#[tokio::test]
async fn blobs_recorded_elsewhere_are_mounted() {
    let mut scenario = scenario();
    push_image(&scenario, "app", "v1", &["base"]);
    copy_calls(&mut scenario, &["app:v1"]).await;
    push_image(&scenario, "other", "v1", &["base"]);
    let expected = [
        "mount dst.example/other@base from dst.example/app",
        "open-upload dst.example/other@other-v1.config",
        "send dst.example/other@other-v1.config",
    ];
    assert_eq!(blob_calls(&mut scenario, &["other:v1"]).await, expected);
}

#[tokio::test]
async fn a_wiped_destination_gets_every_blob_once() {
    let mut scenario = scenario();
    let names = ["a:v1", "b:v1", "c:v1"];
    for name in ["a", "b", "c"] {
        push_image(&scenario, name, "v1", &["base"]);
    }
    copy_calls(&mut scenario, &names).await;
    for name in ["a", "b", "c"] {
        scenario
            .stores
            .remove_repository(&repository(&format!("dst.example/{name}")));
    }
    let calls = copy_calls(&mut scenario, &names).await;
    let count = |verb: &str| calls.iter().filter(|call| call.starts_with(verb)).count();
    // One mount names the recorded repository of the base. Its refusal opens the session that gets the bytes.
    assert_eq!(
        (count("send"), count("mount"), count("open-upload")),
        (4, 3, 3)
    );
    // Each of six is looked up without success, the cost of stale records, except the one that was mounted from.
    assert_eq!(count("head-blob"), 5);
    assert_eq!(copy_calls(&mut scenario, &names).await.len(), 3);
}

#[tokio::test]
async fn a_deleted_repository_is_not_mounted_from_again() {
    let mut scenario = scenario();
    push_image(&scenario, "gone", "v1", &["base"]);
    push_image(&scenario, "there", "v1", &["other"]);
    copy_calls(&mut scenario, &["gone:v1", "there:v1"]).await;
    scenario
        .stores
        .remove_repository(&repository("dst.example/gone"));
    // The registry supports mounts, so that the refusal concerns this repository.
    push_image(&scenario, "first", "v1", &["other"]);
    push_image(&scenario, "second", "v1", &["base"]);
    let calls = blob_calls(&mut scenario, &["first:v1", "second:v1"]).await;
    let mounts: Vec<_> = calls
        .iter()
        .filter(|call| call.starts_with("mount"))
        .collect();
    let expected = [
        "mount dst.example/first@other from dst.example/there",
        "mount dst.example/second@base from dst.example/gone",
    ];
    assert_eq!(mounts, expected);
    scenario
        .stores
        .remove_repository(&repository("dst.example/second"));
    push_image(&scenario, "third", "v1", &["base"]);
    let calls = blob_calls(&mut scenario, &["third:v1"]).await;
    assert!(calls.contains(&"mount dst.example/third@base from dst.example/second".to_owned()));
    assert!(
        !calls
            .iter()
            .any(|call| call.ends_with("from dst.example/gone")),
        "{calls:?}"
    );
}

#[tokio::test]
async fn a_registry_that_answers_no_lookup_is_sent_the_blobs() {
    let mut scenario = scenario();
    push_image(&scenario, "app", "v1", &["base"]);
    copy_calls(&mut scenario, &["app:v1"]).await;
    push_image(&scenario, "app", "v2", &["base"]);
    let denied = || error(ErrorKind::Denied, "dst.example");
    scenario.stores.fail("head-blob", 1, denied);
    let expected = [
        "head-blob dst.example/app@base",
        "open-upload dst.example/app@app-v2.config",
        "open-upload dst.example/app@base",
        "send dst.example/app@app-v2.config",
    ];
    assert_eq!(blob_calls(&mut scenario, &["app:v2"]).await, expected);
}

#[tokio::test]
async fn records_of_a_contradicting_registry_are_removed() {
    let mut scenario = scenario();
    push_image(&scenario, "app", "v1", &["base"]);
    copy_calls(&mut scenario, &["app:v1"]).await;
    let place = &scenario.destination;
    scenario.stores.remove_repository(place);
    scenario.stores.claim_blob(place, &digest_of("base"));
    push_image(&scenario, "app", "v2", &["base"]);
    let calls = blob_calls(&mut scenario, &["app:v2"]).await;
    assert!(
        calls.contains(&"head-blob dst.example/app@base".to_owned()),
        "{calls:?}"
    );
    assert!(
        calls.contains(&"send dst.example/app@base".to_owned()),
        "{calls:?}"
    );
}

#[tokio::test]
async fn copied_and_found_digests_are_recorded() {
    let mut scenario = scenario();
    let digest = push_image(&scenario, "app", "v1", &["base"]);
    let v1 = Tag::parse("v1").unwrap();
    copy_calls(&mut scenario, &["app:v1"]).await;
    let recorded = async |scenario: &Scenario| {
        let inventory = Inventory::with_records(scenario.open_records());
        let copies = inventory.recorded_copies(&scenario.destination).await;
        let copy = copies.find((&scenario.source, &v1), &v1, 0)?;
        Some(copy.digest.to_digest())
    };
    assert_eq!(recorded(&scenario).await, Some(digest));
    let other = push_image(&scenario, "app", "v1", &["new"]);
    scenario.fill_destination();
    assert_eq!(
        copy_calls(&mut scenario, &["app:v1"]).await,
        ["resolve-for-push dst.example/app:v1"]
    );
    assert_eq!(recorded(&scenario).await, Some(other));
}

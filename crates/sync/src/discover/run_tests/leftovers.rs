//! Referrer tags in listing rules: images of their own, and tags that are copied with their images.

use image_syncer_registry::manifest::media_type::OCI_INDEX;
use image_syncer_registry::{ErrorKind, Manifest};
use serde_json::json;

use crate::scenario::*;
use crate::store::memory::{entry, error};

const DESTINATION: &str = "dst.example/app";

/// Returns a scenario that copies referrers, one image and one transfer at a time.
fn scenario() -> Scenario {
    let settings = Settings {
        images: 1,
        transfers: Some(1),
        ..with_referrers()
    };
    Scenario::new("src.example/app", &[DESTINATION]).with_settings(settings)
}

/// Stores a signature of `image`. Returns its tag.
fn push_signature(scenario: &Scenario, name: &str, image: &Manifest) -> String {
    let signature = scenario.image(name, &[], &[name]);
    scenario.tag_companion(".sig", image, &signature)
}

fn count_pages(scenario: &Scenario) -> usize {
    scenario.count("tags src.example/app")
}

/// Returns the number of referrers that were copied with images.
fn copied_referrers(events: &RunEvents) -> u64 {
    let copies = events.copies();
    copies.iter().map(|(_, copied)| copied.referrers).sum()
}

#[tokio::test]
async fn signatures_are_copied_with_their_images_and_orphans_last() {
    let scenario = scenario();
    let image = scenario.image("one", &["v1"], &["one"]);
    push_signature(&scenario, "signature", &image);
    let stray = companion_tag(&digest_of("gone"), ".sig");
    scenario.image("stray", &[&stray], &["stray"]);
    let events = scenario.run().await;
    let expected = [
        format!("src.example/app:{stray} -> {DESTINATION}:{stray}: copied"),
        format!("src.example/app:v1 -> {DESTINATION}:v1: copied"),
    ];
    assert_eq!(events.endings(), expected);
    let summary = events.summary();
    assert_eq!((summary.discovered, summary.copied), (2, 2));
    assert_eq!(count_pages(&scenario), 2);
    let calls = scenario.stores.calls();
    let position = |tag: &str| {
        let call = format!("put-manifest {DESTINATION}:{tag}");
        calls.iter().position(|made| *made == call).unwrap()
    };
    assert!(position(&companion_tag(image.digest(), ".sig")) < position("v1"));
    assert!(position("v1") < position(&stray));
    // The second run copies nothing, and reads no further list.
    scenario.stores.take_sorted();
    let again = scenario.run().await.summary();
    assert_eq!((again.discovered, again.unchanged), (2, 2));
    assert_eq!(
        (count_pages(&scenario), scenario.count("put-manifest")),
        (2, 0)
    );
}

#[tokio::test]
async fn more_images_than_the_queue_holds_wait_for_a_long_list() {
    let scenario = scenario().with_page(3);
    let mut images = Vec::new();
    for number in 0..60 {
        let name = format!("image-{number}");
        // Tags before and after the signatures in the list.
        let tag = format!("{}{number:02}", if number % 2 == 0 { "a" } else { "z" });
        images.push(scenario.image(&name, &[&tag], &[&name]));
    }
    for (number, image) in images.iter().enumerate() {
        push_signature(&scenario, &format!("signature-{number}"), image);
    }
    let events = scenario.run().await;
    let summary = events.summary();
    assert_eq!((summary.discovered, summary.copied), (60, 60));
    assert_eq!(copied_referrers(&events), 60);
    assert_eq!(count_pages(&scenario), 41);
}

#[tokio::test]
async fn a_list_that_fails_half_way_keeps_the_tags_before_the_failure() {
    let scenario = scenario().with_page(2);
    let image = scenario.image("one", &["a1"], &["one"]);
    push_signature(&scenario, "signature", &image);
    scenario.image("two", &["z2"], &["two"]);
    let no = || error(ErrorKind::Server, "src.example");
    scenario.stores.fail_after("tags src", 1, no);
    let events = scenario.run().await;
    let expected = [format!("src.example/app:a1 -> {DESTINATION}:a1: copied")];
    assert_eq!(events.endings(), expected);
    let summary = events.summary();
    assert_eq!((summary.failed_rules, copied_referrers(&events)), (1, 1));
    assert_eq!(count_pages(&scenario), 2);
}

#[tokio::test]
async fn rules_of_one_repository_share_its_list_and_its_signatures() {
    let mut scenario = scenario();
    let image = scenario.image("one", &["v1"], &["one"]);
    let signature = push_signature(&scenario, "signature", &image);
    scenario.rules = [
        "src.example/app:v1",
        "src.example/app:/sig$/",
        "src.example/app",
    ]
    .map(|source| rule(source, &[DESTINATION]))
    .to_vec();
    let events = scenario.run().await;
    assert_eq!(
        events.endings(),
        [format!("src.example/app:v1 -> {DESTINATION}:v1: copied")]
    );
    let summary = events.summary();
    assert_eq!(
        (
            summary.discovered,
            summary.copied,
            copied_referrers(&events)
        ),
        (1, 1, 1)
    );
    assert_eq!(count_pages(&scenario), 2);
    assert!(scenario.copied_digest(&signature).is_some());
}

/// Stores a list of the referrers of `subject` under its fallback tag. Returns the tag.
fn push_fallback_list(scenario: &Scenario, subject: &Manifest, referrers: &[&Manifest]) -> String {
    let entries: Vec<_> = referrers.iter().map(|one| entry(one, None)).collect();
    let document = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries});
    let list = scenario.document("list", &[], OCI_INDEX, &document);
    scenario.tag_companion("", subject, &list)
}

#[tokio::test]
async fn an_orphan_list_is_copied_as_its_referrers() {
    let mut scenario = scenario();
    let subject = scenario.image("subject", &["v1"], &["subject"]);
    let referrer = scenario.referrer("referrer", "application/vnd.example", &subject);
    let tag = push_fallback_list(&scenario, &subject, &[&referrer]);
    scenario.rules = vec![rule("src.example/app:/^sha256-/", &[DESTINATION])];
    let events = scenario.run().await;
    let expected = format!("src.example/app:{tag} -> {DESTINATION}:{tag}: copied");
    assert_eq!(events.endings(), [expected]);
    assert!(
        scenario
            .stores
            .holds_manifest(&scenario.destination, referrer.digest())
    );
    assert_eq!(scenario.copied_digest(&tag), None);
    assert_eq!(
        scenario.count(&format!("update-index {DESTINATION}@subject")),
        1
    );
}

#[tokio::test]
async fn an_image_under_a_tag_of_its_own_digest_is_an_image() {
    let scenario = scenario();
    let image = scenario.image("one", &["v1"], &["one"]);
    let tag = companion_tag(image.digest(), "");
    scenario.tag(&tag, &image);
    // The client's error for an image in place of a list.
    let garbled = || error(ErrorKind::Protocol, "src.example");
    scenario.stores.fail("referrers src", 1, garbled);
    let events = scenario.run().await;
    let summary = events.summary();
    assert_eq!((summary.copied, summary.failed), (2, 0));
    for tag in ["v1", &tag] {
        let there = scenario.copied_digest(tag);
        assert_eq!(there.as_ref(), Some(image.digest()));
    }
}

#[tokio::test]
async fn an_unreadable_list_fails_the_image() {
    let scenario = scenario();
    let image = scenario.image("one", &["v1"], &["one"]);
    push_fallback_list(&scenario, &image, &[]);
    let garbled = || error(ErrorKind::Protocol, "src.example");
    scenario.stores.fail("referrers src", 9, garbled);
    let summary = scenario.run().await.summary();
    assert_eq!((summary.copied, summary.failed), (0, 1));
}

#[tokio::test]
async fn rules_that_wait_for_others_do_not_block_them() {
    let mut scenario = scenario();
    let image = scenario.image("one", &["v1"], &["one"]);
    push_signature(&scenario, "signature", &image);
    // More rules than are searched at a time, before the one whose image they wait for.
    scenario.rules = vec![rule("src.example/app:/sig$/", &[DESTINATION]); crate::engine::RULES + 2];
    scenario
        .rules
        .push(rule("src.example/app:v1", &[DESTINATION]));
    let events = scenario.run().await;
    let summary = events.summary();
    assert_eq!((summary.discovered, summary.copied), (1, 1));
    assert_eq!((copied_referrers(&events), count_pages(&scenario)), (1, 2));
}

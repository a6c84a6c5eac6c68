//! Referrer tags in listing rules: images of their own, and tags that are copied with their images.

use image_syncer_registry::{Digest, ErrorKind, Manifest, Tag};
use serde_json::json;

use crate::scenario::*;
use crate::store::memory::{entry, error, repository};

const DESTINATION: &str = "dst.example/app";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn scenario() -> Scenario {
    Scenario {
        settings: settings(),
        ..Scenario::new("src.example/app", &[DESTINATION])
    }
}

/// One image and one transfer at a time.
fn settings() -> Settings {
    Settings {
        referrers: Some(Arc::default()),
        images: 1,
        transfers: Some(1),
        ..crate::scenario::settings()
    }
}

fn tag_for(digest: &Digest, suffix: &str) -> String {
    format!("{}{suffix}", Tag::of_referrers_to(digest))
}

fn push_image(scenario: &Scenario, name: &str, tag: &str) -> Manifest {
    let image = scenario
        .stores
        .image(&scenario.source, name, "linux/amd64", &[name]);
    scenario.stores.tag(&scenario.source, tag, &image);
    image
}

fn count_pages(scenario: &Scenario) -> usize {
    scenario.stores.count("tags src.example/app")
}

/// Number of referrers that were copied with images.
fn came_along(heard: &Heard) -> u64 {
    let events = lock(&heard.events);
    let copied = events.iter().filter_map(|event| match event {
        Event::ImageFinished {
            outcome: Outcome::Copied(copied),
            ..
        } => Some(copied.referrers),
        _ => None,
    });
    copied.sum()
}

#[tokio::test]
async fn signatures_are_copied_with_their_images_and_orphans_last() {
    let scenario = scenario();
    let image = push_image(&scenario, "one", "v1");
    push_image(&scenario, "signature", &tag_for(image.digest(), ".sig"));
    let stray = tag_for(&Digest::sha256(b"gone"), ".sig");
    push_image(&scenario, "stray", &stray);
    let heard = scenario.run().await;
    let expected = [
        format!("src.example/app:{stray} -> {DESTINATION}:{stray}: copied"),
        format!("src.example/app:v1 -> {DESTINATION}:v1: copied"),
    ];
    assert_eq!(heard.endings(), expected);
    let summary = heard.summary();
    assert_eq!((summary.discovered, summary.copied), (2, 2));
    assert_eq!(count_pages(&scenario), 2);
    let calls = scenario.stores.calls();
    let position = |tag: &str| {
        let call = format!("put-manifest {DESTINATION}:{tag}");
        calls.iter().position(|made| *made == call).unwrap()
    };
    assert!(position(&tag_for(image.digest(), ".sig")) < position("v1"));
    assert!(position("v1") < position(&stray));
    // The second run copies nothing, and reads no further list.
    scenario.stores.take_sorted();
    let again = scenario.run().await.summary();
    assert_eq!((again.discovered, again.unchanged), (2, 2));
    assert_eq!(
        (
            count_pages(&scenario),
            scenario.stores.count("put-manifest")
        ),
        (2, 0)
    );
}

#[tokio::test]
async fn more_images_than_the_queue_holds_wait_for_a_long_list() {
    let scenario = scenario();
    scenario.stores.behave(|behaviour| behaviour.page = 3);
    let mut images = Vec::new();
    for number in 0..60 {
        let name = format!("image-{number}");
        // Tags before and after the signatures in the list.
        let tag = format!("{}{number:02}", if number % 2 == 0 { "a" } else { "z" });
        images.push(push_image(&scenario, &name, &tag));
    }
    for (number, image) in images.iter().enumerate() {
        push_image(
            &scenario,
            &format!("signature-{number}"),
            &tag_for(image.digest(), ".sig"),
        );
    }
    let heard = scenario.run().await;
    let summary = heard.summary();
    assert_eq!((summary.discovered, summary.copied), (60, 60));
    assert_eq!(came_along(&heard), 60);
    assert_eq!(count_pages(&scenario), 41);
}

#[tokio::test]
async fn a_list_that_fails_half_way_keeps_the_tags_before_the_failure() {
    let scenario = scenario();
    scenario.stores.behave(|behaviour| behaviour.page = 2);
    let image = push_image(&scenario, "one", "a1");
    push_image(&scenario, "signature", &tag_for(image.digest(), ".sig"));
    push_image(&scenario, "two", "z2");
    let no = || error(ErrorKind::Server, "src.example");
    scenario.stores.fail_after("tags src", 1, no);
    let heard = scenario.run().await;
    let expected = [format!("src.example/app:a1 -> {DESTINATION}:a1: copied")];
    assert_eq!(heard.endings(), expected);
    let summary = heard.summary();
    assert_eq!((summary.failed_rules, came_along(&heard)), (1, 1));
    assert_eq!(count_pages(&scenario), 2);
}

#[tokio::test]
async fn rules_of_one_repository_share_its_list_and_its_signatures() {
    let mut scenario = scenario();
    let image = push_image(&scenario, "one", "v1");
    let signature = tag_for(image.digest(), ".sig");
    push_image(&scenario, "signature", &signature);
    scenario.rules = [
        "src.example/app:v1",
        "src.example/app:/sig$/",
        "src.example/app",
    ]
    .map(|source| rule(source, &[DESTINATION]))
    .to_vec();
    let heard = scenario.run().await;
    assert_eq!(
        heard.endings(),
        [format!("src.example/app:v1 -> {DESTINATION}:v1: copied")]
    );
    let summary = heard.summary();
    assert_eq!(
        (summary.discovered, summary.copied, came_along(&heard)),
        (1, 1, 1)
    );
    assert_eq!(count_pages(&scenario), 2);
    let destination = repository(DESTINATION);
    assert!(scenario.stores.tagged(&destination, &signature).is_some());
}

/// List of the referrers of `subject`, under its fallback tag.
fn list_of(scenario: &Scenario, subject: &Manifest, referrers: &[&Manifest]) -> String {
    let entries: Vec<_> = referrers.iter().map(|one| entry(one, None)).collect();
    let document = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
    let list = scenario
        .stores
        .document(&scenario.source, "list", INDEX, &document);
    let tag = tag_for(subject.digest(), "");
    scenario.stores.tag(&scenario.source, &tag, &list);
    tag
}

#[tokio::test]
async fn an_orphan_list_is_copied_as_its_referrers() {
    let mut scenario = scenario();
    let subject = push_image(&scenario, "subject", "v1");
    let blob = scenario
        .stores
        .blob(&scenario.source, "blob", "{}".to_owned());
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let document = json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "artifactType": "application/vnd.example",
        "config": crate::store::memory::blob_json("application/vnd.oci.empty.v1+json", &blob),
        "layers": [],
        "subject": entry(&subject, None),
    });
    let referrer = scenario
        .stores
        .document(&scenario.source, "referrer", media_type, &document);
    let tag = list_of(&scenario, &subject, &[&referrer]);
    scenario.rules = vec![rule("src.example/app:/^sha256-/", &[DESTINATION])];
    let heard = scenario.run().await;
    let expected = format!("src.example/app:{tag} -> {DESTINATION}:{tag}: copied");
    assert_eq!(heard.endings(), [expected]);
    let destination = repository(DESTINATION);
    assert!(
        scenario
            .stores
            .holds_manifest(&destination, referrer.digest())
    );
    assert_eq!(scenario.stores.tagged(&destination, &tag), None);
    assert_eq!(
        scenario
            .stores
            .count(&format!("attach {DESTINATION}@subject")),
        1
    );
}

#[tokio::test]
async fn an_image_under_a_tag_of_its_own_digest_is_an_image() {
    let scenario = scenario();
    let image = push_image(&scenario, "one", "v1");
    let tag = tag_for(image.digest(), "");
    scenario.stores.tag(&scenario.source, &tag, &image);
    // The client's error for an image in place of a list.
    let garbled = || error(ErrorKind::Protocol, "src.example");
    scenario.stores.fail("referrers src", 1, garbled);
    let heard = scenario.run().await;
    let summary = heard.summary();
    assert_eq!((summary.copied, summary.failed), (2, 0));
    let destination = repository(DESTINATION);
    for tag in ["v1", &tag] {
        let there = scenario.stores.tagged(&destination, tag);
        assert_eq!(there.as_ref(), Some(image.digest()));
    }
}

#[tokio::test]
async fn an_unreadable_list_fails_the_image() {
    let scenario = scenario();
    let image = push_image(&scenario, "one", "v1");
    list_of(&scenario, &image, &[]);
    let garbled = || error(ErrorKind::Protocol, "src.example");
    scenario.stores.fail("referrers src", 9, garbled);
    let summary = scenario.run().await.summary();
    assert_eq!((summary.copied, summary.failed), (0, 1));
}

#[tokio::test]
async fn rules_that_wait_for_others_do_not_block_them() {
    let mut scenario = scenario();
    let image = push_image(&scenario, "one", "v1");
    push_image(&scenario, "signature", &tag_for(image.digest(), ".sig"));
    // More rules than are searched at a time, before the one whose image they wait for.
    scenario.rules = vec![rule("src.example/app:/sig$/", &[DESTINATION]); crate::engine::RULES + 2];
    scenario
        .rules
        .push(rule("src.example/app:v1", &[DESTINATION]));
    let heard = scenario.run().await;
    let summary = heard.summary();
    assert_eq!((summary.discovered, summary.copied), (1, 1));
    assert_eq!((came_along(&heard), count_pages(&scenario)), (1, 2));
}

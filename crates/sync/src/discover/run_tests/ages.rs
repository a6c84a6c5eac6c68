//! Ages of tags whose list has no times.

use std::time::{Duration, SystemTime};

use image_syncer_registry::manifest::media_type::OCI_MANIFEST;
use image_syncer_registry::{ErrorKind, Manifest};
use serde_json::json;

use crate::discover::run_tests::policies::{days, newest, patterns, policy_rule, scenario_of};
use crate::rule::TagPolicy;
use crate::rule::tag_policy::{AgeSource, NewestBy};
use crate::scenario::*;
use crate::store::memory::{entry, error};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Policy with a minimum age of three days.
fn quarantine(by: AgeSource) -> TagPolicy {
    TagPolicy {
        older_than: days(3, by),
        ..TagPolicy::default()
    }
}

/// Stores an image at the source that was created that many days ago; `None`: in 1970.
fn created(scenario: &Scenario, name: &str, tags: &[&str], age: Option<u32>) -> Manifest {
    let created = age.map_or(SystemTime::UNIX_EPOCH, |age| SystemTime::now() - DAY * age);
    let created = jiff::Timestamp::try_from(created).unwrap().to_string();
    let config = json!({ "created": created, "os": "linux", "architecture": "amd64", "of": name });
    let media_type = "application/vnd.oci.image.config.v1+json";
    let config = scenario.stores.blob(
        &scenario.source,
        &format!("{name}.config"),
        config.to_string(),
    );
    let document = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": { "mediaType": media_type, "digest": config.digest, "size": config.size },
        "layers": [],
    });
    let image = scenario.document(name, tags, OCI_MANIFEST, &document);
    assert_eq!(image.media_type(), OCI_MANIFEST);
    image
}

#[tokio::test]
async fn without_times_and_records_a_quarantine_fails_the_rule() {
    for (by, why) in [
        (
            AgeSource::Auto,
            "the registry lists no push times, and nothing is recorded about it. Keep records (--records FILE), so that ages \
             count from the first run that sees a tag, or write by: created in the tags of the rule.",
        ),
        (
            AgeSource::Pushed,
            "the registry lists no push times. Write by: first-seen or by: created in the tags of the rule.",
        ),
        (
            AgeSource::FirstSeen,
            "nothing is recorded about it. Keep records (--records FILE), or write by: created in the tags of the rule.",
        ),
    ] {
        let scenario = scenario_of(quarantine(by), &["v1"]);
        let events = scenario.run().await;
        assert_eq!(
            events.rule_events(),
            [format!("failed, the age of tag v1 is unknown: {why}")]
        );
        assert_eq!(events.endings(), Vec::<String>::new());
        assert_eq!(events.summary().exit_code(), 1);
    }
}

#[tokio::test]
async fn a_digest_is_in_quarantine_from_the_run_that_first_sees_it() {
    let policy = TagPolicy {
        older_than: days(3, AgeSource::Auto),
        ..TagPolicy::default()
    };
    let scenario = scenario_of(policy, &["v1", "v2"]).with_records();
    let skipped = |endings: &[String]| {
        let quarantined = |line: &&String| line.contains(": skipped, in quarantine until ");
        endings.iter().filter(quarantined).count()
    };
    // A dry run reports the same and records nothing.
    let events = scenario.run_with_records(with_intent(Intent::Plan)).await;
    assert_eq!(skipped(&events.endings()), 2);
    let events = scenario.run_with_records(settings()).await;
    assert_eq!(skipped(&events.endings()), 2);
    // One HEAD for each digest, and no config.
    assert_eq!(
        scenario
            .calls_with(&["resolve src", "manifest", "read-blob"])
            .len(),
        2
    );
    age_records(&scenario, 4);
    let moved = scenario.image("moved", &["v2"], &[]);
    let events = scenario.run_with_records(settings()).await;
    let endings = events.endings();
    assert!(endings.contains(&"src.example/app:v1 -> dst.example/app:v1: copied".to_owned()));
    assert_eq!(skipped(&endings), 1, "{endings:?}");
    // Each tag is resolved once: the copy is of the digest whose age is known.
    assert_eq!(scenario.calls_with(&["resolve src"]).len(), 2);
    assert_ne!(scenario.copied_digest("v2").as_ref(), Some(moved.digest()));
    age_records(&scenario, 4);
    let events = scenario.run_with_records(settings()).await;
    assert_eq!(skipped(&events.endings()), 0);
    assert_eq!(scenario.copied_digest("v2").as_ref(), Some(moved.digest()));
}

/// Makes all recorded times earlier.
fn age_records(scenario: &Scenario, days: u32) {
    let file = rusqlite::Connection::open(scenario.records_path()).unwrap();
    let seconds = i64::from(days) * 24 * 60 * 60;
    let changed = file.execute("UPDATE seen SET first = first - ?1", (seconds,));
    assert!(changed.unwrap() > 0);
}

#[tokio::test]
async fn a_tag_that_moves_after_the_check_of_its_age_is_copied_as_it_was() {
    let scenario = scenario_of(quarantine(AgeSource::Pushed), &["v1"]);
    let checked = scenario.stores.tagged(&scenario.source, "v1").unwrap();
    scenario.stores.list_digests("src.example");
    let pushed = SystemTime::now() - DAY * 30;
    scenario.stores.list_time("src.example/app", "v1", pushed);
    // The list is as it was before the tag moved.
    scenario.image("moved", &["v1"], &[]);
    let stores = &scenario.stores;
    stores.list_digest("src.example/app", "v1", Some(&checked));
    let events = scenario.run().await;
    assert_eq!(
        events.endings(),
        ["src.example/app:v1 -> dst.example/app:v1: copied"]
    );
    assert_eq!(scenario.copied_digest("v1"), Some(checked));
}

#[tokio::test]
async fn a_listed_time_needs_neither_records_nor_requests() {
    let scenario = scenario_of(quarantine(AgeSource::Auto), &["v1"]).with_records();
    scenario.stores.list_digests("src.example");
    let pushed = SystemTime::now() - DAY * 30;
    scenario.stores.list_time("src.example/app", "v1", pushed);
    let events = scenario.run_with_records(with_intent(Intent::Check)).await;
    assert_eq!(
        events.endings(),
        ["src.example/app:v1 -> dst.example/app:v1: planned, New"]
    );
    assert_eq!(scenario.calls_with(&["resolve src"]).len(), 0);
}

#[tokio::test]
async fn the_creation_time_is_used_if_the_policy_says_so() {
    let scenario = scenario_of(quarantine(AgeSource::Created), &[]).with_records();
    created(&scenario, "old", &["old", "old-too"], Some(10));
    created(&scenario, "new", &["new"], Some(1));
    created(&scenario, "epoch", &["epoch"], None);
    let events = scenario.run().await;
    let endings = events.endings();
    let named = |tag: &str| {
        let mut lines = endings.iter();
        lines
            .find(|line| line.starts_with(&format!("src.example/app:{tag} ")))
            .cloned()
            .unwrap()
    };
    for tag in ["old", "old-too"] {
        assert!(named(tag).ends_with(": copied"), "{endings:?}");
    }
    assert!(named("new").contains(": skipped, in quarantine until "));
    assert!(
        named("epoch").ends_with(
            ": skipped, in quarantine: its age is unknown, since its config has no creation time"
        ),
        "{endings:?}"
    );
    // A config is read once for each digest.
    assert_eq!(
        scenario
            .calls_with(&["read-blob src.example/app@old.config"])
            .len(),
        1
    );
}

#[tokio::test]
async fn one_image_stands_for_an_index() {
    let policy = TagPolicy {
        newest: newest(1, NewestBy::Created),
        ..TagPolicy::default()
    };
    let scenario = scenario_of(policy, &[]);
    let images = [("arm64", 1), ("amd64", 20)].map(|(arch, age)| {
        let image = created(&scenario, arch, &[], Some(age));
        entry(&image, Some(&format!("linux/{arch}")))
    });
    scenario.index_of_entries("index", &["multi"], &images);
    created(&scenario, "single", &["single"], Some(10));
    let events = scenario.run().await;
    assert_eq!(
        events.endings(),
        ["src.example/app:single -> dst.example/app:single: copied"]
    );
}

#[tokio::test]
async fn a_maximum_age_counts_from_the_earlier_of_creation_and_first_sight() {
    let policy = TagPolicy {
        newer_than: days(5, AgeSource::Auto),
        ..TagPolicy::default()
    };
    let scenario = scenario_of(policy, &[]).with_records();
    created(&scenario, "new", &["new"], Some(1));
    created(&scenario, "old", &["old"], Some(10));
    let events = scenario.run_with_records(settings()).await;
    assert_eq!(
        events.endings(),
        ["src.example/app:new -> dst.example/app:new: copied"]
    );
    assert_eq!(
        events.rule_events()[0],
        "selected, 2 tags; 1 older than 5 d"
    );
    age_records(&scenario, 6);
    let events = scenario.run_with_records(settings()).await;
    assert_eq!(
        events.rule_events()[0],
        "selected, 2 tags; 2 older than 5 d"
    );
    // Both were seen too long ago, whenever they were created.
    assert_eq!(scenario.calls_with(&["read-blob"]).len(), 0);
}

#[tokio::test]
async fn the_newest_versions_are_looked_up_first_and_no_others() {
    let policy = TagPolicy {
        older_than: days(3, AgeSource::Created),
        newest: newest(2, NewestBy::Version),
        ..TagPolicy::default()
    };
    let scenario = scenario_of(policy, &[]);
    for (tag, age) in [
        ("1.0", 40),
        ("1.1", 30),
        ("1.2", 20),
        ("1.3", 10),
        ("1.4", 1),
    ] {
        created(&scenario, tag, &[tag], Some(age));
    }
    let events = scenario.run().await;
    let endings = events.endings();
    assert_eq!(endings.len(), 3, "{endings:?}");
    let mut configs = scenario.calls_with(&["read-blob"]);
    configs.sort();
    let expected =
        ["1.2", "1.3", "1.4"].map(|tag| format!("read-blob src.example/app@{tag}.config"));
    assert_eq!(configs, expected);
}

#[tokio::test]
async fn a_listed_tag_without_a_manifest_is_ignored_with_a_warning() {
    let scenario = scenario_of(quarantine(AgeSource::Created), &["gone"]);
    created(&scenario, "old", &["old"], Some(10));
    let missing = || error(ErrorKind::NotFound, "src.example");
    scenario
        .stores
        .fail("resolve src.example/app:gone", 1, missing);
    let events = scenario.run().await;
    assert_eq!(
        events.endings(),
        ["src.example/app:old -> dst.example/app:old: copied"]
    );
    assert!(events.rule_events().contains(
        &"warning, src.example/app:gone is listed but does not exist, so that the tag policy ignores it. Delete the tag, or \
          exclude it."
            .to_owned()
    ));
}

#[tokio::test]
async fn a_failed_lookup_fails_the_rule() {
    let policy = TagPolicy {
        include: patterns(&["v*"]),
        ..quarantine(AgeSource::Created)
    };
    let rules = vec![policy_rule(policy, &["dst.example/app"])];
    let scenario = scenario_of(TagPolicy::default(), &["v1"]).with_rules(rules);
    let failing = || error(ErrorKind::Server, "src.example");
    scenario
        .stores
        .fail("resolve src.example/app:v1", 1, failing);
    let events = scenario.run().await;
    assert_eq!(events.endings(), Vec::<String>::new());
    assert!(events.rule_events()[0].starts_with("failed, "));
}

#[tokio::test]
async fn an_unknown_registry_is_probed_for_push_times() {
    let scenario = scenario_of(quarantine(AgeSource::Auto), &["v1"]);
    scenario.stores.list_digests("src.example");
    scenario.stores.list_digests_after_probe("src.example");
    let pushed = SystemTime::now() - DAY * 30;
    scenario.stores.list_time("src.example/app", "v1", pushed);
    let events = scenario.run().await;
    assert_eq!(
        events.endings(),
        ["src.example/app:v1 -> dst.example/app:v1: copied"]
    );
    assert_eq!(scenario.count("probe src.example"), 1);
}

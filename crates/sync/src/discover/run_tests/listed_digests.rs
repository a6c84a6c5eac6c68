//! Requests that digests in lists of tags save.

use image_syncer_registry::{Digest, ErrorKind};

use std::time::{Duration, SystemTime};

use crate::discover::run_tests::policies::{days, scenario_of};
use crate::rule::tag_policy::AgeSource;
use crate::rule::{ConflictAction, Immutable, TagPolicy};
use crate::scenario::*;
use crate::settings::Listing;
use crate::store::memory::error;

/// Ends of a copy whose registries list digests.
const BOTH: &[&str] = &["src.example", "dst.example"];

fn off() -> Settings {
    Settings {
        listing: Listing::Off,
        ..settings()
    }
}

/// Returns a scenario with `src.example/app0` and on, each with the images `v000` and on and an equal destination.
fn unchanged(repositories: usize, tags: usize, listing: &[&str]) -> Scenario {
    let mut scenario = Scenario::new("src.example/app", &["dst.example/app"]);
    let tags: Vec<String> = (0..tags).map(|number| format!("v{number:03}")).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    scenario.rules = (0..repositories)
        .map(|number| {
            let (from, to) = (
                format!("src.example/app{number}"),
                format!("dst.example/app{number}"),
            );
            let image = scenario.image_in(&from, "image", &tags, &["layer"]);
            for tag in &tags {
                scenario.image_in(&to, "image", &[tag], &["layer"]);
            }
            assert!(image.size() > 0);
            rule(&from, &[&to])
        })
        .collect();
    for registry in listing {
        scenario.stores.list_digests(registry);
    }
    scenario
}

/// Returns a scenario with the images `v1` to `v3`, each of its own, at both ends.
fn three_images(source: &str) -> Scenario {
    let scenario = Scenario::new(source, &["dst.example/app"]);
    scenario.image_for_each_tag("app", &["v1", "v2", "v3"]);
    scenario.fill_destination();
    for registry in BOTH {
        scenario.stores.list_digests(registry);
    }
    scenario
}

/// Returns the number of requests that resolve tags, at the source and at the destination.
fn heads(scenario: &Scenario) -> (usize, usize) {
    (
        scenario.count("resolve src"),
        scenario.count("resolve-for-push dst"),
    )
}

#[tokio::test]
async fn a_thousand_unchanged_tags_cost_a_list_of_each_end() {
    for (listing, lists, requests) in [
        (BOTH, (50, 50), 100),
        // A page of names and the empty last one.
        (&BOTH[..1], (50, 0), 50 + 100 + 1_000),
        (&BOTH[1..], (0, 50), 100 + 50 + 1_000),
        (&[], (0, 0), 200 + 2_000),
    ] {
        let scenario = unchanged(50, 20, listing);
        let events = scenario.run().await;
        assert_eq!(events.summary().unchanged, 1_000, "{listing:?}");
        let digests = (scenario.count("digests src"), scenario.count("digests dst"));
        assert_eq!(digests, lists, "{listing:?}");
        assert_eq!(scenario.stores.calls().len(), requests, "{listing:?}");
    }
}

#[tokio::test]
async fn a_long_list_costs_a_request_for_each_hundred_tags() {
    let scenario = unchanged(1, 250, BOTH);
    let events = scenario.run().await;
    assert_eq!(events.summary().unchanged, 250);
    let digests = scenario.calls_with(&["digests"]);
    assert_eq!(digests.len(), scenario.stores.calls().len());
    assert_eq!(
        (scenario.count("digests src"), scenario.count("digests dst")),
        (3, 3)
    );
}

#[tokio::test]
async fn a_list_costs_no_more_pages_than_the_wanted_tags_justify() {
    // Ten of 5,000 tags at both ends: named, and the last ones.
    let scenario = unchanged(1, 5_000, BOTH);
    let names: Vec<String> = (4_990..5_000).map(|number| format!("v{number}")).collect();
    let source = format!("src.example/app0:{}", names.join(","));
    let rules = [rule(&source, &["dst.example/app0"])];
    let events = scenario.run_rules(settings(), &rules).await;
    assert_eq!(events.summary().unchanged, 10);
    assert_eq!(
        (scenario.count("digests src"), scenario.count("digests dst")),
        (10_usize.div_ceil(8), 10_usize.div_ceil(4))
    );
    assert_eq!(heads(&scenario), (10, 10));
    // And the first ones.
    let scenario = unchanged(1, 5_000, BOTH);
    let names: Vec<String> = (0..10).map(|number| format!("v{number:03}")).collect();
    let source = format!("src.example/app0:{}", names.join(","));
    let rules = [rule(&source, &["dst.example/app0"])];
    scenario.run_rules(settings(), &rules).await;
    assert_eq!(heads(&scenario), (0, 0));
}

#[tokio::test]
async fn few_named_tags_are_queried_one_by_one() {
    for (tags, source, destination, expected) in [
        ("v000,v001", 0, 0, (2, 2)),
        ("v000,v001,v002", 0, 1, (3, 0)),
        ("v000,v001,v002,v003,v004,v005,v006,v007", 1, 1, (0, 0)),
    ] {
        let scenario = unchanged(1, 20, BOTH);
        let from = format!("src.example/app0:{tags}");
        let rules = [rule(&from, &["dst.example/app0"])];
        scenario.run_rules(settings(), &rules).await;
        assert_eq!(
            (scenario.count("digests src"), scenario.count("digests dst")),
            (source, destination),
            "{tags}"
        );
        assert_eq!(heads(&scenario), expected, "{tags}");
    }
}

#[tokio::test]
async fn a_changed_and_a_new_tag_are_copied_as_without_lists() {
    let scenario = three_images("src.example/app");
    scenario.image_in("src.example/app", "moved", &["v2"], &["moved"]);
    scenario.image_for_each_tag("app", &["v4"]);
    let events = scenario.run().await;
    let summary = events.summary();
    assert_eq!((summary.copied, summary.unchanged), (2, 2));
    assert_eq!(scenario.copied_name("v2").as_deref(), Some("moved"));
    assert_eq!(scenario.copied_name("v4").as_deref(), Some("app-v4"));
    assert_eq!(
        scenario.calls_with(&["resolve", "manifest src.example/app:"]),
        [
            "resolve src.example/app:v2",
            "resolve-for-push dst.example/app:v2",
            "manifest src.example/app:v4"
        ]
    );
}

#[tokio::test]
async fn a_wrong_digest_in_a_list_of_the_source_copies_nothing_wrong() {
    // The list shows an older image, or one that never existed.
    for listed in ["old", "never"] {
        let scenario = three_images("src.example/app");
        let old = scenario.image_in("src.example/app", "old", &[], &["old"]);
        let digest = match listed {
            "old" => old.digest().clone(),
            _ => Digest::sha256(b"never"),
        };
        scenario
            .stores
            .list_digest("src.example/app", "v2", Some(&digest));
        let events = scenario.run().await;
        assert_eq!(events.summary().unchanged, 3, "{listed}");
        assert_eq!(heads(&scenario), (1, 1), "{listed}");
        // The tag was moved at the source, and is copied as it is now.
        let scenario = three_images("src.example/app");
        scenario.image_in("src.example/app", "new", &["v2"], &["new"]);
        scenario
            .stores
            .list_digest("src.example/app", "v2", Some(&digest));
        let events = scenario.run().await;
        let summary = events.summary();
        assert_eq!((summary.copied, summary.unchanged), (1, 2), "{listed}");
        assert_eq!(scenario.copied_name("v2").as_deref(), Some("new"));
    }
}

#[tokio::test]
async fn a_tag_without_a_digest_is_compared_by_requests() {
    let scenario = three_images("src.example/app");
    scenario.stores.list_digest("src.example/app", "v1", None);
    scenario.stores.list_digest("dst.example/app", "v2", None);
    for name in ["src.example/app", "dst.example/app"] {
        scenario.stores.list_digest(name, "v3", None);
    }
    let events = scenario.run().await;
    assert_eq!(events.summary().unchanged, 3);
    let mut resolved = scenario.calls_with(&["resolve"]);
    resolved.sort();
    assert_eq!(
        resolved,
        [
            "resolve src.example/app:v1",
            "resolve src.example/app:v3",
            "resolve-for-push dst.example/app:v2",
            "resolve-for-push dst.example/app:v3",
        ]
    );
}

#[tokio::test]
async fn without_use_for_digests_the_requests_are_those_without_lists() {
    let verify = verifying();
    let filter = only("amd64");
    for settings in [off(), forced(), verify, filter] {
        let calls = async |scenario: Scenario| {
            let events = scenario.run_with(settings.clone()).await;
            (events.endings(), scenario.stores.take_sorted())
        };
        let with_lists = calls(three_images("src.example/app")).await;
        let without = Scenario::new("src.example/app", &["dst.example/app"]);
        without.image_for_each_tag("app", &["v1", "v2", "v3"]);
        without.fill_destination();
        assert_eq!(with_lists, calls(without).await);
    }
}

#[tokio::test]
async fn a_list_that_fails_changes_no_outcome() {
    for (prefix, after) in [
        ("digests src", 0),
        ("digests dst", 0),
        ("digests", 0),
        ("digests src", 1),
        ("digests dst", 1),
    ] {
        let scenario = three_images("src.example/app").with_page(2);
        scenario.image_in("src.example/app", "moved", &["v2"], &["moved"]);
        let failing = || error(ErrorKind::Denied, "a.example");
        scenario.stores.fail_after(prefix, after, failing);
        let events = scenario.run().await;
        let plain = three_images("src.example/app").with_page(2);
        plain.image_in("src.example/app", "moved", &["v2"], &["moved"]);
        let expected = plain.run_with(off()).await;
        assert_eq!(events.endings(), expected.endings(), "{prefix} {after}");
        assert_eq!(scenario.copied_name("v2").as_deref(), Some("moved"));
    }
}

#[tokio::test]
async fn after_a_failure_the_registry_is_not_asked_for_digests_again() {
    let scenario = unchanged(10, 3, BOTH);
    let failing = || error(ErrorKind::Denied, "a.example");
    scenario.stores.fail("digests src", usize::MAX, failing);
    let events = scenario
        .run_with(Settings {
            images: 1,
            ..settings()
        })
        .await;
    assert_eq!(events.summary().unchanged, 30);
    // The lists of eight rules start together.
    assert!(scenario.count("digests src") <= 8);
    assert_eq!(heads(&scenario), (30, 0));
}

#[tokio::test]
async fn conflict_policies_keep_their_meaning() {
    for (policy, failed, skipped) in [(ConflictAction::Fail, 1, 0), (ConflictAction::Skip, 0, 1)] {
        let scenario = three_images("src.example/app");
        let moved = scenario.image_in("src.example/app", "moved", &["v2"], &["moved"]);
        scenario.image_for_each_tag("app", &["v4"]);
        let settings = Settings {
            conflict: Arc::new(policy.into()),
            ..settings()
        };
        let events = scenario.run_with(settings).await;
        let summary = events.summary();
        assert_eq!(
            (
                summary.unchanged,
                summary.copied,
                summary.failed,
                summary.skipped
            ),
            (2, 1, failed, skipped),
            "{policy:?}"
        );
        assert_ne!(scenario.copied_digest("v2").as_ref(), Some(moved.digest()));
        // The changed tag and the new one.
        assert_eq!(heads(&scenario), (2, 2), "{policy:?}");
    }
}

#[tokio::test]
async fn one_destination_that_differs_resolves_the_tag_for_all() {
    let scenario = three_images("src.example/app");
    let rules = [rule(
        "src.example/app",
        &["dst.example/app", "dst.example/other"],
    )];
    scenario.stores.copy_repository(
        &scenario.source,
        &"dst.example/other".parse::<Repository>().unwrap(),
    );
    scenario.image_in("dst.example/other", "older", &["v2"], &["older"]);
    let events = scenario.run_rules(settings(), &rules).await;
    let summary = events.summary();
    assert_eq!((summary.unchanged, summary.copied), (5, 1));
    assert_eq!(heads(&scenario), (1, 1));
}

#[tokio::test]
async fn referrers_of_unchanged_images_are_queried_without_a_head() {
    let scenario = three_images("src.example/app");
    let v1 = scenario.stores.tagged(&scenario.source, "v1").unwrap();
    let subject = scenario.stores.manifest(&scenario.source, &v1).unwrap();
    scenario.referrer("sbom", "application/spdx+json", &subject);
    let events = scenario.run_with(with_referrers()).await;
    assert_eq!(events.summary().referrers, 1);
    assert_eq!(heads(&scenario), (0, 0));
    assert_eq!(scenario.count("referrers src"), 3 + 1);
}

#[tokio::test]
async fn an_unknown_registry_is_probed_for_many_tags_only() {
    for (tags, probes, expected) in [(19, 0, (19, 19)), (20, 1, (0, 0))] {
        let scenario = unchanged(1, tags, &[]);
        for registry in BOTH {
            scenario.stores.list_digests_after_probe(registry);
        }
        let events = scenario.run().await;
        assert_eq!(events.summary().unchanged, tags as u64);
        assert_eq!(
            (scenario.count("probe src"), scenario.count("probe dst")),
            (probes, probes)
        );
        assert_eq!(heads(&scenario), expected);
    }
}

#[tokio::test]
async fn immutable_tags_of_the_records_cost_a_list_of_names() {
    let scenario = three_images("src.example/app").with_records();
    let settings = Settings {
        immutable: Arc::new(Immutable::parse(&["v*".to_owned()]).unwrap()),
        ..settings()
    };
    scenario.run_with_records(settings.clone()).await;
    let events = scenario.run_with_records(settings).await;
    assert_eq!(events.summary().unchanged, 3);
    assert_eq!(
        scenario.stores.take_sorted(),
        [
            "digests src.example/app",
            "tags dst.example/app",
            "tags dst.example/app"
        ]
    );
}

#[tokio::test]
async fn plans_and_checks_use_listed_digests() {
    for intent in [Intent::Plan, Intent::Check] {
        let scenario = three_images("src.example/app");
        let events = scenario.run_with(with_intent(intent)).await;
        assert_eq!(events.summary().unchanged, 3);
        assert_eq!(
            scenario.stores.take_sorted(),
            ["digests dst.example/app", "digests src.example/app"]
        );
    }
}

#[tokio::test]
async fn an_unknown_registry_is_probed_for_times_that_a_policy_needs() {
    for (settings, probes, copied) in [(settings(), 1, 1), (off(), 0, 0)] {
        let policy = TagPolicy {
            older_than: days(3, AgeSource::Pushed),
            ..TagPolicy::default()
        };
        let scenario = scenario_of(policy, &["v1"]);
        scenario.stores.list_digests_after_probe("src.example");
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        scenario.stores.list_time("src.example/app", "v1", long_ago);
        let events = scenario.run_with(settings).await;
        assert_eq!(scenario.count("probe src"), probes);
        assert_eq!(events.summary().copied, copied);
    }
}

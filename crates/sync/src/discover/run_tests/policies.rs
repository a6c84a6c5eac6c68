//! Tags that policies select.
#![allow(
    clippy::unnecessary_wraps,
    reason = "the fields of a policy are options"
)]

use std::num::NonZeroUsize;
use std::time::{Duration, SystemTime};

use image_syncer_registry::ErrorKind;

use crate::rule::tag_policy::{AgeLimit, AgeSource, Newest, NewestBy, NewestPer, VersionRange};
use crate::rule::{Selection, TagPattern, TagPolicy};
use crate::scenario::*;
use crate::store::memory::error;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns a rule from `src.example/app` to the destinations.
pub(super) fn policy_rule(policy: TagPolicy, destinations: &[&str]) -> Arc<Rule> {
    let mut rule = Arc::unwrap_or_clone(rule("src.example/app", destinations));
    rule.source.select = Selection::Policy(Arc::new(policy));
    Arc::new(rule)
}

/// Returns a scenario whose source has an image for each tag, and one rule with the policy.
pub(super) fn scenario_of(policy: TagPolicy, tags: &[&str]) -> Scenario {
    let rules = vec![policy_rule(policy, &["dst.example/app"])];
    let scenario = Scenario::new("src.example/app", &["dst.example/app"]).with_rules(rules);
    scenario.image_for_each_tag("app", tags);
    scenario
}

pub(super) fn newest(count: usize, by: NewestBy) -> Option<Newest> {
    Some(Newest {
        count: NonZeroUsize::new(count).unwrap(),
        by,
        per: NewestPer::Repository,
    })
}

pub(super) fn days(count: u32, by: AgeSource) -> Option<AgeLimit> {
    Some(AgeLimit {
        age: DAY * count,
        by,
    })
}

pub(super) fn patterns(texts: &[&str]) -> Vec<TagPattern> {
    let parse = |text: &&str| TagPattern::parse(text).unwrap();
    texts.iter().map(parse).collect()
}

/// Sets the push times of tags, in days before now.
fn push(scenario: &Scenario, ages: &[(&str, u32)]) {
    scenario.stores.list_digests("src.example");
    for (tag, age) in ages {
        let pushed = SystemTime::now() - DAY * *age;
        scenario.stores.list_time("src.example/app", tag, pushed);
    }
}

#[tokio::test]
async fn the_newest_versions_are_copied_first_and_no_others() {
    let policy = TagPolicy {
        semver: Some(VersionRange::parse(">=1.20").unwrap()),
        newest: newest(2, NewestBy::Version),
        ..TagPolicy::default()
    };
    let tags = [
        "latest",
        "1.9",
        "1.20",
        "1.21",
        "1.22-rc1",
        "1.21-alpine",
        "1.100",
    ];
    let mut scenario = scenario_of(policy, &tags).with_page(3);
    scenario = scenario.with_settings(one_at_a_time());
    let events = scenario.run().await;
    assert_eq!(
        events.endings(),
        [
            "src.example/app:1.100 -> dst.example/app:1.100: copied",
            "src.example/app:1.21 -> dst.example/app:1.21: copied"
        ]
    );
    assert_eq!(
        events.rule_events(),
        [
            "selected, 7 tags; semver 5; 1 prerelease; 1 of other variants; newest 2: 2",
            "discovered 2, -"
        ]
    );
    // Three pages with tags, and the end.
    assert_eq!(scenario.count("tags src.example/app"), 4);
}

#[tokio::test]
async fn a_policy_of_patterns_sends_tags_page_by_page() {
    let policy = TagPolicy {
        include: patterns(&["v*"]),
        exclude: patterns(&["/2/"]),
        ..TagPolicy::default()
    };
    let scenario = scenario_of(policy, &["v1", "v2", "v3", "w1"]).with_page(2);
    let failing = || error(ErrorKind::Server, "src.example");
    scenario.stores.fail_after("tags src", 1, failing);
    let events = scenario.run().await;
    // The first page was sent before the second failed.
    assert_eq!(
        events.endings(),
        ["src.example/app:v1 -> dst.example/app:v1: copied"]
    );
    assert!(events.rule_events()[0].starts_with("failed"));
}

#[tokio::test]
async fn a_failing_list_selects_no_newest_tags() {
    let policy = TagPolicy {
        newest: newest(1, NewestBy::Version),
        ..TagPolicy::default()
    };
    let scenario = scenario_of(policy, &["v1", "v2", "v3"]).with_page(2);
    let failing = || error(ErrorKind::Server, "src.example");
    scenario.stores.fail_after("tags src", 1, failing);
    let events = scenario.run().await;
    assert_eq!(events.endings(), Vec::<String>::new());
    assert_eq!(events.summary().exit_code(), 1);
}

#[tokio::test]
async fn the_reason_of_an_empty_rule_is_the_explanation() {
    let policy = TagPolicy {
        include: patterns(&["w*"]),
        newest: newest(1, NewestBy::Version),
        ..TagPolicy::default()
    };
    let scenario = scenario_of(policy.clone(), &["v1", "v2"]);
    let explanation = "2 tags; include 0; versions 0; newest 1: 0";
    assert_eq!(
        scenario.run().await.rule_events(),
        [
            format!("selected, {explanation}"),
            format!("discovered 0, no tag is left: {explanation}")
        ]
    );
    let scenario = scenario_of(policy, &[]);
    scenario.image_in("src.example/app", "untagged", &[], &[]);
    assert_eq!(
        scenario.run().await.rule_events(),
        [
            "selected, 0 tags; include 0; versions 0; newest 1: 0",
            "discovered 0, the repository has no tags"
        ]
    );
}

#[tokio::test]
async fn too_few_tags_fail_the_rule_and_nothing_is_copied() {
    for newest in [None, newest(5, NewestBy::Version)] {
        let policy = TagPolicy {
            include: patterns(&["1*"]),
            newest,
            at_least: 3,
            ..TagPolicy::default()
        };
        let scenario = scenario_of(policy, &["1", "1.2", "latest"]);
        let events = scenario.run().await;
        assert_eq!(events.endings(), Vec::<String>::new());
        let stages = match newest {
            Some(_) => "3 tags; include 2; versions 2; newest 5: 2",
            None => "3 tags; include 2",
        };
        assert_eq!(
            events.rule_events()[1],
            format!(
                "failed, the tag policy selects 2 tags of at least 3 tags: {stages}. Nothing is copied. Correct tags of the \
                 rule, or lower at-least."
            )
        );
        assert_eq!(events.summary().exit_code(), 1);
        assert_eq!(scenario.count("put-manifest"), 0);
    }
}

#[tokio::test]
async fn referrer_tags_are_no_tags_of_a_policy() {
    let scenario = scenario_of(TagPolicy::default(), &["v1"]).with_settings(with_referrers());
    let image = scenario.image("signed", &["v2"], &[]);
    let signature = companion_tag(image.digest(), ".sig");
    scenario.image_for_each_tag("app", &[&signature]);
    let orphan = companion_tag(&digest_of("gone"), ".sig");
    scenario.image_for_each_tag("app", &[&orphan]);
    let events = scenario.run().await;
    assert_eq!(
        events.rule_events(),
        ["selected, 2 tags", "discovered 2, -"]
    );
    // The signature is copied with its image; that of a missing image is not copied.
    assert!(scenario.copied_digest(&signature).is_some());
    assert!(scenario.copied_digest(&orphan).is_none());
}

#[tokio::test]
async fn tags_in_quarantine_are_skipped_and_stay_as_they_are() {
    let policy = TagPolicy {
        older_than: days(3, AgeSource::Auto),
        newest: newest(2, NewestBy::Version),
        ..TagPolicy::default()
    };
    let scenario = scenario_of(policy, &["1.1", "1.2", "1.3", "1.4"]);
    scenario.image_in("dst.example/app", "older", &["1.4"], &[]);
    push(
        &scenario,
        &[("1.1", 30), ("1.2", 20), ("1.3", 10), ("1.4", 1)],
    );
    let events = scenario.run().await;
    let endings = events.endings();
    assert_eq!(
        endings[..2],
        [
            "src.example/app:1.2 -> dst.example/app:1.2: copied",
            "src.example/app:1.3 -> dst.example/app:1.3: copied"
        ]
    );
    let held = "src.example/app:1.4 -> dst.example/app:1.4: skipped, in quarantine until ";
    assert!(endings[2].starts_with(held), "{}", endings[2]);
    assert_eq!(endings.len(), 3);
    assert_eq!(scenario.copied_name("1.4").as_deref(), Some("older"));
    let explanation = &events.rule_events()[0];
    assert!(
        explanation.starts_with("selected, 4 tags; versions 4; 1 younger than 3 d (1.4 until ")
            && explanation.ends_with("); newest 2: 2"),
        "{explanation}"
    );
    assert_eq!(events.summary().exit_code(), 0);
}

#[tokio::test]
async fn newest_by_push_time_needs_a_listing_with_times() {
    let policy = TagPolicy {
        newest: newest(1, NewestBy::Pushed),
        ..TagPolicy::default()
    };
    let scenario = scenario_of(policy.clone(), &["b", "a"]);
    push(&scenario, &[("b", 1), ("a", 2)]);
    let events = scenario.run().await;
    assert_eq!(
        events.endings(),
        ["src.example/app:b -> dst.example/app:b: copied"]
    );
    let scenario = scenario_of(policy, &["b"]);
    assert_eq!(
        scenario.run().await.rule_events(),
        [
            "failed, the age of tag b is unknown: the registry lists no push times. Write by: created or by: version below \
             newest in the tags of the rule."
        ]
    );
}

#[tokio::test]
async fn a_dry_run_selects_the_tags_of_the_copy() {
    let policy = TagPolicy {
        older_than: days(3, AgeSource::Pushed),
        newest: newest(1, NewestBy::Version),
        ..TagPolicy::default()
    };
    for intent in [Intent::Plan, Intent::Check] {
        let scenario = scenario_of(policy.clone(), &["1.1", "1.2", "1.3"]);
        let scenario = scenario.with_settings(with_intent(intent));
        push(&scenario, &[("1.1", 30), ("1.2", 20), ("1.3", 1)]);
        let events = scenario.run().await;
        let endings = events.endings();
        assert_eq!(endings.len(), 2, "{:?}", events.rule_events());
        assert_eq!(
            endings[0],
            "src.example/app:1.2 -> dst.example/app:1.2: planned, New"
        );
        assert!(endings[1].contains("1.3: skipped, in quarantine until "));
        assert_eq!(endings.len(), 2);
    }
}

//! Tags that a run hands over to other processes.

use std::collections::HashSet;
use std::sync::Mutex;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use image_syncer_registry::Tag;

use super::policies::{days, newest, policy_rule, scenario_of};
use crate::event::Event;
use crate::lock::lock;
use crate::rule::tag_policy::{AgeSource, NewestBy};
use crate::rule::{DestinationTemplate, Pattern, RuleScope, RuleSet, Selection, TagPolicy};
use crate::scenario::*;
use crate::tag_divider::TagDivider;

/// Keeps this number of tags, and hands over the others.
#[derive(Debug)]
struct KeepFirst {
    left: Mutex<usize>,
    others: Mutex<Vec<String>>,
}

impl TagDivider for KeepFirst {
    fn divide<'a>(&'a self, _rule: &'a Rule, tags: &'a [Tag]) -> BoxFuture<'a, HashSet<Tag>> {
        let mut left = lock(&self.left);
        let kept = tags.len().min(*left);
        *left -= kept;
        lock(&self.others).extend(tags[kept..].iter().map(ToString::to_string));
        let others = tags[kept..].iter().cloned().collect();
        std::future::ready(others).boxed()
    }
}

fn keeping(count: usize) -> Arc<KeepFirst> {
    Arc::new(KeepFirst {
        left: Mutex::new(count),
        others: Mutex::default(),
    })
}

/// Runs the rules of a scenario with a divider. Returns the events, and the tags that were handed over.
async fn divided(scenario: &Scenario, kept: usize) -> (Arc<RunEvents>, Vec<String>) {
    let divider = keeping(kept);
    let settings = Settings {
        tag_divider: Some(divider.clone()),
        ..scenario.settings.clone()
    };
    let events = scenario.run_with(settings).await;
    let others = lock(&divider.others).clone();
    (events, others)
}

/// Runs the part of the only rule with these tags, as another process does.
async fn run_part(scenario: &Scenario, tags: &[String]) -> Arc<RunEvents> {
    let scope = RuleScope {
        tags: tags.to_vec(),
        chosen: true,
        ..RuleScope::default()
    };
    let part = RuleSet::from(scenario.rules.clone())
        .within(&scope)
        .unwrap();
    let settings = scenario.settings.clone();
    scenario.run_rules(settings, &part.rules).await
}

/// Returns the numbers of images that were announced.
fn announced(events: &RunEvents) -> Vec<u64> {
    let listed = |event: &Event| match event {
        Event::RuleListed { images, .. } => Some(*images),
        _ => None,
    };
    lock(&events.events).iter().filter_map(listed).collect()
}

/// Returns the writes of manifests at the destination, sorted.
fn pushes(scenario: &Scenario) -> Vec<String> {
    let mut pushes = scenario.calls_with(&["put-manifest"]);
    pushes.sort();
    pushes
}

fn copied(tags: &[&str]) -> Vec<String> {
    let line = |tag: &&str| format!("src.example/app:{tag} -> dst.example/app:{tag}: copied");
    tags.iter().map(line).collect()
}

#[tokio::test]
async fn a_list_is_divided_page_by_page_and_nothing_is_copied_twice() {
    let scenario = || {
        let scenario = Scenario::new("src.example/app", &["dst.example/app"]).with_page(2);
        scenario.image_for_each_tag("app", &["a", "b", "c", "d", "e"]);
        scenario
    };
    let whole = scenario();
    whole.run().await;
    let scenario = scenario();
    let (events, others) = divided(&scenario, 3).await;
    assert_eq!(others, ["d", "e"]);
    assert_eq!(events.endings(), copied(&["a", "b", "c"]));
    assert_eq!(events.rule_events(), ["discovered 3, -"]);
    assert_eq!(announced(&events), [3]);
    let part = run_part(&scenario, &others).await;
    assert_eq!(part.endings(), copied(&["d", "e"]));
    assert_eq!(pushes(&scenario), pushes(&whole));
}

#[tokio::test]
async fn a_run_that_keeps_nothing_is_no_run_without_images() {
    let scenario = Scenario::new("src.example/app", &["dst.example/app"]);
    scenario.image_for_each_tag("app", &["a", "b"]);
    let (events, others) = divided(&scenario, 0).await;
    assert_eq!(others, ["a", "b"]);
    assert_eq!(events.rule_events(), ["discovered 0, -"]);
    assert_eq!(events.summary().exit_code(), 0);
}

#[tokio::test]
async fn named_tags_are_divided_with_the_names_that_belong_to_them() {
    let scenario = Scenario::new("src.example/app:a,b,c", &["dst.example/app:1,2,3"]);
    scenario.image_for_each_tag("app", &["a", "b", "c"]);
    let (events, others) = divided(&scenario, 1).await;
    assert_eq!(others, ["b", "c"]);
    assert_eq!(announced(&events), [1]);
    assert_eq!(
        events.endings(),
        ["src.example/app:a -> dst.example/app:1: copied"]
    );
    let part = run_part(&scenario, &others).await;
    let expected = [
        "src.example/app:b -> dst.example/app:2: copied",
        "src.example/app:c -> dst.example/app:3: copied",
    ];
    assert_eq!(part.endings(), expected);
}

#[tokio::test]
async fn a_policy_decides_once_for_all_parts() {
    let policy = TagPolicy {
        newest: newest(3, NewestBy::Version),
        ..TagPolicy::default()
    };
    let scenario = scenario_of(policy, &["1.0.0", "2.0.0", "3.0.0", "4.0.0"]);
    let (events, others) = divided(&scenario, 1).await;
    assert_eq!((others.len(), announced(&events)), (2, vec![1]));
    assert_eq!(events.endings().len(), 1);
    let part = run_part(&scenario, &others).await;
    assert_eq!(part.summary().copied, 2);
    // No part selected the newest of its own.
    assert_eq!(scenario.copied_name("1.0.0"), None);
    let names = ["2.0.0", "3.0.0", "4.0.0"];
    assert!(names.iter().all(|tag| scenario.copied_name(tag).is_some()));
}

#[tokio::test]
async fn tags_with_a_minimum_age_are_kept() {
    let policy = TagPolicy {
        older_than: days(0, AgeSource::Created),
        ..TagPolicy::default()
    };
    let scenario = scenario_of(policy.clone(), &["1", "2"]);
    let scenario = scenario.with_rules(vec![policy_rule(policy, &["dst.example/app"])]);
    let (_, others) = divided(&scenario, 0).await;
    assert_eq!(others, [""; 0]);
}

#[tokio::test]
async fn tags_that_get_one_name_stay_together() {
    let mut rule = Arc::unwrap_or_clone(rule("src.example/app", &["dst.example/app"]));
    rule.source.select = Selection::Matching(Pattern::new("^v([0-9]+)[.]").unwrap());
    let template = DestinationTemplate::parse("dst.example/{name}:{1}").unwrap();
    rule.destinations = vec![template.destination(&rule.source).unwrap()];
    let scenario = Scenario::new("src.example/app", &["dst.example/app"]);
    let scenario = scenario.with_rules(vec![Arc::new(rule)]);
    scenario.image("one", &["v1.0"], &[]);
    scenario.image("other", &["v1.1", "v2.0"], &[]);
    let (events, others) = divided(&scenario, 0).await;
    assert_eq!(others, ["v1.0", "v2.0"]);
    let failed = "src.example/app:v1.1 -> dst.example/app:1: failed, cannot write src.example/app:v1.1 (rule \
                  src.example/app) to dst.example/app:1: rule src.example/app writes another image to this tag, \
                  src.example/app:v1.0";
    assert_eq!(events.endings(), [failed]);
    let part = run_part(&scenario, &others).await;
    let expected = [
        "src.example/app:v1.0 -> dst.example/app:1: copied",
        "src.example/app:v2.0 -> dst.example/app:2: copied",
    ];
    assert_eq!(part.endings(), expected);
}

#[tokio::test]
async fn tags_of_several_rules_are_not_divided() {
    let scenario = Scenario::new("src.example/app", &["dst.example/app"]);
    scenario.image_for_each_tag("app", &["a", "b"]);
    let rules = vec![
        rule("src.example/app:a,b", &["dst.example/app"]),
        rule("src.example/app", &["dst.example/app"]),
    ];
    let scenario = scenario.with_rules(rules);
    let (events, others) = divided(&scenario, 0).await;
    assert_eq!((others.len(), events.summary().copied), (0, 2));
}

/// Returns a scenario with three images of which each has a signature, and a signature without an image. Returns its tag.
fn signed() -> (Scenario, String) {
    let scenario =
        Scenario::new("src.example/app", &["dst.example/app"]).with_settings(with_referrers());
    for tag in ["a", "b", "c"] {
        let image = scenario.image(tag, &[tag], &[tag]);
        let name = format!("signature-{tag}");
        let signature = scenario.image(&name, &[], &[&name]);
        scenario.tag_companion(".sig", &image, &signature);
    }
    let stray = companion_tag(&digest_of("gone"), ".sig");
    scenario.image("stray", &[&stray], &["stray"]);
    (scenario, stray)
}

#[tokio::test]
async fn signatures_go_with_the_images_that_were_handed_over() {
    let (whole, _) = signed();
    whole.run().await;
    let (scenario, stray) = signed();
    let (events, others) = divided(&scenario, 1).await;
    assert_eq!(others, ["b", "c"]);
    let mut expected = copied(&["a", &stray]);
    expected.sort();
    assert_eq!(events.endings(), expected);
    let part = run_part(&scenario, &others).await;
    assert_eq!(part.endings(), copied(&["b", "c"]));
    assert_eq!(pushes(&scenario), pushes(&whole));
}

#[tokio::test]
async fn images_that_were_handed_over_are_looked_up_for_leftover_tags_only() {
    let scenario =
        Scenario::new("src.example/app", &["dst.example/app"]).with_settings(with_referrers());
    scenario.image_for_each_tag("app", &["a", "b", "c"]);
    let (_, others) = divided(&scenario, 1).await;
    assert_eq!(others, ["b", "c"]);
    let lookups = scenario.calls_with(&[
        "head-manifest src.example/app:b",
        "manifest src.example/app:b",
    ]);
    assert_eq!(lookups, [""; 0]);
}

#[tokio::test]
async fn tags_that_both_lists_show_as_unchanged_stay_and_cost_no_request() {
    let scenario = || {
        let scenario = Scenario::new("src.example/app", &["dst.example/app"]);
        scenario.image_for_each_tag("app", &["a", "b", "c", "d"]);
        scenario.fill_destination();
        scenario.image("new", &["c"], &["new"]);
        for registry in ["src.example", "dst.example"] {
            scenario.stores.list_digests(registry);
        }
        scenario
    };
    let whole = scenario();
    whole.run().await;
    let scenario = scenario();
    let (events, others) = divided(&scenario, 0).await;
    assert_eq!(others, ["c"]);
    assert_eq!(events.summary().unchanged, 3);
    // One page of each list.
    assert_eq!(scenario.stores.calls().len(), 2);
    let part = run_part(&scenario, &others).await;
    assert_eq!(part.summary().copied, 1);
    assert_eq!(scenario.stores.calls().len(), whole.stores.calls().len());
}

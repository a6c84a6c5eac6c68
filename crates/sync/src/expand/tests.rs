//! Runs with patterns over in-memory registries.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use image_syncer_registry::{Error, ErrorKind};

use crate::rule::{IfEmpty, PatternRule, RuleSet};
use crate::scenario::{
    Arc, CancellationToken, Engine, Rule, RunEvents, Scenario, pattern, rule, settings,
};

/// Returns registries in which these repositories have an image each, called `v1`.
fn scenario(repositories: &[&str]) -> Scenario {
    let scenario = Scenario::new("src.example/unused", &["dst.example/unused"]).with_page(2);
    for repository in repositories {
        scenario.image_in(repository, repository, &["v1"], &[repository]);
    }
    scenario
}

async fn run(
    scenario: &Scenario,
    rules: &[Arc<Rule>],
    patterns: Vec<PatternRule>,
) -> Arc<RunEvents> {
    run_until(scenario, rules, patterns, CancellationToken::new()).await
}

async fn run_until(
    scenario: &Scenario,
    rules: &[Arc<Rule>],
    patterns: Vec<PatternRule>,
    cancel: CancellationToken,
) -> Arc<RunEvents> {
    let events = Arc::new(RunEvents::default());
    let settings = settings();
    let set = RuleSet {
        rules: settings.complete(rules),
        patterns: patterns.into_iter().map(Arc::new).collect(),
        ..RuleSet::default()
    };
    let stores = Arc::new(scenario.stores.clone());
    let engine = Engine::new(stores, settings.into(), events.clone());
    engine.run(set, cancel).await;
    let summary = events.summary();
    assert!(summary.is_complete(), "something was lost: {summary:?}");
    assert_eq!(events.summary_elsewhere(), summary);
    events
}

/// Returns the tags `v1` at the destination, sorted.
fn copied(scenario: &Scenario) -> Vec<String> {
    let all = scenario.stores.tagged_references().into_iter();
    all.filter(|it| it.starts_with("dst.")).collect()
}

fn refused() -> Error {
    Error::new(ErrorKind::Denied, "list", "src.example", "no")
}

#[tokio::test]
async fn a_pattern_copies_the_repositories_that_it_matches() {
    let names = [
        "src.example/a/x",
        "src.example/a/y/z",
        "src.example/b/x",
        "src.example/ab/x",
    ];
    let scenario = scenario(&names);
    let rule = pattern(&["src.example/a/**"], &["dst.example/{repository}"]);
    let id = rule.id;
    let events = run(&scenario, &[], vec![rule]).await;
    assert_eq!(
        copied(&scenario),
        ["dst.example/a/x:v1", "dst.example/a/y/z:v1"]
    );
    assert_eq!(
        events.rule_events(),
        [
            "src.example/a: 0 listed",
            "src.example/a: 2 listed",
            "src.example/a: 2 listed, ended",
            "src.example/a/x: discovered 1, -",
            "src.example/a/y/z: discovered 1, -",
            "discovered 2, -"
        ]
    );
    // The rule of the file counts once, with all of its repositories.
    let summary = events.summary();
    assert_eq!((summary.rules, summary.by_rule.len()), (1, 1));
    let entry = &summary.by_rule[0];
    assert_eq!(
        (entry.rule.id, entry.copied, entry.repositories),
        (id, 2, 2)
    );
    assert_eq!(summary.exit_code(), 0);
}

#[tokio::test]
async fn a_list_serves_all_patterns_of_its_prefix_and_a_repository_is_copied_once_for_each() {
    let scenario = scenario(&["src.example/a", "src.example/b", "src.example/c"]);
    let rules = vec![
        pattern(
            &["src.example/{a,b}*", "src.example/?"],
            &["dst.example/one/{repository}"],
        ),
        pattern(&["src.example/[bc]"], &["dst.example/two/{repository}"]),
    ];
    let events = run(&scenario, &[], rules).await;
    assert_eq!(
        copied(&scenario),
        [
            "dst.example/one/a:v1",
            "dst.example/one/b:v1",
            "dst.example/one/c:v1",
            "dst.example/two/b:v1",
            "dst.example/two/c:v1"
        ]
    );
    // Two pages of two, and the end of the list.
    assert_eq!(scenario.count("repositories src.example"), 3);
    assert_eq!(events.summary().discovered, 5);
}

#[tokio::test]
async fn images_are_copied_before_the_list_ends() {
    let scenario = scenario(&["src.example/a", "src.example/b", "src.example/c"]);
    let pages = scenario
        .stores
        .block_calls_after("repositories src.example", 1);
    let events = async {
        let rule = pattern(&["src.example/**"], &["dst.example/{repository}"]);
        run(&scenario, &[], vec![rule]).await
    };
    let check = async {
        crate::scenario::until(|| copied(&scenario).len() == 2).await;
        pages.open();
    };
    let (events, ()) = tokio::join!(events, check);
    assert_eq!(events.summary().copied, 3);
}

#[tokio::test]
async fn a_failed_list_fails_its_rules_alone_and_keeps_what_it_found() {
    let scenario = scenario(&[
        "src.example/a",
        "src.example/b",
        "src.example/c",
        "other.example/d",
    ]);
    scenario
        .stores
        .fail_after("repositories src.example", 1, refused);
    let rules = vec![
        pattern(&["src.example/**"], &["dst.example/{repository}"]),
        pattern(&["other.example/**"], &["dst.example/{repository}"]),
    ];
    let events = run(&scenario, &[], rules).await;
    assert_eq!(
        copied(&scenario),
        ["dst.example/a:v1", "dst.example/b:v1", "dst.example/d:v1"]
    );
    let summary = events.summary();
    assert_eq!((summary.failed_rules, summary.copied), (1, 3));
    assert_eq!(summary.exit_code(), 1);
    assert_eq!(summary.failures[0].source.as_ref(), "src.example/**");
}

#[tokio::test]
async fn a_repository_that_cannot_be_listed_fails_alone() {
    let scenario = scenario(&["src.example/a", "src.example/b"]);
    scenario.stores.fail("tags src.example/a", 1, refused);
    let rule = pattern(&["src.example/*"], &["dst.example/{repository}"]);
    let events = run(&scenario, &[], vec![rule]).await;
    assert_eq!(copied(&scenario), ["dst.example/b:v1"]);
    let summary = events.summary();
    assert_eq!((summary.failed_repositories, summary.failed_rules), (1, 0));
    assert_eq!((summary.failed_sources(), summary.exit_code()), (1, 1));
    assert_eq!(summary.failures[0].source.as_ref(), "src.example/a");
    let entry = &summary.by_rule[0];
    assert_eq!((entry.repositories, entry.failed_repositories), (2, 1));
}

#[tokio::test]
async fn the_second_source_of_a_destination_fails_and_both_are_named() {
    let scenario = scenario(&["src.example/a/x", "src.example/b/x", "src.example/c/y"]);
    let named = rule("other.example/y", &["dst.example/y"]);
    scenario.image_in("other.example/y", "other", &["v1"], &["other"]);
    let rule = pattern(&["src.example/**"], &["dst.example/{name}"]);
    let events = run(&scenario, &[named], vec![rule]).await;
    let failures = events.summary().failures;
    let reasons: Vec<&str> = failures
        .iter()
        .map(|it| it.failure.reason.as_str())
        .collect();
    let advice = "Give them different destinations, such as {repository} in the template.";
    assert_eq!(
        reasons,
        [
            format!(
                "dst.example/x gets two sources, src.example/a/x and src.example/b/x. {advice}"
            ),
            format!(
                "dst.example/y gets two sources, other.example/y and src.example/c/y. {advice}"
            ),
        ]
    );
    // The first ones have their destinations.
    assert_eq!(copied(&scenario), ["dst.example/x:v1", "dst.example/y:v1"]);
    let x = crate::store::memory::repository("dst.example/x");
    let x = scenario.stores.tagged(&x, "v1").unwrap();
    assert_eq!(scenario.stores.name(&x), "src.example/a/x");
}

#[tokio::test]
async fn names_that_meet_by_chance_are_found_when_the_tags_are_known() {
    let scenario = Scenario::new("src.example/unused", &["dst.example/unused"]);
    scenario.image_in("src.example/a", "first", &["b-c"], &["first"]);
    scenario.image_in("src.example/a-b", "second", &["c"], &["second"]);
    let rule = pattern(&["src.example/*"], &["dst.example/all:{name}-{tag}"]);
    let events = run(&scenario, &[], vec![rule]).await;
    let summary = events.summary();
    assert_eq!((summary.copied, summary.failed), (1, 1));
    let reason = &summary.failures[0].failure.reason;
    assert!(reason.contains("src.example/a:b-c"), "{reason}");
}

#[tokio::test]
async fn a_pattern_without_a_repository_follows_its_policy() {
    let expected = [
        (
            IfEmpty::Warn,
            "discovered 0, no repository matches (2 in the list)",
            0,
        ),
        (IfEmpty::Ignore, "discovered 0, -", 0),
        (
            IfEmpty::Fail,
            "failed, no repository matches (2 in the list), and the rule has if-empty: fail",
            1,
        ),
    ];
    for (if_empty, event, exit) in expected {
        let scenario = scenario(&["src.example/a", "src.example/b"]);
        let rule = PatternRule {
            if_empty,
            ..pattern(&["src.example/x*"], &["dst.example/{repository}"])
        };
        let events = run(&scenario, &[], vec![rule]).await;
        let events_of_rule = events.rule_events();
        assert_eq!(events_of_rule.last().map(String::as_str), Some(event));
        assert_eq!(events.summary().exit_code(), exit, "{if_empty}");
    }
}

#[tokio::test]
async fn an_interrupted_list_interrupts_its_rules() {
    let scenario = scenario(&["src.example/a"]);
    let pages = scenario.stores.block_calls("repositories src.example");
    let cancel = CancellationToken::new();
    let rules = vec![
        pattern(&["src.example/**"], &["dst.example/{repository}"]),
        pattern(&["src.example/*"], &["dst.example/x/{repository}"]),
    ];
    let events = run_until(&scenario, &[], rules, cancel.clone());
    let stop = async {
        crate::scenario::until(|| pages.count() > 0).await;
        cancel.cancel();
    };
    let (events, ()) = tokio::join!(events, stop);
    let summary = events.summary();
    assert_eq!((summary.interrupted_rules, summary.exit_code()), (2, 130));
}

#[tokio::test]
async fn an_image_that_a_rule_names_is_copied_once() {
    let scenario = scenario(&["src.example/a", "src.example/b"]);
    let named = rule("src.example/a:v1", &["dst.example/a"]);
    let rule = pattern(&["src.example/*"], &["dst.example/{repository}"]);
    let events = run(&scenario, &[named], vec![rule]).await;
    let summary = events.summary();
    assert_eq!(
        (summary.copied, summary.unchanged, summary.failed),
        (2, 0, 0)
    );
}

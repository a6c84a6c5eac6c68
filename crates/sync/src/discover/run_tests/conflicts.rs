//! Different images for one name at a destination: the earlier rule keeps the name, in every run.

use image_syncer_registry::manifest::media_type::OCI_INDEX;
use image_syncer_registry::{Cause, ErrorKind};
use serde_json::json;

use crate::rule::Location;
use crate::scenario::*;
use crate::store::memory::{entry, error, repository};

/// Returns a scenario with `src.example/one` and `src.example/two`, each with an image of its own under `tags`, and a rule
/// for each.
fn scenario(tags: &[&str]) -> Scenario {
    let scenario = scenario_without_images();
    for name in ["one", "two"] {
        scenario.image_in(&format!("src.example/{name}"), name, tags, &[]);
    }
    scenario
}

fn scenario_without_images() -> Scenario {
    let rules = vec![
        rule_at(1, "src.example/one", &["dst.example/app"]),
        rule_at(2, "src.example/two", &["dst.example/app"]),
    ];
    Scenario::new("src.example/one", &["dst.example/app"]).with_rules(rules)
}

fn rule_at(line: usize, source: &str, destinations: &[&str]) -> Arc<Rule> {
    let file = "images.yaml".into();
    let rule = Arc::unwrap_or_clone(rule(source, destinations));
    Arc::new(rule.located_at(Location { file, line }))
}

const BOTH: &str = "cannot write src.example/two:v1 (rule src.example/two (images.yaml:2)) to dst.example/app:v1: \
                    rule src.example/one (images.yaml:1) writes another image to this tag, src.example/one:v1";

#[tokio::test]
async fn the_second_image_fails_with_both_rules_and_the_first_keeps_the_tag_in_every_run() {
    let scenario = scenario(&["v1"]);
    for first_ends_as in ["copied", "unchanged"] {
        let events = scenario.run().await;
        let expected = [
            format!("src.example/one:v1 -> dst.example/app:v1: {first_ends_as}"),
            format!("src.example/two:v1 -> dst.example/app:v1: failed, {BOTH}"),
        ];
        assert_eq!(events.endings(), expected);
        let summary = events.summary();
        assert_eq!((summary.exit_code(), summary.warnings_given), (1, 0));
        assert_eq!(summary.failures[0].failure.cause, Cause::TagConflict);
        assert_eq!(scenario.copied_name("v1").as_deref(), Some("one"));
    }
    let pushes = scenario.count("put-manifest dst.example/app:v1");
    assert_eq!(pushes, 1, "the tag was written more than once");
}

#[tokio::test]
async fn plan_and_check_report_the_conflict_of_a_copy() {
    for intent in [Intent::Plan, Intent::Check] {
        let scenario = scenario(&["v1"]);
        let events = scenario.run_with(with_intent(intent)).await;
        let expected = [
            "src.example/one:v1 -> dst.example/app:v1: planned, New".to_owned(),
            format!("src.example/two:v1 -> dst.example/app:v1: failed, {BOTH}"),
        ];
        assert_eq!(events.endings(), expected, "{intent:?}");
        assert_eq!(events.summary().exit_code(), 1);
    }
}

#[tokio::test]
async fn the_order_of_rules_decides_and_not_that_of_lists() {
    let scenario = scenario(&["v1", "v2", "v3"]);
    let first = scenario.stores.block_calls("tags src.example/one");
    let opening = async {
        first.reached(1).await;
        until(|| scenario.count("tags src.example/two") >= 2).await;
        assert_eq!(scenario.count("put-manifest"), 0);
        first.open();
    };
    let (events, ()) = tokio::join!(scenario.run(), opening);
    let summary = events.summary();
    assert_eq!((summary.copied, summary.failed), (3, 3));
    for tag in ["v1", "v2", "v3"] {
        assert_eq!(scenario.copied_name(tag).as_deref(), Some("one"), "{tag}");
    }
}

#[tokio::test]
async fn a_rule_that_lists_keeps_its_tags_from_later_rules_that_name_theirs() {
    let scenario = scenario(&["v1"]);
    scenario.image("other", &["v2"], &[]);
    let rules = [
        rule("src.example/one:/^v1/", &["dst.example/app"]),
        rule("src.example/two:v1", &["dst.example/app"]),
        // A rule with new names for tags of the first source.
        rule("src.example/one:v2,v1", &["dst.example/app:v1,v2"]),
        rule("src.example/one:v2", &["dst.example/app"]),
        rule("src.example/one:v1", &["dst.example/app"]),
    ];
    let events = scenario.run_rules(settings(), &rules).await;
    let short: Vec<String> = events
        .endings()
        .iter()
        .map(|line| line.split(',').next().unwrap().to_owned())
        .collect();
    assert_eq!(
        short,
        [
            "src.example/one:v1 -> dst.example/app:v1: copied",
            "src.example/one:v1 -> dst.example/app:v2: copied",
            "src.example/one:v2 -> dst.example/app:v1: failed",
            "src.example/one:v2 -> dst.example/app:v2: failed",
            "src.example/two:v1 -> dst.example/app:v1: failed",
        ]
    );
    // The last rule selects the same image as the first.
    assert_eq!(scenario.copied_name("v1").as_deref(), Some("one"));
    assert_eq!(scenario.copied_name("v2").as_deref(), Some("one"));
}

#[tokio::test]
async fn one_image_from_two_sources_is_no_conflict() {
    let scenario = scenario_without_images();
    for source in ["src.example/one", "src.example/two"] {
        scenario.image_in(source, "same", &["v1"], &["base"]);
    }
    let events = scenario.run().await;
    let summary = events.summary();
    assert_eq!((summary.finished(), summary.exit_code()), (2, 0));
    assert_eq!(scenario.copied_name("v1").as_deref(), Some("same"));
}

#[tokio::test]
async fn what_a_filter_leaves_is_compared() {
    let scenario = scenario_without_images();
    for (name, arm) in [("one", "arm.one"), ("two", "arm.two")] {
        let source = repository(&format!("src.example/{name}"));
        let amd = scenario.stores.image(&source, "amd", "linux/amd64", &[]);
        let arm = scenario.stores.image(&source, arm, "linux/arm64", &[]);
        let entries = [("linux/amd64", amd), ("linux/arm64", arm)];
        let entries = entries.map(|(platform, image)| entry(&image, Some(platform)));
        let index = json!({
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": entries,
        });
        let index = scenario
            .stores
            .document(&source, &format!("{name}.index"), OCI_INDEX, &index);
        scenario.stores.tag(&source, "v1", &index);
    }
    let both = scenario.run().await;
    assert_eq!((both.summary().copied, both.summary().failed), (1, 1));
    scenario.stores.remove_repository(&scenario.destination);
    let amd = scenario.run_with(only("amd64")).await;
    assert_eq!((amd.summary().finished(), amd.summary().failed), (2, 0));
    // Nothing of the first image passes, so that the tag is free.
    scenario.stores.remove_repository(&scenario.destination);
    scenario.image("one", &["v1"], &[]);
    let arm = scenario.run_with(only("arm64")).await;
    let summary = arm.summary();
    assert_eq!((summary.skipped, summary.copied, summary.failed), (1, 1, 0));
}

#[tokio::test]
async fn tags_of_a_failed_list_are_queried_for_later_rules() {
    let scenario = scenario(&["v1"]);
    scenario.image_in("src.example/two", "only.two", &["v2"], &[]);
    scenario.stores.fail_after("tags src.example/one", 0, || {
        error(ErrorKind::Server, "src.example")
    });
    let events = scenario.run().await;
    let expected = [
        format!("src.example/two:v1 -> dst.example/app:v1: failed, {BOTH}"),
        "src.example/two:v2 -> dst.example/app:v2: copied".to_owned(),
    ];
    assert_eq!(events.endings(), expected);
    assert_eq!(events.summary().failed_rules, 1);
    assert_eq!(scenario.copied_name("v1"), None);
}

#[tokio::test]
async fn an_image_that_cannot_be_read_keeps_its_tag() {
    let scenario = scenario(&["v1"]);
    scenario
        .stores
        .fail_after("resolve src.example/one", 0, || {
            error(ErrorKind::Server, "src.example")
        });
    let rules =
        ["one", "two"].map(|name| rule(&format!("src.example/{name}:v1"), &["dst.example/app"]));
    let events = scenario.run_rules(settings(), &rules).await;
    let why = "cannot do what was asked at src.example: the test says no";
    let expected = [
        format!("src.example/one:v1 -> dst.example/app:v1: failed, {why}"),
        format!(
            "src.example/two:v1 -> dst.example/app:v1: failed, cannot write src.example/two:v1 (rule \
             src.example/two:v1) to dst.example/app:v1: rule src.example/one:v1 writes to this tag as well, and its \
             image src.example/one:v1 cannot be compared: {why}"
        ),
    ];
    assert_eq!(events.endings(), expected);
    assert_eq!(scenario.copied_name("v1"), None);
}

#[tokio::test]
async fn rules_of_separate_repositories_do_not_wait() {
    let scenario = scenario(&["v1"]);
    let rules = [
        rule("src.example/one", &["dst.example/app"]),
        rule("src.example/one:/^v/", &["dst.example/app"]),
        rule("src.example/two", &["dst.example/other"]),
    ];
    let first = scenario.stores.block_calls("tags src.example/one");
    let run = scenario.prepare(settings(), &rules);
    let opening = async {
        first.reached(1).await;
        until(|| run.events.summary().copied > 0).await;
        first.open();
    };
    let events = run.finish_during(opening).await;
    assert_eq!(events.summary().copied, 2);
}

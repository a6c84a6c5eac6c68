//! Different signatures of one image, from two sources in one destination repository: the earlier rule keeps the tag.

use image_syncer_registry::{Cause, ErrorKind, Manifest};

use crate::scenario::*;
use crate::store::memory::{entry, error, repository};

const DESTINATION: &str = "dst.example/app";
const SOURCES: [&str; 2] = ["src.example/one", "src.example/two"];

/// Returns a scenario with the sources `src.example/one` and `src.example/two`, the first of which is its source.
fn scenario() -> Scenario {
    Scenario::new("src.example/one", &[DESTINATION])
}

/// Returns a scenario with the same image under `v1` of both sources, each with a signature of its own, and the tag of the
/// signatures.
fn scenario_with_two_signatures() -> (Scenario, String) {
    let scenario = scenario();
    let image = push_image(&scenario, "image", &["v1"]);
    let tag = companion_tag(image.digest(), ".sig");
    sign(&scenario, &tag);
    (scenario, tag)
}

/// Stores the same image in both sources, under `tags`.
fn push_image(scenario: &Scenario, name: &str, tags: &[&str]) -> Manifest {
    let [image, _] = SOURCES.map(|source| scenario.image_in(source, name, tags, &[]));
    image
}

/// Stores another image under the tag of each source.
fn sign(scenario: &Scenario, tag: &str) {
    for (source, name) in SOURCES.iter().zip(["signature.one", "signature.two"]) {
        scenario.image_in(source, name, &[tag], &[]);
    }
}

async fn run(scenario: &Scenario, intent: Intent, sources: [&str; 2]) -> Arc<RunEvents> {
    let settings = Settings {
        intent,
        ..with_referrers()
    };
    let rules = sources.map(|source| rule(source, &[DESTINATION]));
    scenario.run_rules(settings, &rules).await
}

/// Returns the reason of the conflict between these rules.
fn conflict(tag: &str, [one, two]: [&str; 2]) -> String {
    format!(
        "cannot write src.example/two:{tag} (rule {two}) to {DESTINATION}:{tag}: rule {one} writes another image to this \
         tag, src.example/one:{tag}"
    )
}

const NAMES: [&str; 2] = ["src.example/one:v1", "src.example/two:v1"];

#[tokio::test]
async fn the_earlier_rule_keeps_the_signature_and_the_other_image_fails_in_every_run() {
    for rules in [SOURCES, NAMES] {
        let (scenario, tag) = scenario_with_two_signatures();
        let failed = format!(
            "src.example/two:v1 -> {DESTINATION}:v1: failed, {}",
            conflict(&tag, rules)
        );
        for (intent, first) in [
            (Intent::Check, "planned, New"),
            (Intent::Plan, "planned, New"),
            (Intent::Copy, "copied"),
            (Intent::Copy, "unchanged"),
            (Intent::Plan, "unchanged"),
            (Intent::Check, "unchanged"),
        ] {
            let events = run(&scenario, intent, rules).await;
            let kept = format!("src.example/one:v1 -> {DESTINATION}:v1: {first}");
            assert_eq!(events.endings(), [kept, failed.clone()], "{intent:?}");
            let summary = events.summary();
            assert_eq!(summary.exit_code(), 1);
            assert_eq!(summary.failures[0].failure.cause, Cause::TagConflict);
        }
        assert_eq!(scenario.copied_name(&tag).as_deref(), Some("signature.one"));
        let push = format!("put-manifest {DESTINATION}:{tag}");
        assert_eq!(scenario.count(&push), 1);
    }
}

#[tokio::test]
async fn signatures_of_children_conflict_as_well() {
    let scenario = scenario();
    let child = push_image(&scenario, "image", &[]);
    for source in SOURCES.map(repository) {
        let entries = [entry(&child, Some("linux/amd64"))];
        let index = scenario.stores.index(&source, "index", &entries);
        scenario.stores.tag(&source, "v1", &index);
    }
    let tag = companion_tag(child.digest(), ".sig");
    sign(&scenario, &tag);
    for intent in [
        Intent::Check,
        Intent::Plan,
        Intent::Copy,
        Intent::Copy,
        Intent::Check,
    ] {
        let summary = run(&scenario, intent, SOURCES).await.summary();
        assert_eq!((summary.finished(), summary.failed), (2, 1), "{intent:?}");
        assert_eq!(summary.failures[0].failure.reason, conflict(&tag, SOURCES));
    }
    assert_eq!(scenario.copied_name(&tag).as_deref(), Some("signature.one"));
}

#[tokio::test]
async fn orphan_signatures_of_two_sources_conflict() {
    let scenario = scenario();
    let tag = companion_tag(&digest_of("deleted"), ".sig");
    sign(&scenario, &tag);
    for intent in [Intent::Check, Intent::Plan, Intent::Copy, Intent::Copy] {
        let events = run(&scenario, intent, SOURCES).await;
        let failed = format!(
            "src.example/two:{tag} -> {DESTINATION}:{tag}: failed, {}",
            conflict(&tag, SOURCES)
        );
        assert_eq!(events.endings().last(), Some(&failed), "{intent:?}");
        assert_eq!(
            (events.summary().finished(), events.summary().failed),
            (2, 1)
        );
    }
    assert_eq!(scenario.copied_name(&tag).as_deref(), Some("signature.one"));
}

#[tokio::test]
async fn a_rule_that_names_the_signature_of_an_earlier_image_fails() {
    let (scenario, tag) = scenario_with_two_signatures();
    let named = format!("src.example/two:{tag}");
    let rules = ["src.example/one:v1", named.as_str()];
    let events = run(&scenario, Intent::Copy, rules).await;
    let expected = [
        format!("src.example/one:v1 -> {DESTINATION}:v1: copied"),
        format!(
            "{named} -> {DESTINATION}:{tag}: failed, {}",
            conflict(&tag, rules)
        ),
    ];
    assert_eq!(events.endings(), expected);
}

#[tokio::test]
async fn equal_signatures_and_those_of_images_that_are_not_copied_are_no_conflict() {
    let (scenario, tag) = scenario_with_two_signatures();
    scenario.image("other", &["v0"], &[]);
    for rules in [
        ["src.example/one:v0", "src.example/two:v1"],
        ["src.example/one:/^v0$/", "src.example/two:/^v1$/"],
    ] {
        let summary = run(&scenario, Intent::Copy, rules).await.summary();
        assert_eq!(
            (summary.finished(), summary.exit_code()),
            (2, 0),
            "{rules:?}"
        );
        assert_eq!(scenario.copied_name(&tag).as_deref(), Some("signature.two"));
    }
    let scenario = self::scenario();
    let image = push_image(&scenario, "image", &["v1"]);
    let tag = companion_tag(image.digest(), ".sig");
    push_image(&scenario, "signature", &[&tag]);
    let summary = run(&scenario, Intent::Copy, SOURCES).await.summary();
    assert_eq!((summary.finished(), summary.exit_code()), (2, 0));
}

#[tokio::test]
async fn a_signature_that_cannot_be_read_keeps_its_tag() {
    let (scenario, tag) = scenario_with_two_signatures();
    let prefix = format!("resolve src.example/one:{tag}");
    scenario
        .stores
        .fail_after(&prefix, 0, || error(ErrorKind::Server, "src.example"));
    let summary = run(&scenario, Intent::Copy, NAMES).await.summary();
    assert_eq!((summary.copied, summary.failed), (1, 1));
    let why = "cannot do what was asked at src.example: the test says no";
    let reasons: Vec<_> = summary
        .failures
        .iter()
        .map(|f| f.failure.reason.as_str())
        .collect();
    let unknown = format!(
        "cannot write src.example/two:{tag} (rule src.example/two:v1) to {DESTINATION}:{tag}: rule src.example/one:v1 \
         writes to this tag as well, and its image src.example/one:{tag} cannot be compared: {why}"
    );
    assert!(reasons.contains(&unknown.as_str()), "{reasons:#?}");
    assert_eq!(scenario.copied_name(&tag).as_deref(), Some("signature.one"));
}

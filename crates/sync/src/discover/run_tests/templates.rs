//! Tags that a template names at the destination.

use image_syncer_registry::ErrorKind;

use crate::rule::{DestinationTemplate, Pattern, Selection};
use crate::scenario::*;
use crate::store::memory::error;

/// Returns the rule of `source` with a destination from a template.
fn templated(source: &str, select: Selection, to: &str) -> Rule {
    let mut rule = Arc::unwrap_or_clone(rule(source, &["dst.example/app"]));
    rule.source.select = select;
    let template = DestinationTemplate::parse(to).unwrap();
    rule.destinations = vec![template.destination(&rule.source).unwrap()];
    rule
}

fn expression(text: &str) -> Selection {
    Selection::Matching(Pattern::new(text).unwrap())
}

#[tokio::test]
async fn two_tags_for_one_name_are_a_conflict_that_names_both() {
    let rule = templated(
        "src.example/app",
        expression("^v([0-9]+)[.]"),
        "dst.example/{name}:{1}",
    );
    let scenario = Scenario::new("src.example/app", &["dst.example/app"]);
    let scenario = scenario.with_rules(vec![Arc::new(rule)]);
    scenario.image("one", &["v1.0", "v1.0-again"], &[]);
    scenario.image("other", &["v1.1", "v2.0"], &[]);
    let events = scenario.run().await;
    let endings = events.endings();
    let failed = "src.example/app:v1.1 -> dst.example/app:1: failed, cannot write src.example/app:v1.1 (rule src.example/app) to \
                  dst.example/app:1: rule src.example/app writes another image to this tag, src.example/app:v1.0";
    assert!(endings.contains(&failed.to_owned()), "{endings:#?}");
    assert!(endings.contains(&"src.example/app:v2.0 -> dst.example/app:2: copied".to_owned()));
    assert_eq!(endings.iter().filter(|it| it.contains("failed")).count(), 1);
    assert_eq!(scenario.copied_name("1").as_deref(), Some("one"));
    assert_eq!(scenario.copied_name("2").as_deref(), Some("other"));
}

#[tokio::test]
async fn an_image_without_a_legal_name_fails_alone() {
    let rule = templated(
        "src.example/app",
        Selection::All,
        "dst.example/{name}:{tag|strip:v}",
    );
    let scenario = Scenario::new("src.example/app", &["dst.example/app"]);
    let scenario = scenario.with_rules(vec![Arc::new(rule)]);
    scenario.image("one", &["v", "v1"], &[]);
    let events = scenario.run().await;
    let expected = [
        "src.example/app:v -> dst.example/app: failed, cannot name v by {tag|strip:v}: `` is not a tag: it is empty",
        "src.example/app:v1 -> dst.example/app:1: copied",
    ];
    assert_eq!(events.endings(), expected);
    assert_eq!(events.summary().exit_code(), 1);
    assert_eq!(scenario.count("head-manifest src.example/app:v"), 0);
}

#[tokio::test]
async fn a_broken_list_is_searched_for_the_tag_behind_a_name() {
    let first = templated("src.example/one", Selection::All, "dst.example/app:{tag}-x");
    let second = templated("src.example/two", Selection::All, "dst.example/app");
    let scenario = Scenario::new("src.example/one", &["dst.example/app"]);
    let scenario = scenario.with_rules(vec![Arc::new(first), Arc::new(second)]);
    scenario.image_in("src.example/one", "one", &["v1"], &[]);
    scenario.image_in("src.example/two", "two", &["v1-x", "v2-x", "v1"], &[]);
    let broken = || error(ErrorKind::Server, "src.example");
    scenario
        .stores
        .fail_after("tags src.example/one", 0, broken);
    let endings = scenario.run().await.endings();
    let expected = [
        "src.example/two:v1 -> dst.example/app:v1: copied",
        "src.example/two:v1-x -> dst.example/app:v1-x: failed, cannot write src.example/two:v1-x (rule src.example/two) to \
         dst.example/app:v1-x: rule src.example/one writes another image to this tag, src.example/one:v1",
        "src.example/two:v2-x -> dst.example/app:v2-x: copied",
    ];
    assert_eq!(endings, expected);
}

//! Lists of tags that fail: the rule fails, and what was listed before is copied.

use image_syncer_registry::ErrorKind;

use crate::failure::Side;
use crate::scenario::*;
use crate::store::memory::error;

fn scenario_with(images: usize) -> Scenario {
    let scenario = Scenario::new("src.example/app", &["dst.example/copy"]);
    scenario.numbered_images(images);
    scenario
}

#[tokio::test]
async fn a_panic_while_listing_fails_the_rule_and_no_other() {
    let mut scenario = scenario_with(2);
    scenario.image_in("src.example/other", "image", &["v1"], &["base"]);
    scenario.stores.panic_at("tags src.example/app");
    let other = rule("src.example/other", &["dst.example/other"]);
    scenario.rules.push(other);
    let summary = scenario.run().await.summary();
    assert_eq!((summary.failed_rules, summary.copied), (1, 1));
    let mut failures = summary
        .by_rule
        .iter()
        .filter_map(|rule| rule.failure.as_ref());
    let failure = failures.next().unwrap();
    assert_eq!(failure.side, Side::Local);
    assert!(failure.reason.contains("told to panic"), "{failure}");
}

#[tokio::test]
async fn images_before_a_broken_list_are_copied() {
    let scenario = scenario_with(6).with_page(4);
    let broken = || error(ErrorKind::Server, "src.example");
    scenario.stores.fail_after("tags src", 1, broken);
    let summary = scenario.run().await.summary();
    assert_eq!((summary.copied, summary.failed_rules), (4, 1));
    assert_eq!(summary.exit_code(), 1);
    assert_eq!(summary.by_rule[0].discovered, None);
}

#[tokio::test]
async fn a_list_that_fails_is_the_rules_failure() {
    let events = scenario_with(0).run().await;
    let summary = events.summary();
    assert_eq!((summary.failed_rules, summary.discovered), (1, 0));
    assert_eq!(
        events.failure_kind(),
        (Side::Source, Some(ErrorKind::NotFound))
    );
}

//! Runs of all shards over in-memory registries: together they do what one run does.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};

use crate::rule::{
    DestinationTemplate, IfEmpty, Pattern, PatternRule, RuleSet, Selection, TagPolicy,
};
use crate::scenario::*;
use crate::shard::{RunPart, Shard, ShardPlan, ShardRepositories, TagParts, Weights};

const NAMES: [&str; 9] = [
    "src.example/a",
    "src.example/b",
    "src.example/c",
    "src.example/d",
    "src.example/e",
    "src.example/f",
    "src.example/g",
    "src.example/h",
    "src.example/i",
];

/// Returns registries in which each of [`NAMES`] has an image of its own under `v1`.
fn scenario() -> Scenario {
    let scenario = Scenario::new("src.example/unused", &["dst.example/unused"]);
    for name in NAMES {
        scenario.image_in(name, name, &["v1"], &[name]);
    }
    scenario
}

fn all() -> PatternRule {
    pattern(&["src.example/*"], &["dst.example/{repository}"])
}

/// Returns the parts of a run of `count` shards.
fn shards(count: u32) -> Vec<RunPart> {
    let shard = |index| Shard::new(index, count).unwrap();
    let plan = |index| RunPart::Shard(Arc::new(ShardPlan::by_hash(shard(index))));
    (0..count).map(plan).collect()
}

/// Returns the parts of a run of three shards that divide `src.example/app` among all of them.
fn divided() -> Vec<RunPart> {
    let mut weights = Weights::default();
    weights.add("src.example/app", 100);
    let plan = |index| ShardPlan::by_weight(Shard::new(index, 3).unwrap(), &weights, []);
    (0..3)
        .map(|index| RunPart::Shard(Arc::new(plan(index))))
        .collect()
}

/// Carries out a part of the rules.
async fn run(
    scenario: &Scenario,
    rules: &[Arc<Rule>],
    patterns: &[PatternRule],
    part: &RunPart,
) -> Arc<RunEvents> {
    let events = Arc::new(RunEvents::default());
    let settings = scenario.settings.clone();
    let set = RuleSet {
        rules: settings.complete(rules),
        patterns: patterns.iter().cloned().map(Arc::new).collect(),
        part: part.clone(),
    };
    let own = set.carried_out() as u64;
    let stores = Arc::new(scenario.stores.clone());
    let engine = Engine::new(stores, settings.into(), events.clone());
    engine.run(set, CancellationToken::new()).await;
    let mut summary = events.summary();
    assert_eq!(events.summary_elsewhere(), summary);
    summary.finish(own, false);
    assert!(summary.is_complete(), "something was lost: {summary:?}");
    assert_eq!(engine.locks(), 0);
    events
}

/// Returns each ending of all parts, with the number of parts that have it.
async fn endings(
    scenario: &Scenario,
    rules: &[Arc<Rule>],
    parts: &[RunPart],
) -> BTreeMap<String, usize> {
    let mut endings = BTreeMap::new();
    for part in parts {
        for ending in run(scenario, rules, &[], part).await.endings() {
            *endings.entry(ending).or_default() += 1;
        }
    }
    endings
}

#[tokio::test]
async fn shards_of_a_pattern_copy_each_repository_once_and_list_only_their_own_tags() {
    let scenario = scenario();
    let mut copied = Vec::new();
    for part in shards(3) {
        scenario.stores.take_sorted();
        let events = run(&scenario, &[], &[all()], &part).await;
        let own: Vec<String> = events.outcomes().into_iter().map(|it| it.0).collect();
        let calls = scenario.calls_with(&["tags src."]);
        let listed: BTreeSet<_> = calls.iter().filter_map(|it| it.split(' ').nth(1)).collect();
        let images = own.iter().map(|image| image.trim_end_matches(":v1"));
        assert_eq!(listed, images.collect());
        let repositories = ShardRepositories {
            shard: part.shard().unwrap(),
            own: own.len() as u64,
            selected: 9,
        };
        let summary = events.summary();
        assert_eq!(
            (summary.exit_code(), summary.shard),
            (0, Some(repositories))
        );
        assert_eq!(summary.by_rule[0].repositories, own.len() as u64);
        copied.extend(own);
    }
    copied.sort();
    assert_eq!(copied, NAMES.map(|name| format!("{name}:v1")));
}

#[tokio::test]
async fn rules_of_other_shards_neither_run_nor_fail() {
    let scenario = scenario();
    let mut rules = NAMES
        .map(|name| rule(name, &[&name.replace("src", "dst")]))
        .to_vec();
    rules.push(rule("src.example/missing:v1", &["dst.example/missing"]));
    let mut failed = 0;
    let mut copied = 0;
    for part in shards(4) {
        let summary = run(&scenario, &rules, &[], &part).await.summary();
        let own = rules.iter().filter(|rule| part.carries_out(rule));
        assert_eq!(summary.rules, own.count() as u64);
        assert_eq!(summary.shard.unwrap().selected, 10);
        failed += summary.failed;
        copied += summary.copied;
    }
    assert_eq!((copied, failed), (9, 1));
}

#[tokio::test]
async fn a_shard_without_a_repository_ends_well() {
    let scenario = scenario();
    let one = [rule(NAMES[0], &["dst.example/a"])];
    let mut repositories = Vec::new();
    for part in shards(2) {
        let summary = run(&scenario, &one, &[], &part).await.summary();
        assert_eq!(summary.exit_code(), 0);
        repositories.push((summary.shard.unwrap().own, summary.copied, summary.rules));
    }
    repositories.sort_unstable();
    assert_eq!(repositories, [(0, 0, 0), (1, 1, 1)]);
}

#[tokio::test]
async fn empty_results_are_judged_by_the_whole_list() {
    let scenario = scenario();
    let one = pattern(&["src.example/[a]"], &["dst.example/{repository}"]);
    let nothing = pattern(&["src.example/[z]"], &["dst.example/{repository}"]);
    for part in shards(2) {
        for (pattern, exit) in [(&one, 0), (&nothing, 1)] {
            let strict = PatternRule {
                if_empty: IfEmpty::Fail,
                ..pattern.clone()
            };
            let summary = run(&scenario, &[], &[strict], &part).await.summary();
            assert_eq!(summary.exit_code(), exit, "{:?}", summary.failures);
        }
    }
}

/// Returns a scenario with the tags `t0` to `t19`, each with an image of its own and a signature, and a signature without
/// an image.
fn signed() -> (Scenario, String) {
    let scenario =
        Scenario::new("src.example/app", &["dst.example/app"]).with_settings(with_referrers());
    for number in 0..20 {
        let name = format!("image-{number}");
        let image = scenario.image(&name, &[&format!("t{number}")], &[&name]);
        let signature = scenario.image(&format!("signature-{number}"), &[], &[&name, "signature"]);
        scenario.tag_companion(".sig", &image, &signature);
    }
    let stray = companion_tag(&digest_of("gone"), ".sig");
    scenario.image("stray", &[&stray], &["stray"]);
    (scenario, stray)
}

#[tokio::test]
async fn a_divided_repository_arrives_with_all_signatures() {
    let (whole, _) = signed();
    whole.run().await;
    let expected = whole.stores.tagged_references();
    let (scenario, stray) = signed();
    let mut images = BTreeMap::<String, usize>::new();
    let mut most = 0;
    for part in divided() {
        let events = run(&scenario, &scenario.rules, &[], &part).await;
        let own = events.outcomes();
        most = most.max(own.iter().filter(|it| it.0.contains(":t")).count());
        for (source, _, outcome) in own {
            assert!(matches!(
                outcome,
                Outcome::Copied(_) | Outcome::Unchanged { .. }
            ));
            *images.entry(source).or_default() += 1;
        }
        assert_eq!(events.summary().exit_code(), 0);
    }
    assert_eq!(scenario.stores.tagged_references(), expected);
    assert!(images.values().all(|count| *count == 1), "{images:?}");
    assert!((0..20).all(|number| images.contains_key(&format!("src.example/app:t{number}"))));
    assert!(images.contains_key(&format!("src.example/app:{stray}")));
    assert!(most < 20, "one shard copied everything");
}

#[tokio::test]
async fn named_tags_and_policies_are_divided_and_judged_as_a_whole() {
    let (scenario, _) = signed();
    let tags: Vec<String> = (0..20).map(|number| format!("t{number}")).collect();
    let names: Vec<String> = (0..20).map(|number| format!("n{number}")).collect();
    let named = rule(
        &format!("src.example/app:{}", tags.join(",")),
        &[&format!("dst.example/named:{}", names.join(","))],
    );
    let mut policy = Arc::unwrap_or_clone(rule("src.example/app", &["dst.example/policy"]));
    policy.source.select = Selection::Policy(Arc::new(TagPolicy {
        at_least: 20,
        ..TagPolicy::default()
    }));
    let endings = endings(&scenario, &[named, Arc::new(policy)], &divided()).await;
    let expected = (0..20).flat_map(|it| {
        [
            format!("src.example/app:t{it} -> dst.example/named:n{it}: copied"),
            format!("src.example/app:t{it} -> dst.example/policy:t{it}: copied"),
        ]
    });
    let expected: BTreeMap<String, usize> = expected.map(|ending| (ending, 1)).collect();
    assert_eq!(endings, expected);
}

#[tokio::test]
async fn tags_that_may_get_one_name_stay_in_one_process() {
    let (scenario, _) = signed();
    let mut merging = Arc::unwrap_or_clone(rule("src.example/app:/^(t)/", &["dst.example/app"]));
    merging.source.select = Selection::Matching(Pattern::new("^(t)").unwrap());
    let template = DestinationTemplate::parse("dst.example/app:{1}").unwrap();
    merging.destinations = vec![template.destination(&merging.source).unwrap()];
    let mut searched = 0;
    for part in divided() {
        let events = run(&scenario, &[Arc::new(merging.clone())], &[], &part).await;
        searched += usize::from(!events.outcomes().is_empty());
    }
    assert_eq!(searched, 1);
}

#[tokio::test]
async fn rules_of_two_shards_that_write_one_tag_are_found() {
    let scenario = Scenario::new("src.example/a", &["dst.example/app"]);
    for name in &NAMES[..4] {
        scenario.image_in(name, name, &["v1"], &[name]);
    }
    for (source, destination) in [("", ""), (":v1", ":v1")] {
        let rules: Vec<_> = NAMES[..4]
            .iter()
            .map(|name| {
                rule(
                    &format!("{name}{source}"),
                    &[&format!("dst.example/app{destination}")],
                )
            })
            .collect();
        let mut outcomes = Vec::new();
        for part in shards(3) {
            outcomes.extend(run(&scenario, &rules, &[], &part).await.outcomes());
        }
        outcomes.sort_by(|a, b| a.0.cmp(&b.0));
        let failed: Vec<bool> = outcomes
            .iter()
            .map(|it| matches!(it.2, Outcome::Failed(_)))
            .collect();
        assert_eq!(failed, [false, true, true, true]);
        assert_eq!(scenario.copied_name("v1").as_deref(), Some(NAMES[0]));
    }
}

#[tokio::test]
async fn repositories_of_two_shards_with_one_destination_fail_once() {
    let scenario = Scenario::new("src.example/a", &["dst.example/app"]);
    let names = [
        "src.example/a/app",
        "src.example/b/app",
        "src.example/c/app",
        "src.example/d/app",
    ];
    for name in names {
        scenario.image_in(name, name, &["v1"], &[name]);
    }
    let rule = pattern(&["src.example/**"], &["dst.example/{name}"]);
    let (mut failed, mut copied) = (0, 0);
    for part in shards(3) {
        let summary = run(&scenario, &[], std::slice::from_ref(&rule), &part)
            .await
            .summary();
        failed += summary.failed_repositories;
        copied += summary.copied;
    }
    assert_eq!((copied, failed), (1, 3));
}

#[tokio::test]
async fn names_of_templates_that_meet_between_shards_are_found() {
    // `a` with the tag `b-1`, and `a-b` with the tag `1`.
    for count in 2..6 {
        let scenario = Scenario::new("src.example/a", &["dst.example/all"]);
        scenario.image_in("src.example/a", "first", &["b-1"], &["first"]);
        scenario.image_in("src.example/a-b", "second", &["1"], &["second"]);
        let rule = pattern(&["src.example/*"], &["dst.example/all:{name}-{tag}"]);
        let mut failed = 0;
        for part in shards(count) {
            let events = run(&scenario, &[], std::slice::from_ref(&rule), &part).await;
            failed += events.summary().failed;
        }
        assert_eq!(failed, 1, "{count} shards");
        let tagged = scenario.stores.tagged_references();
        assert!(
            tagged.contains(&"dst.example/all:a-b-1".to_owned()),
            "{tagged:?}"
        );
    }
}

#[tokio::test]
async fn a_part_of_all_tags_can_be_chosen_without_a_shard() {
    let (scenario, _) = signed();
    let parts = [0, 1].map(|part| RunPart::Tags(TagParts::new([part], 2).unwrap()));
    let mut images = 0;
    for part in &parts {
        let events = run(&scenario, &scenario.rules, &[], part).await;
        assert_eq!(events.summary().shard, None);
        let own = events.outcomes().into_iter();
        images += own.filter(|it| it.0.contains(":t")).count();
    }
    assert_eq!(images, 20);
}

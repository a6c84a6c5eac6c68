//! Policies for tags that exist at a destination with another digest.

use image_syncer_registry::ErrorKind;

use crate::event::Change;
use crate::rule::{ConflictAction, ConflictPolicy, CopyOptions, Immutable, TagPattern};
use crate::scenario::*;
use crate::store::memory::{error, repository};

use ConflictAction::{Fail, Overwrite, Skip};

fn with_action(action: ConflictAction) -> Settings {
    Settings {
        conflict: Arc::new(action.into()),
        ..one_at_a_time()
    }
}

/// Returns a scenario with `v1` at both ends, as `new` at the source and as `old` at the destination, under this policy.
fn scenario(action: ConflictAction) -> Scenario {
    let scenario = Scenario::new("src.example/app:v1", &["dst.example/app"]);
    scenario.image("new", &["v1"], &["new"]);
    scenario.image_in("dst.example/app", "old", &["v1"], &["old"]);
    scenario.with_settings(with_action(action))
}

/// Returns the digests under `v1` at the destination and at the source.
fn digests(scenario: &Scenario) -> (String, String) {
    let source = scenario.stores.tagged(&scenario.source, "v1").unwrap();
    let there = scenario.copied_digest("v1").unwrap();
    (there.to_string(), source.to_string())
}

fn skipped(there: &str) -> String {
    format!("skipped, the tag exists with {there}, and the conflict policy (skip) keeps it")
}

fn refused((there, wanted): &(String, String)) -> String {
    format!(
        "failed, cannot write src.example/app:v1 to dst.example/app:v1: the tag exists with {there} instead of {wanted}, \
         and the conflict policy (fail) keeps it"
    )
}

/// Returns the endings of the run, without the names of the images.
async fn endings(scenario: &Scenario, settings: Settings) -> Vec<String> {
    let events = scenario.run_with(settings).await;
    let ending = |line: String| line.split_once(": ").unwrap().1.to_owned();
    events.endings().into_iter().map(ending).collect()
}

const TWO_HEADS: [&str; 2] = [
    "resolve src.example/app:v1",
    "resolve-for-push dst.example/app:v1",
];

#[tokio::test]
async fn a_tag_with_another_digest_is_kept_for_two_heads() {
    for action in [Skip, Fail] {
        for force in [false, true] {
            let scenario = scenario(action);
            let before = digests(&scenario);
            let settings = Settings {
                force,
                ..with_action(action)
            };
            let expected = match action {
                Skip => skipped(&before.0),
                _ => refused(&before),
            };
            assert_eq!(endings(&scenario, settings).await, [expected]);
            assert_eq!(scenario.stores.take_sorted(), TWO_HEADS, "{action} {force}");
            assert_eq!(digests(&scenario), before);
        }
    }
}

#[tokio::test]
async fn the_same_digest_and_a_new_tag_are_no_conflict() {
    for action in [Skip, Fail] {
        let scenario = Scenario::new("src.example/app:v1", &["dst.example/app"]);
        scenario.image("new", &["v1"], &["new"]);
        assert_eq!(endings(&scenario, with_action(action)).await, ["copied"]);
        scenario.stores.take_sorted();
        assert_eq!(endings(&scenario, with_action(action)).await, ["unchanged"]);
        assert_eq!(scenario.stores.take_sorted(), TWO_HEADS);
        let forced = Settings {
            force: true,
            ..with_action(action)
        };
        assert_eq!(endings(&scenario, forced).await, ["copied"]);
    }
}

#[tokio::test]
async fn overwriting_is_the_default_and_costs_two_heads_besides_the_copy() {
    let scenario = scenario(Overwrite);
    assert_eq!(endings(&scenario, one_at_a_time()).await, ["copied"]);
    let expected = [
        "manifest src.example/app@new",
        "open-blob src.example/app@new",
        "open-blob src.example/app@new.config",
        "open-upload dst.example/app@new",
        "open-upload dst.example/app@new.config",
        "put-manifest dst.example/app:v1",
        "resolve src.example/app:v1",
        "resolve-for-push dst.example/app:v1",
        "send dst.example/app@new",
        "send dst.example/app@new.config",
    ];
    assert_eq!(scenario.stores.take_sorted(), expected);
}

#[tokio::test]
async fn a_plan_shows_what_is_kept_and_a_check_counts_a_refusal_as_changed() {
    for (action, intent) in [
        (Skip, Intent::Plan),
        (Skip, Intent::Check),
        (Fail, Intent::Plan),
        (Fail, Intent::Check),
    ] {
        let scenario = scenario(action);
        let before = digests(&scenario);
        let from = scenario.copied_digest("v1").unwrap();
        let settings = Settings {
            intent,
            ..with_action(action)
        };
        let expected = match (action, intent) {
            (Skip, _) => skipped(&before.0),
            (_, Intent::Check) => format!("planned, {:?}", Change::Moved { from }),
            _ => refused(&before),
        };
        assert_eq!(endings(&scenario, settings).await, [expected]);
        assert_eq!(scenario.stores.take_sorted(), TWO_HEADS);
    }
}

#[tokio::test]
async fn each_tag_at_each_destination_has_its_own_policy() {
    let pattern = |text: &str, action| (TagPattern::parse(text).unwrap(), action);
    let patterns = CopyOptions {
        conflict: ConflictPolicy {
            patterns: vec![pattern("v*", Skip), pattern("/^v1$/", Fail)],
            otherwise: Overwrite,
        },
        ..CopyOptions::default()
    };
    let fails = CopyOptions {
        conflict: Fail.into(),
        ..CopyOptions::default()
    };
    // The patterns are those of the tag at the destination.
    let destinations = [
        ("dst.example/a", &patterns),
        ("dst.example/a:latest", &patterns),
        ("dst.example/b", &fails),
        ("dst.example/c", &CopyOptions::default()),
    ];
    let names: Vec<&str> = destinations.iter().map(|(name, _)| *name).collect();
    let mut rule = Arc::unwrap_or_clone(rule("src.example/app:v1", &names));
    for (destination, (_, options)) in rule.destinations.iter_mut().zip(destinations) {
        destination.options = Some(Arc::new(options.clone()));
    }
    let scenario = Scenario::new("src.example/app:v1", &["dst.example/a"]);
    let scenario = scenario.with_rules(vec![Arc::new(rule)]);
    scenario.image("new", &["v1"], &["new"]);
    for path in ["a", "b", "c"] {
        let place = format!("dst.example/{path}");
        scenario.image_in(&place, "old", &["v1", "latest"], &["old"]);
    }
    let events = scenario.run_with(one_at_a_time()).await;
    let (there, wanted) = digests(&scenario);
    let expected = [
        format!(
            "src.example/app:v1 -> dst.example/a:v1: {}",
            skipped(&there)
        ),
        "src.example/app:v1 -> dst.example/a:latest: copied".to_owned(),
        format!(
            "src.example/app:v1 -> dst.example/b:v1: {}",
            refused(&(there, wanted)).replace("/app:v1: the tag", "/b:v1: the tag")
        ),
        "src.example/app:v1 -> dst.example/c:v1: copied".to_owned(),
    ];
    let mut expected = expected.to_vec();
    expected.sort();
    assert_eq!(events.endings(), expected);
    let b = scenario.stores.tagged(&repository("dst.example/b"), "v1");
    assert_eq!(scenario.stores.name(&b.unwrap()), "old");
}

#[tokio::test]
async fn a_stale_list_of_the_destination_does_not_overwrite() {
    let later = ConflictPolicy {
        patterns: vec![(TagPattern::parse("v[23]").unwrap(), Skip)],
        otherwise: Overwrite,
    };
    // With a list, three new tags cost no HEAD. It is stale by the time of the second push.
    for (policy, lists, heads, kept) in [
        (Overwrite.into(), 1, 0, 0),
        (later, 1, 2, 2),
        (Skip.into(), 0, 3, 2),
    ] {
        let scenario = Scenario::new("src.example/app:v1,v2,v3", &["dst.example/app"]);
        scenario.image_for_each_tag("app", &["v1", "v2", "v3"]);
        let settings = Settings {
            conflict: Arc::new(policy),
            ..one_at_a_time()
        };
        let gate = scenario
            .stores
            .block_calls("put-manifest dst.example/app:v1");
        let appearing = async {
            gate.reached(1).await;
            scenario.image_in("dst.example/app", "old", &["v2", "v3"], &["old"]);
            gate.open();
        };
        let (events, ()) = tokio::join!(scenario.run_with(settings), appearing);
        let summary = events.summary();
        assert_eq!((summary.copied, summary.skipped), (3 - kept, kept));
        assert_eq!(scenario.count("tags dst"), lists);
        assert_eq!(scenario.count("resolve-for-push dst.example/app:v"), heads);
    }
}

#[tokio::test]
async fn records_prove_no_digest_of_a_kept_tag() {
    let settings = |action| Settings {
        immutable: Arc::new(Immutable::parse(&["v*".to_owned()]).unwrap()),
        ..with_action(action)
    };
    for (action, recorded) in [(Overwrite, 1), (Skip, 0), (Fail, 0)] {
        let scenario = Scenario::new("src.example/app:v1", &["dst.example/app"]).with_records();
        scenario.image("new", &["v1"], &["new"]);
        let first = scenario.run_with_records(settings(action)).await;
        assert_eq!(first.summary().copied, 1);
        scenario.image_in("dst.example/app", "old", &["v1"], &["old"]);
        let summary = scenario.run_with_records(settings(action)).await.summary();
        let counts = (summary.recorded, summary.skipped, summary.failed);
        let expected = match action {
            Overwrite => (recorded, 0, 0),
            Skip => (recorded, 1, 0),
            Fail => (recorded, 0, 1),
        };
        assert_eq!(counts, expected, "{action}");
    }
}

#[tokio::test]
async fn the_digest_of_a_filtered_index_is_compared() {
    for action in [Skip, Fail] {
        let scenario = Scenario::new("src.example/app:v1", &["dst.example/app"]);
        scenario.index_of_two_platforms(&["v1"]);
        let settings = || Settings {
            platforms: only("amd64").platforms,
            ..with_action(action)
        };
        assert_eq!(endings(&scenario, settings()).await, ["copied"]);
        assert_eq!(endings(&scenario, settings()).await, ["unchanged"]);
        let filtered = scenario.copied_digest("v1").unwrap();
        // The whole index is another digest than the one that would be written.
        scenario.fill_destination();
        let there = digests(&scenario).0;
        let expected = match action {
            Skip => skipped(&there),
            _ => refused(&(there, filtered.to_string())),
        };
        assert_eq!(endings(&scenario, settings()).await, [expected]);
        let whole = scenario.stores.tagged(&scenario.source, "v1");
        assert_eq!(scenario.copied_digest("v1"), whole);
    }
}

#[tokio::test]
async fn a_tag_that_cannot_be_looked_up_is_not_written() {
    let scenario = scenario(Skip);
    let before = digests(&scenario);
    let failing = || error(ErrorKind::Server, "dst.example");
    scenario.stores.fail("resolve-for-push", 1, failing);
    let events = scenario.run().await;
    assert_eq!(events.failure().kind, Some(ErrorKind::Server));
    assert_eq!(digests(&scenario), before);
    assert_eq!(scenario.count("put-manifest"), 0);
}

#[tokio::test]
async fn referrers_have_no_policy() {
    let with_referrers = |action| Settings {
        referrers: Some(Arc::default()),
        ..with_action(action)
    };
    let scenario = Scenario::new("src.example/app:v1", &["dst.example/app"]);
    let image = scenario.image("new", &["v1"], &["new"]);
    let signature = |name: &str| scenario.image(name, &[], &[name]);
    let tag = scenario.tag_companion(".sig", &image, &signature("first"));
    assert_eq!(endings(&scenario, with_referrers(Fail)).await, ["copied"]);
    scenario.tag_companion(".sig", &image, &signature("second"));
    let ended = endings(&scenario, with_referrers(Fail)).await;
    assert_eq!(ended, ["copied"]);
    assert_eq!(scenario.copied_name(&tag).as_deref(), Some("second"));
}

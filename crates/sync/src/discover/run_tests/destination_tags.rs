//! Requests that lists of destinations and records save.

use image_syncer_registry::ErrorKind;

use crate::rule::Immutable;
use crate::scenario::*;
use crate::store::memory::error;

fn scenario() -> Scenario {
    Scenario::new("src.example/app", &["dst.example/app"])
}

/// Returns a scenario with `src.example/app` and the image `v1`, which its rule names.
fn scenario_with_v1() -> Scenario {
    let scenario = Scenario::new("src.example/app:v1", &["dst.example/app"]);
    scenario.image_for_each_tag("app", &["v1"]);
    scenario
}

/// Returns a scenario with the repositories `app0` and on, each with the images `v0` and on, and a rule for each
/// repository.
fn scenario_with_images(repositories: usize, tags: usize) -> Scenario {
    let mut scenario = scenario();
    let tags: Vec<String> = (0..tags).map(|number| format!("v{number}")).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let rule = |number: usize| {
        let path = format!("app{number}");
        scenario.image_for_each_tag(&path, &tags);
        rule_for(&path)
    };
    scenario.rules = (0..repositories).map(rule).collect();
    scenario
}

fn rule_for(path: &str) -> Arc<Rule> {
    let destination = format!("dst.example/{path}");
    rule(&format!("src.example/{path}"), &[&destination])
}

fn immutable(patterns: &[&str]) -> Settings {
    let patterns: Vec<String> = patterns.iter().map(|text| (*text).to_owned()).collect();
    Settings {
        immutable: Arc::new(Immutable::parse(&patterns).unwrap()),
        ..settings()
    }
}

#[tokio::test]
async fn new_images_cost_one_list_of_each_destination_and_no_head_anywhere() {
    let scenario = scenario_with_images(10, 10);
    let events = scenario.run().await;
    assert_eq!(events.summary().copied, 100);
    for number in 0..10 {
        let tags = scenario.count(&format!("tags dst.example/app{number}"));
        let roots = scenario.count(&format!("manifest src.example/app{number}:"));
        assert_eq!((tags, roots), (1, 10));
    }
    assert_eq!(scenario.count("resolve"), 0);
    assert_eq!(scenario.count("manifest"), 100);
    // A page and the empty last one; the root and its push; three requests for each of two blobs.
    assert_eq!(
        scenario.stores.calls().len(),
        10 * (2 + 1) + 100 * (1 + 1 + 3 * 2)
    );
}

#[tokio::test]
async fn a_list_pays_for_three_named_tags_and_not_for_two() {
    for (tags, lists, heads) in [("v1,v2", 0, 4), ("v1,v2,v3", 1, 0)] {
        let scenario = scenario();
        scenario.image_for_each_tag("app", &["v1", "v2", "v3"]);
        let source = format!("src.example/app:{tags}");
        let rules = [rule(&source, &["dst.example/app"])];
        scenario.run_rules(settings(), &rules).await;
        assert_eq!(
            (scenario.count("tags dst"), scenario.count("resolve")),
            (lists, heads)
        );
    }
}

#[tokio::test]
async fn tags_of_several_rules_count_together_and_share_the_list() {
    let scenario = scenario();
    let rules = ["a", "b", "c"].map(|path| {
        scenario.image_for_each_tag(path, &["v1"]);
        let tag = format!("dst.example/all:{path}");
        rule(&format!("src.example/{path}:v1"), &[&tag])
    });
    let events = scenario.run_rules(settings(), &rules).await;
    assert_eq!(events.summary().copied, 3);
    assert_eq!(
        (scenario.count("tags"), scenario.count("resolve")),
        (1, 0),
        "{:?}",
        scenario.stores.calls()
    );
}

#[tokio::test]
async fn listed_tags_cost_two_heads_and_missing_ones_a_get() {
    let scenario = scenario();
    scenario.image_for_each_tag("app", &["v1", "v2"]);
    scenario.fill_destination();
    scenario.image_for_each_tag("app", &["v3"]);
    let events = scenario.run().await;
    assert_eq!(
        (events.summary().copied, events.summary().unchanged),
        (1, 2)
    );
    let mut reads = scenario.calls_with(&["resolve", "manifest"]);
    reads.sort();
    let expected = [
        "manifest src.example/app:v3",
        "resolve src.example/app:v1",
        "resolve src.example/app:v2",
        "resolve-for-push dst.example/app:v1",
        "resolve-for-push dst.example/app:v2",
    ];
    assert_eq!(reads, expected);
}

#[tokio::test]
async fn known_repositories_are_not_listed() {
    let scenario = scenario().with_records();
    scenario.image_for_each_tag("app", &["v1", "v2", "v3"]);
    scenario.run_with_records(settings()).await;
    assert_eq!(scenario.count("tags dst"), 1);
    let events = scenario.run_with_records(settings()).await;
    assert_eq!(events.summary().unchanged, 3);
    assert_eq!(scenario.count("tags src"), 2);
    assert_eq!(scenario.count("resolve"), 2 * 3);
    assert_eq!(scenario.stores.calls().len(), 2 + 2 * 3);
}

#[tokio::test]
async fn without_a_list_every_tag_costs_a_head() {
    for kind in [ErrorKind::Denied, ErrorKind::NotFound, ErrorKind::Rejected] {
        let scenario = scenario();
        scenario.image_for_each_tag("app", &["v1", "v2", "v3"]);
        scenario
            .stores
            .fail("tags dst", 9, move || error(kind, "dst.example"));
        let events = scenario.run().await;
        let summary = events.summary();
        assert_eq!((summary.copied, summary.warnings_given), (3, 0));
        assert_eq!(
            (scenario.count("tags dst"), scenario.count("resolve")),
            (1, 2 * 3)
        );
    }
}

/// Returns a run in which another client pushes its image `name` to `v1` after the list, and the registry keeps it.
async fn run_behind_the_list(name: &str) -> (Scenario, Arc<RunEvents>) {
    let scenario = scenario();
    scenario.image_for_each_tag("app", &["v1", "v2", "v3"]);
    let gate = scenario.stores.block_calls("manifest src.example/app:v1");
    let refused = || error(ErrorKind::Rejected, "dst.example");
    let push = "put-manifest dst.example/app:v1";
    scenario.stores.fail(push, 9, refused);
    let meddling = async {
        gate.reached(1).await;
        scenario.image_in("dst.example/app", name, &["v1"], &[name]);
        gate.open();
    };
    let (events, ()) = tokio::join!(scenario.run(), meddling);
    (scenario, events)
}

#[tokio::test]
async fn a_tag_that_a_stale_list_lacks_and_that_cannot_be_pushed_again_is_unchanged() {
    let (scenario, events) = run_behind_the_list("app-v1").await;
    let expected = [
        "src.example/app:v1 -> dst.example/app:v1: unchanged",
        "src.example/app:v2 -> dst.example/app:v2: copied",
        "src.example/app:v3 -> dst.example/app:v3: copied",
    ];
    assert_eq!(events.endings(), expected);
    assert_eq!(
        scenario.count("resolve-for-push"),
        1,
        "{:?}",
        scenario.stores.take_sorted()
    );
}

#[tokio::test]
async fn a_tag_that_a_stale_list_lacks_and_that_names_something_else_fails() {
    let (_, events) = run_behind_the_list("another").await;
    let expected = "src.example/app:v1 -> dst.example/app:v1: failed, cannot do what was asked at dst.example: the \
                    test says no";
    assert_eq!(events.endings()[0], expected);
}

#[tokio::test(start_paused = true)]
async fn a_late_list_delays_only_its_own_repository_for_a_bounded_time() {
    let scenario = scenario();
    scenario.image_for_each_tag("slow", &["v1", "v2", "v3"]);
    scenario.image_for_each_tag("quick", &["v1", "v2", "v3"]);
    let _gate = scenario.stores.block_calls("tags dst.example/slow");
    let rules = [rule_for("slow"), rule_for("quick")];
    let events = scenario.run_rules(settings(), &rules).await;
    assert_eq!(events.summary().copied, 6);
    let calls = scenario.stores.calls();
    let position = |wanted: &str| calls.iter().position(|call| call == wanted).unwrap();
    let slow = position("resolve-for-push dst.example/slow:v1");
    for tag in ["v1", "v2", "v3"] {
        assert!(position(&format!("put-manifest dst.example/quick:{tag}")) < slow);
    }
}

#[tokio::test]
async fn further_tags_of_an_image_that_is_there_cost_one_push_each() {
    let scenario = scenario();
    let image = scenario.image("image", &["v1"], &["base"]);
    scenario.fill_destination();
    for tag in ["a", "b", "v1.0", "v1.0.0", "w"] {
        scenario.tag(tag, &image);
    }
    let events = scenario.run().await;
    assert_eq!(
        (events.summary().copied, events.summary().unchanged),
        (5, 1)
    );
    assert_eq!(events.summary().volume.manifests, 5);
    let calls = scenario.stores.take_sorted();
    let at = |end: &str| -> Vec<&String> {
        let place = format!(" {end}.example/");
        calls.iter().filter(|call| call.contains(&place)).collect()
    };
    let expected = [
        "put-manifest dst.example/app:a",
        "put-manifest dst.example/app:b",
        "put-manifest dst.example/app:v1.0",
        "put-manifest dst.example/app:v1.0.0",
        "put-manifest dst.example/app:w",
        "resolve-for-push dst.example/app:v1",
        "tags dst.example/app",
        "tags dst.example/app",
    ];
    assert_eq!(at("dst"), expected);
    // Two requests of the lists, a HEAD, and a GET for each new tag.
    assert_eq!(at("src").len(), 2 + 1 + 5);
    assert_eq!(scenario.copied_digest("w").as_ref(), Some(image.digest()));
}

#[tokio::test]
async fn further_tags_of_an_index_touch_none_of_its_children() {
    let scenario = scenario();
    let [index, ..] = scenario.index_of_two_platforms(&["v1"]);
    scenario.fill_destination();
    for tag in ["a", "b", "c", "x", "y"] {
        scenario.tag(tag, &index);
    }
    let events = scenario.run().await;
    assert_eq!(
        (events.summary().copied, events.summary().volume.manifests),
        (5, 5)
    );
    assert_eq!(scenario.count("put-manifest dst.example/app:"), 5);
    assert_eq!(scenario.count("tags dst"), 2);
    assert_eq!(scenario.count("resolve"), 2);
    assert_eq!(scenario.count("manifest src.example/app:"), 5);
    assert_eq!(scenario.stores.calls().len(), 5 + 2 + 2 + 2 + 5);
}

#[tokio::test]
async fn recorded_immutable_tags_cost_only_lists() {
    let scenario = scenario_with_images(5, 20).with_records();
    scenario.run_with_records(settings()).await;
    let events = scenario.run_with_records(immutable(&["v*"])).await;
    let summary = events.summary();
    assert_eq!((summary.unchanged, summary.recorded), (100, 100));
    // At each end a page with tags and the empty last one.
    assert_eq!(scenario.count("tags src"), 2 * 5);
    assert_eq!(scenario.count("tags dst"), 2 * 5);
    assert_eq!(scenario.stores.calls().len(), 4 * 5);
}

#[tokio::test]
async fn a_single_immutable_tag_costs_the_list_of_its_destination() {
    let scenario = scenario_with_v1().with_records();
    let settings = immutable(&["/^v[0-9]+$/"]);
    scenario.run_with_records(settings.clone()).await;
    assert_eq!(scenario.count("tags"), 0);
    let events = scenario.run_with_records(settings).await;
    let expected = ["src.example/app:v1 -> dst.example/app:v1: unchanged by record"];
    assert_eq!(events.endings(), expected);
    assert_eq!(scenario.stores.calls(), ["tags dst.example/app"; 2]);
}

#[tokio::test]
async fn the_records_settle_only_existing_immutable_tags() {
    let scenario = scenario().with_records();
    scenario.image_for_each_tag("app", &["latest", "v1", "v2"]);
    scenario.run_with_records(settings()).await;
    scenario.stores.untag(&scenario.destination, "v2");
    scenario.image_for_each_tag("app", &["v3"]);
    let events = scenario.run_with_records(immutable(&["v*"])).await;
    let expected = [
        "src.example/app:latest -> dst.example/app:latest: unchanged",
        "src.example/app:v1 -> dst.example/app:v1: unchanged by record",
        "src.example/app:v2 -> dst.example/app:v2: copied",
        "src.example/app:v3 -> dst.example/app:v3: copied",
    ];
    assert_eq!(events.endings(), expected);
    let expected = [
        "resolve src.example/app:latest",
        "resolve-for-push dst.example/app:latest",
    ];
    let mut heads = scenario.calls_with(&["resolve"]);
    heads.sort();
    assert_eq!(heads, expected);
    assert_eq!(scenario.count("manifest src.example/app:v2"), 1);
    assert_eq!(scenario.count("manifest src.example/app:v3"), 1);
}

#[tokio::test]
async fn without_records_immutable_tags_are_compared() {
    let scenario = scenario();
    scenario.image_for_each_tag("app", &["v1", "v2", "v3"]);
    let stores = &scenario.stores;
    stores.copy_repository(&scenario.source, &scenario.destination);
    let heard = scenario.run_with(immutable(&["*"])).await;
    let summary = heard.summary();
    assert_eq!((summary.unchanged, summary.recorded), (3, 0));
    // At each end a page with tags and the empty last one, and a HEAD for each tag.
    assert_eq!((stores.count("tags"), stores.count("resolve")), (4, 6));
    assert_eq!(stores.calls().len(), 4 + 6);
}

#[tokio::test]
async fn force_and_verify_ignore_the_records_of_immutable_tags() {
    let scenario = scenario_with_v1().with_records();
    scenario.run_with_records(settings()).await;
    for (changed, ending) in [(forced(), "copied"), (verifying(), "verified")] {
        let settings = Settings {
            immutable: immutable(&["*"]).immutable,
            ..changed
        };
        let events = scenario.run_with_records(settings).await;
        let expected = format!("src.example/app:v1 -> dst.example/app:v1: {ending}");
        assert_eq!(events.endings(), [expected]);
        assert_eq!(scenario.count("resolve-for-push dst.example/app:v1"), 1);
    }
}

#[tokio::test]
async fn records_of_another_filter_or_source_are_ignored() {
    let mut scenario = scenario_with_v1().with_records();
    scenario.image_for_each_tag("other", &["v1"]);
    scenario.run_with_records(settings()).await;
    let filtered = Settings {
        platforms: only("amd64").platforms,
        ..immutable(&["v*"])
    };
    let events = scenario.run_with_records(filtered).await;
    assert_eq!(
        (events.summary().unchanged, events.summary().recorded),
        (1, 0)
    );
    scenario.rules = vec![rule("src.example/other:v1", &["dst.example/app"])];
    let events = scenario.run_with_records(immutable(&["v*"])).await;
    assert_eq!((events.summary().copied, events.summary().recorded), (1, 0));
}

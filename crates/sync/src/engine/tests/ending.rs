//! Ends of runs after panics, interruptions and failures, and their bounds.

use image_syncer_registry::ErrorKind;

use crate::failure::Side;
use crate::scenario::*;
use crate::store::memory::{Gate, error, repository};

struct World {
    stores: MemoryStores,
    source: Repository,
}

/// A repository with this number of tags, each with its own image: `t00`, `t01`, …
fn world(tags: usize) -> World {
    let world = World {
        stores: MemoryStores::new(),
        source: repository("src.example/app"),
    };
    for number in 0..tags {
        let name = format!("t{number:02}");
        let image = world
            .stores
            .image(&world.source, &name, "linux/amd64", &[name.as_str()]);
        world.stores.tag(&world.source, &name, &image);
    }
    world
}

fn all() -> [Arc<Rule>; 1] {
    [rule("src.example/app", &["dst.example/copy"])]
}

impl World {
    /// Runs `rules` and cancels when `calls` calls are blocked. They stay blocked.
    async fn interrupt(&self, rules: &[Arc<Rule>], gate: Gate, calls: usize) -> Arc<Heard> {
        let heard = Arc::new(Heard::default());
        let engine = Engine::new(Arc::new(self.stores.clone()), settings(), heard.clone());
        let cancel = CancellationToken::new();
        let running = engine.run(rules.to_vec(), cancel.clone());
        let cancelling = async {
            gate.reached(calls).await;
            cancel.cancel();
        };
        tokio::join!(running, cancelling);
        assert!(heard.summary().is_complete());
        assert_eq!(engine.locks(), 0);
        heard
    }
}

#[tokio::test]
async fn a_panic_fails_one_image_with_a_message() {
    for call in [
        "manifest src.example/app:t01",
        "open-upload dst.example/copy@t01",
        "open-blob src.example/app@t01.config",
        "put-manifest dst.example/copy:t01",
    ] {
        let world = world(3);
        world.stores.panic_at(call);
        let heard = run(&world.stores, settings(), &all()).await;
        let summary = heard.summary();
        assert_eq!((summary.copied, summary.failed), (2, 1), "{call}");
        assert_eq!(summary.exit_code(), 1);
        let failed = &summary.failures[0];
        assert_eq!(failed.source, "src.example/app:t01");
        let reason = &failed.failure.reason;
        assert!(
            reason.starts_with("internal error: ") && reason.ends_with("please report it"),
            "{reason}"
        );
    }
}

#[tokio::test]
async fn a_panic_while_listing_fails_the_rule_and_no_other() {
    let world = world(2);
    let other = repository("src.example/other");
    let image = world
        .stores
        .image(&other, "image", "linux/amd64", &["base"]);
    world.stores.tag(&other, "v1", &image);
    world.stores.panic_at("tags src.example/app");
    let rules = [
        all()[0].clone(),
        rule("src.example/other", &["dst.example/other"]),
    ];
    let heard = run(&world.stores, settings(), &rules).await;
    let summary = heard.summary();
    assert_eq!((summary.failed_rules, summary.copied), (1, 1));
    let failure = summary
        .by_rule
        .iter()
        .find_map(|rule| rule.failure.clone())
        .unwrap();
    assert_eq!(failure.side, Side::Local);
    assert!(failure.reason.contains("told to panic"), "{failure}");
}

#[tokio::test]
async fn images_before_a_broken_list_are_copied() {
    let world = world(6);
    world.stores.behave(|behaviour| behaviour.page = 4);
    world
        .stores
        .fail_after("tags src", 1, || error(ErrorKind::Server, "src.example"));
    let heard = run(&world.stores, settings(), &all()).await;
    let summary = heard.summary();
    assert_eq!((summary.copied, summary.failed_rules), (4, 1));
    assert_eq!(summary.exit_code(), 1);
    assert_eq!(summary.by_rule[0].discovered, None);
}

#[tokio::test]
async fn an_interrupted_run_reports_every_known_image() {
    let world = world(30);
    let listed: Vec<String> = (0..30).map(|number| format!("t{number:02}")).collect();
    let rules = [
        rule(
            &format!("src.example/app:{}", listed.join(",")),
            &["dst.example/copy"],
        ),
        rule("src.example/elsewhere", &["dst.example/elsewhere"]),
    ];
    let _list = world.stores.block_calls("tags src.example/elsewhere");
    let gate = world.stores.block_calls("manifest src.example/app");
    let heard = world.interrupt(&rules, gate, 4).await;
    let summary = heard.summary();
    assert_eq!(
        (summary.discovered, summary.interrupted, summary.failed),
        (30, 30, 0)
    );
    assert_eq!((summary.interrupted_rules, summary.failed_rules), (1, 0));
    assert_eq!(summary.exit_code(), 130);
    assert!(
        heard
            .endings()
            .iter()
            .all(|ending| ending.ends_with(": interrupted"))
    );
    // Four were in flight. Nothing was started after that.
    assert_eq!(world.stores.count("manifest src"), 4);
    assert_eq!(world.stores.count("put-manifest"), 0);
}

#[tokio::test]
async fn images_copied_before_the_interruption_stay_copied() {
    let world = world(3);
    let gate = world.stores.block_calls("send dst.example/copy@t02");
    let heard = Arc::new(Heard::default());
    let one_at_a_time = Settings {
        images: 1,
        ..settings()
    };
    let engine = Engine::new(Arc::new(world.stores.clone()), one_at_a_time, heard.clone());
    let cancel = CancellationToken::new();
    let running = engine.run(all().to_vec(), cancel.clone());
    let cancelling = async {
        gate.reached(1).await;
        cancel.cancel();
    };
    tokio::join!(running, cancelling);
    let expected = [
        "src.example/app:t00 -> dst.example/copy:t00: copied",
        "src.example/app:t01 -> dst.example/copy:t01: copied",
        "src.example/app:t02 -> dst.example/copy:t02: interrupted",
    ];
    assert_eq!(heard.endings(), expected);
}

#[tokio::test]
async fn a_run_cancelled_before_its_start_sends_nothing() {
    let world = world(2);
    let rules = [
        rule(
            "src.example/app:t00,t01",
            &["dst.example/copy", "dst.example/other"],
        ),
        rule("src.example/all", &["dst.example/all"]),
    ];
    let heard = Arc::new(Heard::default());
    let engine = Engine::new(Arc::new(world.stores.clone()), settings(), heard.clone());
    let cancel = CancellationToken::new();
    cancel.cancel();
    engine.run(rules.to_vec(), cancel).await;
    let summary = heard.summary();
    assert_eq!((summary.interrupted, summary.interrupted_rules), (4, 1));
    assert!(summary.is_complete());
    assert_eq!(world.stores.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn images_in_flight_are_bounded_and_lists_are_read_ahead() {
    let world = world(90);
    world.stores.behave(|behaviour| behaviour.page = 5);
    let gate = world.stores.block_calls("manifest src");
    let rules = all();
    let copying = run(&world.stores, settings(), &rules);
    let watching = async {
        gate.reached(4).await;
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(gate.count(), 4);
        // Eighteen pages and the empty last one.
        assert_eq!(world.stores.count("tags src"), 19);
        gate.open();
    };
    let (heard, ()) = tokio::join!(copying, watching);
    assert_eq!(heard.summary().copied, 90);
}

#[tokio::test]
async fn a_list_that_fails_is_the_rules_failure() {
    let world = world(0);
    let heard = run(&world.stores, settings(), &all()).await;
    let summary = heard.summary();
    assert_eq!((summary.failed_rules, summary.discovered), (1, 0));
    let failure = &summary.failures[0].failure;
    assert_eq!(
        (failure.side, failure.kind),
        (Side::Source, Some(ErrorKind::NotFound))
    );
}

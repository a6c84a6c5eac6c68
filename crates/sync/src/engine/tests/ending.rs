//! Ends of runs after panics and interruptions, and their bounds.

use crate::scenario::*;

/// Returns a scenario with this number of images: `t00`, `t01`, …
fn scenario_with(images: usize) -> Scenario {
    let scenario = Scenario::new("src.example/app", &["dst.example/copy"]);
    scenario.numbered_images(images);
    scenario
}

#[tokio::test]
async fn a_panic_fails_one_image_with_a_message() {
    for call in [
        "manifest src.example/app:t01",
        "open-upload dst.example/copy@t01",
        "open-blob src.example/app@t01.config",
        "put-manifest dst.example/copy:t01",
    ] {
        let scenario = scenario_with(3);
        scenario.stores.panic_at(call);
        let summary = scenario.run().await.summary();
        assert_eq!((summary.copied, summary.failed), (2, 1), "{call}");
        assert_eq!(summary.exit_code(), 1);
        let failed = &summary.failures[0];
        assert_eq!(&*failed.source, "src.example/app:t01");
        let reason = &failed.failure.reason;
        assert!(
            reason.starts_with("internal error: ") && reason.ends_with("please report it"),
            "{reason}"
        );
    }
}

#[tokio::test]
async fn an_interrupted_run_reports_every_known_image() {
    let scenario = scenario_with(30);
    let listed = format!("src.example/app:{}", numbered("t", 0..30).join(","));
    let rules = [
        rule(&listed, &["dst.example/copy"]),
        rule("src.example/elsewhere", &["dst.example/elsewhere"]),
    ];
    let _list = scenario.stores.block_calls("tags src.example/elsewhere");
    let gate = scenario.stores.block_calls("manifest src.example/app");
    let run = scenario.prepare(settings(), &rules);
    let events = run.cancel_after(gate.reached(4)).await;
    let summary = events.summary();
    assert_eq!(
        (summary.discovered, summary.interrupted, summary.failed),
        (30, 30, 0)
    );
    assert_eq!((summary.interrupted_rules, summary.failed_rules), (1, 0));
    assert_eq!(summary.exit_code(), 130);
    let mut endings = events.endings().into_iter();
    assert!(endings.all(|ending| ending.ends_with(": interrupted")));
    // Four were in flight. Nothing was started after that.
    assert_eq!(scenario.count("manifest src"), 4);
    assert_eq!(scenario.count("put-manifest"), 0);
}

#[tokio::test]
async fn images_copied_before_the_interruption_stay_copied() {
    let scenario = scenario_with(3);
    let gate = scenario.stores.block_calls("send dst.example/copy@t02");
    let run = scenario.prepare(one_at_a_time(), &scenario.rules);
    let events = run.cancel_after(gate.reached(1)).await;
    let expected = [
        "src.example/app:t00 -> dst.example/copy:t00: copied",
        "src.example/app:t01 -> dst.example/copy:t01: copied",
        "src.example/app:t02 -> dst.example/copy:t02: interrupted",
    ];
    assert_eq!(events.endings(), expected);
}

#[tokio::test]
async fn a_run_cancelled_before_its_start_sends_nothing() {
    let scenario = scenario_with(2);
    let destinations = ["dst.example/copy", "dst.example/other"];
    let rules = [
        rule("src.example/app:t00,t01", &destinations),
        rule("src.example/all", &["dst.example/all"]),
    ];
    let cancel = CancellationToken::new();
    cancel.cancel();
    let summary = scenario.prepare(settings(), &rules).finish(cancel).await;
    let summary = summary.summary();
    assert_eq!((summary.interrupted, summary.interrupted_rules), (4, 1));
    assert_eq!(scenario.stores.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn images_in_flight_are_bounded_and_lists_are_read_ahead() {
    let scenario = scenario_with(90).with_page(5);
    let gate = scenario.stores.block_calls("manifest src");
    let watching = async {
        gate.reached(4).await;
        let_tasks_run(1_000).await;
        assert_eq!(gate.count(), 4);
        // Eighteen pages and the empty last one.
        assert_eq!(scenario.count("tags src"), 19);
        gate.open();
    };
    let (events, ()) = tokio::join!(scenario.run(), watching);
    assert_eq!(events.summary().copied, 90);
}

#[tokio::test]
async fn rules_with_the_same_source_have_results_of_their_own() {
    let scenario = scenario_with(2);
    let rules = [
        rule("src.example/app", &["dst.example/one"]),
        rule("src.example/app", &["dst.example/two"]),
        rule("src.example/app:t00", &["dst.example/three"]),
    ];
    let summary = scenario.run_rules(settings(), &rules).await.summary();
    let by_id = summary.rules_by_id();
    assert_eq!(by_id.len(), 3);
    let result = |position: usize| {
        let entry = &summary.by_rule[position];
        (
            entry.discovered,
            entry.copied,
            entry.rule.destinations.clone(),
        )
    };
    let mut results = [result(0), result(1), result(2)];
    results.sort();
    assert_eq!(
        results,
        [
            (Some(1), 1, vec!["dst.example/three".to_owned()]),
            (Some(2), 2, vec!["dst.example/one".to_owned()]),
            (Some(2), 2, vec!["dst.example/two".to_owned()]),
        ]
    );
}

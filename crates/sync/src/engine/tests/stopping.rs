//! The grace period of a stopped run.

use std::time::Duration;

use tokio::time::Instant;

use crate::scenario::*;
use crate::store::memory::Gate;

const GRACE: Duration = Duration::from_secs(25);

/// A run of six images of which two may be in flight, behind a list, and of a rule whose list never arrives.
struct BlockedRun {
    scenario: Scenario,
    run: PreparedRun,
    _list: Gate,
}

fn blocked_run() -> BlockedRun {
    let mut scenario = Scenario::new("src.example/app", &["dst.example/copy"]);
    scenario.numbered_images(6);
    let elsewhere = rule("src.example/elsewhere", &["dst.example/elsewhere"]);
    scenario.rules.push(elsewhere);
    let settings = Settings {
        images: 2,
        ..settings()
    };
    BlockedRun {
        _list: scenario.stores.block_calls("tags src.example/elsewhere"),
        run: scenario.prepare(settings, &scenario.rules),
        scenario,
    }
}

impl BlockedRun {
    /// Runs to the end while `stopping` runs. Returns the elapsed time; the clock is paused and advances only for waits.
    async fn elapsed(&self, stop: &Stop, stopping: impl Future<Output = ()>) -> Duration {
        let start = Instant::now();
        let running = async {
            self.run.finish(stop.clone()).await;
            start.elapsed()
        };
        let (elapsed, ()) = tokio::join!(running, stopping);
        elapsed
    }
    fn copied_and_interrupted(&self) -> (u64, u64) {
        let summary = self.run.events.summary();
        assert_eq!((summary.failed, summary.failed_rules), (0, 0));
        (summary.copied, summary.interrupted)
    }
}

#[tokio::test(start_paused = true)]
async fn images_in_flight_finish_and_no_other_is_started() {
    let blocked = blocked_run();
    let scenario = &blocked.scenario;
    let gate = scenario.stores.block_calls("send dst.example/copy@");
    let stop = Stop::new(GRACE);
    let stopping = async {
        gate.reached(2).await;
        stop.cancel.cancel();
        // The rest is reported while these two are in flight.
        until(|| blocked.run.events.endings().len() >= 4).await;
        gate.open();
    };
    let elapsed = blocked.elapsed(&stop, stopping).await;
    assert_eq!(elapsed, Duration::ZERO);
    assert_eq!(blocked.copied_and_interrupted(), (2, 4));
    let summary = blocked.run.events.summary();
    assert_eq!((summary.discovered, summary.interrupted_rules), (6, 1));
    assert_eq!(summary.exit_code(), 130);
    assert_eq!(scenario.count("manifest src"), 2);
    assert_eq!(scenario.count("put-manifest dst.example/copy:"), 2);
    assert!(!stop.abandon.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn images_beyond_the_grace_period_are_dropped() {
    let blocked = blocked_run();
    let stores = &blocked.scenario.stores;
    let gate = stores.block_calls("send dst.example/copy@t01");
    let stop = Stop::new(GRACE);
    let stopping = async {
        gate.reached(1).await;
        stop.cancel.cancel();
    };
    assert_eq!(blocked.elapsed(&stop, stopping).await, GRACE);
    let (copied, interrupted) = blocked.copied_and_interrupted();
    assert_eq!(copied + interrupted, 6);
    let t01 = "src.example/app:t01 -> dst.example/copy:t01: interrupted".to_owned();
    assert!(blocked.run.events.endings().contains(&t01));
    assert_eq!(blocked.run.events.summary().exit_code(), 130);
}

#[tokio::test(start_paused = true)]
async fn without_a_grace_period_images_are_dropped_at_once() {
    for stop in [
        Stop::new(Duration::ZERO),
        Stop::from(CancellationToken::new()),
    ] {
        let blocked = blocked_run();
        let stores = &blocked.scenario.stores;
        let gate = stores.block_calls("send dst.example/copy@");
        let stopping = async {
            gate.reached(2).await;
            stop.cancel.cancel();
        };
        let elapsed = blocked.elapsed(&stop, stopping).await;
        assert_eq!(elapsed, Duration::ZERO);
        assert_eq!(blocked.copied_and_interrupted(), (0, 6));
    }
}

#[tokio::test(start_paused = true)]
async fn abandon_alone_ends_the_run_and_cuts_the_grace_period() {
    for first in [true, false] {
        let blocked = blocked_run();
        let stores = &blocked.scenario.stores;
        let gate = stores.block_calls("send dst.example/copy@");
        let stop = Stop::new(GRACE);
        let stopping = async {
            gate.reached(2).await;
            if first {
                stop.cancel.cancel();
                tokio::time::sleep(GRACE / 5).await;
            }
            stop.abandon.cancel();
        };
        let elapsed = blocked.elapsed(&stop, stopping).await;
        assert_eq!(elapsed, if first { GRACE / 5 } else { Duration::ZERO });
        assert_eq!(blocked.copied_and_interrupted(), (0, 6));
        assert!(stop.cancel.is_cancelled());
        assert_eq!(blocked.run.events.summary().interrupted_rules, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stopped_run_whose_images_all_started_is_complete() {
    let scenario = Scenario::new("src.example/app:v1", &["dst.example/copy"]);
    scenario.image("image", &["v1"], &["base"]);
    let gate = scenario.stores.block_calls("put-manifest");
    let stop = Stop::new(GRACE);
    let stopping = async {
        gate.reached(1).await;
        stop.cancel.cancel();
        gate.open();
    };
    let run = scenario.prepare(settings(), &scenario.rules);
    let (events, ()) = tokio::join!(run.finish(stop.clone()), stopping);
    let summary = events.summary();
    assert_eq!((summary.copied, summary.was_interrupted()), (1, false));
    assert_eq!(summary.exit_code(), 0);
}

#[tokio::test]
async fn images_of_a_list_that_was_read_are_reported_one_by_one() {
    let scenario = Scenario::new("src.example/app", &["dst.example/copy"]).with_page(10);
    let tags = numbered("t", 0..60);
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    scenario.image("image", &tags, &[]);
    let run = scenario.prepare(one_at_a_time(), &scenario.rules);
    let gate = scenario.stores.block_calls("put-manifest");
    let stopping = async {
        gate.reached(1).await;
        until(|| scenario.count("tags src.example/app") >= 7).await;
        // The list is complete, and most of its images are queued.
        let_tasks_run(100).await;
    };
    let summary = run.cancel_after(stopping).await.summary();
    assert_eq!((summary.interrupted, summary.interrupted_rules), (60, 0));
}

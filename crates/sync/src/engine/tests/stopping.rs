//! The grace period of a stopped run.

use std::time::Duration;

use tokio::time::Instant;

use crate::scenario::*;
use crate::store::memory::{Gate, repository};

const GRACE: Duration = Duration::from_secs(25);

/// Six images of which two may be in flight, behind a list, and a rule whose list never arrives.
struct Six {
    stores: MemoryStores,
    heard: Arc<Heard>,
    engine: Engine,
    _list: Gate,
}

fn six() -> Six {
    let stores = MemoryStores::new();
    let source = repository("src.example/app");
    for number in 0..6 {
        let name = format!("t{number:02}");
        let image = stores.image(&source, &name, "linux/amd64", &[name.as_str()]);
        stores.tag(&source, &name, &image);
    }
    let heard = Arc::new(Heard::default());
    let settings = Settings {
        images: 2,
        ..settings()
    };
    Six {
        _list: stores.block_calls("tags src.example/elsewhere"),
        engine: Engine::new(Arc::new(stores.clone()), settings, heard.clone()),
        heard,
        stores,
    }
}

impl Six {
    /// Runs to the end. Returns the elapsed time; the clock is paused and advances only for waits.
    async fn run(&self, stop: &Stop) -> Duration {
        let start = Instant::now();
        let rules = vec![
            rule("src.example/app", &["dst.example/copy"]),
            rule("src.example/elsewhere", &["dst.example/elsewhere"]),
        ];
        self.engine.run(rules, stop.clone()).await;
        assert!(self.heard.summary().is_complete());
        assert_eq!(self.engine.locks(), 0);
        start.elapsed()
    }
    fn copied_and_interrupted(&self) -> (u64, u64) {
        let summary = self.heard.summary();
        assert_eq!((summary.failed, summary.failed_rules), (0, 0));
        (summary.copied, summary.interrupted)
    }
}

#[tokio::test(start_paused = true)]
async fn images_in_flight_finish_and_no_other_is_started() {
    let six = six();
    let gate = six.stores.block_calls("send dst.example/copy@");
    let stop = Stop::new(GRACE);
    let stopping = async {
        gate.reached(2).await;
        stop.cancel.cancel();
        // The rest is reported while these two are in flight.
        while six.heard.endings().len() < 4 {
            tokio::task::yield_now().await;
        }
        gate.open();
    };
    let (elapsed, ()) = tokio::join!(six.run(&stop), stopping);
    assert_eq!(elapsed, Duration::ZERO);
    assert_eq!(six.copied_and_interrupted(), (2, 4));
    let summary = six.heard.summary();
    assert_eq!((summary.discovered, summary.interrupted_rules), (6, 1));
    assert_eq!(summary.exit_code(), 130);
    assert_eq!(six.stores.count("manifest src"), 2);
    assert_eq!(six.stores.count("put-manifest dst.example/copy:"), 2);
    assert!(!stop.abandon.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn images_beyond_the_grace_period_are_dropped() {
    let six = six();
    let gate = six.stores.block_calls("send dst.example/copy@t01");
    let stop = Stop::new(GRACE);
    let stopping = async {
        gate.reached(1).await;
        stop.cancel.cancel();
    };
    let (elapsed, ()) = tokio::join!(six.run(&stop), stopping);
    assert_eq!(elapsed, GRACE);
    let (copied, interrupted) = six.copied_and_interrupted();
    assert_eq!(copied + interrupted, 6);
    let t01 = "src.example/app:t01 -> dst.example/copy:t01: interrupted".to_owned();
    assert!(six.heard.endings().contains(&t01));
    assert_eq!(six.heard.summary().exit_code(), 130);
}

#[tokio::test(start_paused = true)]
async fn without_a_grace_period_images_are_dropped_at_once() {
    for stop in [
        Stop::new(Duration::ZERO),
        Stop::from(CancellationToken::new()),
    ] {
        let six = six();
        let gate = six.stores.block_calls("send dst.example/copy@");
        let stopping = async {
            gate.reached(2).await;
            stop.cancel.cancel();
        };
        let (elapsed, ()) = tokio::join!(six.run(&stop), stopping);
        assert_eq!(elapsed, Duration::ZERO);
        assert_eq!(six.copied_and_interrupted(), (0, 6));
    }
}

#[tokio::test(start_paused = true)]
async fn abandon_alone_ends_the_run_and_cuts_the_grace_period() {
    for first in [true, false] {
        let six = six();
        let gate = six.stores.block_calls("send dst.example/copy@");
        let stop = Stop::new(GRACE);
        let stopping = async {
            gate.reached(2).await;
            if first {
                stop.cancel.cancel();
                tokio::time::sleep(GRACE / 5).await;
            }
            stop.abandon.cancel();
        };
        let (elapsed, ()) = tokio::join!(six.run(&stop), stopping);
        assert_eq!(elapsed, if first { GRACE / 5 } else { Duration::ZERO });
        assert_eq!(six.copied_and_interrupted(), (0, 6));
        assert!(stop.cancel.is_cancelled());
        assert_eq!(six.heard.summary().interrupted_rules, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stopped_run_whose_images_all_started_is_complete() {
    let stores = MemoryStores::new();
    let source = repository("src.example/app");
    let image = stores.image(&source, "image", "linux/amd64", &["base"]);
    stores.tag(&source, "v1", &image);
    let gate = stores.block_calls("put-manifest");
    let heard = Arc::new(Heard::default());
    let engine = Engine::new(Arc::new(stores.clone()), settings(), heard.clone());
    let stop = Stop::new(GRACE);
    let stopping = async {
        gate.reached(1).await;
        stop.cancel.cancel();
        gate.open();
    };
    let rules = vec![rule("src.example/app:v1", &["dst.example/copy"])];
    tokio::join!(engine.run(rules, stop.clone()), stopping);
    let summary = heard.summary();
    assert_eq!((summary.copied, summary.was_interrupted()), (1, false));
    assert_eq!(summary.exit_code(), 0);
}

#[tokio::test]
async fn images_of_a_list_that_was_read_are_reported_one_by_one() {
    let stores = MemoryStores::new();
    stores.behave(|behaviour| behaviour.page = 10);
    let source = repository("src.example/app");
    let image = stores.image(&source, "image", "linux/amd64", &[]);
    let tags = 60;
    for number in 0..tags {
        stores.tag(&source, &format!("t{number:02}"), &image);
    }
    let heard = Arc::new(Heard::default());
    let settings = Settings {
        images: 1,
        ..settings()
    };
    let engine = Engine::new(Arc::new(stores.clone()), settings, heard.clone());
    let gate = stores.block_calls("put-manifest");
    let cancel = CancellationToken::new();
    let run = engine.run(
        vec![rule("src.example/app", &["dst.example/copy"])],
        cancel.clone(),
    );
    let stop = async {
        gate.reached(1).await;
        while stores.count("tags src.example/app") < 7 {
            tokio::task::yield_now().await;
        }
        // The list is complete, and most of its images are queued.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    tokio::join!(run, stop);
    let summary = heard.summary();
    assert_eq!((summary.interrupted, summary.interrupted_rules), (tags, 0));
}

//! Runs that share a session, over in-memory stores.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tokio::time::{advance, timeout};

use crate::event::Volume;
use crate::scenario::*;
use crate::session::aging::MAX_AGE;
use crate::session::{RunHandle, RunOptions, Session, SessionOptions};

/// Stores and a session over them.
struct Shared {
    stores: MemoryStores,
    session: Session,
}

impl Shared {
    fn new(options: SessionOptions) -> Self {
        let stores = MemoryStores::new();
        let session = Session::over(Arc::new(stores.clone()), options);
        Self { stores, session }
    }
    /// Stores the image `name` with one layer under `path`, a repository and a tag, at `src.example`.
    fn image(&self, path: &str, name: &str, layer: &str) {
        let (path, tag) = path.split_once(':').unwrap();
        let source = repository(&format!("src.example/{path}"));
        let image = self.stores.image(&source, name, "linux/amd64", &[layer]);
        self.stores.tag(&source, tag, &image);
    }
    /// Starts a run that copies `from` at `src.example` to `to` at `dst.example`.
    fn start(&self, from: &str, to: &str, options: RunOptions) -> (RunHandle, Arc<RunEvents>) {
        let events = Arc::new(RunEvents::default());
        let destination = format!("dst.example/{to}");
        let rules = vec![rule(&format!("src.example/{from}"), &[&destination])];
        let run = self.session.run_with(rules, options, events.clone());
        (run, events)
    }
    /// Copies an image in a run of its own. Returns the volume of the copy.
    async fn copy(&self, from: &str, to: &str) -> Volume {
        let (run, events) = self.start(from, to, RunOptions::default());
        assert!(!run.wait().await.stopped);
        events.copied().volume
    }
    /// Returns the calls about the blob `name` at `dst.example`, except those that send it.
    fn calls_about(&self, name: &str) -> Vec<String> {
        let mut calls = self.stores.calls();
        calls.retain(|call| {
            call.contains(" dst.example/")
                && call.ends_with(&format!("@{name}"))
                && !call.starts_with("send")
        });
        calls
    }
    /// Returns the number of facts, locks and transfers that the session holds.
    fn entries(&self) -> (usize, usize, usize) {
        let inner = &self.session.inner;
        let transfers = inner.shared.transfers.len();
        (inner.facts.len(), inner.shared.locks.len(), transfers)
    }
}

fn repository(name: &str) -> Repository {
    Repository::parse(name).unwrap()
}

#[tokio::test(start_paused = true)]
async fn two_runs_at_the_same_time_send_a_blob_once() {
    let shared = Shared::new(SessionOptions::default());
    shared.image("app:v1", "one", "base");
    let gate = shared.stores.block_calls("send dst.example/app@");
    let (one, _) = shared.start("app:v1", "app:one", RunOptions::default());
    gate.reached(2).await;
    let (two, second) = shared.start("app:v1", "app:two", RunOptions::default());
    let_tasks_run(1_000).await;
    gate.open();
    let (one, two) = tokio::join!(one.wait(), two.wait());
    // The config and the layer.
    assert_eq!(shared.stores.count("send dst.example/app@"), 2);
    assert_eq!((one.sent > 0, two.sent), (true, 0));
    assert_eq!((one.fetched, two.fetched), (one.sent, 0));
    assert_eq!(second.summary().copied, 1);
    assert_eq!(shared.entries().1, 0);
}

#[tokio::test(start_paused = true)]
async fn a_blob_of_an_earlier_run_is_looked_up_and_not_sent() {
    let shared = Shared::new(SessionOptions::default());
    shared.image("app:v1", "one", "base");
    shared.image("app:v2", "two", "base");
    shared.copy("app:v1", "app").await;
    shared.stores.take_sorted();
    let volume = shared.copy("app:v2", "app").await;
    assert_eq!(
        shared.calls_about("base"),
        ["head-blob dst.example/app@base"]
    );
    // The config was sent. No other image of this run brought the layer.
    assert_eq!(
        (volume.blobs, volume.present_bytes, volume.shared_bytes),
        (1, 4, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_blob_of_an_earlier_run_is_mounted_elsewhere() {
    let shared = Shared::new(SessionOptions::default());
    shared.image("app:v1", "one", "base");
    shared.copy("app:v1", "app").await;
    let volume = shared.copy("app:v1", "other").await;
    assert_eq!((volume.blobs, volume.bytes), (0, 0));
    assert!(volume.mounted_bytes > 4, "{volume:?}");
    assert_eq!(shared.stores.count("send"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_was_wiped_between_two_runs_gets_everything_again() {
    let shared = Shared::new(SessionOptions::default());
    shared.image("app:v1", "one", "base");
    let first = shared.copy("app:v1", "app").await;
    let destination = repository("dst.example/app");
    shared.stores.remove_repository(&destination);
    let second = shared.copy("app:v1", "app").await;
    assert_eq!(first, second);
    assert!(
        shared
            .stores
            .blob_bytes(&destination, &digest_of("base"))
            .is_some()
    );
}

#[tokio::test(start_paused = true)]
async fn facts_are_dropped_after_an_hour() {
    let shared = Shared::new(SessionOptions::default());
    shared.image("app:v1", "one", "base");
    shared.image("app:v2", "two", "base");
    shared.image("app:v3", "three", "base");
    shared.copy("app:v1", "app").await;
    let (facts, ..) = shared.entries();
    advance(MAX_AGE.saturating_sub(Duration::from_secs(1))).await;
    shared.copy("app:v2", "app").await;
    assert!(shared.entries().0 > facts);
    advance(Duration::from_secs(1)).await;
    shared.stores.take_sorted();
    shared.copy("app:v3", "app").await;
    // Requested as in a first run.
    assert_eq!(
        shared.calls_about("base"),
        ["open-upload dst.example/app@base"]
    );
    assert_eq!(shared.entries(), (facts, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_session_does_not_grow_with_its_runs() {
    let shared = Shared::new(SessionOptions::default());
    let mut most = 0;
    for number in 0..300 {
        shared.image(&format!("app:v{number}"), &format!("i{number}"), "base");
        shared.copy(&format!("app:v{number}"), "app").await;
        let (facts, locks, transfers) = shared.entries();
        assert_eq!((locks, transfers), (0, 0));
        most = most.max(facts);
        advance(Duration::from_secs(60)).await;
    }
    // Of sixty runs: a config and a manifest each. The repository and the layer are the same.
    assert!(most <= 2 * 61 + 4, "{most} facts");
}

#[tokio::test(start_paused = true)]
async fn the_failure_of_a_run_does_not_end_another() {
    let shared = Shared::new(SessionOptions::default());
    shared.image("app:v1", "one", "base");
    let gate = shared.stores.block_calls("send dst.example/app@");
    let (good, copied) = shared.start("app:v1", "app", RunOptions::default());
    gate.reached(2).await;
    let (bad, failed) = shared.start("app:missing", "app", RunOptions::default());
    bad.wait().await;
    assert_eq!(failed.summary().failed, 1);
    gate.open();
    assert!(!good.wait().await.stopped);
    assert_eq!(copied.summary().copied, 1);
}

#[tokio::test(start_paused = true)]
async fn a_run_takes_over_the_blobs_of_a_run_that_is_abandoned() {
    let shared = Shared::new(SessionOptions::default());
    shared.image("app:v1", "one", "base");
    let gate = shared.stores.block_calls("send dst.example/app@");
    let (one, first) = shared.start("app:v1", "app:one", RunOptions::default());
    gate.reached(2).await;
    let (two, second) = shared.start("app:v1", "app:two", RunOptions::default());
    let_tasks_run(1_000).await;
    assert_eq!(gate.count(), 2);
    one.abandon();
    assert!(one.wait().await.stopped);
    gate.reached(4).await;
    gate.open();
    assert!(!two.wait().await.stopped);
    assert_eq!(
        (first.summary().interrupted, second.summary().copied),
        (1, 1)
    );
    assert_eq!(shared.entries().1, 0);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_run_finishes_its_images_and_leaves_other_runs() {
    let shared = Shared::new(SessionOptions::default());
    shared.image("app:v1", "one", "base");
    shared.image("app:v2", "two", "base");
    let gate = shared.stores.block_calls("send dst.example/");
    let (one, first) = shared.start("app:v1", "app", RunOptions::default());
    gate.reached(2).await;
    one.stop();
    let (two, second) = shared.start("app:v2", "other", RunOptions::default());
    let_tasks_run(1_000).await;
    gate.open();
    let (one, two) = tokio::join!(one.wait(), two.wait());
    assert_eq!((one.stopped, two.stopped), (true, false));
    assert_eq!((first.summary().copied, second.summary().copied), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn all_runs_together_keep_the_limit_of_images() {
    let shared = Shared::new(SessionOptions::default().with_images(1));
    shared.image("app:v1", "one", "base");
    shared.image("app:v2", "two", "base");
    let gate = shared.stores.block_calls("resolve");
    let (one, first) = shared.start("app:v1", "app", RunOptions::default());
    let (two, second) = shared.start("app:v2", "app", RunOptions::default());
    gate.reached(2).await;
    let_tasks_run(1_000).await;
    // Source and destination of one image.
    assert_eq!(gate.count(), 2);
    gate.open();
    tokio::join!(one.wait(), two.wait());
    assert_eq!((first.summary().copied, second.summary().copied), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_plan_leaves_no_facts() {
    let shared = Shared::new(SessionOptions::default());
    shared.image("app:v1", "one", "base");
    let plan = RunOptions::default().with_intent(Intent::Plan);
    let (run, events) = shared.start("app:v1", "app", plan);
    run.wait().await;
    assert_eq!(events.summary().planned, 1);
    assert_eq!(shared.entries(), (0, 0, 0));
    let volume = shared.copy("app:v1", "app").await;
    assert_eq!(volume.blobs, 2);
}

#[tokio::test(start_paused = true)]
async fn a_run_goes_on_without_its_handle() {
    let shared = Shared::new(SessionOptions::default());
    shared.image("app:v1", "one", "base");
    let (run, events) = shared.start("app:v1", "app", RunOptions::default());
    drop(run);
    until(|| events.summary().copied == 1).await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_run_may_be_requested_again() {
    let shared = Shared::new(SessionOptions::default());
    shared.image("app:v1", "one", "base");
    let gate = shared.stores.block_calls("send dst.example/app@");
    let (mut run, _) = shared.start("app:v1", "app", RunOptions::default());
    gate.reached(2).await;
    assert!(timeout(MAX_AGE, run.ended()).await.is_err());
    gate.open();
    let end = run.ended().await;
    assert_eq!((end.elapsed, end.stopped), (MAX_AGE, false));
    advance(MAX_AGE).await;
    assert_eq!(run.wait().await, end);
}

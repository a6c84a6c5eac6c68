//! Registries that mount blobs that a manifest names, and registries that mount nothing.

use std::time::Duration;

use futures_util::future::join_all;
use image_syncer_registry::Descriptor;

use super::{Bench, SOURCE};
use crate::store::memory::{Gate, Mounts, OpenScript, repository, settled};
use crate::transfer::{CommitGuard, Moved};

const A: &str = "dst.example/a";
const OTHERS: [&str; 3] = ["dst.example/b", "dst.example/c", "dst.example/d"];

fn will_commit(bench: &Bench, name: &str, blob: &Descriptor) -> CommitGuard {
    let blobs = [&blob.digest];
    bench.transfers.will_commit(&repository(name), blobs)
}

/// Does what a copy does after the push of a manifest.
fn commit(bench: &Bench, name: &str, blob: &Descriptor, commitment: CommitGuard) {
    bench.stores.commit(name);
    let blobs = [&blob.digest];
    bench.inventory.record_committed(&repository(name), blobs);
    drop(commitment);
}

#[tokio::test(start_paused = true)]
async fn one_delivery_probes_mounts_and_the_others_await_the_answer() {
    for (mounts, asked) in [(Mounts::Accepts, 3), (Mounts::Refuses, 1)] {
        let bench = Bench::new(None);
        bench.stores.set_mounts("dst.example", mounts);
        let blob = bench.stores.sized_blob(100, &[SOURCE]);
        bench.deliver(&blob, SOURCE, &[A]).await;
        let gate = Gate::new();
        for name in OTHERS {
            bench.stores.on_open(name, OpenScript::Hold(gate.clone()));
        }
        let others = OTHERS.map(|name| bench.spawn(&blob, SOURCE, &[name]));
        gate.reached(1).await;
        settled().await;
        assert_eq!(bench.stores.count("mount"), 1);
        gate.open();
        let outcomes = join_all(others).await;
        assert!(
            outcomes
                .into_iter()
                .all(|outcome| outcome.unwrap()[0].is_ok())
        );
        assert_eq!(bench.stores.count("mount"), asked);
        bench.assert_quiet();
    }
}

#[tokio::test(start_paused = true)]
async fn a_blob_that_mounts_only_once_committed_is_awaited_until_then() {
    let bench = Bench::new(Some(1));
    bench
        .stores
        .set_mounts("dst.example", Mounts::OnlyCommitted);
    let blob = bench.stores.sized_blob(100, &[SOURCE]);
    let first = will_commit(&bench, A, &blob);
    let later = OTHERS.map(|name| will_commit(&bench, name, &blob));
    assert_eq!(
        bench.deliver(&blob, SOURCE, &[A]).await,
        [Ok(Moved::Streamed(100))]
    );
    let others = OTHERS.map(|name| bench.spawn(&blob, SOURCE, &[name]));
    tokio::time::sleep(Duration::from_secs(1)).await;
    // One of them found out, and was sent the bytes in the session that it got.
    assert_eq!(bench.stores.count("mount"), 1);
    assert_eq!(bench.stores.count("send"), 2);
    commit(&bench, A, &blob, first);
    let outcomes = join_all(others).await.into_iter();
    let mut outcomes: Vec<_> = outcomes.map(|outcome| outcome.unwrap()[0]).collect();
    outcomes.sort_by_key(|outcome| *outcome == Ok(Moved::Mounted));
    let mounted = Ok(Moved::Mounted);
    assert_eq!(outcomes, [Ok(Moved::Streamed(100)), mounted, mounted]);
    assert_eq!(bench.stores.count("open-blob"), 2);
    drop(later);

    // Once the behavior is known, the wait has no limit.
    let second = bench.stores.sized_blob(200, &[SOURCE]);
    let first = will_commit(&bench, A, &second);
    let _later = OTHERS.map(|name| will_commit(&bench, name, &second));
    bench.deliver(&second, SOURCE, &[A]).await;
    let others = OTHERS.map(|name| bench.spawn(&second, SOURCE, &[name]));
    tokio::time::sleep(Duration::from_secs(1000)).await;
    assert_eq!(bench.stores.count("mount"), 3);
    commit(&bench, A, &second, first);
    for other in others {
        assert_eq!(other.await.unwrap(), [mounted]);
    }
    bench.assert_quiet();
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_may_mount_nothing_is_waited_for_two_seconds_in_all() {
    let bench = Bench::new(None);
    bench.stores.set_mounts("dst.example", Mounts::Refuses);
    let started = tokio::time::Instant::now();
    for size in [100, 200, 300] {
        let blob = bench.stores.sized_blob(size, &[SOURCE]);
        let _all =
            [A, OTHERS[0], OTHERS[1], OTHERS[2]].map(|name| will_commit(&bench, name, &blob));
        bench.deliver(&blob, SOURCE, &[A]).await;
        let outcomes = bench.deliver(&blob, SOURCE, &OTHERS).await;
        assert_eq!(outcomes, [Ok(Moved::Streamed(size as u64)); 3]);
    }
    assert_eq!(started.elapsed(), Duration::from_secs(2));
    assert_eq!(bench.stores.count("mount"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_fails_is_not_waited_for_any_more() {
    let bench = Bench::new(None);
    bench
        .stores
        .set_mounts("dst.example", Mounts::OnlyCommitted);
    let old = bench.stores.sized_blob(50, &[SOURCE]);
    bench.deliver(&old, SOURCE, &[A, OTHERS[0]]).await;
    let blob = bench.stores.sized_blob(100, &[SOURCE]);
    let failing = will_commit(&bench, A, &blob);
    let _later = OTHERS.map(|name| will_commit(&bench, name, &blob));
    bench.deliver(&blob, SOURCE, &[A]).await;
    let others = bench.spawn(&blob, SOURCE, &OTHERS);
    settled().await;
    assert_eq!(bench.stores.count("open-upload"), 2);
    drop(failing);
    // The next one brings it itself; those behind it wait.
    settled().await;
    assert!(bench.stores.holds_blob(OTHERS[0], &blob));
    assert!(
        !bench.stores.holds_blob(OTHERS[1], &blob) && !bench.stores.holds_blob(OTHERS[2], &blob)
    );
    let outcomes = others.await.unwrap();
    assert!(outcomes.iter().all(Result::is_ok));
}

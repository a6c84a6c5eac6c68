//! Many deliveries at the same time.

use futures_util::future::{join_all, join3};
use image_syncer_registry::ErrorKind;
use tokio_util::sync::CancellationToken;

use super::{Bench, SOURCE};
use crate::failure::Side;
use crate::store::memory::{
    Gate, Mounts, OpenScript, ReadScript, ReceiveScript, repository, settled,
};
use crate::transfer::Moved;

#[tokio::test(start_paused = true)]
async fn ten_images_that_want_one_blob_in_one_repository_send_it_once() {
    let bench = Bench::new(Some(1));
    let blob = bench.stores.sized_blob(100, &[SOURCE]);
    let to = ["dst.example/a"];
    let deliveries = join_all((0..10).map(|_| bench.deliver(&blob, SOURCE, &to))).await;
    let mut expected = vec![[Ok(Moved::Present)]; 10];
    expected[0] = [Ok(Moved::Streamed(100))];
    assert_eq!(deliveries, expected);
    assert_eq!(
        bench.stores.calls(),
        [
            "open-upload dst.example/a@b100",
            "send dst.example/a@b100",
            "open-blob src.example/app@b100",
        ]
    );
    bench.assert_quiet();
}

#[tokio::test(start_paused = true)]
async fn ten_images_in_ten_repositories_send_it_once_and_mount_it_nine_times() {
    let bench = Bench::new(Some(1));
    let blob = bench.stores.sized_blob(100, &[SOURCE]);
    let names: Vec<String> = (0..10).map(|n| format!("dst.example/n{n}")).collect();
    let deliveries = names.iter().map(|name| {
        let bench = bench.clone();
        let blob = blob.clone();
        async move { bench.deliver(&blob, SOURCE, &[name]).await }
    });
    let mut expected = vec![[Ok(Moved::Mounted)]; 10];
    expected[0] = [Ok(Moved::Streamed(100))];
    assert_eq!(join_all(deliveries).await, expected);
    assert_eq!(bench.stores.count("open-blob"), 1);
    assert_eq!(bench.stores.count("open-upload"), 1);
    assert_eq!(bench.stores.count("mount"), 9);
    bench.assert_quiet();
}

#[tokio::test(start_paused = true)]
async fn a_mount_in_flight_is_awaited_too() {
    let bench = Bench::new(None);
    let blob = bench.stores.sized_blob(100, &[SOURCE, "dst.example/old"]);
    let there = repository("dst.example/old");
    bench.inventory.record_present(&there, &blob.digest);
    let gate = Gate::new();
    bench
        .stores
        .on_open("dst.example/a", OpenScript::Hold(gate.clone()));
    let first = bench.spawn(&blob, SOURCE, &["dst.example/a"]);
    gate.reached(1).await;
    let second = bench.spawn(&blob, SOURCE, &["dst.example/a"]);
    settled().await;
    assert_eq!(bench.stores.calls().len(), 1);
    gate.open();
    assert_eq!(first.await.unwrap(), [Ok(Moved::Mounted)]);
    assert_eq!(second.await.unwrap(), [Ok(Moved::Present)]);
    assert_eq!(bench.stores.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_upload_another_delivery_sends_the_blob() {
    let bench = Bench::new(Some(1));
    let blob = bench.stores.sized_blob(100, &[SOURCE]);
    bench
        .stores
        .on_receive("dst.example/a", ReceiveScript::Fail(20, ErrorKind::Denied));
    let to = ["dst.example/a"];
    let deliveries = join_all((0..3).map(|_| bench.deliver(&blob, SOURCE, &to))).await;
    assert_eq!(
        deliveries,
        [
            [Err((Side::Destination, Some(ErrorKind::Denied)))],
            [Ok(Moved::Streamed(100))],
            [Ok(Moved::Present)],
        ]
    );
    assert_eq!(bench.stores.count("open-upload"), 2);
    bench.assert_quiet();
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_upload_elsewhere_a_waiting_delivery_sends_the_blob() {
    let bench = Bench::new(Some(1));
    let blob = bench.stores.sized_blob(100, &[SOURCE]);
    bench
        .stores
        .on_open("dst.example/a", OpenScript::Fail(ErrorKind::Denied));
    let (a, b, c) = join3(
        bench.deliver(&blob, SOURCE, &["dst.example/a"]),
        bench.deliver(&blob, SOURCE, &["dst.example/b"]),
        bench.deliver(&blob, SOURCE, &["dst.example/c"]),
    )
    .await;
    assert_eq!(a, [Err((Side::Destination, Some(ErrorKind::Denied)))]);
    assert_eq!(b, [Ok(Moved::Streamed(100))]);
    assert_eq!(c, [Ok(Moved::Mounted)]);
    assert_eq!(
        bench.stores.calls(),
        [
            "open-upload dst.example/a@b100",
            "open-upload dst.example/b@b100",
            "send dst.example/b@b100",
            "open-blob src.example/app@b100",
            "mount dst.example/c@b100 from dst.example/b",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn waiting_deliveries_share_a_failure_of_their_source_and_others_try_their_own() {
    let bench = Bench::new(Some(1));
    let blob = bench.stores.sized_blob(100, &[SOURCE, "other.example/app"]);
    bench
        .stores
        .on_read(SOURCE, ReadScript::Break(50, ErrorKind::Server));
    let (first, second, other) = join3(
        bench.deliver(&blob, SOURCE, &["dst.example/a"]),
        bench.deliver(&blob, SOURCE, &["dst.example/a", "dst.example/b"]),
        bench.deliver(&blob, "other.example/app", &["dst.example/a"]),
    )
    .await;
    let failed = Err((Side::Source, Some(ErrorKind::Server)));
    assert_eq!(first, [failed]);
    assert_eq!(second, [failed, failed]);
    assert_eq!(other, [Ok(Moved::Streamed(100))]);
    assert_eq!(bench.stores.count("open-blob src.example/app"), 1);
    assert_eq!(bench.stores.count("open-blob other.example/app"), 1);
    // A failure is shared with those that waited at that moment; a later delivery tries again.
    let later = bench.deliver(&blob, SOURCE, &["third.example/a"]).await;
    assert_eq!(later, [Ok(Moved::Streamed(100))]);
    bench.assert_quiet();
}

#[tokio::test(start_paused = true)]
async fn after_a_cancelled_upload_another_delivery_sends_the_blob() {
    for dropped in [false, true] {
        let bench = Bench::new(Some(1));
        let blob = bench.stores.sized_blob(100, &[SOURCE]);
        let gate = Gate::new();
        bench
            .stores
            .on_receive("dst.example/a", ReceiveScript::Pause(50, gate.clone()));
        let cancel = CancellationToken::new();
        let first = bench.spawn_until(&blob, SOURCE, &["dst.example/a"], &cancel);
        gate.reached(1).await;
        let second = bench.spawn(&blob, SOURCE, &["dst.example/a"]);
        settled().await;
        if dropped {
            first.abort();
        } else {
            cancel.cancel();
        }
        assert_eq!(second.await.unwrap(), [Ok(Moved::Streamed(100))]);
        match first.await {
            Ok(outcomes) => assert_eq!(outcomes, [Err((Side::Local, None))]),
            Err(error) => assert!(dropped && error.is_cancelled()),
        }
        bench.assert_quiet();
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_panic_another_delivery_sends_the_blob() {
    for at_the_source in [false, true] {
        let bench = Bench::new(Some(1));
        let blob = bench.stores.sized_blob(100, &[SOURCE]);
        if at_the_source {
            bench.stores.on_read(SOURCE, ReadScript::Panic(50));
        } else {
            bench.stores.on_open("dst.example/a", OpenScript::Panic);
        }
        let first = bench.spawn(&blob, SOURCE, &["dst.example/a"]);
        let second = bench.spawn(&blob, SOURCE, &["dst.example/a"]);
        assert!(first.await.unwrap_err().is_panic());
        assert_eq!(second.await.unwrap(), [Ok(Moved::Streamed(100))]);
        bench.assert_quiet();
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_panics_in_a_shared_download_costs_a_second_one() {
    let bench = Bench::new(Some(1));
    let blob = bench.stores.sized_blob(100, &[SOURCE]);
    bench.stores.on_read(SOURCE, ReadScript::Panic(50));
    let to = ["one.example/a", "two.example/a"];
    let outcomes = bench.deliver(&blob, SOURCE, &to).await;
    assert_eq!(outcomes, [Ok(Moved::Streamed(150)); 2]);
    bench.assert_quiet();
}

#[tokio::test(start_paused = true)]
async fn images_that_bring_a_blob_to_different_registries_share_a_download() {
    let bench = Bench::new(Some(1));
    let blob = bench.stores.sized_blob(100, &[SOURCE, "other.example/app"]);
    let (one, two, three) = join3(
        bench.deliver(&blob, SOURCE, &["one.example/a"]),
        bench.deliver(&blob, SOURCE, &["two.example/a"]),
        bench.deliver(&blob, "other.example/app", &["three.example/a"]),
    )
    .await;
    assert_eq!([one, two, three], [[Ok(Moved::Streamed(100))]; 3]);
    assert_eq!(bench.stores.count("open-blob"), 1);
    assert_eq!(bench.stores.bytes_read(), 100);
    bench.assert_quiet();
}

#[tokio::test(start_paused = true)]
async fn a_reader_of_a_foreign_download_falls_back_to_its_own_source() {
    for read in [
        ReadScript::Fail(ErrorKind::Denied),
        ReadScript::Break(40, ErrorKind::Denied),
    ] {
        let bench = Bench::new(Some(1));
        let blob = bench.stores.sized_blob(100, &[SOURCE, "other.example/app"]);
        bench.stores.on_read(SOURCE, read);
        let (one, two, three) = join3(
            bench.deliver(&blob, SOURCE, &["one.example/a"]),
            bench.deliver(&blob, SOURCE, &["two.example/a"]),
            bench.deliver(&blob, "other.example/app", &["three.example/a"]),
        )
        .await;
        let failed = Err((Side::Source, Some(ErrorKind::Denied)));
        assert_eq!([one, two], [[failed], [failed]]);
        assert!(matches!(three[..], [Ok(Moved::Streamed(_))]));
        assert_eq!(bench.stores.count("open-blob src.example/app"), 1);
        assert_eq!(bench.stores.count("open-blob other.example/app"), 1);
        bench.assert_quiet();
    }
}

#[tokio::test(start_paused = true)]
async fn a_shared_download_outlives_the_image_that_began_it() {
    let bench = Bench::new(Some(1));
    let blob = bench.stores.sized_blob(100, &[SOURCE]);
    let gate = Gate::new();
    bench
        .stores
        .on_read(SOURCE, ReadScript::Pause(50, gate.clone()));
    let first = bench.spawn(&blob, SOURCE, &["one.example/a"]);
    let second = bench.spawn(&blob, SOURCE, &["two.example/a"]);
    gate.reached(1).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    gate.open();
    assert_eq!(second.await.unwrap(), [Ok(Moved::Streamed(100))]);
    assert_eq!(bench.stores.count("open-blob"), 1);
    assert_eq!(bench.stores.received("one.example/a"), 50);
    bench.assert_quiet();
}

#[tokio::test(start_paused = true)]
async fn a_download_that_has_begun_cannot_be_joined() {
    let bench = Bench::new(None);
    let blob = bench.stores.sized_blob(100, &[SOURCE]);
    let gate = Gate::new();
    bench
        .stores
        .on_read(SOURCE, ReadScript::Pause(50, gate.clone()));
    let first = bench.spawn(&blob, SOURCE, &["one.example/a"]);
    gate.reached(1).await;
    let second = bench.deliver(&blob, SOURCE, &["two.example/a"]).await;
    assert_eq!(second, [Ok(Moved::Streamed(100))]);
    gate.open();
    assert_eq!(first.await.unwrap(), [Ok(Moved::Streamed(100))]);
    assert_eq!(bench.stores.count("open-blob"), 2);
}

#[tokio::test(start_paused = true)]
async fn downloads_wait_for_permits() {
    let bench = Bench::new(Some(2));
    let blobs: Vec<_> = (1..=6)
        .map(|n| bench.stores.sized_blob(n * 10, &[SOURCE]))
        .collect();
    bench.stores.set_jitter(5, 7);
    let to = ["one.example/a", "two.example/a"];
    let deliveries = join_all(blobs.iter().map(|b| bench.deliver(b, SOURCE, &to))).await;
    assert!(deliveries.iter().flatten().all(Result::is_ok));
    assert_eq!(bench.stores.most_streams(), 2);
    assert_eq!(bench.stores.count("open-blob"), 6);
}

#[tokio::test(start_paused = true)]
async fn a_permit_is_released_when_there_is_nothing_to_send() {
    let bench = Bench::new(Some(1));
    let blob = bench
        .stores
        .sized_blob(100, &[SOURCE, "has.example/a", "dst.example/old"]);
    let there = repository("dst.example/old");
    bench.inventory.record_present(&there, &blob.digest);
    // A mount that hangs holds no permit, and neither does its group, whose other reader was served by then.
    let gate = Gate::new();
    bench
        .stores
        .on_open("dst.example/a", OpenScript::Hold(gate.clone()));
    let hanging = bench.spawn(&blob, SOURCE, &["dst.example/a", "has.example/a"]);
    gate.reached(1).await;
    settled().await;
    let other = bench.stores.sized_blob(50, &[SOURCE]);
    let outcomes = bench.deliver(&other, SOURCE, &["dst.example/b"]).await;
    assert_eq!(outcomes, [Ok(Moved::Streamed(50))]);
    gate.open();
    assert_eq!(
        hanging.await.unwrap(),
        [Ok(Moved::Mounted), Ok(Moved::Present)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_and_a_refused_mount_need_a_permit() {
    let bench = Bench::new(Some(1));
    bench.stores.set_mounts("dst.example", Mounts::Refuses);
    let busy = bench.stores.sized_blob(50, &[SOURCE]);
    let gate = Gate::new();
    bench
        .stores
        .on_receive("busy.example/a", ReceiveScript::Hold(gate.clone()));
    let first = bench.spawn(&busy, SOURCE, &["busy.example/a"]);
    gate.reached(1).await;

    let blob = bench.stores.sized_blob(100, &[SOURCE, "dst.example/old"]);
    let there = repository("dst.example/old");
    bench.inventory.record_present(&there, &blob.digest);
    let refused = bench.spawn(&blob, SOURCE, &["dst.example/a"]);
    let plain = bench.spawn(&blob, SOURCE, &["other.example/a"]);
    settled().await;
    assert_eq!(
        bench.stores.calls(),
        [
            "open-upload busy.example/a@b50",
            "send busy.example/a@b50",
            "mount dst.example/a@b100 from dst.example/old"
        ]
    );
    gate.open();
    assert_eq!(first.await.unwrap(), [Ok(Moved::Streamed(50))]);
    assert_eq!(refused.await.unwrap(), [Ok(Moved::Streamed(100))]);
    assert_eq!(plain.await.unwrap(), [Ok(Moved::Streamed(100))]);
    bench.assert_quiet();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_many_threads_too_it_is_sent_once() {
    const ROUNDS: usize = 300;
    let bench = Bench::new(None);
    let blobs: Vec<_> = (1..=ROUNDS)
        .map(|n| bench.stores.sized_blob(n, &[SOURCE]))
        .collect();
    let to = ["one.example/a", "two.example/a"];
    let deliveries = blobs.iter().flat_map(|blob| {
        let bench = &bench;
        (0..4).map(move |_| bench.spawn(blob, SOURCE, &to))
    });
    let deliveries: Vec<_> = deliveries.collect();
    for delivery in deliveries {
        assert!(delivery.await.unwrap().iter().all(Result::is_ok));
    }
    assert_eq!(bench.stores.count("open-upload"), 2 * ROUNDS);
    assert_eq!(bench.stores.count("open-blob"), ROUNDS);
    bench.assert_quiet();
}

//! One delivery at a time.

use image_syncer_registry::ErrorKind;
use tokio_util::sync::CancellationToken;

use super::{Bench, SOURCE};
use crate::failure::Side;
use crate::inventory::{Fact, MountConfidence};
use crate::store::memory::{
    Gate, Mounts, OpenScript, ReadScript, ReceiveScript, repository, settled,
};
use crate::transfer::Moved;

#[tokio::test(start_paused = true)]
async fn one_destination_takes_three_requests_in_order() {
    let bench = Bench::new(None);
    let blob = bench.stores.sized_blob(100, &[SOURCE]);
    let outcomes = bench.deliver(&blob, SOURCE, &["dst.example/a"]).await;
    assert_eq!(outcomes, [Ok(Moved::Streamed(100))]);
    assert_eq!(
        bench.stores.calls(),
        [
            "open-upload dst.example/a@b100",
            "send dst.example/a@b100",
            "open-blob src.example/app@b100",
        ]
    );
    let fact = bench
        .inventory
        .blob(&repository("dst.example/a"), &blob.digest);
    assert_eq!(fact, Fact::Here);
    assert_eq!(bench.transfers.progress().bytes_fetched(), 100);
    assert_eq!(bench.transfers.progress().bytes_streamed(), 100);
    bench.assert_quiet();
}

#[tokio::test(start_paused = true)]
async fn many_registries_read_the_source_once() {
    let bench = Bench::new(Some(1));
    let blob = bench.stores.sized_blob(100, &[SOURCE]);
    let to = ["one.example/a", "two.example/a", "three.example/a"];
    let outcomes = bench.deliver(&blob, SOURCE, &to).await;
    assert_eq!(outcomes, [Ok(Moved::Streamed(100)); 3]);
    assert_eq!(
        bench.stores.calls()[..4],
        [
            "open-upload one.example/a@b100",
            "open-upload two.example/a@b100",
            "open-upload three.example/a@b100",
            "open-blob src.example/app@b100",
        ]
    );
    assert_eq!(bench.stores.count("open-blob"), 1);
    assert_eq!(bench.stores.count("open-upload"), 3);
    assert_eq!(bench.stores.bytes_read(), 100);
    assert_eq!(bench.transfers.progress().bytes_fetched(), 100);
    assert_eq!(bench.transfers.progress().bytes_streamed(), 300);
    bench.assert_quiet();
}

#[tokio::test(start_paused = true)]
async fn a_blob_that_is_known_to_be_present_costs_no_request() {
    let bench = Bench::new(None);
    let blob = bench.stores.sized_blob(100, &[SOURCE]);
    let there = repository("dst.example/a");
    bench.inventory.record_present(&there, &blob.digest);
    let outcomes = bench
        .deliver(&blob, SOURCE, &["dst.example/a", SOURCE])
        .await;
    assert_eq!(outcomes, [Ok(Moved::Present); 2]);
    assert!(bench.stores.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_blob_that_the_destination_has_is_not_sent() {
    let bench = Bench::new(None);
    let blob = bench.stores.sized_blob(100, &[SOURCE, "dst.example/a"]);
    let outcomes = bench.deliver(&blob, SOURCE, &["dst.example/a"]).await;
    assert_eq!(outcomes, [Ok(Moved::Present)]);
    assert_eq!(bench.stores.calls(), ["open-upload dst.example/a@b100"]);
}

#[tokio::test(start_paused = true)]
async fn a_delivery_without_destinations_does_nothing() {
    let bench = Bench::new(Some(1));
    let blob = bench.stores.sized_blob(100, &[SOURCE]);
    assert_eq!(bench.deliver(&blob, SOURCE, &[]).await, []);
    assert!(bench.stores.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_is_named_twice_is_served_once() {
    let bench = Bench::new(None);
    let blob = bench.stores.sized_blob(100, &[SOURCE]);
    let to = ["dst.example/a", "dst.example/a", "dst.example/a"];
    let outcomes = bench.deliver(&blob, SOURCE, &to).await;
    assert_eq!(
        outcomes,
        [
            Ok(Moved::Streamed(100)),
            Ok(Moved::Present),
            Ok(Moved::Present)
        ]
    );
    assert_eq!(bench.stores.count("open-upload"), 1);
}

#[tokio::test(start_paused = true)]
async fn repositories_of_one_registry_are_sent_the_bytes_once() {
    let bench = Bench::new(Some(1));
    let blob = bench.stores.sized_blob(100, &[SOURCE]);
    let to = ["dst.example/a", "dst.example/b", "dst.example/c"];
    let outcomes = bench.deliver(&blob, SOURCE, &to).await;
    assert_eq!(
        outcomes,
        [
            Ok(Moved::Streamed(100)),
            Ok(Moved::Mounted),
            Ok(Moved::Mounted)
        ]
    );
    assert_eq!(
        bench.stores.calls(),
        [
            "open-upload dst.example/a@b100",
            "send dst.example/a@b100",
            "open-blob src.example/app@b100",
            "mount dst.example/b@b100 from dst.example/a",
            "mount dst.example/c@b100 from dst.example/a",
        ]
    );
    bench.assert_quiet();
}

#[tokio::test(start_paused = true)]
async fn a_mount_needs_no_permit() {
    let bench = Bench::new(Some(1));
    let gate = Gate::new();
    let other = bench.stores.sized_blob(50, &[SOURCE]);
    bench
        .stores
        .on_receive("other.example/x", ReceiveScript::Hold(gate.clone()));
    let busy = bench.spawn(&other, SOURCE, &["other.example/x"]);
    gate.reached(1).await;

    let blob = bench.stores.sized_blob(100, &[SOURCE, "dst.example/a"]);
    let there = repository("dst.example/a");
    bench.inventory.record_present(&there, &blob.digest);
    let outcomes = bench.deliver(&blob, SOURCE, &["dst.example/b"]).await;
    assert_eq!(outcomes, [Ok(Moved::Mounted)]);
    gate.open();
    assert_eq!(busy.await.unwrap(), [Ok(Moved::Streamed(50))]);
}

#[tokio::test(start_paused = true)]
async fn within_one_registry_the_blob_is_mounted_from_its_source() {
    let bench = Bench::new(Some(1));
    let blob = bench.stores.sized_blob(100, &["reg.example/source"]);
    let to = ["reg.example/a", "reg.example/b"];
    let outcomes = bench.deliver(&blob, "reg.example/source", &to).await;
    assert_eq!(outcomes, [Ok(Moved::Mounted); 2]);
    assert_eq!(
        bench.stores.calls(),
        [
            "mount reg.example/a@b100 from reg.example/source",
            "mount reg.example/b@b100 from reg.example/source",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn destinations_with_refused_mounts_share_a_download() {
    let bench = Bench::new(Some(1));
    bench.stores.set_mounts("reg.example", Mounts::Refuses);
    let blob = bench.stores.sized_blob(100, &["reg.example/source"]);
    let to = ["reg.example/a", "reg.example/b"];
    let outcomes = bench.deliver(&blob, "reg.example/source", &to).await;
    assert_eq!(outcomes, [Ok(Moved::Streamed(100)); 2]);
    assert_eq!(bench.stores.count("mount"), 2);
    assert_eq!(bench.stores.count("open-upload"), 0);
    assert_eq!(bench.stores.count("open-blob"), 1);
    bench.assert_quiet();
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_refuses_mounts_is_waited_for_once() {
    let bench = Bench::new(None);
    bench.stores.set_mounts("dst.example", Mounts::Refuses);
    let to = ["dst.example/a", "dst.example/b"];
    let first = bench.stores.sized_blob(100, &[SOURCE]);
    let outcomes = bench.deliver(&first, SOURCE, &to).await;
    assert_eq!(outcomes, [Ok(Moved::Streamed(100)); 2]);
    // The second waited for the first, was refused, and could not share its download any more.
    assert_eq!(bench.stores.count("mount"), 1);
    assert_eq!(bench.stores.count("open-blob"), 2);

    let second = bench.stores.sized_blob(200, &[SOURCE]);
    let outcomes = bench.deliver(&second, SOURCE, &to).await;
    assert_eq!(outcomes, [Ok(Moved::Streamed(200)); 2]);
    assert_eq!(bench.stores.count("mount"), 1);
    assert_eq!(bench.stores.count("open-blob"), 3);
    assert_eq!(bench.stores.bytes_read(), 2 * 100 + 200);
}

#[tokio::test(start_paused = true)]
async fn only_committed_blobs_are_mounted_at_a_registry_that_requires_it() {
    let bench = Bench::new(None);
    bench
        .stores
        .set_mounts("dst.example", Mounts::OnlyCommitted);
    let new = bench.stores.sized_blob(100, &[SOURCE]);
    let to = ["dst.example/a", "dst.example/b"];
    bench.deliver(&new, SOURCE, &to).await;
    assert_eq!(bench.stores.count("mount"), 1);

    let old = bench.stores.sized_blob(200, &[SOURCE, "dst.example/old"]);
    let there = repository("dst.example/old");
    bench.inventory.record_committed(&there, [&old.digest]);
    let outcomes = bench.deliver(&old, SOURCE, &to).await;
    assert_eq!(outcomes, [Ok(Moved::Mounted); 2]);
    assert_eq!(
        bench
            .stores
            .count("mount dst.example/a@b200 from dst.example/old"),
        1
    );
    let mounting = bench.inventory.knowledge(&there, &old.digest).mounting;
    assert!(mounting.is_worth_trying(MountConfidence::Committed) && !mounting.is_worth_awaiting());
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_fails_fails_alone() {
    let bench = Bench::new(Some(1));
    let blob = bench.stores.sized_blob(100, &[SOURCE]);
    bench
        .stores
        .on_open("one.example/a", OpenScript::Fail(ErrorKind::Denied));
    bench
        .stores
        .on_receive("two.example/a", ReceiveScript::Fail(30, ErrorKind::Server));
    let to = ["one.example/a", "two.example/a", "three.example/a"];
    let outcomes = bench.deliver(&blob, SOURCE, &to).await;
    assert_eq!(
        outcomes,
        [
            Err((Side::Destination, Some(ErrorKind::Denied))),
            Err((Side::Destination, Some(ErrorKind::Server))),
            Ok(Moved::Streamed(100)),
        ]
    );
    assert_eq!(bench.stores.count("open-blob"), 1);
    assert_eq!(bench.stores.received("two.example/a"), 30);
    assert!(!bench.stores.holds_blob("two.example/a", &blob));
    bench.assert_quiet();
}

#[tokio::test(start_paused = true)]
async fn an_outcome_is_sent_as_soon_as_it_is_known() {
    let bench = Bench::new(None);
    let blob = bench.stores.sized_blob(100, &[SOURCE]);
    let gate = Gate::new();
    bench
        .stores
        .on_receive("slow.example/a", ReceiveScript::Pause(100, gate.clone()));
    let (sender, mut outcomes) = tokio::sync::mpsc::unbounded_channel();
    let delivery = bench.delivery(&blob, SOURCE, &["slow.example/a", "quick.example/a"]);
    let transfers = std::sync::Arc::clone(&bench.transfers);
    let delivering = tokio::spawn(async move {
        let cancel = CancellationToken::new();
        let send = move |index, outcome| {
            let _ = sender.send((index, outcome));
        };
        transfers.deliver(delivery, send, &cancel).await;
    });
    let (position, outcome) = outcomes.recv().await.unwrap();
    assert_eq!((position, outcome.unwrap()), (1, Moved::Streamed(100)));
    gate.open();
    let (position, outcome) = outcomes.recv().await.unwrap();
    assert_eq!((position, outcome.unwrap()), (0, Moved::Streamed(100)));
    delivering.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_fails_all_and_is_tried_once() {
    for read in [
        ReadScript::Fail(ErrorKind::NotFound),
        ReadScript::Break(40, ErrorKind::NotFound),
    ] {
        let bench = Bench::new(None);
        let blob = bench.stores.sized_blob(100, &[SOURCE]);
        bench.stores.on_read(SOURCE, read);
        // The last two wait for the first and share its failure.
        let to = [
            "one.example/a",
            "two.example/a",
            "one.example/b",
            "two.example/a",
        ];
        let outcomes = bench.deliver(&blob, SOURCE, &to).await;
        assert_eq!(
            outcomes,
            [Err((Side::Source, Some(ErrorKind::NotFound))); 4]
        );
        assert_eq!(bench.stores.count("open-blob"), 1);
        assert_eq!(bench.stores.count("open-upload"), 2);
        bench.assert_quiet();
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_a_single_source_is_not_one_of_the_destination() {
    for read in [
        ReadScript::Fail(ErrorKind::Server),
        ReadScript::Break(40, ErrorKind::Server),
    ] {
        let bench = Bench::new(None);
        let blob = bench.stores.sized_blob(100, &[SOURCE]);
        bench.stores.on_read(SOURCE, read);
        let outcomes = bench.deliver(&blob, SOURCE, &["dst.example/a"]).await;
        assert_eq!(outcomes, [Err((Side::Source, Some(ErrorKind::Server)))]);
        let outcomes = bench.deliver(&blob, SOURCE, &["dst.example/a"]).await;
        assert_eq!(outcomes, [Ok(Moved::Streamed(100))]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_upload_continues_with_a_download_of_its_own() {
    let bench = Bench::new(Some(1));
    let blob = bench.stores.sized_blob(100, &[SOURCE]);
    bench
        .stores
        .on_receive("one.example/a", ReceiveScript::Resume(30));
    bench
        .stores
        .on_receive("two.example/a", ReceiveScript::Restart(50));
    let to = ["one.example/a", "two.example/a", "three.example/a"];
    let outcomes = bench.deliver(&blob, SOURCE, &to).await;
    assert_eq!(
        outcomes,
        [
            Ok(Moved::Streamed(100)),
            Ok(Moved::Streamed(150)),
            Ok(Moved::Streamed(100)),
        ]
    );
    let mut opens = bench.stores.calls();
    opens.retain(|line| line.starts_with("open-blob"));
    assert_eq!(
        opens,
        [
            "open-blob src.example/app@b100",
            "open-blob src.example/app@b100 at 30",
            "open-blob src.example/app@b100"
        ]
    );
    assert_eq!(bench.stores.received("two.example/a"), 150);
    assert_eq!(bench.transfers.progress().bytes_streamed(), 350);
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_is_late_gets_a_second_download() {
    let bench = Bench::new(Some(1));
    let blob = bench.stores.sized_blob(100, &[SOURCE]);
    let gate = Gate::new();
    bench
        .stores
        .on_open("late.example/a", OpenScript::Hold(gate.clone()));
    let to = ["late.example/a", "one.example/a", "two.example/a"];
    let delivering = bench.spawn(&blob, SOURCE, &to);
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert!(bench.stores.holds_blob("one.example/a", &blob));
    assert!(bench.stores.holds_blob("two.example/a", &blob));
    gate.open();
    assert_eq!(delivering.await.unwrap(), [Ok(Moved::Streamed(100)); 3]);
    assert_eq!(bench.stores.count("open-blob"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_destination_continues_while_another_still_streams() {
    let bench = Bench::new(Some(1));
    let blob = bench.stores.sized_blob(100, &[SOURCE]);
    let gate = Gate::new();
    bench
        .stores
        .on_receive("slow.example/a", ReceiveScript::Pause(100, gate.clone()));
    let to = ["dst.example/a", "slow.example/a", "dst.example/b"];
    let delivering = bench.spawn(&blob, SOURCE, &to);
    settled().await;
    assert!(bench.stores.holds_blob("dst.example/b", &blob));
    assert!(!bench.stores.holds_blob("slow.example/a", &blob));
    gate.open();
    assert_eq!(
        delivering.await.unwrap(),
        [
            Ok(Moved::Streamed(100)),
            Ok(Moved::Streamed(100)),
            Ok(Moved::Mounted)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_is_cancelled_before_its_start_sends_nothing() {
    let bench = Bench::new(None);
    let blob = bench.stores.sized_blob(100, &[SOURCE]);
    let cancel = CancellationToken::new();
    cancel.cancel();
    let to = ["dst.example/a", "dst.example/b"];
    let outcomes = bench.deliver_until(&blob, SOURCE, &to, &cancel).await;
    assert_eq!(outcomes, [Err((Side::Local, None)); 2]);
    assert!(bench.stores.calls().is_empty());
    bench.assert_quiet();
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_delivery_interrupts_unfinished_destinations() {
    let bench = Bench::new(None);
    let blob = bench.stores.sized_blob(100, &[SOURCE]);
    let gate = Gate::new();
    bench
        .stores
        .on_receive("slow.example/a", ReceiveScript::Pause(50, gate.clone()));
    let cancel = CancellationToken::new();
    let to = ["quick.example/a", "slow.example/a", "slow.example/b"];
    let delivering = bench.spawn_until(&blob, SOURCE, &to, &cancel);
    settled().await;
    assert!(bench.stores.holds_blob("quick.example/a", &blob));
    cancel.cancel();
    assert_eq!(
        delivering.await.unwrap(),
        [
            Ok(Moved::Streamed(100)),
            Err((Side::Local, None)),
            Err((Side::Local, None))
        ]
    );
    bench.assert_quiet();
}

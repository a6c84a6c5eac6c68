//! Uploads that stop while others wait for them.

use std::time::Duration;

use image_syncer_registry::ErrorKind;

use super::{Bench, SOURCE};
use crate::failure::Side;
use crate::store::memory::{Gate, ReceiveScript};
use crate::transfer::Moved;

const MIB: usize = 1024 * 1024;

#[tokio::test(start_paused = true)]
async fn a_stuck_destination_is_detached_and_served_later() {
    for insists in [false, true] {
        let bench = Bench::with_chunk(64 * 1024, Some(1));
        let blob = bench.stores.sized_blob(2 * MIB, &[SOURCE]);
        let gate = Gate::new();
        bench.stores.on_receive(
            "stuck.example/a",
            ReceiveScript::Pause(64 * 1024, gate.clone()),
        );
        if insists {
            bench.stores.insist("stuck.example/a");
        }
        let to = ["stuck.example/a", "quick.example/a"];
        let delivering = bench.spawn(&blob, SOURCE, &to);
        gate.reached(1).await;
        tokio::time::sleep(Duration::from_secs(11)).await;
        assert!(bench.stores.holds_blob("quick.example/a", &blob));
        assert_eq!(bench.stores.bytes_read(), 2 * MIB);
        gate.open();
        let sent = (512 * 1024 + 2 * MIB) as u64;
        assert_eq!(
            delivering.await.unwrap(),
            [
                Ok(Moved::Streamed(sent)),
                Ok(Moved::Streamed(2 * MIB as u64))
            ]
        );
        assert_eq!(bench.stores.count("open-blob"), 2);
        let posts = if insists { 1 } else { 2 };
        assert_eq!(bench.stores.count("open-upload stuck.example/a"), posts);
        assert_eq!(bench.stores.bytes_read(), 4 * MIB);
        assert_eq!(bench.stores.most_streams(), 1);
        bench.assert_quiet();
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_after_a_detached_upload_is_not_retried() {
    let bench = Bench::with_chunk(64 * 1024, Some(1));
    let blob = bench.stores.sized_blob(2 * MIB, &[SOURCE]);
    let gate = Gate::new();
    let to = ["one.example/a", "two.example/a", "quick.example/a"];
    for stuck in &to[..2] {
        let pause = ReceiveScript::Pause(64 * 1024, gate.clone());
        bench.stores.on_receive(stuck, pause);
    }
    let fail = ReceiveScript::Fail(MIB, ErrorKind::Denied);
    bench.stores.on_receive("one.example/a", fail);
    let delivering = bench.spawn(&blob, SOURCE, &to);
    gate.reached(2).await;
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert!(bench.stores.holds_blob("quick.example/a", &blob));
    gate.open();
    let sent = (512 * 1024 + 2 * MIB) as u64;
    assert_eq!(
        delivering.await.unwrap(),
        [
            Err((Side::Destination, Some(ErrorKind::Denied))),
            Ok(Moved::Streamed(sent)),
            Ok(Moved::Streamed(2 * MIB as u64))
        ]
    );
    // Both detached uploads share the second download.
    assert_eq!(bench.stores.count("open-blob"), 2);
    assert_eq!(bench.stores.count("open-upload one.example/a"), 2);
    assert_eq!(bench.stores.count("open-upload two.example/a"), 2);
    bench.assert_quiet();
}

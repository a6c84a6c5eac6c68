//! Uploads in progress as a display sees them.

use super::{Bench, SOURCE};
use crate::store::memory::{Gate, ReadScript, ReceiveScript, settled};
use crate::transfer::Moved;

#[tokio::test(start_paused = true)]
async fn an_upload_is_seen_from_its_session_to_its_end() {
    let bench = Bench::new(None);
    let blob = bench.stores.sized_blob(100, &[SOURCE]);
    let (opening, half) = (Gate::new(), Gate::new());
    bench
        .stores
        .on_read(SOURCE, ReadScript::Hold(opening.clone()));
    bench
        .stores
        .on_receive("dst.example/a", ReceiveScript::Pause(50, half.clone()));
    let task = bench.spawn(&blob, SOURCE, &["dst.example/a"]);
    let seen = || {
        let all = bench.transfers.progress().in_flight();
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].blob().digest, blob.digest);
        assert_eq!(all[0].source().to_string(), SOURCE);
        assert_eq!(all[0].destination().to_string(), "dst.example/a");
        (all[0].number(), all[0].done())
    };
    opening.reached(1).await;
    assert_eq!(seen(), (0, None));
    opening.open();
    half.reached(1).await;
    assert_eq!(seen(), (0, Some(50)));
    half.open();
    assert_eq!(task.await.unwrap(), [Ok(Moved::Streamed(100))]);
    assert!(bench.transfers.progress().in_flight().is_empty());
}

#[tokio::test(start_paused = true)]
async fn repeated_bytes_count_once_in_the_position() {
    let bench = Bench::new(None);
    let blob = bench.stores.sized_blob(100, &[SOURCE]);
    let gate = Gate::new();
    bench
        .stores
        .on_receive("one.example/a", ReceiveScript::Restart(50));
    bench
        .stores
        .on_receive("two.example/a", ReceiveScript::Resume(30));
    bench
        .stores
        .on_receive("three.example/a", ReceiveScript::Pause(70, gate.clone()));
    let to = ["one.example/a", "two.example/a", "three.example/a"];
    let task = bench.spawn(&blob, SOURCE, &to);
    gate.reached(1).await;
    settled().await;
    let all = bench.transfers.progress().in_flight();
    let done: Vec<_> = all.iter().map(|upload| upload.done()).collect();
    assert_eq!(done, [Some(70)]);
    assert_eq!(bench.transfers.progress().bytes_streamed(), 150 + 100 + 70);
    gate.open();
    task.await.unwrap();
    bench.assert_quiet();
}

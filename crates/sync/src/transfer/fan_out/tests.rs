#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use image_syncer_registry::{BlobSource, BlobStream, ErrorKind};
use tokio::time::timeout;

use super::upload_slots::UploadSlot;
use super::{BlobDownload, FanOutGroup, FanOutReader, SharedLimits, StreamFailure};
use crate::store::memory::{Gate, MemoryStores, ReadScript, repository, settled};
use crate::store::{StartedUpload, UploadSession, UploadStart};
use crate::transfer::progress::Progress;

const SOURCE: &str = "src.example/app";
const MIB: usize = 1024 * 1024;

/// Upload of an admitted reader: it holds its slot until it is dropped.
struct Upload {
    _session: Box<dyn UploadSession>,
    _slot: UploadSlot,
}

/// Creates `count` readers of a blob of `size` bytes in chunks of `chunk`.
fn group(
    count: usize,
    size: usize,
    chunk: usize,
) -> (MemoryStores, Arc<Progress>, Vec<FanOutReader>) {
    let stores = MemoryStores::with_chunk(chunk);
    let progress = Arc::<Progress>::default();
    let download = BlobDownload {
        blob: Arc::new(stores.sized_blob(size, &[SOURCE])),
        source: stores.source_at(&repository(SOURCE)),
        progress: Arc::clone(&progress),
    };
    let limits = SharedLimits {
        transfers: None,
        uploads: Arc::default(),
    };
    let (group, first) = FanOutGroup::create(&download, &limits);
    let group = group.upgrade().unwrap();
    let others = (1..count).map(|_| group.add_reader(&download));
    let readers = std::iter::once(first).chain(others).collect();
    (stores, progress, readers)
}

/// Waits for admission with a session at `name`.
async fn admit(stores: &MemoryStores, reader: &FanOutReader, name: &str) -> Upload {
    let store = stores.destination_at(&repository(name));
    let Ok(StartedUpload::Session(session)) = store
        .start_upload(reader.blob(), UploadStart::UnlessPresent)
        .await
    else {
        panic!("nothing is there");
    };
    let endpoint = repository(name).endpoint().clone();
    let (session, slot) = reader.join_round(session, &endpoint).await.unwrap();
    Upload {
        _session: session,
        _slot: slot,
    }
}

/// Returns the upload of a reader and its stream.
async fn open(stores: &MemoryStores, reader: &FanOutReader) -> (Upload, BlobStream) {
    let upload = admit(stores, reader, "dst.example/a").await;
    let stream = reader.open(0).await.unwrap();
    (upload, stream)
}

async fn open_all(stores: &MemoryStores, readers: &[FanOutReader]) -> Vec<(Upload, BlobStream)> {
    join_all(readers.iter().map(|reader| open(stores, reader))).await
}

/// Reads `stream` to its end. Returns the number of bytes, and whether it ended well.
async fn drain(mut stream: BlobStream) -> (usize, bool) {
    let mut length = 0;
    while let Some(next) = stream.next().await {
        match next {
            Ok(bytes) => length += bytes.len(),
            Err(_) => return (length, false),
        }
    }
    (length, true)
}

async fn read(stores: &MemoryStores, reader: &FanOutReader) -> (usize, bool) {
    let (_upload, stream) = open(stores, reader).await;
    drain(stream).await
}

async fn read_all(stores: &MemoryStores, readers: &[FanOutReader]) -> Vec<(usize, bool)> {
    join_all(readers.iter().map(|reader| read(stores, reader))).await
}

/// Returns the downloads so far, with their offsets.
fn downloads(stores: &MemoryStores) -> Vec<String> {
    let mut log = stores.calls();
    log.retain(|line| line.starts_with("open-blob"));
    log
}

#[tokio::test(start_paused = true)]
async fn all_readers_share_one_download() {
    let (stores, progress, readers) = group(3, MIB, 64 * 1024);
    assert_eq!(read_all(&stores, &readers).await, [(MIB, true); 3]);
    assert_eq!(downloads(&stores), ["open-blob src.example/app@b1048576"]);
    assert_eq!(stores.bytes_read(), MIB);
    assert_eq!(progress.bytes_fetched(), MIB as u64);
    assert_eq!(progress.bytes_streamed(), 3 * MIB as u64);
    assert!(readers.iter().all(|m| m.streamed() == MIB as u64));
    assert!(readers.iter().all(|m| m.stream_failure().is_none()));
}

#[tokio::test(start_paused = true)]
async fn the_source_is_opened_once_all_readers_are_ready_or_gone() {
    let (stores, _, mut readers) = group(3, 10, 10);
    let third = readers.pop().unwrap();
    let both = read_all(&stores, &readers);
    tokio::pin!(both);
    assert!(timeout(Duration::from_secs(1), &mut both).await.is_err());
    assert_eq!(stores.count("open-blob"), 0);
    drop(third);
    assert_eq!(both.await, [(10, true); 2]);
    assert_eq!(stores.count("open-blob"), 1);
}

#[tokio::test(start_paused = true)]
async fn the_only_reader_left_reads_the_source_without_a_pump() {
    let (stores, _, mut readers) = group(2, 10, 10);
    drop(readers.pop());
    let (_upload, mut stream) = open(&stores, &readers[0]).await;
    assert_eq!(stores.count("open-blob"), 1);
    // Nothing is read ahead: the stream is the source's own.
    settled().await;
    assert_eq!(stores.bytes_read(), 0);
    stream.next().await.unwrap().unwrap();
    assert_eq!(stores.bytes_read(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_left_during_the_wait_is_not_counted() {
    let (stores, _, readers) = group(2, 10, 10);
    let left = timeout(Duration::from_secs(1), open(&stores, &readers[0])).await;
    assert!(left.is_err());
    let (_upload, mut stream) = open(&stores, &readers[1]).await;
    settled().await;
    assert_eq!(stores.bytes_read(), 0, "no pump reads ahead for one");
    stream.next().await.unwrap().unwrap();
    assert_eq!(stores.count("open-blob"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_late_reader_is_served_in_the_next_round() {
    let (stores, _, readers) = group(4, 10, 10);
    assert_eq!(read_all(&stores, &readers[..2]).await, [(10, true); 2]);
    assert_eq!(stores.count("open-blob"), 1);
    assert_eq!(read_all(&stores, &readers[2..]).await, [(10, true); 2]);
    assert_eq!(stores.count("open-blob"), 2);
}

#[tokio::test(start_paused = true)]
async fn ready_readers_wait_two_seconds_from_the_first() {
    let (stores, _, readers) = group(3, 10, 10);
    let first = read(&stores, &readers[0]);
    let second = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        read(&stores, &readers[1]).await
    };
    let both = futures_util::future::join(first, second);
    tokio::pin!(both);
    let early = timeout(Duration::from_millis(1990), &mut both).await;
    assert!(early.is_err());
    assert_eq!(stores.count("open-blob"), 0);
    let both = timeout(Duration::from_millis(20), both).await.unwrap();
    assert_eq!(both, ((10, true), (10, true)));
    assert_eq!(stores.count("open-blob"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_window_of_the_host_is_filled_by_each_round() {
    let (stores, _, readers) = group(40, MIB, 64 * 1024);
    stores.limit_uploads("dst.example", 16);
    assert_eq!(read_all(&stores, &readers).await, [(MIB, true); 40]);
    assert_eq!(stores.count("open-blob"), 3);
}

#[tokio::test(start_paused = true)]
async fn no_wait_for_slots_that_will_not_be_released_soon() {
    let (stores, _, readers) = group(3, 10, 10);
    stores.limit_uploads("dst.example", 3);
    let store = stores.destination_at(&repository("dst.example/b"));
    let opened = store
        .start_upload(readers[0].blob(), UploadStart::UnlessPresent)
        .await;
    let Ok(StartedUpload::Session(mut busy)) = opened else {
        panic!("nothing is there");
    };
    busy.reserve().await.unwrap();
    let all = timeout(Duration::from_secs(1), read_all(&stores, &readers)).await;
    assert_eq!(all.unwrap(), [(10, true); 3]);
    assert_eq!(stores.count("open-blob"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_reader_with_a_slot_waits_for_another_slot_with_a_limit() {
    for (gives_back, opens) in [(true, 1), (false, 2)] {
        let (stores, _, readers) = group(2, 10, 10);
        stores.limit_uploads("slow.example", 1);
        let store = stores.destination_at(&repository("slow.example/b"));
        let opened = store
            .start_upload(readers[0].blob(), UploadStart::UnlessPresent)
            .await;
        let Ok(StartedUpload::Session(mut busy)) = opened else {
            panic!("nothing is there");
        };
        busy.reserve().await.unwrap();
        let quick = read(&stores, &readers[0]);
        let slow = async {
            let _upload = admit(&stores, &readers[1], "slow.example/a").await;
            drain(readers[1].open(0).await.unwrap()).await
        };
        let busy = async {
            let time = if gives_back { 1900 } else { 10_000 };
            tokio::time::sleep(Duration::from_millis(time)).await;
            drop(busy);
        };
        let (quick, slow, ()) = futures_util::join!(quick, slow, busy);
        assert_eq!([quick, slow], [(10, true); 2]);
        assert_eq!(stores.count("open-blob"), opens);
    }
}

#[tokio::test(start_paused = true)]
async fn the_fastest_is_at_most_a_window_ahead_of_the_slowest() {
    let (stores, _, readers) = group(2, 4 * MIB, 64 * 1024);
    let mut opened = open_all(&stores, &readers).await;
    let (_slow, mut slow) = opened.pop().unwrap();
    let (_fast, fast) = opened.pop().unwrap();
    let fast = tokio::spawn(drain(fast));
    settled().await;
    // The window, and the chunk that does not fit any more.
    assert_eq!(stores.bytes_read(), 512 * 1024 + 64 * 1024);
    // Bytes that were read keep their room until more is requested.
    slow.next().await.unwrap().unwrap();
    settled().await;
    assert_eq!(stores.bytes_read(), 512 * 1024 + 64 * 1024);
    slow.next().await.unwrap().unwrap();
    settled().await;
    assert_eq!(stores.bytes_read(), 512 * 1024 + 2 * 64 * 1024);
    assert_eq!(drain(slow).await, (4 * MIB - 2 * 64 * 1024, true));
    assert_eq!(fast.await.unwrap(), (4 * MIB, true));
    assert_eq!(stores.count("open-blob"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_chunk_larger_than_the_window_flows() {
    let (stores, _, readers) = group(2, 3 * MIB, MIB);
    let all = read_all(&stores, &readers).await;
    assert_eq!(all, [(3 * MIB, true); 2]);
    assert_eq!(stores.bytes_read(), 3 * MIB);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_blocks_all_others_is_detached() {
    let (stores, _, readers) = group(3, 4 * MIB, 64 * 1024);
    let (uploads, streams): (Vec<_>, Vec<_>) =
        open_all(&stores, &readers).await.into_iter().unzip();
    let mut streams = streams.into_iter();
    let stuck = streams.next().unwrap();
    let others: Vec<_> = streams.map(drain).map(tokio::spawn).collect();
    tokio::time::sleep(Duration::from_millis(9990)).await;
    assert_eq!(stores.bytes_read(), 512 * 1024 + 64 * 1024);
    for other in others {
        assert_eq!(other.await.unwrap(), (4 * MIB, true));
    }
    assert!(
        readers[0].stream_failure().is_none(),
        "it has not noticed yet"
    );
    assert_eq!(drain(stuck).await, (512 * 1024, false));
    assert!(matches!(
        readers[0].stream_failure(),
        Some(StreamFailure::Detached)
    ));
    drop(uploads);
    // It comes back and reads from the start.
    assert_eq!(read(&stores, &readers[0]).await, (4 * MIB, true));
    assert!(readers[0].stream_failure().is_none());
    assert_eq!(stores.count("open-blob"), 2);
    assert_eq!(readers[0].streamed(), 4 * MIB as u64 + 512 * 1024);
}

#[tokio::test(start_paused = true)]
async fn two_stuck_readers_do_not_protect_each_other() {
    let (stores, _, readers) = group(3, 4 * MIB, 64 * 1024);
    let (_uploads, mut streams): (Vec<_>, Vec<_>) =
        open_all(&stores, &readers).await.into_iter().unzip();
    let quick = tokio::spawn(drain(streams.pop().unwrap()));
    assert_eq!(quick.await.unwrap(), (4 * MIB, true));
    for stuck in streams {
        assert_eq!(drain(stuck).await, (512 * 1024, false));
    }
}

#[tokio::test(start_paused = true)]
async fn a_single_slow_reader_is_not_detached() {
    let (stores, _, mut readers) = group(2, 2 * MIB, 64 * 1024);
    let (_uploads, mut streams): (Vec<_>, Vec<_>) =
        open_all(&stores, &readers).await.into_iter().unzip();
    drop(streams.pop());
    drop(readers.pop());
    // No other reader waits, so that there is no limit.
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(drain(streams.pop().unwrap()).await, (2 * MIB, true));
    assert_eq!(stores.count("open-blob"), 1);
}

#[tokio::test(start_paused = true)]
async fn the_idle_limit_ends_with_the_readers_that_waited() {
    let (stores, _, readers) = group(2, 2 * MIB, 64 * 1024);
    let mut opened = open_all(&stores, &readers).await;
    let (_quick, mut quick) = opened.pop().unwrap();
    let (_slow, slow) = opened.pop().unwrap();
    for _ in 0..9 {
        quick.next().await.unwrap().unwrap();
    }
    // The fast reader requests more, waits five seconds, and leaves.
    assert!(timeout(Duration::from_secs(5), quick.next()).await.is_err());
    drop(quick);
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(drain(slow).await, (2 * MIB, true));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_leaves_does_not_delay_the_others() {
    let (stores, _, readers) = group(2, 4 * MIB, 64 * 1024);
    let mut opened = open_all(&stores, &readers).await;
    let (_two, two) = opened.pop().unwrap();
    let (_one, one) = opened.pop().unwrap();
    let two = tokio::spawn(drain(two));
    settled().await;
    drop(one);
    // At once, not when the limit ends.
    let two = timeout(Duration::from_secs(1), two).await.unwrap();
    assert_eq!(two.unwrap(), (4 * MIB, true));
    // It comes back where its upload broke, and reads the rest on its own.
    let rest = readers[0].open(MIB as u64).await.unwrap();
    assert_eq!(drain(rest).await, (3 * MIB, true));
    assert_eq!(
        downloads(&stores),
        [
            "open-blob src.example/app@b4194304",
            "open-blob src.example/app@b4194304 at 1048576"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_download_stops_when_no_stream_is_left() {
    let (stores, _, readers) = group(2, 10, 1);
    let gate = Gate::new();
    stores.on_read(SOURCE, ReadScript::Pause(5, gate.clone()));
    let (_uploads, streams): (Vec<_>, Vec<_>) =
        open_all(&stores, &readers).await.into_iter().unzip();
    gate.reached(1).await;
    drop(streams);
    settled().await;
    // The readers are still there; the stream is not.
    gate.open();
    settled().await;
    assert_eq!(stores.bytes_read(), 5);
}

#[tokio::test(start_paused = true)]
async fn the_download_stops_with_its_last_reader() {
    let (stores, _, readers) = group(2, 10, 1);
    let gate = Gate::new();
    stores.on_read(SOURCE, ReadScript::Hold(gate.clone()));
    {
        let opening = open_all(&stores, &readers);
        tokio::select! {
            _ = opening => panic!("the source does not open"),
            () = gate.reached(1) => {}
        }
    }
    drop(readers);
    settled().await;
    gate.open();
    settled().await;
    assert_eq!(stores.most_streams(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_does_not_open_fails_all_and_is_tried_once() {
    let (stores, _, readers) = group(3, 10, 10);
    stores.on_read(SOURCE, ReadScript::Fail(ErrorKind::Server));
    let all = join_all(readers.iter().map(|reader| async {
        let _upload = admit(&stores, reader, "dst.example/a").await;
        reader.open(0).await.is_err()
    }));
    assert_eq!(all.await, [true; 3]);
    for reader in &readers {
        let Some(StreamFailure::Shared(failure)) = reader.stream_failure() else {
            panic!("no failure was noted");
        };
        assert_eq!(
            failure.reason,
            "cannot do what was asked at src.example: the test says no"
        );
        assert!(reader.open(0).await.is_err());
    }
    assert_eq!(stores.count("open-blob"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_breaks_fails_all_after_the_same_bytes() {
    let (stores, _, readers) = group(2, 10, 1);
    stores.on_read(SOURCE, ReadScript::Break(7, ErrorKind::Corrupt));
    let all = read_all(&stores, &readers).await;
    assert_eq!(all, [(7, false); 2]);
    assert!(readers.iter().all(
        |m| matches!(m.stream_failure(), Some(StreamFailure::Shared(f)) if f.kind == Some(ErrorKind::Corrupt))
    ));
}

#[tokio::test(start_paused = true)]
async fn after_a_panic_of_the_source_each_reader_reads_alone() {
    let (stores, _, readers) = group(2, 10, 1);
    stores.on_read(SOURCE, ReadScript::Panic(3));
    let all = read_all(&stores, &readers).await;
    assert_eq!(all, [(3, false); 2]);
    assert!(
        readers
            .iter()
            .all(|m| matches!(m.stream_failure(), Some(StreamFailure::Detached)))
    );
    assert_eq!(read(&stores, &readers[0]).await, (10, true));
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_an_own_download_is_kept_until_the_next() {
    let (stores, _, readers) = group(1, 10, 1);
    stores.on_read(SOURCE, ReadScript::Break(4, ErrorKind::Broken));
    stores.on_read(SOURCE, ReadScript::Fail(ErrorKind::Server));
    assert_eq!(read(&stores, &readers[0]).await, (4, false));
    let kind = |reader: &FanOutReader| match reader.stream_failure() {
        Some(StreamFailure::Source(failure)) => failure.kind,
        _ => None,
    };
    assert_eq!(kind(&readers[0]), Some(ErrorKind::Broken));
    let upload = admit(&stores, &readers[0], "dst.example/a").await;
    assert!(readers[0].open(0).await.is_err());
    drop(upload);
    assert_eq!(kind(&readers[0]), Some(ErrorKind::Server));
    assert_eq!(read(&stores, &readers[0]).await, (10, true));
    assert!(readers[0].stream_failure().is_none());
}

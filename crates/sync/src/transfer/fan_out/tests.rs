#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use image_syncer_registry::{BlobSource, BlobStream, ErrorKind};
use tokio::time::timeout;

use super::upload_slots::UploadPermit;
use super::{BlobDownload, FanOutGroup, FanOutReader, SharedLimits, StreamFailure};
use crate::store::{Opened, Session};
use crate::transfer::fake::{Fake, Gate, Read, repository, settled};
use crate::transfer::progress::Progress;

const SOURCE: &str = "src.example/app";
const MIB: usize = 1024 * 1024;

/// Upload of an admitted reader: it holds its slot until it is dropped.
struct Upload {
    _session: Box<dyn Session>,
    _flow: UploadPermit,
}

/// Creates `count` readers of a blob of `size` bytes in chunks of `chunk`.
fn group(count: usize, size: usize, chunk: usize) -> (Fake, Arc<Progress>, Vec<FanOutReader>) {
    let fake = Fake::new(chunk);
    let progress = Arc::<Progress>::default();
    let download = BlobDownload {
        blob: Arc::new(fake.blob(size, &[SOURCE])),
        source: fake.store(SOURCE),
        progress: Arc::clone(&progress),
    };
    let hall = SharedLimits {
        slots: None,
        gates: Arc::default(),
    };
    let (group, first) = FanOutGroup::found(&download, &hall);
    let group = group.upgrade().unwrap();
    let others = (1..count).map(|_| group.add_reader(&download));
    let members = std::iter::once(first).chain(others).collect();
    (fake, progress, members)
}

/// Waits for admission with a session at `name`.
async fn sit_at(fake: &Fake, member: &FanOutReader, name: &str) -> Upload {
    let store = fake.store(name);
    let Ok(Opened::Session(session)) = store.open_upload(member.blob(), None).await else {
        panic!("nothing is there");
    };
    let registry = repository(name).registry().clone();
    let (session, flow) = member.join_round(session, &registry).await.unwrap();
    Upload {
        _session: session,
        _flow: flow,
    }
}

/// Returns the upload of a reader and its stream.
async fn open(fake: &Fake, member: &FanOutReader) -> (Upload, BlobStream) {
    let upload = sit_at(fake, member, "dst.example/a").await;
    let stream = member.open(0).await.unwrap();
    (upload, stream)
}

async fn open_all(fake: &Fake, members: &[FanOutReader]) -> Vec<(Upload, BlobStream)> {
    join_all(members.iter().map(|member| open(fake, member))).await
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

async fn read(fake: &Fake, member: &FanOutReader) -> (usize, bool) {
    let (_upload, stream) = open(fake, member).await;
    drain(stream).await
}

async fn read_all(fake: &Fake, members: &[FanOutReader]) -> Vec<(usize, bool)> {
    join_all(members.iter().map(|member| read(fake, member))).await
}

/// Returns the downloads so far, with their offsets.
fn downloads(fake: &Fake) -> Vec<String> {
    let mut log = fake.log();
    log.retain(|line| line.starts_with("open"));
    log
}

#[tokio::test(start_paused = true)]
async fn all_members_read_one_download() {
    let (fake, progress, members) = group(3, MIB, 64 * 1024);
    assert_eq!(read_all(&fake, &members).await, [(MIB, true); 3]);
    assert_eq!(downloads(&fake), ["open src.example/app 0"]);
    assert_eq!(fake.bytes_read(), MIB);
    assert_eq!(progress.bytes_fetched(), MIB as u64);
    assert_eq!(progress.bytes_streamed(), 3 * MIB as u64);
    assert!(members.iter().all(|m| m.streamed() == MIB as u64));
    assert!(members.iter().all(|m| m.stream_failure().is_none()));
}

#[tokio::test(start_paused = true)]
async fn the_source_is_not_opened_before_all_have_come_or_fallen_out() {
    let (fake, _, mut members) = group(3, 10, 10);
    let third = members.pop().unwrap();
    let both = read_all(&fake, &members);
    tokio::pin!(both);
    assert!(timeout(Duration::from_secs(1), &mut both).await.is_err());
    assert_eq!(fake.count("open"), 0);
    drop(third);
    assert_eq!(both.await, [(10, true); 2]);
    assert_eq!(fake.count("open"), 1);
}

#[tokio::test(start_paused = true)]
async fn who_is_alone_in_the_end_reads_the_source_without_a_pump() {
    let (fake, _, mut members) = group(2, 10, 10);
    drop(members.pop());
    let (_upload, mut stream) = open(&fake, &members[0]).await;
    assert_eq!(fake.count("open"), 1);
    // Nothing is read ahead: the stream is the source's own.
    settled().await;
    assert_eq!(fake.bytes_read(), 0);
    stream.next().await.unwrap().unwrap();
    assert_eq!(fake.bytes_read(), 10);
}

#[tokio::test(start_paused = true)]
async fn who_left_while_others_were_awaited_is_not_counted() {
    let (fake, _, members) = group(2, 10, 10);
    let left = timeout(Duration::from_secs(1), open(&fake, &members[0])).await;
    assert!(left.is_err());
    let (_upload, mut stream) = open(&fake, &members[1]).await;
    settled().await;
    assert_eq!(fake.bytes_read(), 0, "no pump reads ahead for one");
    stream.next().await.unwrap().unwrap();
    assert_eq!(fake.count("open"), 1);
}

#[tokio::test(start_paused = true)]
async fn who_comes_too_late_is_served_by_the_next_round() {
    let (fake, _, members) = group(4, 10, 10);
    assert_eq!(read_all(&fake, &members[..2]).await, [(10, true); 2]);
    assert_eq!(fake.count("open"), 1);
    assert_eq!(read_all(&fake, &members[2..]).await, [(10, true); 2]);
    assert_eq!(fake.count("open"), 2);
}

#[tokio::test(start_paused = true)]
async fn those_who_have_come_wait_two_seconds_from_the_first() {
    let (fake, _, members) = group(3, 10, 10);
    let first = read(&fake, &members[0]);
    let second = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        read(&fake, &members[1]).await
    };
    let both = futures_util::future::join(first, second);
    tokio::pin!(both);
    let early = timeout(Duration::from_millis(1990), &mut both).await;
    assert!(early.is_err());
    assert_eq!(fake.count("open"), 0);
    let both = timeout(Duration::from_millis(20), both).await.unwrap();
    assert_eq!(both, ((10, true), (10, true)));
    assert_eq!(fake.count("open"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_window_of_the_host_is_filled_by_each_round() {
    let (fake, _, members) = group(40, MIB, 64 * 1024);
    fake.window("dst.example", 16);
    assert_eq!(read_all(&fake, &members).await, [(MIB, true); 40]);
    assert_eq!(fake.count("open"), 3);
}

#[tokio::test(start_paused = true)]
async fn places_that_others_will_not_soon_give_back_are_not_waited_for() {
    let (fake, _, members) = group(3, 10, 10);
    fake.window("dst.example", 3);
    let store = fake.store("dst.example/b");
    let opened = store.open_upload(members[0].blob(), None).await;
    let Ok(Opened::Session(mut busy)) = opened else {
        panic!("nothing is there");
    };
    busy.reserve().await.unwrap();
    let all = timeout(Duration::from_secs(1), read_all(&fake, &members)).await;
    assert_eq!(all.unwrap(), [(10, true); 3]);
    assert_eq!(fake.count("open"), 2);
}

#[tokio::test(start_paused = true)]
async fn who_has_a_place_waits_for_the_place_of_another_but_not_for_ever() {
    for (gives_back, opens) in [(true, 1), (false, 2)] {
        let (fake, _, members) = group(2, 10, 10);
        fake.window("slow.example", 1);
        let store = fake.store("slow.example/b");
        let opened = store.open_upload(members[0].blob(), None).await;
        let Ok(Opened::Session(mut busy)) = opened else {
            panic!("nothing is there");
        };
        busy.reserve().await.unwrap();
        let quick = read(&fake, &members[0]);
        let slow = async {
            let _upload = sit_at(&fake, &members[1], "slow.example/a").await;
            drain(members[1].open(0).await.unwrap()).await
        };
        let busy = async {
            let time = if gives_back { 1900 } else { 10_000 };
            tokio::time::sleep(Duration::from_millis(time)).await;
            drop(busy);
        };
        let (quick, slow, ()) = futures_util::join!(quick, slow, busy);
        assert_eq!([quick, slow], [(10, true); 2]);
        assert_eq!(fake.count("open"), opens);
    }
}

#[tokio::test(start_paused = true)]
async fn the_fastest_is_at_most_a_window_ahead_of_the_slowest() {
    let (fake, _, members) = group(2, 4 * MIB, 64 * 1024);
    let mut opened = open_all(&fake, &members).await;
    let (_slow, mut slow) = opened.pop().unwrap();
    let (_fast, fast) = opened.pop().unwrap();
    let fast = tokio::spawn(drain(fast));
    settled().await;
    // The window, and the chunk that does not fit any more.
    assert_eq!(fake.bytes_read(), 512 * 1024 + 64 * 1024);
    // Bytes that were read keep their room until more is requested.
    slow.next().await.unwrap().unwrap();
    settled().await;
    assert_eq!(fake.bytes_read(), 512 * 1024 + 64 * 1024);
    slow.next().await.unwrap().unwrap();
    settled().await;
    assert_eq!(fake.bytes_read(), 512 * 1024 + 2 * 64 * 1024);
    assert_eq!(drain(slow).await, (4 * MIB - 2 * 64 * 1024, true));
    assert_eq!(fast.await.unwrap(), (4 * MIB, true));
    assert_eq!(fake.count("open"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_chunk_larger_than_the_window_flows() {
    let (fake, _, members) = group(2, 3 * MIB, MIB);
    let all = read_all(&fake, &members).await;
    assert_eq!(all, [(3 * MIB, true); 2]);
    assert_eq!(fake.bytes_read(), 3 * MIB);
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_while_all_others_wait_is_let_go() {
    let (fake, _, members) = group(3, 4 * MIB, 64 * 1024);
    let (uploads, streams): (Vec<_>, Vec<_>) = open_all(&fake, &members).await.into_iter().unzip();
    let mut streams = streams.into_iter();
    let stuck = streams.next().unwrap();
    let others: Vec<_> = streams.map(drain).map(tokio::spawn).collect();
    tokio::time::sleep(Duration::from_millis(9990)).await;
    assert_eq!(fake.bytes_read(), 512 * 1024 + 64 * 1024);
    for other in others {
        assert_eq!(other.await.unwrap(), (4 * MIB, true));
    }
    assert!(
        members[0].stream_failure().is_none(),
        "it has not noticed yet"
    );
    assert_eq!(drain(stuck).await, (512 * 1024, false));
    assert!(matches!(
        members[0].stream_failure(),
        Some(StreamFailure::LetGo)
    ));
    drop(uploads);
    // It comes back and reads from the start.
    assert_eq!(read(&fake, &members[0]).await, (4 * MIB, true));
    assert!(members[0].stream_failure().is_none());
    assert_eq!(fake.count("open"), 2);
    assert_eq!(members[0].streamed(), 4 * MIB as u64 + 512 * 1024);
}

#[tokio::test(start_paused = true)]
async fn two_that_are_stuck_do_not_protect_each_other() {
    let (fake, _, members) = group(3, 4 * MIB, 64 * 1024);
    let (_uploads, mut streams): (Vec<_>, Vec<_>) =
        open_all(&fake, &members).await.into_iter().unzip();
    let quick = tokio::spawn(drain(streams.pop().unwrap()));
    assert_eq!(quick.await.unwrap(), (4 * MIB, true));
    for stuck in streams {
        assert_eq!(drain(stuck).await, (512 * 1024, false));
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_slow_for_itself_is_not_let_go() {
    let (fake, _, mut members) = group(2, 2 * MIB, 64 * 1024);
    let (_uploads, mut streams): (Vec<_>, Vec<_>) =
        open_all(&fake, &members).await.into_iter().unzip();
    drop(streams.pop());
    drop(members.pop());
    // No other reader waits, so that there is no limit.
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(drain(streams.pop().unwrap()).await, (2 * MIB, true));
    assert_eq!(fake.count("open"), 1);
}

#[tokio::test(start_paused = true)]
async fn patience_ends_with_those_who_waited() {
    let (fake, _, members) = group(2, 2 * MIB, 64 * 1024);
    let mut opened = open_all(&fake, &members).await;
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
async fn a_member_that_leaves_does_not_hold_up_the_others() {
    let (fake, _, members) = group(2, 4 * MIB, 64 * 1024);
    let mut opened = open_all(&fake, &members).await;
    let (_two, two) = opened.pop().unwrap();
    let (_one, one) = opened.pop().unwrap();
    let two = tokio::spawn(drain(two));
    settled().await;
    drop(one);
    // At once, not when the limit ends.
    let two = timeout(Duration::from_secs(1), two).await.unwrap();
    assert_eq!(two.unwrap(), (4 * MIB, true));
    // It comes back where its upload broke, and reads the rest on its own.
    let rest = members[0].open(MIB as u64).await.unwrap();
    assert_eq!(drain(rest).await, (3 * MIB, true));
    assert_eq!(
        downloads(&fake),
        ["open src.example/app 0", "open src.example/app 1048576"]
    );
}

#[tokio::test(start_paused = true)]
async fn the_download_stops_when_nobody_wants_it_any_more() {
    let (fake, _, members) = group(2, 10, 1);
    let gate = Gate::new();
    fake.read(SOURCE, Read::Pause(5, gate.clone()));
    let (_uploads, streams): (Vec<_>, Vec<_>) = open_all(&fake, &members).await.into_iter().unzip();
    gate.reached().await;
    drop(streams);
    settled().await;
    // The readers are still there; the stream is not.
    gate.open();
    settled().await;
    assert_eq!(fake.bytes_read(), 5);
}

#[tokio::test(start_paused = true)]
async fn the_download_stops_with_its_last_member() {
    let (fake, _, members) = group(2, 10, 1);
    let gate = Gate::new();
    fake.read(SOURCE, Read::Hold(gate.clone()));
    {
        let opening = open_all(&fake, &members);
        tokio::select! {
            _ = opening => panic!("the source does not open"),
            () = gate.reached() => {}
        }
    }
    drop(members);
    settled().await;
    gate.open();
    settled().await;
    assert_eq!(fake.most_streams(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_does_not_open_fails_all_and_is_tried_once() {
    let (fake, _, members) = group(3, 10, 10);
    fake.read(SOURCE, Read::Fail(ErrorKind::Server));
    let all = join_all(members.iter().map(|member| async {
        let _upload = sit_at(&fake, member, "dst.example/a").await;
        member.open(0).await.is_err()
    }));
    assert_eq!(all.await, [true; 3]);
    for member in &members {
        let Some(StreamFailure::Shared(failure)) = member.stream_failure() else {
            panic!("no failure was noted");
        };
        assert_eq!(
            failure.reason,
            "cannot do as told at src.example: the test says no"
        );
        assert!(member.open(0).await.is_err());
    }
    assert_eq!(fake.count("open"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_breaks_fails_all_after_the_same_bytes() {
    let (fake, _, members) = group(2, 10, 1);
    fake.read(SOURCE, Read::Break(7, ErrorKind::Corrupt));
    let all = read_all(&fake, &members).await;
    assert_eq!(all, [(7, false); 2]);
    assert!(members.iter().all(
        |m| matches!(m.stream_failure(), Some(StreamFailure::Shared(f)) if f.kind == Some(ErrorKind::Corrupt))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_panics_leaves_each_to_itself() {
    let (fake, _, members) = group(2, 10, 1);
    fake.read(SOURCE, Read::Panic(3));
    let all = read_all(&fake, &members).await;
    assert_eq!(all, [(3, false); 2]);
    assert!(
        members
            .iter()
            .all(|m| matches!(m.stream_failure(), Some(StreamFailure::LetGo)))
    );
    assert_eq!(read(&fake, &members[0]).await, (10, true));
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_the_own_download_is_noted_until_the_next() {
    let (fake, _, members) = group(1, 10, 1);
    fake.read(SOURCE, Read::Break(4, ErrorKind::Broken));
    fake.read(SOURCE, Read::Fail(ErrorKind::Server));
    assert_eq!(read(&fake, &members[0]).await, (4, false));
    let kind = |member: &FanOutReader| match member.stream_failure() {
        Some(StreamFailure::Source(failure)) => failure.kind,
        _ => None,
    };
    assert_eq!(kind(&members[0]), Some(ErrorKind::Broken));
    let upload = sit_at(&fake, &members[0], "dst.example/a").await;
    assert!(members[0].open(0).await.is_err());
    drop(upload);
    assert_eq!(kind(&members[0]), Some(ErrorKind::Server));
    assert_eq!(read(&fake, &members[0]).await, (10, true));
    assert!(members[0].stream_failure().is_none());
}

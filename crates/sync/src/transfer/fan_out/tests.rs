#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use registry::{BlobSource, BlobStream, ErrorKind};
use tokio::time::timeout;

use super::{Download, Group, Member, Trouble};
use crate::transfer::fake::{Fake, Gate, Read, settled};
use crate::transfer::progress::Progress;

const SOURCE: &str = "src.example/app";
const MIB: usize = 1024 * 1024;

/// `count` members over a blob of `size` bytes in chunks of `chunk`.
fn group(count: usize, size: usize, chunk: usize) -> (Fake, Arc<Progress>, Vec<Member>) {
    let fake = Fake::new(chunk);
    let progress = Arc::<Progress>::default();
    let download = Download {
        blob: Arc::new(fake.blob(size, &[SOURCE])),
        source: fake.store(SOURCE),
        progress: Arc::clone(&progress),
    };
    let (group, first) = Group::found(&download, None);
    let group = group.upgrade().unwrap();
    let others = (1..count).map(|_| group.enlist(&download).unwrap());
    let members = std::iter::once(first).chain(others).collect();
    (fake, progress, members)
}

/// Reads `stream` to its end: the bytes that came, and whether it ended well.
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

async fn read(member: &Member) -> (usize, bool) {
    drain(member.open(0).await.unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn all_members_read_one_download() {
    let (fake, progress, members) = group(3, MIB, 64 * 1024);
    let all = futures_util::future::join_all(members.iter().map(read)).await;
    assert_eq!(all, [(MIB, true); 3]);
    assert_eq!(fake.log(), ["open src.example/app 0"]);
    assert_eq!(fake.bytes_read(), MIB);
    assert_eq!(progress.bytes_fetched(), MIB as u64);
    assert_eq!(progress.bytes_streamed(), 3 * MIB as u64);
    assert!(members.iter().all(|m| m.streamed() == MIB as u64));
    assert!(members.iter().all(|m| m.trouble().is_none()));
}

#[tokio::test(start_paused = true)]
async fn the_source_is_not_opened_before_all_have_joined_or_fallen_out() {
    let (fake, _, mut members) = group(3, 10, 10);
    let third = members.pop().unwrap();
    let first = tokio::spawn({
        let first = members.remove(0);
        async move { read(&first).await }
    });
    settled().await;
    let second = members.remove(0);
    let second = tokio::spawn(async move { read(&second).await });
    settled().await;
    assert_eq!(fake.log().len(), 0);
    drop(third);
    assert_eq!(first.await.unwrap(), (10, true));
    assert_eq!(second.await.unwrap(), (10, true));
    assert_eq!(fake.log(), ["open src.example/app 0"]);
}

#[tokio::test(start_paused = true)]
async fn who_is_alone_in_the_end_reads_the_source_without_a_pump() {
    let (fake, _, mut members) = group(2, 10, 10);
    drop(members.pop());
    let mut stream = members[0].open(0).await.unwrap();
    assert_eq!(fake.log(), ["open src.example/app 0"]);
    // Nothing is read ahead: the stream is the source's own.
    settled().await;
    assert_eq!(fake.bytes_read(), 0);
    stream.next().await.unwrap().unwrap();
    assert_eq!(fake.bytes_read(), 10);
}

#[tokio::test(start_paused = true)]
async fn who_left_while_others_were_awaited_is_not_counted() {
    let (fake, _, members) = group(2, 10, 10);
    assert!(
        timeout(Duration::from_secs(1), members[0].open(0))
            .await
            .is_err()
    );
    let mut stream = members[1].open(0).await.unwrap();
    settled().await;
    assert_eq!(fake.bytes_read(), 0, "no pump reads ahead for one");
    stream.next().await.unwrap().unwrap();
    assert_eq!(fake.log(), ["open src.example/app 0"]);
}

#[tokio::test(start_paused = true)]
async fn who_joins_too_late_reads_a_download_of_its_own() {
    let (fake, _, members) = group(3, 10, 10);
    let early = futures_util::future::join(read(&members[0]), read(&members[1]));
    assert_eq!(early.await, ((10, true), (10, true)));
    assert_eq!(fake.count("open"), 1);
    assert_eq!(read(&members[2]).await, (10, true));
    assert_eq!(fake.count("open"), 2);
}

#[tokio::test(start_paused = true)]
async fn those_who_have_joined_wait_two_seconds_from_the_first() {
    let (fake, _, members) = group(3, 10, 10);
    let first = read(&members[0]);
    let second = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        read(&members[1]).await
    };
    let both = futures_util::future::join(first, second);
    tokio::pin!(both);
    assert!(
        timeout(Duration::from_millis(1990), &mut both)
            .await
            .is_err()
    );
    assert_eq!(fake.log().len(), 0);
    let both = timeout(Duration::from_millis(20), both).await.unwrap();
    assert_eq!(both, ((10, true), (10, true)));
    assert_eq!(fake.count("open"), 1);
}

#[tokio::test(start_paused = true)]
async fn the_fastest_is_at_most_a_window_ahead_of_the_slowest() {
    let (fake, _, members) = group(2, 4 * MIB, 64 * 1024);
    let (fast, slow) = futures_util::future::join(members[0].open(0), members[1].open(0)).await;
    let mut slow = slow.unwrap();
    let fast = tokio::spawn(drain(fast.unwrap()));
    settled().await;
    // The window, and the chunk that does not fit any more.
    assert_eq!(fake.bytes_read(), 512 * 1024 + 64 * 1024);
    // Bytes that were taken hold their room until more is asked for.
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
    let all = futures_util::future::join_all(members.iter().map(read)).await;
    assert_eq!(all, [(3 * MIB, true); 2]);
    assert_eq!(fake.bytes_read(), 3 * MIB);
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_while_all_others_wait_is_let_go() {
    let (fake, _, members) = group(3, 4 * MIB, 64 * 1024);
    let streams = futures_util::future::join_all(members.iter().map(|m| m.open(0))).await;
    let mut streams = streams.into_iter().map(Result::unwrap);
    let stuck = streams.next().unwrap();
    let others: Vec<_> = streams.map(drain).map(tokio::spawn).collect();
    tokio::time::sleep(Duration::from_millis(9990)).await;
    assert_eq!(fake.bytes_read(), 512 * 1024 + 64 * 1024);
    for other in others {
        assert_eq!(other.await.unwrap(), (4 * MIB, true));
    }
    assert!(members[0].trouble().is_none(), "it has not noticed yet");
    assert_eq!(drain(stuck).await, (512 * 1024, false));
    assert!(matches!(members[0].trouble(), Some(Trouble::LetGo)));
    // It reads from the start again, on its own.
    assert_eq!(read(&members[0]).await, (4 * MIB, true));
    assert!(members[0].trouble().is_none());
    assert_eq!(fake.count("open"), 2);
    assert_eq!(members[0].streamed(), 4 * MIB as u64 + 512 * 1024);
}

#[tokio::test(start_paused = true)]
async fn two_that_are_stuck_do_not_protect_each_other() {
    let (_, _, members) = group(3, 4 * MIB, 64 * 1024);
    let streams = futures_util::future::join_all(members.iter().map(|m| m.open(0))).await;
    let mut streams: Vec<_> = streams.into_iter().map(Result::unwrap).collect();
    let quick = tokio::spawn(drain(streams.pop().unwrap()));
    assert_eq!(quick.await.unwrap(), (4 * MIB, true));
    for stuck in streams {
        assert_eq!(drain(stuck).await, (512 * 1024, false));
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_slow_for_itself_is_not_let_go() {
    let (fake, _, mut members) = group(2, 2 * MIB, 64 * 1024);
    let streams = futures_util::future::join_all(members.iter().map(|m| m.open(0))).await;
    let mut streams: Vec<_> = streams.into_iter().map(Result::unwrap).collect();
    drop(streams.pop());
    drop(members.pop());
    // Nobody else waits, so it may take its time.
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(drain(streams.pop().unwrap()).await, (2 * MIB, true));
    assert_eq!(fake.count("open"), 1);
}

#[tokio::test(start_paused = true)]
async fn patience_ends_with_those_who_waited() {
    let (_, _, members) = group(2, 2 * MIB, 64 * 1024);
    let (slow, quick) = futures_util::future::join(members[0].open(0), members[1].open(0)).await;
    let mut quick = quick.unwrap();
    for _ in 0..9 {
        quick.next().await.unwrap().unwrap();
    }
    // The quick one asks for more, waits five seconds, and leaves.
    assert!(timeout(Duration::from_secs(5), quick.next()).await.is_err());
    drop(quick);
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(drain(slow.unwrap()).await, (2 * MIB, true));
}

#[tokio::test(start_paused = true)]
async fn a_member_that_leaves_does_not_hold_up_the_others() {
    let (fake, _, members) = group(2, 4 * MIB, 64 * 1024);
    let (one, two) = futures_util::future::join(members[0].open(0), members[1].open(0)).await;
    let two = tokio::spawn(drain(two.unwrap()));
    settled().await;
    drop(one);
    // At once, not when patience ends.
    let two = timeout(Duration::from_secs(1), two).await.unwrap();
    assert_eq!(two.unwrap(), (4 * MIB, true));
    // It comes back where its upload broke, and reads the rest on its own.
    let rest = members[0].open(MIB as u64).await.unwrap();
    assert_eq!(drain(rest).await, (3 * MIB, true));
    assert_eq!(
        fake.log(),
        ["open src.example/app 0", "open src.example/app 1048576"]
    );
}

#[tokio::test(start_paused = true)]
async fn the_download_stops_when_nobody_wants_it_any_more() {
    let (fake, _, members) = group(2, 10, 1);
    let gate = Gate::new();
    fake.read(SOURCE, Read::Pause(5, gate.clone()));
    let (one, two) = futures_util::future::join(members[0].open(0), members[1].open(0)).await;
    gate.reached().await;
    drop((one, two));
    settled().await;
    // The members are still there; the stream is not.
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
        let opening = futures_util::future::join(members[0].open(0), members[1].open(0));
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
    let all = futures_util::future::join_all(members.iter().map(|m| m.open(0))).await;
    assert!(all.iter().all(Result::is_err));
    for member in &members {
        let Some(Trouble::Shared(failure)) = member.trouble() else {
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
    let all = futures_util::future::join_all(members.iter().map(read)).await;
    assert_eq!(all, [(7, false); 2]);
    assert!(members.iter().all(
        |m| matches!(m.trouble(), Some(Trouble::Shared(f)) if f.kind == Some(ErrorKind::Corrupt))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_panics_leaves_each_to_itself() {
    let (fake, _, members) = group(2, 10, 1);
    fake.read(SOURCE, Read::Panic(3));
    let all = futures_util::future::join_all(members.iter().map(read)).await;
    assert_eq!(all, [(3, false); 2]);
    assert!(
        members
            .iter()
            .all(|m| matches!(m.trouble(), Some(Trouble::LetGo)))
    );
    assert_eq!(read(&members[0]).await, (10, true));
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_the_own_download_is_noted_until_the_next() {
    let (fake, _, members) = group(1, 10, 1);
    fake.read(SOURCE, Read::Break(4, ErrorKind::Broken));
    fake.read(SOURCE, Read::Fail(ErrorKind::Server));
    assert_eq!(read(&members[0]).await, (4, false));
    let kind = |member: &Member| match member.trouble() {
        Some(Trouble::Source(failure)) => failure.kind,
        _ => None,
    };
    assert_eq!(kind(&members[0]), Some(ErrorKind::Broken));
    assert!(members[0].open(0).await.is_err());
    assert_eq!(kind(&members[0]), Some(ErrorKind::Server));
    assert_eq!(read(&members[0]).await, (10, true));
    assert!(members[0].trouble().is_none());
}

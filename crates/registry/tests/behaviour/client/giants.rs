//! Large blobs in ranges over several connections: bytes, requests, ranges and memory, exactly.
//!
//! The source carries so little on each connection that a second one always pays, and ranges are small, so that little
//! has to flow before the first decision.

use std::sync::Arc;
use std::time::Duration;

use image_syncer_registry::auth::{Credential, Keychain, KeychainEntry};
use image_syncer_registry::transport::{Timeouts, Transport, TransportOptions, WindowBounds};
use image_syncer_registry::{
    BlobReader, Client, Error, ErrorKind, Options, RangeOptions, Registries, Registry, Repository,
};
use testkit::{Action, Blob, Cut, Fault, Kind, Profile, Request};

use super::kit::{descriptor, retry};

const KIB: u64 = 1024;
const SEGMENT: u64 = 128 * KIB;
const SIZE: u64 = 4096 * KIB;
/// Bytes a second over each connection.
const SLOW: u64 = 2048 * KIB;

struct World {
    server: testkit::Registry,
    registries: Registries,
    blob: Blob,
}

fn ranges() -> RangeOptions {
    // On a busy machine a second connection may bring nothing; what is tested here is what follows from one.
    RangeOptions::default()
        .with_threshold(SIZE)
        .with_segment(SEGMENT)
        .with_segments(8)
        .with_period(Duration::from_millis(20))
        .with_gain(0)
        .with_fast(u64::MAX)
}

impl World {
    async fn of(profile: Profile, ranges: RangeOptions, places: usize) -> Self {
        let server = testkit::Registry::builder()
            .profile(profile)
            .bandwidth(SLOW)
            .start()
            .await;
        let blob = Blob::synthetic(SIZE, 77);
        server.state().put_blob("a/b", &blob);
        let transport = Transport::new(
            TransportOptions::default()
                .with_timeouts(Timeouts::default().with_stall(Duration::from_secs(2)))
                .with_transfers_per_host(WindowBounds::at_most(places)),
        )
        .unwrap();
        let entry = KeychainEntry::new(server.host(), Credential::Anonymous, "the test")
            .with_insecure(true);
        let registries = Registries::new(
            Options::new(
                Arc::new(transport),
                Arc::new(Keychain::new(vec![entry], None).unwrap()),
            )
            .with_retry(retry()),
        )
        .with_ranges(ranges);
        Self {
            server,
            registries,
            blob,
        }
    }
    async fn usual() -> Self {
        Self::of(Profile::distribution(), ranges(), 10).await
    }
    fn client(&self) -> Client {
        self.registries
            .client(&Registry::parse(&self.server.host()).unwrap())
    }
    fn repository(&self) -> Repository {
        Repository::new(self.client().registry().clone(), "a/b").unwrap()
    }
    async fn open(&self) -> BlobReader {
        let descriptor = descriptor(&self.blob);
        let client = self.client();
        let opened = client.open_blob(&self.repository(), &descriptor, 0).await;
        opened.unwrap()
    }
    async fn read(&self) -> (Vec<u8>, Result<(), Error>) {
        let mut all = Vec::new();
        let mut reader = self.open().await;
        loop {
            match reader.chunk().await {
                Ok(Some(bytes)) => all.extend_from_slice(&bytes),
                Ok(None) => return (all, Ok(())),
                Err(error) => return (all, Err(error)),
            }
        }
    }
    async fn read_well(&self) {
        let (bytes, end) = self.read().await;
        end.unwrap();
        assert!(bytes == self.blob.bytes().unwrap(), "the bytes differ");
        assert_eq!(self.server.problems(), [""; 0]);
        self.assert_bounded();
    }
    /// Nothing is held any more, and never was more than there is room for.
    fn assert_bounded(&self) {
        let (held, peak) = self.registries.range_bytes();
        assert_eq!(held, 0);
        assert!(peak <= SEGMENT * 8, "{peak} bytes were held");
    }
    /// First and last byte of the requested ranges, in order; an open end is `None`.
    fn ranges(&self) -> Vec<(u64, Option<u64>)> {
        let requests = self.server.requests();
        let mut ranges: Vec<_> = requests.iter().filter_map(range).collect();
        ranges.sort_unstable();
        ranges
    }
}

fn range(request: &Request) -> Option<(u64, Option<u64>)> {
    let range = request.header("range")?.strip_prefix("bytes=")?;
    let (first, last) = range.split_once('-')?;
    Some((first.parse().unwrap(), last.parse().ok()))
}

/// Asserts that `ranges` lie end to end up to the end of the blob, each a segment; returns where the first begins.
fn assert_row(ranges: &[(u64, Option<u64>)]) -> u64 {
    let first = ranges.first().expect("ranges").0;
    assert_eq!(first % SEGMENT, 0);
    let row: Vec<_> = (first / SEGMENT..SIZE / SEGMENT)
        .map(|at| (at * SEGMENT, Some((at + 1) * SEGMENT - 1)))
        .collect();
    assert_eq!(ranges, row);
    first
}

#[tokio::test]
async fn a_giant_over_slow_connections_comes_in_ranges_none_of_them_twice() {
    let world = World::usual().await;
    world.read_well().await;
    let start = assert_row(&world.ranges());
    let requests = world.server.requests();
    let (whole, ranged): (Vec<_>, Vec<_>) = requests
        .iter()
        .partition(|request| range(request).is_none());
    assert_eq!(
        whole.len(),
        1,
        "one ordinary request, and ranges from there"
    );
    let served: u64 = ranged.iter().map(|request| request.response_bytes).sum();
    assert_eq!(served, SIZE - start);
    let (_, peak) = world.registries.range_bytes();
    assert!(peak > 0);
}

#[tokio::test]
async fn redirected_ranges_come_from_storage() {
    let profile = Profile {
        blob_redirect: Some(307),
        ..Profile::distribution()
    };
    let world = World::of(profile, ranges(), 10).await;
    world.read_well().await;
    assert_row(&world.ranges());
}

#[tokio::test]
async fn small_fast_and_disabled_downloads_are_one_request() {
    for options in [
        ranges().with_threshold(SIZE + 1),
        ranges().with_segments(0),
        ranges().with_fast(SLOW / 8),
    ] {
        let world = World::of(Profile::distribution(), options, 10).await;
        world.read_well().await;
        assert_eq!(world.server.requests().len(), 1, "{options:?}");
        assert_eq!(world.server.requests()[0].response_bytes, SIZE);
    }
}

#[tokio::test]
async fn a_host_with_one_permit_gets_one_request() {
    let world = World::of(Profile::distribution(), ranges(), 1).await;
    world.read_well().await;
    assert_eq!(world.server.requests().len(), 1);
    assert_eq!(world.server.requests()[0].response_bytes, SIZE);
}

#[tokio::test]
async fn places_that_others_want_are_theirs() {
    let world = World::of(Profile::distribution(), ranges(), 2).await;
    let small = Blob::synthetic(300_000, 5);
    world.server.state().put_blob("a/b", &small);
    let mut giant = world.open().await;
    // Until two connections flow: all places are taken.
    while world.server.requests().len() < 3 {
        giant.chunk().await.unwrap().unwrap();
    }
    let client = world.client();
    let repository = world.repository();
    let descriptor = descriptor(&small);
    let other = client.read_blob(&repository, &descriptor, 300_000);
    let giant = async { while let Some(_bytes) = giant.chunk().await.unwrap() {} };
    // The other one comes to its place while the giant flows.
    let (other, ()) = tokio::join!(other, giant);
    assert_eq!(other.unwrap().len(), 300_000);
    world.assert_bounded();
}

#[tokio::test]
async fn a_source_without_ranges_is_tried_once_in_a_run() {
    let profile = Profile {
        blob_ranges: false,
        ..Profile::distribution()
    };
    let world = World::of(profile, ranges(), 10).await;
    world.read_well().await;
    let requests = world.server.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].response_bytes, SIZE, "it flowed on");
    world.server.clear_requests();
    world.read_well().await;
    assert_eq!(world.server.requests().len(), 1);
}

#[tokio::test]
async fn a_source_with_wrong_ranges_is_read_in_one_request() {
    let headers = |value: &str| Action::WithHeaders(vec![("content-range", value.to_owned())]);
    let lies = [
        headers("bytes 0-131071/4194304"),
        headers("bytes 0-4194303/4194304"),
        headers("bytes 131072-262143/5000000"),
        headers("nonsense"),
        Action::status(416),
    ];
    let reads = lies.map(async |lie| {
        let world = World::usual().await;
        world.server.fault(
            Fault::on(Kind::BlobGet).matching(|request| range(request).is_some()),
            lie,
        );
        world.read_well().await;
        let requests = world.server.requests();
        assert_eq!(requests[0].response_bytes, SIZE);
        assert!(range(&requests[0]).is_none());
        assert_eq!(requests.len(), 2);
    });
    futures_util::future::join_all(reads).await;
}

#[tokio::test]
async fn a_refused_connection_is_given_up() {
    let world = World::usual().await;
    world.server.fault(
        Fault::on(Kind::BlobGet).matching(|request| range(request).is_some()),
        Action::status(503),
    );
    world.read_well().await;
    let requests = world.server.requests();
    assert_eq!(requests[0].response_bytes, SIZE, "the first flowed on");
}

#[tokio::test]
async fn a_range_that_breaks_goes_on_where_it_broke() {
    for how in [Cut::Reset, Cut::Close] {
        let world = World::usual().await;
        let cut = world.server.fault(
            Fault::on(Kind::BlobGet)
                .matching(|request| range(request).is_some())
                .nth(12),
            Action::CutResponse { after: 50_000, how },
        );
        world.read_well().await;
        assert_eq!(cut.hits(), 1);
        let ranges = world.ranges();
        let mut rest = Vec::new();
        let mut row = Vec::new();
        for range in ranges {
            if range.0 % SEGMENT == 0 && range.1.is_some() {
                row.push(range);
            } else {
                rest.push(range);
            }
        }
        let [(first, last)] = rest[..] else {
            panic!("one request for the rest of one range: {rest:?}");
        };
        // A reset may destroy what was on its way.
        assert!(first % SEGMENT <= 50_000);
        if how == Cut::Close {
            assert_eq!(first % SEGMENT, 50_000);
        }
        assert_eq!(last, Some(first / SEGMENT * SEGMENT + SEGMENT - 1));
        assert_row(&row);
    }
}

#[tokio::test]
async fn a_source_that_is_gone_fails_after_its_tries() {
    let world = World::usual().await;
    let range_requests = |request: &Request| range(request).is_some();
    world.server.fault(
        Fault::on(Kind::BlobGet).matching(range_requests).after(8),
        Action::CutBeforeAnswer(Cut::Reset),
    );
    let (bytes, end) = world.read().await;
    let error = end.unwrap_err();
    assert_eq!(
        (error.kind(), error.tries()),
        (ErrorKind::Broken, 4),
        "{error}"
    );
    assert!(bytes == world.blob.bytes().unwrap()[..bytes.len()]);
    world.assert_bounded();
}

#[tokio::test]
async fn a_corrupt_range_never_completes_the_blob() {
    let world = World::usual().await;
    world.server.fault(
        Fault::on(Kind::BlobGet)
            .matching(|request| range(request).is_some())
            .nth(3),
        Action::Corrupt { offset: 99 },
    );
    let (bytes, end) = world.read().await;
    let error = end.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains(world.blob.digest()), "{error}");
    assert!((bytes.len() as u64) < SIZE, "the last bytes were held back");
    world.assert_bounded();
}

#[tokio::test]
async fn nothing_goes_on_after_a_reader_is_dropped() {
    let world = World::usual().await;
    let mut reader = world.open().await;
    while world.server.requests().len() < 4 {
        reader.chunk().await.unwrap().unwrap();
    }
    drop(reader);
    world.server.quiet().await;
    let (held, _) = world.registries.range_bytes();
    assert_eq!(held, 0);
    // All places and all room are free again.
    world.server.clear_requests();
    world.read_well().await;
    assert_row(&world.ranges());
}

#[tokio::test]
async fn giants_share_the_room() {
    let options = ranges().with_segments(4);
    let world = World::of(Profile::distribution(), options, 32).await;
    let reads = (0..4).map(|_| world.read());
    for (bytes, end) in futures_util::future::join_all(reads).await {
        end.unwrap();
        assert!(bytes == world.blob.bytes().unwrap());
    }
    let (held, peak) = world.registries.range_bytes();
    assert_eq!(held, 0);
    assert!(peak <= 4 * SEGMENT, "{peak} bytes were held");
}

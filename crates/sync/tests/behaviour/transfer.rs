//! Blobs and their destinations.

use std::sync::Arc;

use image_syncer_registry::ErrorKind;
use image_syncer_sync::Side;
use image_syncer_sync::inventory::Inventory;
use image_syncer_sync::store::{Destination, RegistryStores, Source};
use image_syncer_sync::transfer::{Delivery, Moved, Transfers};
use testkit::profile::MountRule;
use testkit::{Action, Blob, Cut, Fault, Kind, Profile};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::kit::{
    assert_arrived, assert_good, descriptor, destination, repository, server, source, stores_of,
};

const MIB: u64 = 1024 * 1024;
const SOURCE: &str = "from/here";

type Outcome = Result<Moved, (Side, Option<ErrorKind>)>;

/// A source, its destinations, and transfers between them.
struct Bench {
    source: testkit::Registry,
    servers: Vec<testkit::Registry>,
    stores: RegistryStores,
    inventory: Arc<Inventory>,
    transfers: Transfers,
}

impl Bench {
    async fn new(servers: usize, at_a_time: Option<usize>) -> Self {
        Self::with_profiles(&vec![Profile::distribution(); servers], at_a_time).await
    }
    async fn with_profiles(profiles: &[Profile], at_a_time: Option<usize>) -> Self {
        let source = server().await;
        let mut servers = Vec::new();
        for profile in profiles {
            servers.push(testkit::Registry::start(profile.clone()).await);
        }
        let all: Vec<_> = servers.iter().chain([&source]).collect();
        let inventory = Arc::<Inventory>::default();
        Self {
            stores: stores_of(&all),
            transfers: Transfers::new(Arc::clone(&inventory), at_a_time),
            source,
            servers,
            inventory,
        }
    }
    /// Stores a blob at the source.
    fn blob(&self, size: u64, seed: u64) -> Blob {
        let blob = Blob::synthetic(size, seed);
        self.source.state().put_blob(SOURCE, &blob);
        blob
    }
    fn to(&self, server: usize, path: &str) -> Arc<dyn Destination> {
        destination(&self.stores, &self.servers[server], path)
    }
    async fn deliver(&self, blob: &Blob, to: Vec<Arc<dyn Destination>>) -> Vec<Outcome> {
        let from = source(&self.stores, &self.source, SOURCE);
        self.deliver_from(from, blob, to).await
    }
    async fn deliver_from(
        &self,
        source: Arc<dyn Source>,
        blob: &Blob,
        destinations: Vec<Arc<dyn Destination>>,
    ) -> Vec<Outcome> {
        let mut outcomes = vec![None; destinations.len()];
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let delivery = Delivery {
            blob: descriptor(blob),
            source,
            destinations,
        };
        let cancel = CancellationToken::new();
        let send = move |index, outcome| {
            let _ = sender.send((index, outcome));
        };
        self.transfers.deliver(delivery, send, &cancel).await;
        while let Some((position, outcome)) = receiver.recv().await {
            let outcome = outcome.map_err(|failure| (failure.side, failure.kind));
            assert!(outcomes[position].replace(outcome).is_none(), "told twice");
        }
        outcomes.into_iter().map(Option::unwrap).collect()
    }
    fn kinds(&self, server: usize) -> Vec<(Kind, u16)> {
        let requests = self.servers[server].requests();
        requests.iter().map(|r| (r.kind, r.status)).collect()
    }
    fn assert_good(&self) {
        assert_good(
            &self
                .servers
                .iter()
                .chain([&self.source])
                .collect::<Vec<_>>(),
        );
    }
}

#[tokio::test]
async fn three_registries_are_fed_by_one_download() {
    let bench = Bench::new(3, Some(1)).await;
    let blob = bench.blob(8 * MIB, 1);
    let to = (0..3).map(|n| bench.to(n, "to/there")).collect();
    let outcomes = bench.deliver(&blob, to).await;
    assert_eq!(outcomes, [Ok(Moved::Streamed(8 * MIB)); 3]);
    assert_eq!(bench.source.count(|r| r.kind == Kind::BlobGet), 1);
    assert_eq!(bench.source.bytes_sent(), 8 * MIB);
    for (n, server) in bench.servers.iter().enumerate() {
        assert_eq!(bench.kinds(n), [(Kind::Mount, 202), (Kind::UploadPut, 201)]);
        assert_eq!(server.bytes_received(), 8 * MIB);
        assert_arrived(server, "to/there", &blob);
    }
    assert_eq!(bench.transfers.progress().bytes_fetched(), 8 * MIB);
    assert_eq!(bench.transfers.progress().bytes_streamed(), 24 * MIB);
    bench.assert_good();
}

#[tokio::test]
async fn ten_repositories_of_a_registry_are_sent_the_bytes_once() {
    let bench = Bench::new(1, None).await;
    let blob = bench.blob(MIB, 2);
    let to = (0..10).map(|n| bench.to(0, &format!("to/n{n}"))).collect();
    let outcomes = bench.deliver(&blob, to).await;
    assert_eq!(outcomes[0], Ok(Moved::Streamed(MIB)));
    assert_eq!(outcomes[1..], [Ok(Moved::Mounted); 9]);
    assert_eq!(bench.servers[0].requests().len(), 11);
    assert_eq!(bench.servers[0].bytes_received(), MIB);
    assert_eq!(bench.source.requests().len(), 1);
    for n in 0..10 {
        assert_arrived(&bench.servers[0], &format!("to/n{n}"), &blob);
    }
    bench.assert_good();
}

#[tokio::test]
async fn within_one_registry_no_byte_is_sent() {
    let bench = Bench::new(1, Some(1)).await;
    let blob = Blob::synthetic(MIB, 3);
    bench.servers[0].state().put_blob(SOURCE, &blob);
    let to = vec![
        bench.to(0, "to/a"),
        bench.to(0, SOURCE),
        bench.to(0, "to/b"),
    ];
    let outcomes = bench
        .deliver_from(source(&bench.stores, &bench.servers[0], SOURCE), &blob, to)
        .await;
    assert_eq!(
        outcomes,
        [Ok(Moved::Mounted), Ok(Moved::Present), Ok(Moved::Mounted)]
    );
    assert_eq!(bench.kinds(0), [(Kind::Mount, 201); 2]);
    bench.assert_good();
}

#[tokio::test]
async fn a_present_blob_costs_one_request() {
    let bench = Bench::new(1, None).await;
    let blob = bench.blob(MIB, 4);
    bench.servers[0].state().put_blob("to/there", &blob);
    let outcomes = bench.deliver(&blob, vec![bench.to(0, "to/there")]).await;
    assert_eq!(outcomes, [Ok(Moved::Present)]);
    assert_eq!(bench.kinds(0), [(Kind::Mount, 201)]);
    assert!(bench.source.requests().is_empty());
    // No further one from then on.
    let outcomes = bench.deliver(&blob, vec![bench.to(0, "to/there")]).await;
    assert_eq!(outcomes, [Ok(Moved::Present)]);
    assert_eq!(bench.kinds(0).len(), 1);
}

#[tokio::test]
async fn a_registry_that_refuses_mounts_is_sent_the_bytes() {
    let declining = Profile {
        mount: MountRule::Decline,
        ..Profile::distribution()
    };
    let bench = Bench::with_profiles(&[declining], None).await;
    let to = || vec![bench.to(0, "to/a"), bench.to(0, "to/b")];
    for (seed, gets) in [(5, 2), (6, 1)] {
        bench.source.clear_requests();
        let blob = bench.blob(MIB, seed);
        let outcomes = bench.deliver(&blob, to()).await;
        assert_eq!(outcomes, [Ok(Moved::Streamed(MIB)); 2]);
        // Once it is known to refuse, nobody waits for a mount, and the download is shared.
        assert_eq!(bench.source.count(|r| r.kind == Kind::BlobGet), gets);
        assert_arrived(&bench.servers[0], "to/a", &blob);
        assert_arrived(&bench.servers[0], "to/b", &blob);
    }
    bench.assert_good();
}

#[tokio::test]
async fn committed_blobs_are_mounted_at_a_registry_that_requires_it() {
    let bench = Bench::with_profiles(
        &[Profile {
            mount: MountRule::Referenced,
            ..Profile::distribution()
        }],
        None,
    )
    .await;
    let image = testkit::Image::single([testkit::Layer::synthetic(MIB, 7)]);
    let server = &bench.servers[0];
    let (old, new) = (repository(server, "to/old"), repository(server, "to/new"));
    server.push("to/old", Some("v1"), &image);
    bench.source.push(SOURCE, Some("v1"), &image);
    for blob in image.blobs() {
        bench
            .inventory
            .record_committed(&old, [&descriptor(blob).digest]);
        let outcomes = bench.deliver(blob, vec![bench.to(0, new.path())]).await;
        assert_eq!(outcomes, [Ok(Moved::Mounted)]);
    }
    assert_eq!(server.bytes_received(), 0);
    // No manifest names the new blob yet.
    let fresh = bench.blob(MIB, 8);
    let to = vec![bench.to(0, "to/old"), bench.to(0, "to/new")];
    let outcomes = bench.deliver(&fresh, to).await;
    assert_eq!(outcomes, [Ok(Moved::Streamed(MIB)); 2]);
    bench.assert_good();
}

#[tokio::test]
async fn a_download_that_breaks_is_resumed_for_all() {
    let bench = Bench::new(2, None).await;
    let blob = bench.blob(4 * MIB, 9);
    let cut = Action::CutResponse {
        after: MIB,
        how: Cut::Reset,
    };
    bench.source.fault(Fault::on(Kind::BlobGet).nth(1), cut);
    let to = vec![bench.to(0, "to/there"), bench.to(1, "to/there")];
    let outcomes = bench.deliver(&blob, to).await;
    assert_eq!(outcomes, [Ok(Moved::Streamed(4 * MIB)); 2]);
    assert_eq!(bench.source.count(|r| r.kind == Kind::BlobGet), 2);
    for server in &bench.servers {
        assert_eq!(server.bytes_received(), 4 * MIB);
        assert_arrived(server, "to/there", &blob);
    }
}

#[tokio::test]
async fn an_upload_that_breaks_costs_a_download_of_its_own() {
    let bench = Bench::new(2, Some(1)).await;
    let blob = bench.blob(4 * MIB, 10);
    let cut = Action::CutRequest {
        after: MIB,
        how: Cut::Reset,
    };
    bench.servers[0].fault(Fault::on(Kind::UploadPut).nth(1), cut);
    let to = vec![bench.to(0, "to/there"), bench.to(1, "to/there")];
    let outcomes = bench.deliver(&blob, to).await;
    assert!(matches!(outcomes[0], Ok(Moved::Streamed(sent)) if sent > 4 * MIB));
    assert_eq!(outcomes[1], Ok(Moved::Streamed(4 * MIB)));
    assert_eq!(bench.source.count(|r| r.kind == Kind::BlobGet), 2);
    assert_eq!(bench.servers[1].bytes_received(), 4 * MIB);
    for server in &bench.servers {
        assert_arrived(server, "to/there", &blob);
    }
}

#[tokio::test]
async fn a_destination_that_refuses_fails_alone() {
    let bench = Bench::new(3, None).await;
    let blob = bench.blob(2 * MIB, 11);
    bench.servers[0].fault(
        Fault::on(Kind::Mount),
        Action::error(403, "DENIED", "you may not push here"),
    );
    bench.servers[0].fault(
        Fault::on(Kind::UploadPost),
        Action::error(403, "DENIED", "you may not push here"),
    );
    bench.servers[1].fault(
        Fault::on(Kind::UploadPut),
        Action::error(403, "DENIED", "you are over your quota"),
    );
    let to = (0..3).map(|n| bench.to(n, "to/there")).collect();
    let outcomes = bench.deliver(&blob, to).await;
    let denied = Err((Side::Destination, Some(ErrorKind::Denied)));
    assert_eq!(outcomes, [denied, denied, Ok(Moved::Streamed(2 * MIB))]);
    assert_eq!(bench.source.count(|r| r.kind == Kind::BlobGet), 1);
    assert_arrived(&bench.servers[2], "to/there", &blob);
}

#[tokio::test]
async fn a_source_that_lacks_the_blob_fails_all() {
    for destinations in [1, 2] {
        let bench = Bench::new(destinations, None).await;
        let blob = Blob::synthetic(MIB, 12);
        let to = (0..destinations).map(|n| bench.to(n, "to/there")).collect();
        let outcomes = bench.deliver(&blob, to).await;
        let missing = Err((Side::Source, Some(ErrorKind::NotFound)));
        assert_eq!(outcomes, vec![missing; destinations]);
        for server in &bench.servers {
            assert_eq!(server.bytes_received(), 0);
            assert!(!server.state().has_blob("to/there", blob.digest()));
        }
    }
}

#[tokio::test]
async fn a_source_with_wrong_bytes_is_read_once_more_fails_all_and_reaches_none() {
    for destinations in [1, 2] {
        let bench = Bench::new(destinations, None).await;
        let blob = bench.blob(2 * MIB, 13);
        let corrupt = Action::Corrupt { offset: 12_345 };
        bench.source.fault(Fault::on(Kind::BlobGet), corrupt);
        let to = (0..destinations).map(|n| bench.to(n, "to/there")).collect();
        let outcomes = bench.deliver(&blob, to).await;
        let corrupt = Err((Side::Source, Some(ErrorKind::Corrupt)));
        assert_eq!(outcomes, vec![corrupt; destinations]);
        for server in &bench.servers {
            assert!(!server.state().has_blob("to/there", blob.digest()));
            // Two tries; the closing request of neither was completed.
            let puts = server.requests().into_iter();
            let puts: Vec<_> = puts.filter(|r| r.kind == Kind::UploadPut).collect();
            assert_eq!(puts.len(), 2);
            assert!(puts.iter().all(|put| put.request_bytes < 2 * MIB));
        }
        // Readers of a shared download check each on their own.
        let downloads = if destinations == 1 { 2 } else { 3 };
        assert_eq!(bench.source.count(|r| r.kind == Kind::BlobGet), downloads);
    }
}

#[tokio::test]
async fn one_transfer_at_a_time_never_overlaps() {
    let bench = Bench::new(2, Some(1)).await;
    let blobs: Vec<_> = (0..12).map(|n| bench.blob(100_000 + n, 20 + n)).collect();
    let deliveries = blobs.iter().map(|blob| {
        let to = vec![
            bench.to(0, "to/a"),
            bench.to(1, "to/a"),
            bench.to(0, "to/b"),
        ];
        bench.deliver(blob, to)
    });
    for (blob, outcomes) in blobs
        .iter()
        .zip(futures_util::future::join_all(deliveries).await)
    {
        let sent = Ok(Moved::Streamed(blob.size()));
        assert_eq!(outcomes, [sent, sent, Ok(Moved::Mounted)]);
    }
    assert_eq!(bench.source.requests().len(), 12);
    assert_eq!(bench.source.peak_requests(), 1);
    bench.assert_good();
}

#[tokio::test]
async fn an_empty_blob_is_copied_too() {
    let bench = Bench::new(2, Some(1)).await;
    let blob = bench.blob(0, 40);
    let to = vec![bench.to(0, "to/there"), bench.to(1, "to/there")];
    let outcomes = bench.deliver(&blob, to).await;
    assert_eq!(outcomes, [Ok(Moved::Streamed(0)); 2]);
    for server in &bench.servers {
        assert!(server.state().has_blob("to/there", blob.digest()));
    }
}

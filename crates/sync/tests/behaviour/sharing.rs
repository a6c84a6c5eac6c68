//! One download and one upload for shared layers: bytes and requests of whole runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use image_syncer_registry::auth::{Credential, Secret};
use image_syncer_registry::transport::{TransportOptions, WindowBounds};
use image_syncer_sync::rule::Rule;
use testkit::profile::MountRule;
use testkit::{Auth, Image, Kind, Layer, Profile, Registry};

use crate::kit::{server, stores_with};
use crate::run::{rule, run_over, settings};
use crate::settings::Settings;

const KIB: u64 = 1024;

/// Returns the program's limits for a host.
fn windows() -> TransportOptions {
    TransportOptions::default()
        .with_calls_per_host(WindowBounds::at_most(64))
        .with_transfers_per_host(WindowBounds::at_most(16))
}

fn many() -> Settings {
    Settings {
        images: 128,
        ..settings(&[])
    }
}

/// 40 repositories of one image each: 9 shared layers, and a tenth of the bytes in a layer of its own.
struct Forty {
    source: Registry,
    destination: Registry,
    rules: Vec<Arc<Rule>>,
    unique: u64,
}

const LAYER: u64 = 20 * KIB;

impl Forty {
    async fn new(mount: MountRule) -> Self {
        let source = server().await;
        let destination = Registry::start(Profile {
            mount,
            ..Profile::distribution()
        })
        .await;
        let shared: Vec<_> = (0..9).map(|seed| Layer::synthetic(LAYER, seed)).collect();
        let mut rules = Vec::new();
        let mut unique: BTreeMap<String, u64> = BTreeMap::new();
        for number in 0..40 {
            let own = Layer::synthetic(LAYER, 100 + number);
            let image = Image::single(shared.iter().cloned().chain([own]));
            source.push(&format!("from/n{number}"), Some("v1"), &image);
            for blob in image.blobs() {
                unique.insert(blob.digest().to_owned(), blob.size());
            }
            let from = format!("{}/from/n{number}:v1", source.host());
            let to = format!("{}/to/n{number}", destination.host());
            rules.push(rule(&from, &[to]));
        }
        Self {
            source,
            destination,
            rules,
            unique: unique.values().sum(),
        }
    }
    async fn run(&self, settings: Settings) {
        let servers = [&self.source, &self.destination];
        let stores = stores_with(&servers, &Credential::Anonymous, windows());
        let (summary, _) = run_over(stores, &servers, self.rules.clone(), settings).await;
        assert_eq!((summary.copied, summary.failed), (40, 0));
        for number in 0..40 {
            let path = format!("to/n{number}");
            self.destination.verify_complete(&path, "v1").unwrap();
        }
    }
}

fn counts(registry: &Registry) -> BTreeMap<(Kind, u16), usize> {
    let mut counts = BTreeMap::new();
    for request in registry.requests() {
        *counts.entry((request.kind, request.status)).or_default() += 1;
    }
    counts
}

fn of_blobs(kind: Kind) -> bool {
    matches!(kind, Kind::BlobHead | Kind::BlobGet | Kind::Mount) || kind.takes_blob()
}

/// Returns the requests about blobs, by kind and status.
fn blob_requests(registry: &Registry) -> BTreeMap<(Kind, u16), usize> {
    let mut counts = counts(registry);
    counts.retain(|(kind, _), _| of_blobs(*kind));
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_repositories_that_share_their_layers_cost_the_unique_bytes_once() {
    let forty = Forty::new(MountRule::Accept).await;
    forty.run(many()).await;
    let (source, destination) = (&forty.source, &forty.destination);
    assert_eq!(source.bytes_sent(), forty.unique);
    assert_eq!(destination.bytes_received(), forty.unique);
    // 9 shared layers, and a layer and a config for each image: two requests per blob, and one more for each
    // repository.
    assert_eq!(blob_requests(source), [((Kind::BlobGet, 200), 89)].into());
    let expected = [
        ((Kind::Mount, 201), 9 * 39),
        ((Kind::Mount, 202), 89),
        ((Kind::UploadPut, 201), 89),
    ];
    assert_eq!(blob_requests(destination), expected.into());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_refused_mounts_the_source_is_read_three_times_at_most() {
    let forty = Forty::new(MountRule::Decline).await;
    forty.run(many()).await;
    let (source, destination) = (&forty.source, &forty.destination);
    // Each repository is sent each of its blobs once, in the session of the request that asked for it.
    let expected = [((Kind::Mount, 202), 440), ((Kind::UploadPut, 201), 440)];
    assert_eq!(blob_requests(destination), expected.into());
    // One round for the first, and the rounds that 39 uploads need with a window of 16. A round that meets others
    // begins with fewer uploads, so that the number varies a little.
    assert!(source.bytes_sent() <= 3 * forty.unique);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_transfer_at_a_time_ends_where_mounts_are_refused_too() {
    let forty = Forty::new(MountRule::Decline).await;
    let one = Settings {
        transfers: Some(1),
        ..many()
    };
    forty.run(one).await;
    assert_eq!(forty.destination.count(|r| r.kind == Kind::UploadPut), 440);
    assert!(forty.source.bytes_sent() <= 3 * forty.unique);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_new_images_send_every_blob_once() {
    let auth = || Auth::bearer("me", "secret");
    let source = Registry::builder().auth(auth()).start().await;
    let destination = Registry::builder().auth(auth()).start().await;
    let layer = |seed| Layer::synthetic(64 * KIB, seed);
    let shared: Vec<_> = (0..4).map(layer).collect();
    let mut rules = Vec::new();
    for repository in 0..10 {
        let path = format!("from/n{repository}");
        for tag in 0..10 {
            let seed = 1000 + 2 * (repository * 10 + tag);
            let own = [layer(seed), layer(seed + 1)];
            let image = Image::single(shared.iter().cloned().chain(own));
            source.push(&path, Some(&format!("v{tag}")), &image);
        }
        let to = format!("{}/to/n{repository}", destination.host());
        rules.push(rule(&format!("{}/{path}", source.host()), &[to]));
    }
    let servers = [&source, &destination];
    let me = Credential::Basic {
        username: "me".to_owned(),
        password: Secret::new("secret"),
    };
    let stores = stores_with(&servers, &me, windows());
    let (summary, _) = run_over(stores, &servers, rules, many()).await;
    assert_eq!((summary.copied, summary.failed), (100, 0));
    // 4 shared layers, and two layers and a config for each image: two requests per blob, and one for each of the 9
    // other repositories of a shared one.
    assert_eq!(blob_requests(&source), [((Kind::BlobGet, 200), 304)].into());
    let expected = [
        ((Kind::Mount, 201), 36),
        ((Kind::Mount, 202), 304),
        ((Kind::UploadPut, 201), 304),
    ];
    assert_eq!(blob_requests(&destination), expected.into());
    assert_eq!(destination.count(|r| r.kind == Kind::ManifestPut), 100);
    assert_eq!(source.bytes_sent(), destination.bytes_received());
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_are_awaited_where_only_committed_blobs_are_mounted() {
    let forty = Forty::new(MountRule::Referenced).await;
    forty.run(many()).await;
    let (source, destination) = (&forty.source, &forty.destination);
    // The first mount is refused, and its session used. The first image may also have to send blobs that others had
    // brought to their own repositories by then, which depends on their order.
    let sent = destination.bytes_received();
    let most = forty.unique + 10 * LAYER;
    assert!(
        (forty.unique..=most).contains(&sent),
        "{sent} bytes, of {} to {most}",
        forty.unique
    );
    assert_eq!(source.bytes_sent(), sent);
    let uploads = destination.count(|r| r.kind == Kind::UploadPut);
    let mounted = destination.count(|r| r.kind == Kind::Mount && r.status == 201);
    assert_eq!(uploads + mounted, 440);
    assert_eq!(destination.count(|r| r.kind == Kind::Mount), 440);
}

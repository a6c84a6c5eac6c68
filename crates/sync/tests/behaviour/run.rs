//! Whole runs between registries: requests, bytes, and the final content.

use std::sync::Arc;

use image_syncer_sync::event::Copied;
use image_syncer_sync::report::Summary;
use image_syncer_sync::rule::{Parts, PlatformFilter, Rule, RuleError};
use image_syncer_sync::settings::Intent;
use image_syncer_sync::store::RegistryStores;
use testkit::image::Platform;
use testkit::{Action, Cut, Fault, Image, Kind, Layer, Profile, Registry};
use tokio_util::sync::CancellationToken;

use crate::events::{run_events, run_events_until};
use crate::kit::{assert_good, server, stores_of};
use crate::settings::Settings;

const MIB: u64 = 1024 * 1024;

pub(crate) fn settings(arch: &[&str]) -> Settings {
    let arch: Vec<String> = arch.iter().map(|arch| (*arch).to_owned()).collect();
    Settings {
        intent: Intent::Copy,
        platforms: Arc::new(PlatformFilter::parse(&[], &arch).unwrap()),
        parts: Parts::default(),
        force: false,
        verify: false,
        immutable: Arc::default(),
        referrers: None,
        transfers: None,
        images: 16,
        records: None,
    }
}

pub(crate) fn rule(source: &str, destinations: &[String]) -> Arc<Rule> {
    let no_default = |_: &_| Err(RuleError("no default".to_owned()));
    let destinations: Vec<&str> = destinations.iter().map(String::as_str).collect();
    Arc::new(Rule::parse(source, &destinations, &no_default).unwrap())
}

/// Copies `from/app` with `tags` to `to/app` at each destination, with a new engine.
pub(crate) async fn copy(
    source: &Registry,
    destinations: &[&Registry],
    tags: &str,
    settings: Settings,
) -> (Summary, Vec<Copied>) {
    let to: Vec<String> = destinations
        .iter()
        .map(|to| format!("{}/to/app", to.host()))
        .collect();
    let rules = vec![rule(&format!("{}/from/app{tags}", source.host()), &to)];
    let all: Vec<&Registry> = destinations.iter().copied().chain([source]).collect();
    run(&all, rules, settings).await
}

pub(crate) async fn run(
    servers: &[&Registry],
    rules: Vec<Arc<Rule>>,
    settings: Settings,
) -> (Summary, Vec<Copied>) {
    run_over(stores_of(servers), servers, rules, settings).await
}

/// Does the same over these stores.
pub(crate) async fn run_over(
    stores: RegistryStores,
    servers: &[&Registry],
    rules: Vec<Arc<Rule>>,
    settings: Settings,
) -> (Summary, Vec<Copied>) {
    let events = run_events(stores, rules, settings).await;
    assert_good(servers);
    (events.summary(), events.copies())
}

/// Returns the kinds of requests in the order of their arrival, without the scheme probe.
fn kinds(server: &Registry) -> Vec<Kind> {
    let requests = server.requests().into_iter().map(|request| request.kind);
    requests.filter(|kind| *kind != Kind::Ping).collect()
}

fn platforms(seed: u64, architectures: &[&str]) -> Vec<Image> {
    let image = |(number, architecture): (usize, &&str)| {
        Image::oci()
            .platform(Platform::linux(architecture))
            .layer(Layer::synthetic(10_000, seed + number as u64))
            .build()
    };
    architectures.iter().enumerate().map(image).collect()
}

#[tokio::test]
async fn a_new_image_of_l_layers_costs_3l_plus_7_requests_and_an_unchanged_one_2() {
    let (source, destination) = (server().await, server().await);
    let image = Image::single((0..3).map(|seed| Layer::synthetic(100_000, seed)));
    source.push("from/app", Some("v1"), &image);
    let (summary, copied) = copy(&source, &[&destination], ":v1", settings(&[])).await;
    assert_eq!((summary.copied, summary.exit_code()), (1, 0));
    assert_eq!(copied[0].digest.as_str(), image.digest());
    assert_eq!(
        (copied[0].volume.blobs, copied[0].volume.bytes),
        (4, image.blob_bytes())
    );
    destination.verify_complete("to/app", "v1").unwrap();
    let (from, to) = (kinds(&source), kinds(&destination));
    assert_eq!(from.len() + to.len(), 3 * 3 + 7);
    assert_eq!(from[..2], [Kind::ManifestHead, Kind::ManifestGet]);
    assert_eq!(from[2..], [Kind::BlobGet; 4]);
    assert_eq!(
        (to[0], *to.last().unwrap()),
        (Kind::ManifestHead, Kind::ManifestPut)
    );

    source.clear_requests();
    destination.clear_requests();
    let (summary, _) = copy(&source, &[&destination], ":v1", settings(&[])).await;
    assert_eq!(summary.unchanged, 1);
    assert_eq!(kinds(&source), [Kind::ManifestHead]);
    assert_eq!(kinds(&destination), [Kind::ManifestHead]);
}

#[tokio::test]
async fn a_changed_index_costs_only_its_changes() {
    let (source, destination) = (server().await, server().await);
    let mut children = platforms(1, &["amd64", "arm64", "s390x", "ppc64le", "riscv64"]);
    source.push("from/app", Some("v1"), &Image::index(children.clone()));
    copy(&source, &[&destination], ":v1", settings(&[])).await;
    children[1] = platforms(50, &["arm64"]).remove(0);
    let new = Image::index(children);
    source.push("from/app", Some("v1"), &new);
    source.clear_requests();
    destination.clear_requests();

    let (_, copied) = copy(&source, &[&destination], ":v1", settings(&[])).await;
    assert_eq!((copied[0].volume.manifests, copied[0].volume.blobs), (2, 2));
    destination.verify_complete("to/app", "v1").unwrap();
    // Two HEADs, the new root and the old one, a GET and a PUT per child, three requests per blob, and the PUT of the
    // root.
    let (children, blobs) = (1, 2);
    let requests = kinds(&source).len() + kinds(&destination).len();
    assert_eq!(requests, 2 + 2 + 2 * children + 3 * blobs + 1);
}

#[tokio::test]
async fn every_tag_of_a_repository_arrives_page_by_page() {
    let source = Registry::start(Profile::distribution3()).await;
    let destination = Registry::start(Profile::strict()).await;
    let shared = Layer::synthetic(MIB, 1);
    for number in 0..40 {
        let layers = [shared.clone(), Layer::synthetic(1_000, 100 + number)];
        let tag = format!("v{number}");
        source.push("from/app", Some(&tag), &Image::single(layers));
    }
    source.state().tag(
        "from/app",
        "latest",
        &source.state().digest("from/app", "v39").unwrap(),
    );
    let (summary, _) = copy(&source, &[&destination], "", settings(&[])).await;
    assert_eq!((summary.copied, summary.failed), (41, 0));
    for tag in source.state().tags("from/app") {
        let (there, here) = (destination.state(), source.state());
        assert_eq!(there.digest("to/app", &tag), here.digest("from/app", &tag));
        destination.verify_complete("to/app", &tag).unwrap();
    }
    let of_shared = |request: &testkit::Request| {
        request.kind == Kind::BlobGet && request.reference.as_deref() == Some(shared.digest())
    };
    assert_eq!(source.count(of_shared), 1);
    assert_eq!(
        source.count(|request| request.kind == Kind::ManifestGet),
        41
    );
    assert_eq!(
        source.count(|request| request.kind == Kind::ManifestHead),
        0
    );
}

#[tokio::test]
async fn a_destination_that_fails_fails_alone_and_the_source_is_read_once() {
    let (source, good, bad) = (server().await, server().await, server().await);
    let image = Image::single([Layer::synthetic(2 * MIB, 1), Layer::synthetic(MIB, 2)]);
    source.push("from/app", Some("v1"), &image);
    bad.fault(
        Fault::on(Kind::ManifestPut).always(),
        Action::error(403, "DENIED", "no"),
    );
    let (summary, _) = copy(&source, &[&good, &bad], ":v1", settings(&[])).await;
    assert_eq!(
        (summary.copied, summary.failed, summary.exit_code()),
        (1, 1, 1)
    );
    let failed = &summary.failures[0];
    assert!(
        failed
            .destination
            .as_ref()
            .unwrap()
            .starts_with(&bad.host())
    );
    assert_eq!(
        (failed.failure.host.clone(), failed.failure.status),
        (bad.host(), Some(403))
    );
    good.verify_complete("to/app", "v1").unwrap();
    assert!(bad.state().digest("to/app", "v1").is_none());
    assert_eq!(source.count(|request| request.kind == Kind::BlobGet), 3);
    assert_eq!(source.bytes_sent(), image.blob_bytes());
}

#[tokio::test]
async fn broken_downloads_and_lost_answers_leave_no_trace() {
    let (source, destination) = (server().await, server().await);
    let image = Image::single([Layer::synthetic(4 * MIB, 1)]);
    source.push("from/app", Some("v1"), &image);
    let cut = Action::CutResponse {
        after: MIB,
        how: Cut::Reset,
    };
    source.fault(Fault::on(Kind::BlobGet).nth(1), cut);
    source.fault(Fault::on(Kind::ManifestHead).nth(1), Action::status(503));
    destination.fault(Fault::on(Kind::ManifestPut).nth(1), Action::status(502));
    let (summary, _) = copy(&source, &[&destination], ":v1", settings(&[])).await;
    assert_eq!((summary.copied, summary.failed), (1, 0));
    destination.verify_complete("to/app", "v1").unwrap();
}

#[tokio::test]
async fn lost_content_below_an_index_is_restored() {
    let (source, destination) = (server().await, server().await);
    let mut children = platforms(1, &["amd64", "arm64"]);
    source.push("from/app", Some("v1"), &Image::index(children.clone()));
    copy(&source, &[&destination], ":v1", settings(&[])).await;
    assert!(
        destination
            .state()
            .remove_manifest("to/app", children[0].digest())
    );
    children[1] = platforms(50, &["arm64"]).remove(0);
    source.push("from/app", Some("v1"), &Image::index(children));
    destination.clear_requests();
    let (summary, copied) = copy(&source, &[&destination], ":v1", settings(&[])).await;
    assert_eq!((summary.copied, copied[0].volume.manifests), (1, 3));
    destination.verify_complete("to/app", "v1").unwrap();
    // The new child; the root, refused; the lost child; the root.
    assert_eq!(
        destination.count(|request| request.kind == Kind::ManifestPut),
        4
    );
}

#[tokio::test]
async fn a_filter_leaves_an_index_of_what_passes() {
    let (source, destination) = (server().await, server().await);
    let children = platforms(1, &["amd64", "arm64"]);
    let attested = children
        .iter()
        .map(Image::attestation_of)
        .collect::<Vec<_>>();
    let index = Image::index(children.iter().cloned().chain(attested.clone()));
    source.push("from/app", Some("v1"), &index);
    let (_, copied) = copy(&source, &[&destination], ":v1", settings(&["arm64"])).await;
    assert!(copied[0].filtered && copied[0].digest.as_str() != index.digest());
    destination.verify_complete("to/app", "v1").unwrap();
    let there = destination.state();
    let (_, root) = there.manifest("to/app", "v1").unwrap();
    let root: serde_json::Value = serde_json::from_slice(&root).unwrap();
    let entries = root["manifests"].as_array().unwrap().iter();
    let entries: Vec<&str> = entries
        .map(|entry| entry["digest"].as_str().unwrap())
        .collect();
    assert_eq!(entries, [children[1].digest(), attested[1].digest()]);
    let (summary, _) = copy(&source, &[&destination], ":v1", settings(&["arm64"])).await;
    assert_eq!(summary.unchanged, 1);
}

#[tokio::test]
async fn repositories_that_share_layers_are_sent_them_once() {
    let (source, destination) = (server().await, server().await);
    let layers = [Layer::synthetic(MIB, 1), Layer::synthetic(MIB, 2)];
    let mut rules = Vec::new();
    for number in 0..6 {
        let own = Layer::synthetic(1_000, 100 + number);
        let image = Image::single(layers.iter().cloned().chain([own]));
        source.push(&format!("from/n{number}"), Some("v1"), &image);
        let from = format!("{}/from/n{number}:v1", source.host());
        rules.push(rule(
            &from,
            &[format!("{}/to/n{number}", destination.host())],
        ));
    }
    let (summary, _) = run(&[&source, &destination], rules, settings(&[])).await;
    assert_eq!(summary.copied, 6);
    for number in 0..6 {
        destination
            .verify_complete(&format!("to/n{number}"), "v1")
            .unwrap();
    }
    for layer in &layers {
        let of_layer = |request: &testkit::Request| {
            request.kind == Kind::BlobGet && request.reference.as_deref() == Some(layer.digest())
        };
        assert_eq!(source.count(of_layer), 1);
    }
    assert_eq!(destination.bytes_received(), source.bytes_sent());
}

#[tokio::test]
async fn an_interrupted_run_leaves_no_tag_and_a_second_finishes_it() {
    let (source, destination) = (server().await, server().await);
    for number in 0..5 {
        let image = Image::single([Layer::synthetic(MIB, number)]);
        source.push("from/app", Some(&format!("v{number}")), &image);
    }
    let stall = source.fault(
        Fault::on(Kind::BlobGet).always(),
        Action::StallResponse { after: 10 },
    );
    let stores = stores_of(&[&source, &destination]);
    let to = [format!("{}/to/app", destination.host())];
    let rules = vec![rule(&format!("{}/from/app", source.host()), &to)];
    let cancel = CancellationToken::new();
    let cancelling = async {
        while stall.hits() == 0 {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let run = run_events_until(cancel.clone(), stores, rules, settings(&[]));
    let (events, ()) = tokio::join!(run, cancelling);
    let summary = events.summary();
    assert_eq!((summary.failed, summary.exit_code()), (0, 130));
    assert_eq!(destination.state().tags("to/app"), Vec::<String>::new());

    source.clear_faults();
    let (summary, _) = copy(&source, &[&destination], "", settings(&[])).await;
    assert_eq!((summary.copied, summary.exit_code()), (5, 0));
}

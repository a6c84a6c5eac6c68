//! Faults that affect only their own images, and their exact messages.

use std::sync::Arc;

use image_syncer_registry::ErrorKind;
use image_syncer_sync::report::{FailedImage, Summary};
use image_syncer_sync::rule::Rule;
use image_syncer_sync::{Responsibility, Side};
use testkit::{Action, Fault, Image, Kind, Layer, Registry};

use crate::kit::server;
use crate::run::{copy, rule, run, settings};

fn image() -> Image {
    Image::single([Layer::synthetic(5_000, 1)])
}

fn only(summary: &Summary) -> &FailedImage {
    assert_eq!(summary.failures.len(), 1, "{:?}", summary.failures);
    &summary.failures[0]
}

/// Returns the digest of `bytes` after the fault of the source.
fn flipped(bytes: &[u8]) -> image_syncer_registry::Digest {
    let mut bytes = bytes.to_vec();
    bytes[7] ^= 1;
    image_syncer_registry::Digest::sha256(&bytes)
}

fn from_to(source: &Registry, from: &str, destination: &Registry, to: &str) -> Arc<Rule> {
    rule(
        &format!("{}/{from}", source.host()),
        &[format!("{}/{to}", destination.host())],
    )
}

#[tokio::test]
async fn a_dead_host_costs_its_own_images_and_one_set_of_tries() {
    let (source, destination) = (server().await, server().await);
    let tags = ["v1", "v2", "v3", "v4", "v5"];
    for tag in tags {
        source.push("from/app", Some(tag), &image());
    }
    // A port without a listener.
    let dead = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let one_at_a_time = crate::settings::Settings {
        images: 1,
        ..settings(&[])
    };
    let rules = vec![
        rule(
            &format!("{}/from/app", source.host()),
            &[format!("{dead}/to/app")],
        ),
        from_to(&source, "from/app", &destination, "to/app"),
    ];
    let (summary, _) = run(&[&source, &destination], rules, one_at_a_time).await;
    assert_eq!((summary.copied, summary.failed), (5, 5));
    assert_eq!(summary.by_class, [(Responsibility::Destination, 5)].into());
    // The list of the destination's tags found out, and its answer holds for all.
    for failed in &summary.failures {
        let failure = &failed.failure;
        assert_eq!(
            (failure.kind, failure.host.as_str(), failure.tries),
            (Some(ErrorKind::Connect), dead.as_str(), 4)
        );
        assert!(failure.reason.ends_with(", after 4 tries"));
    }
}

#[tokio::test]
async fn a_tag_list_that_fails_costs_its_own_rule() {
    let (source, destination) = (server().await, server().await);
    source.push("from/app", Some("v1"), &image());
    source.push("from/broken", Some("v1"), &image());
    source.fault(
        Fault::on(Kind::Tags).repository("from/broken").always(),
        Action::error(403, "DENIED", "not for you"),
    );
    let rules = vec![
        from_to(&source, "from/broken", &destination, "to/broken"),
        from_to(&source, "from/app", &destination, "to/app"),
    ];
    let (summary, _) = run(&[&source, &destination], rules, settings(&[])).await;
    assert_eq!(
        (summary.copied, summary.failed, summary.failed_rules),
        (1, 0, 1)
    );
    assert_eq!(summary.by_class, [(Responsibility::Credentials, 1)].into());
    let failure = &only(&summary).failure;
    assert_eq!((failure.status, failure.tries), (Some(403), 1));
    assert_eq!(failure.code.as_deref(), Some("DENIED"));
    assert!(failure.reason.contains("not for you"), "{}", failure.reason);
}

#[tokio::test]
async fn a_source_whose_blob_is_corrupt_is_named_and_nothing_is_pushed() {
    let (source, destination) = (server().await, server().await);
    let image = image();
    source.push("from/app", Some("v1"), &image);
    let layer = image.blobs().iter().max_by_key(|blob| blob.size()).unwrap();
    source.fault(
        Fault::on(Kind::BlobGet).reference(layer.digest()).always(),
        Action::Corrupt { offset: 7 },
    );
    let (summary, _) = copy(&source, &[&destination], ":v1", settings(&[])).await;
    let failure = &only(&summary).failure;
    assert_eq!(
        (failure.side, failure.kind, failure.class()),
        (
            Side::Source,
            Some(ErrorKind::Corrupt),
            Responsibility::Source
        )
    );
    let expected = format!(
        "cannot fetch blob {0} of from/app at {1}: the blob is corrupt: its 5000 bytes have the digest {2} instead of \
         {0}, after 2 tries",
        layer.digest(),
        source.host(),
        flipped(&layer.bytes().unwrap()),
    );
    assert_eq!(failure.reason, expected);
    let asked = source.requests().into_iter();
    let asked = asked
        .filter(|request| request.kind == Kind::BlobGet && request.path.contains(layer.digest()));
    assert_eq!(asked.count(), 2, "once, and once more");
    assert!(!destination.state().has_blob("to/app", layer.digest()));
    assert_eq!(destination.state().tags("to/app"), [""; 0]);
}

#[tokio::test]
async fn a_source_whose_manifest_is_corrupt_is_named_and_nothing_is_pushed() {
    let (source, destination) = (server().await, server().await);
    source.push("from/app", Some("v1"), &image());
    source.fault(
        Fault::on(Kind::ManifestGet).always(),
        Action::Corrupt { offset: 7 },
    );
    let (summary, _) = copy(&source, &[&destination], ":v1", settings(&[])).await;
    let failure = &only(&summary).failure;
    assert_eq!(
        (failure.side, failure.kind, failure.class()),
        (
            Side::Source,
            Some(ErrorKind::Corrupt),
            Responsibility::Source
        )
    );
    let (_, bytes) = source.state().manifest("from/app", "v1").unwrap();
    let expected = format!(
        "cannot fetch manifest from/app@{0} at {1}: {1} sent {2} bytes with the digest {3} instead of {0}, after \
         2 tries",
        image().digest(),
        source.host(),
        bytes.len(),
        flipped(&bytes),
    );
    assert_eq!(failure.reason, expected);
    assert_eq!(destination.bytes_received(), 0);
}

#[tokio::test]
async fn a_destination_that_stores_another_manifest_is_named() {
    let (source, destination) = (server().await, server().await);
    let image = image();
    source.push("from/app", Some("v1"), &image);
    let other = testkit::Blob::synthetic(10, 9);
    destination.fault(
        Fault::on(Kind::ManifestPut).always(),
        Action::WithHeaders(vec![("docker-content-digest", other.digest().to_owned())]),
    );
    let (summary, _) = copy(&source, &[&destination], ":v1", settings(&[])).await;
    let failure = &only(&summary).failure;
    assert_eq!(
        (failure.side, failure.class()),
        (Side::Destination, Responsibility::Destination)
    );
    for part in [&destination.host(), image.digest(), other.digest()] {
        assert!(failure.reason.contains(part), "{}", failure.reason);
    }
}

#[tokio::test]
async fn a_permanent_rate_limit_is_reported() {
    let (source, destination) = (server().await, server().await);
    source.push("from/app", Some("v1"), &image());
    source.fault(
        Fault::on(Kind::ManifestHead).always(),
        Action::too_many_requests(0),
    );
    let (summary, _) = copy(&source, &[&destination], ":v1", settings(&[])).await;
    assert_eq!(summary.by_class, [(Responsibility::RateLimit, 1)].into());
    let failure = &only(&summary).failure;
    assert_eq!((failure.status, failure.tries), (Some(429), 4));
}

#[tokio::test]
async fn a_destination_that_reports_missing_blobs_as_present_is_sent_all_of_them() {
    // Like a Nexus group: it reports blobs that the repository cannot use.
    let (source, destination) = (server().await, server().await);
    let image = image();
    source.push("from/app", Some("v1"), &image);
    destination.fault(Fault::on(Kind::Mount).always(), Action::status(201));
    let (summary, copied) = copy(&source, &[&destination], ":v1", settings(&[])).await;
    assert_eq!((summary.copied, summary.failed), (1, 0));
    assert_eq!(
        (copied[0].volume.blobs, copied[0].volume.bytes),
        (2, image.blob_bytes())
    );
    destination.verify_complete("to/app", "v1").unwrap();
    let kinds = destination
        .requests()
        .into_iter()
        .map(|request| request.kind);
    let kinds: Vec<Kind> = kinds.collect();
    let count = |kind| kinds.iter().filter(|one| **one == kind).count();
    assert_eq!((count(Kind::Mount), count(Kind::UploadPost)), (2, 2));
    assert_eq!((count(Kind::UploadPut), count(Kind::ManifestPut)), (2, 2));
}

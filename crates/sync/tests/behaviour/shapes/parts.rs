//! `--strip-attestations` and `--sparse`.

use image_syncer_registry::Cause;
use image_syncer_sync::report::Summary;
use image_syncer_sync::rule::Parts;
use image_syncer_sync::{Outcome, Responsibility};
use testkit::image::Shape;
use testkit::{Action, Fault, Image, Kind, Layer, Platform, Profile, Registry};

use crate::kit::server;
use crate::run::{copy, settings};
use crate::settings::Settings;
use crate::shapes::servers::{Place, Server};

const SPARSE: &str = "--sparse omits some children of the index, and this registry accepts only complete indexes: \
                      without --sparse, an index of the others is written, with another digest";

fn image(architecture: &str) -> Image {
    Image::oci()
        .platform(Platform::linux(architecture))
        .layer(Layer::tar(architecture, 300))
        .build()
}

/// Creates an index of two images, each with its attestation.
fn attested() -> (Image, [Image; 2]) {
    let images = [image("amd64"), image("arm64")];
    let children = images
        .iter()
        .flat_map(|image| [image.clone(), Image::attestation_of(image)]);
    (Image::index(children), images)
}

fn strip() -> Settings {
    Settings {
        parts: Parts {
            strip_attestations: true,
            ..Parts::default()
        },
        ..settings(&[])
    }
}

fn sparse(architectures: &[&str]) -> Settings {
    Settings {
        parts: Parts {
            sparse: true,
            ..Parts::default()
        },
        ..settings(architectures)
    }
}

/// Returns the reason of the only failure.
fn reason(summary: &Summary) -> String {
    assert_eq!(summary.failures.len(), 1);
    summary.failures[0].failure.reason.clone()
}

async fn registry(profile: Profile) -> Registry {
    let registry = Registry::start(profile).await;
    registry.state().create_namespace("to");
    registry
}

async fn source_of(image: &Image) -> Registry {
    let source = server().await;
    source.push("from/app", Some("v1"), image);
    source
}

#[tokio::test]
async fn other_refusals_do_not_mention_attestations() {
    let (index, _) = attested();
    let source = source_of(&index).await;
    for (status, code, blamed) in [
        (400, "MANIFEST_INVALID", true),
        (400, "DIGEST_INVALID", false),
        (400, "NAME_INVALID", false),
        (400, "MANIFEST_BLOB_UNKNOWN", false),
        (409, "CONFLICT", false),
    ] {
        let destination = registry(Profile::distribution()).await;
        let index = Fault::on(Kind::ManifestPut).reference("v1");
        destination.fault(index, Action::error(status, code, "no"));
        let (summary, _) = copy(&source, &[&destination], ":v1", settings(&[])).await;
        let reason = reason(&summary);
        assert_eq!(reason.contains("attestations"), blamed, "{code}: {reason}");
        assert!(reason.contains(code), "{code}: {reason}");
    }
}

#[tokio::test]
async fn attestations_are_stripped_from_an_index_of_its_own() {
    let (index, images) = attested();
    let (source, destination) = (
        source_of(&index).await,
        registry(Profile::huawei_swr()).await,
    );
    let (summary, copied) = copy(&source, &[&destination], ":v1", strip()).await;
    assert_eq!((summary.copied, copied[0].filtered), (1, true));
    destination.verify_complete("to/app", "v1").unwrap();
    let (_, bytes) = destination.state().manifest("to/app", "v1").unwrap();
    let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let entries: Vec<&str> = document["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["digest"].as_str().unwrap())
        .collect();
    assert_eq!(entries, images.each_ref().map(Image::digest));
    assert_eq!(source.count(|r| r.kind == Kind::ManifestGet), 3);
    let (summary, _) = copy(&source, &[&destination], ":v1", strip()).await;
    assert_eq!(summary.unchanged, 1);
}

#[tokio::test]
async fn without_attestations_nothing_is_stripped_and_no_index_written() {
    let index = Image::index([image("amd64"), image("arm64")]);
    let (source, destination) = (source_of(&index).await, server().await);
    let (_, copied) = copy(&source, &[&destination], ":v1", strip()).await;
    assert_eq!(
        (copied[0].filtered, copied[0].digest.as_str()),
        (false, index.digest())
    );
    let lone = image("amd64");
    source.push("from/app", Some("v2"), &lone);
    let (_, copied) = copy(&source, &[&destination], ":v2", strip()).await;
    assert_eq!(
        (copied[0].filtered, copied[0].digest.as_str()),
        (false, lone.digest())
    );
}

#[tokio::test]
async fn a_refusal_of_attestations_names_the_flag() {
    let (index, images) = attested();
    let (source, destination) = (
        source_of(&index).await,
        registry(Profile::huawei_swr()).await,
    );
    let (summary, _) = copy(&source, &[&destination], ":v1", settings(&[])).await;
    let reason = reason(&summary);
    let attestations = images.each_ref().map(Image::attestation_of);
    let named = attestations.iter().any(|attestation| {
        reason
            == format!(
                "cannot push manifest to/app@{} at {}: the registry answered 400 Bad Request (MANIFEST_INVALID: \
                 manifest invalid: Invalid image, fail to parse 'manifest.json'); it is a build attestation, which this registry does not accept: --strip-attestations copies images without them, under an index with another \
                 digest",
                attestation.digest(),
                destination.host()
            )
    });
    assert!(named, "{reason}");
}

/// Alibaba Cloud answers attestations with an empty config with a missing permission.
#[tokio::test]
async fn attestations_are_recognized_whatever_the_status_of_their_refusal() {
    let child = image("amd64");
    let attestation = Image::artifact_attestation_of(&child);
    let index = Image::index([child, attestation]);
    for status in [400, 401, 403, 405, 422] {
        let profile = Profile {
            refuses_configs: Some((status, &["application/vnd.oci.empty.v1+json"])),
            ..Profile::distribution()
        };
        let (source, destination) = (source_of(&index).await, registry(profile).await);
        let (summary, _) = copy(&source, &[&destination], ":v1", settings(&[])).await;
        let failure = &summary.failures[0].failure;
        let is_refusal_of_attestations = failure.cause == Cause::AttestationsRefused
            && failure.class() == Responsibility::Destination
            && failure.reason.contains(
                "(DENIED: unknown manifest class for application/vnd.oci.empty.v1+json); it is a build attestation",
            );
        assert!(is_refusal_of_attestations, "{status}: {failure:?}");
        let (_, copied) = copy(&source, &[&destination], ":v1", strip()).await;
        assert_eq!(copied.len(), 1, "{status}");
        destination.verify_complete("to/app", "v1").unwrap();
    }
}

#[tokio::test]
async fn a_refusal_of_other_manifests_names_no_flag() {
    let (_, [lone, _]) = attested();
    let profile = Profile {
        refuses_oci: true,
        ..Profile::distribution()
    };
    let (source, destination) = (source_of(&lone).await, registry(profile).await);
    let (summary, _) = copy(&source, &[&destination], ":v1", settings(&[])).await;
    let expected = format!(
        "cannot push manifest to/app:v1 at {}: the registry answered 400 Bad Request (MANIFEST_INVALID: manifest \
         invalid: unsupported media type); its type is application/vnd.oci.image.manifest.v1+json",
        destination.host()
    );
    assert_eq!(reason(&summary), expected);
}

#[tokio::test]
async fn a_sparse_index_keeps_its_digest_and_a_wider_filter_copies_the_rest() {
    let (index, [amd64, arm64]) = attested();
    let profile = || Profile {
        sparse_indexes: true,
        ..Profile::distribution()
    };
    let (source, destination) = (source_of(&index).await, registry(profile()).await);
    let state = destination.state();
    let has = |image: &Image| state.manifest("to/app", image.digest()).is_some();
    let (_, copied) = copy(&source, &[&destination], ":v1", sparse(&["amd64"])).await;
    assert_eq!((copied[0].filtered, copied[0].sparse), (false, true));
    assert_eq!(copied[0].digest.as_str(), index.digest());
    // The image and its attestation, and the index.
    assert_eq!(copied[0].volume.manifests, 3);
    assert_eq!((has(&amd64), has(&arm64)), (true, false));
    assert!(has(&Image::attestation_of(&amd64)) && !has(&Image::attestation_of(&arm64)));

    // Again: the digests are equal, and both children are checked.
    destination.clear_requests();
    let (summary, _) = copy(&source, &[&destination], ":v1", sparse(&["amd64"])).await;
    assert_eq!(summary.unchanged, 1);
    assert_eq!(destination.count(|r| r.kind == Kind::ManifestHead), 3);
    assert_eq!(destination.count(|r| r.kind == Kind::ManifestPut), 0);

    // Another one: only the part that was left out is copied.
    destination.clear_requests();
    let wider = sparse(&["amd64", "arm64"]);
    let (_, copied) = copy(&source, &[&destination], ":v1", wider).await;
    assert_eq!((copied[0].volume.manifests, copied[0].sparse), (3, false));
    assert_eq!(destination.count(|r| r.kind == Kind::ManifestHead), 5);
    destination.verify_complete("to/app", "v1").unwrap();
}

#[tokio::test]
async fn children_of_an_old_sparse_root_are_not_assumed_for_a_new_one() {
    let (old, [amd64, arm64]) = attested();
    let profile = Profile {
        sparse_indexes: true,
        ..Profile::distribution()
    };
    let (source, destination) = (source_of(&old).await, registry(profile).await);
    copy(&source, &[&destination], ":v1", sparse(&["amd64"])).await;
    let new = Image::index([amd64, arm64.clone(), image("s390x")]);
    source.push("from/app", Some("v1"), &new);
    copy(&source, &[&destination], ":v1", sparse(&["arm64"])).await;
    let state = destination.state();
    assert_eq!(state.digest("to/app", "v1").as_deref(), Some(new.digest()));
    assert!(state.manifest("to/app", arm64.digest()).is_some());
}

#[tokio::test]
async fn a_registry_that_requires_all_children_refuses_a_sparse_index() {
    let (index, [_, arm64]) = attested();
    let attestation = Image::attestation_of(&arm64);
    let (source, destination) = (source_of(&index).await, server().await);
    let (summary, _) = copy(&source, &[&destination], ":v1", sparse(&["amd64"])).await;
    let left_out = [arm64.digest(), attestation.digest()];
    let [one, other] =
        left_out.map(|digest| format!("MANIFEST_BLOB_UNKNOWN: blob unknown to registry: {digest}"));
    let expected = format!(
        "cannot push manifest to/app:v1 at {}: the registry answered 400 Bad Request ({one}; {other}); {SPARSE}",
        destination.host()
    );
    assert_eq!(reason(&summary), expected);
    assert_eq!(summary.failures[0].failure.cause, Cause::SparseRefused);
    assert_eq!(
        destination.count(|r| r.kind == Kind::ManifestPut && r.line().ends_with("/v1")),
        1
    );
}

/// Some registries do not say which children they need, and others not that they need any.
#[tokio::test]
async fn a_refused_sparse_index_is_recognized_without_named_children() {
    let (index, _) = attested();
    for (code, pushes) in [("MANIFEST_INVALID", 1), ("MANIFEST_BLOB_UNKNOWN", 3)] {
        let (source, destination) = (source_of(&index).await, server().await);
        let root = Fault::on(Kind::ManifestPut).reference("v1");
        let refused = destination.fault(root, Action::error(400, code, "no"));
        let (summary, _) = copy(&source, &[&destination], ":v1", sparse(&["amd64"])).await;
        assert!(reason(&summary).ends_with(SPARSE), "{}", reason(&summary));
        assert_eq!(summary.failures[0].failure.cause, Cause::SparseRefused);
        assert_eq!(refused.hits(), pushes, "{code}");
    }
}

#[tokio::test]
async fn a_filter_that_nothing_passes_makes_no_sparse_index() {
    let (index, _) = attested();
    let (source, destination) = (source_of(&index).await, server().await);
    let (summary, _) = copy(&source, &[&destination], ":v1", sparse(&["riscv64"])).await;
    assert_eq!((summary.skipped, summary.exit_code()), (1, 0));
}

#[tokio::test]
async fn docker_registry_refuses_a_sparse_index_with_a_hint() {
    testkit::needs!("docker-registry");
    let shape = Shape {
        name: "attested index",
        image: attested().0,
    };
    let (source, destination) = (
        Server::start(Place::Strict).await,
        Server::start(Place::Real).await,
    );
    source.seed(&shape).await;
    let endings = super::servers::copy(&source, &destination, &[&shape], sparse(&["amd64"])).await;
    let Outcome::Failed(failure) = &endings[0] else {
        panic!("{endings:?}");
    };
    assert!(
        failure.reason.ends_with(&format!("); {SPARSE}")),
        "{failure}"
    );
    assert_eq!(failure.cause, Cause::SparseRefused);
}

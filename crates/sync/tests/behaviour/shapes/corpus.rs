//! The corpus between every pair of registries.

use image_syncer_registry::Cause;
use image_syncer_sync::Outcome;
use testkit::Profile;
use testkit::image::{Shape, corpus};

use super::servers::{PLACES, Place, Server, copy};
use crate::run::settings;

const INVALID: &str = "the registry answered 400 Bad Request (MANIFEST_INVALID: manifest invalid";
const SCHEMA1: &str = "this is schema 1, the format of Docker before 2016, which few registries still accept: \
                       rebuild the image, or copy it to a registry that accepts it";
const ARTIFACT: &str = "this is the OCI artifact manifest, a draft that was withdrawn in 2023, which few registries \
                        accept";
const URLS: &str = "the registry answered 500 Internal Server Error (UNKNOWN: unknown error; MANIFEST_BLOB_UNKNOWN: \
                    blob unknown to registry: LAYER); it names layers at other addresses (`urls`), which \
                    registries refuse unless their operator allows the hosts, after 4 tries";
const DEMANDED: &str = "the registry answered 400 Bad Request (MANIFEST_BLOB_UNKNOWN: blob unknown to registry: \
                        LAYER); layer \
                        LAYER is foreign content, which not everybody may distribute, and was not copied: \
                        --foreign-layers copies it";
const SHA512: &str = "the registry answered 400 Bad Request (DIGEST_INVALID: provided digest did not match uploaded \
                      content); its digest is a sha512 digest, which few registries accept";

/// Returns the message about a shape that a registry cannot hold; `None` if it can.
fn refusal(place: Place, shape: &Shape) -> Option<String> {
    use Place::{Real, Strict, WithApi, WithoutApi};
    // Debian's registry adds an empty detail.
    let invalid = |detail: &str, why: &str| {
        let detail = if place == Real { "" } else { detail };
        Some(format!("{INVALID}{detail}); {why}"))
    };
    let with_layer = |text: &str| {
        let layers = &shape.image.root().links().blobs;
        let foreign = layers.iter().find(|layer| layer.foreign);
        Some(text.replace("LAYER", &foreign.unwrap().digest))
    };
    match (shape.name, place) {
        ("schema 1 without a signature", Strict | WithoutApi | Real)
        | ("schema 1 with a signature", Strict | WithoutApi) => {
            invalid(": schema version 1 is not supported", SCHEMA1)
        }
        ("retired artifact manifest", WithApi | WithoutApi | Real) => {
            invalid(": unrecognized schema version", ARTIFACT)
        }
        ("foreign layer with urls", WithApi | WithoutApi | Real) => with_layer(URLS),
        ("non-distributable layer without urls", Real) => with_layer(DEMANDED),
        ("sha512 manifest", Real) => Some(SHA512.to_owned()),
        _ => None,
    }
}

/// Copies every shape that `from` can hold to `to`, twice.
async fn between(from: Place, to: Place) {
    if [from, to].contains(&Place::Real) {
        testkit::needs!("docker-registry");
    }
    let shapes = corpus();
    let (source, destination) = (Server::start(from).await, Server::start(to).await);
    let mut held: Vec<&Shape> = Vec::new();
    for shape in &shapes {
        let taken = source.seed(shape).await;
        let can = from != Place::Real || refusal(from, shape).is_none();
        assert_eq!(taken, can, "{} at {from:?}", shape.name);
        if taken {
            held.push(shape);
        }
    }
    let endings = copy(&source, &destination, &held, settings(&[])).await;
    for (shape, ending) in held.iter().zip(endings) {
        let what = format!("{} from {from:?} to {to:?}", shape.name);
        match (ending, refusal(to, shape)) {
            (Outcome::Copied(copied), None) => {
                assert_eq!(copied.digest.as_str(), shape.image.digest(), "{what}");
                destination.assert_holds(shape, &source).await;
            }
            (Outcome::Failed(failure), Some(why)) => {
                if why.contains("`urls`") || why == SHA512 {
                    assert_eq!(failure.cause, Cause::MediaTypeRefused, "{what}");
                }
                if why.contains("foreign content") {
                    assert_eq!(failure.cause, Cause::ForeignLayerRequired, "{what}");
                }
                let name = if shape.by_digest() {
                    format!("@{}", shape.image.digest())
                } else {
                    ":v1".to_owned()
                };
                let (repository, host) = (shape.repository(), destination.host());
                let expected = format!("cannot push manifest {repository}{name} at {host}: {why}");
                assert_eq!(failure.reason, expected, "{what}");
            }
            (ending, expected) => panic!("{what}: {ending:?} instead of {expected:?}"),
        }
    }
    assert_eq!(destination.problems(), [""; 0]);
    let there: Vec<&Shape> = held
        .into_iter()
        .filter(|shape| refusal(to, shape).is_none())
        .collect();
    for (shape, ending) in there
        .iter()
        .zip(copy(&source, &destination, &there, settings(&[])).await)
    {
        let unchanged = matches!(ending, Outcome::Unchanged { .. });
        assert!(unchanged, "{} from {from:?} to {to:?}", shape.name);
    }
}

async fn from(place: Place) {
    for to in PLACES {
        between(place, to).await;
    }
}

#[tokio::test]
async fn every_shape_is_copied_from_a_strict_registry() {
    from(Place::Strict).await;
}

#[tokio::test]
async fn every_shape_is_copied_from_a_registry_with_the_referrers_api() {
    from(Place::WithApi).await;
}

#[tokio::test]
async fn every_shape_is_copied_from_a_registry_without_the_referrers_api() {
    from(Place::WithoutApi).await;
}

#[tokio::test]
async fn every_shape_is_copied_from_docker_registry() {
    from(Place::Real).await;
}

#[tokio::test]
async fn every_shape_survives_content_types_with_parameters() {
    let source = Server::with_profile(Profile {
        content_type_suffix: "; charset=utf-8",
        ..Profile::strict()
    });
    let (source, destination) = (source.await, Server::start(Place::Strict).await);
    let shapes = corpus();
    let shapes: Vec<&Shape> = shapes
        .iter()
        .filter(|shape| refusal(Place::Strict, shape).is_none())
        .collect();
    for shape in &shapes {
        source.seed(shape).await;
    }
    let endings = copy(&source, &destination, &shapes, settings(&[])).await;
    for (shape, ending) in shapes.iter().zip(endings) {
        let copied = matches!(ending, Outcome::Copied(_));
        assert!(copied, "{}: {ending:?}", shape.name);
        destination.assert_holds(shape, &source).await;
    }
}

//! Images of every shape.

use serde_json::{Value, json};
use testkit::image::{Format, IndexBuilder, media};
use testkit::{Image, Layer, Platform, Profile, digest};

use crate::start;

#[tokio::test]
async fn every_shape_is_whole() {
    let (registry, _client) = start(Profile::distribution()).await;
    let app = Image::docker().layer(Layer::tar("base", 100)).build();
    let nested = Image::index([Image::index([Image::oci().build()]).without_platform()]);
    for (tag, image) in [
        (
            "duplicates",
            Image::single([Layer::tar("a", 9), Layer::tar("a", 9)]),
        ),
        ("empty-layer", Image::single([Layer::empty()])),
        ("no-layers", Image::oci().build()),
        (
            "attested",
            Image::index([app.clone(), Image::attestation_of(&app)]),
        ),
        ("nested", nested),
        ("chart", Image::helm_chart("app", "1.0.0")),
        (
            "artifact",
            Image::artifact("application/x")
                .layer(Layer::bytes("text/plain", "x"))
                .build(),
        ),
        ("signature", Image::cosign_signature_of(&app)),
        (
            "schema1",
            Image::schema1("app", "schema1", [Layer::tar("base", 100)]),
        ),
    ] {
        registry.push("app", Some(tag), &image);
        registry.verify_complete("app", tag).unwrap();
    }
}

#[test]
fn the_same_call_builds_the_same_bytes() {
    let build = || Image::index([Image::single([Layer::tar("base", 10_000)])]);
    assert_eq!(build().digest(), build().digest());
    assert_ne!(Layer::tar("a", 100).digest(), Layer::tar("b", 100).digest());
    assert_ne!(Layer::tar("a", 100).digest(), Layer::tar("a", 101).digest());
}

#[test]
fn layers_are_archives_that_their_config_knows() {
    let image = Image::docker()
        .platform(Platform::linux("arm").variant("v7"))
        .layer(Layer::tar_of("etc/hello", b"hello"))
        .build();
    let config: Value = serde_json::from_slice(&image.blobs()[0].bytes().unwrap()).unwrap();
    assert_eq!(config["architecture"], "arm");
    assert_eq!(config["variant"], "v7");
    let layer = image.blobs()[1].bytes().unwrap();
    let mut tar = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&layer[..]), &mut tar).unwrap();
    assert_eq!(config["rootfs"]["diff_ids"], json!([digest::sha256(&tar)]));
    let mut archive = tar::Archive::new(&tar[..]);
    let names: Vec<_> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().into_owned())
        .collect();
    assert_eq!(names, [std::path::Path::new("etc/hello")]);
}

#[test]
fn indexes_say_what_their_children_are() {
    let windows = Image::docker()
        .platform(Platform::windows("10.0.1"))
        .build();
    let attestation = Image::attestation_of(&windows);
    let list = Image::list([windows.clone(), attestation.clone()]);
    let document = list.root().json();
    assert_eq!(document["mediaType"], media::DOCKER_LIST);
    let platform = &document["manifests"][0]["platform"];
    let expected = json!({"architecture": "amd64", "os": "windows", "os.version": "10.0.1"});
    assert_eq!(*platform, expected);
    let entry = &document["manifests"][1];
    assert_eq!(entry["platform"]["os"], "unknown");
    assert_eq!(
        entry["annotations"]["vnd.docker.reference.digest"],
        windows.digest()
    );
    assert_eq!(entry["size"], attestation.root().size());
}

#[test]
fn documents_of_odd_shapes() {
    let bare = Image::oci().without_media_type().build();
    assert_eq!(bare.root().json()["mediaType"], Value::Null);
    let pretty = IndexBuilder::new(Format::Docker)
        .child(bare)
        .pretty()
        .build();
    assert!(
        pretty
            .root()
            .bytes
            .starts_with(b"{\n   \"schemaVersion\": 2,\n")
    );
    let foreign = Image::single([Layer::foreign("w", 10, "https://example.com/w")]);
    let descriptor = &foreign.root().json()["layers"][0];
    assert_eq!(descriptor["mediaType"], media::OCI_LAYER_NONDISTRIBUTABLE);
    assert_eq!(descriptor["urls"], json!(["https://example.com/w"]));
    assert_eq!(foreign.blobs().len(), 1);
    let embedded = Image::oci().embed_config().build();
    assert!(embedded.root().json()["config"]["data"].is_string());
    let missing = Image::oci().label("gone").build();
    let sparse = IndexBuilder::new(Format::Oci)
        .missing_child(missing)
        .build();
    assert_eq!((sparse.manifests().len(), sparse.blobs().len()), (0, 0));
}

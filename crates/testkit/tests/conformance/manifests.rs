//! Pushing manifests, and deleting them.

use http::Method;
use serde_json::json;
use testkit::image::{Format, IndexBuilder, media};
use testkit::raw::Payload;
use testkit::{Image, Layer, Manifest, Platform};

use crate::both;

fn image(label: &str) -> Image {
    Image::oci()
        .layer(Layer::tar("base", 500))
        .label(label)
        .build()
}

#[tokio::test]
async fn by_tag_and_by_digest() {
    both(async |s| {
        let docker = Image::docker().layer(Layer::tar("base", 500)).build();
        let children = [image("a"), image("b").descriptor_field("size", json!(1))];
        for (tag, image) in [
            ("oci", image("x")),
            ("docker", docker.clone()),
            ("index", Image::index(children)),
            ("list", Image::list([docker])),
            ("bare", Image::oci().without_media_type().build()),
            ("pretty", Image::docker().pretty().build()),
            ("helm", Image::helm_chart("app", "1.2.3")),
            (
                "sbom",
                Image::referrer_of(&image("x"), "application/sbom", "{}"),
            ),
        ] {
            s.push("team/app", Some(tag), &image).await;
            s.push("team/app", None, &image).await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_missing_is_named() {
    both(async |s| {
        let one = image("one");
        let unpushed = s.put_manifest("app", "v1", one.root()).await;
        assert_eq!(unpushed.status, 400);
        let errors = unpushed.json()["errors"].as_array().unwrap().clone();
        assert_eq!(errors.len(), 2);
        assert!(errors.iter().all(|e| e["code"] == "MANIFEST_BLOB_UNKNOWN"));
        assert_eq!(errors[1]["detail"], one.blobs()[1].digest());

        let missing = IndexBuilder::new(Format::Oci).missing_child(one.clone());
        let missing = missing.missing_child(image("two")).build();
        let index = s.put_manifest("app", "v1", missing.root()).await;
        assert_eq!(index.error_code(), "MANIFEST_BLOB_UNKNOWN");
        let list = IndexBuilder::new(Format::Docker)
            .missing_child(Image::docker().build())
            .build();
        s.put_manifest("app", "v1", list.root()).await;

        // Present in another repository, but missing in this one.
        s.push("other", Some("v1"), &one).await;
        let across = s.put_manifest("app", "v1", one.root()).await;
        assert_eq!(across.error_code(), "MANIFEST_BLOB_UNKNOWN");
        assert_eq!(s.get("/v2/app/tags/list").await.status, 404);
    })
    .await;
}

#[tokio::test]
async fn refused_documents() {
    both(async |s| {
        let one = image("one");
        s.push("app", Some("v1"), &one).await;
        let docker = Image::docker().layer(Layer::tar("base", 500)).build();
        s.push("app", Some("docker"), &docker).await;
        let bytes = one.root().bytes.clone();
        for (kind, bytes) in [
            (media::DOCKER_MANIFEST, bytes.clone()),
            (media::OCI_INDEX, bytes.clone()),
            (media::OCI_MANIFEST, docker.root().bytes.clone()),
            (media::OCI_MANIFEST, "[]".into()),
            (media::OCI_MANIFEST, "<html>".into()),
            (media::OCI_MANIFEST, "".into()),
            ("application/x-unknown", bytes.clone()),
        ] {
            let answer = s
                .put_manifest("app", "v2", &Manifest::new(kind, bytes))
                .await;
            assert_eq!(
                (answer.status, &*answer.error_code()),
                (400, "MANIFEST_INVALID"),
                "{kind}"
            );
        }
        let large = " ".repeat(4 * 1024 * 1024 + 1);
        let large = s
            .put_manifest("app", "v2", &Manifest::new(media::OCI_MANIFEST, large))
            .await;
        assert_eq!(large.error_code(), "MANIFEST_INVALID");
        let other = s
            .put_manifest("app", testkit::digest::EMPTY, one.root())
            .await;
        assert_eq!(other.error_code(), "DIGEST_INVALID");
        s.put_manifest("app", "v+1", one.root()).await;
        s.put_manifest("app", &"v".repeat(129), one.root()).await;
    })
    .await;
}

#[tokio::test]
async fn foreign_layers() {
    both(async |s| {
        let layer = Layer::foreign("windows", 100, "https://example.com/layer");
        for layer in [layer.clone(), layer.pushed()] {
            for image in [Image::docker(), Image::oci()] {
                let image = image.layer(layer.clone()).layer(Layer::empty()).build();
                for blob in image.blobs() {
                    s.push_blob("app", blob).await;
                }
                let refused = s.put_manifest("app", "v1", image.root()).await;
                assert_eq!(refused.status, 500);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn schema1_needs_its_signature() {
    both(async |s| {
        let image = Image::schema1("app", "v1", [Layer::tar("base", 500)]);
        for blob in image.blobs() {
            s.push_blob("app", blob).await;
        }
        let bytes = image.root().bytes.clone();
        for kind in [
            media::DOCKER_SCHEMA1,
            media::DOCKER_SCHEMA1_SIGNED,
            "application/json",
        ] {
            s.put_manifest("app", "v1", &Manifest::new(kind, bytes.clone()))
                .await;
        }
    })
    .await;
}

#[tokio::test]
async fn deleting() {
    both(async |s| {
        let one = image("one");
        s.push("app", Some("v1"), &one).await;
        s.push("app", Some("v2"), &one).await;
        s.push("app", Some("v3"), &image("two")).await;
        s.delete("/v2/app/manifests/v1").await;
        let url = format!("/v2/app/manifests/{}", one.digest());
        assert_eq!(s.delete(&url).await.status, 202);
        assert_eq!(s.delete(&url).await.status, 404);
        assert_eq!(
            s.get("/v2/app/manifests/v1").await.error_code(),
            "MANIFEST_UNKNOWN"
        );
        assert_eq!(
            s.get("/v2/app/tags/list").await.json()["tags"],
            json!(["v3"])
        );
        s.send(Method::POST, &url, &[], Payload::empty()).await;
    })
    .await;
}

#[tokio::test]
async fn conditions_of_a_push_are_ignored() {
    both(async |s| {
        let one = image("one");
        s.push("app", Some("v1"), &one).await;
        let wrong = format!("\"{}\"", testkit::digest::EMPTY);
        for (field, value) in [("if-none-match", "*"), ("if-match", &*wrong)] {
            let headers = [("content-type", &*one.root().media_type), (field, value)];
            let url = "/v2/app/manifests/v1";
            let put = s.send(Method::PUT, url, &headers, one.root().into()).await;
            assert_eq!(put.status, 201, "{field}");
        }
    })
    .await;
}

#[tokio::test]
async fn windows_and_variants_are_just_documents() {
    both(async |s| {
        let children = [
            Image::docker()
                .platform(Platform::windows("10.0.1"))
                .build(),
            Image::docker()
                .platform(Platform::linux("arm").variant("v7"))
                .build(),
        ];
        s.push("app", Some("v1"), &Image::list(children)).await;
    })
    .await;
}

//! Checks of clients.

use http::Method;
use testkit::image::media;
use testkit::raw::{Payload, push_over_http};
use testkit::{Blob, Image, Layer, Manifest, Profile};

use crate::{open, patch, put_manifest, start};

/// Returns the only problem since the last call.
fn only(registry: &testkit::Registry, seen: &mut usize) -> String {
    let problems = registry.problems();
    assert_eq!(problems.len(), *seen + 1, "{problems:?}");
    *seen += 1;
    problems[*seen - 1].clone()
}

#[tokio::test]
async fn problems_name_the_request() {
    let (registry, client) = start(Profile {
        validates_manifests: false,
        checks_content_type: false,
        ..Profile::distribution()
    })
    .await;
    let image = Image::single([Layer::tar("base", 10)]);
    push_over_http(&client, "team/app", Some("v1"), &image)
        .await
        .unwrap();
    assert_eq!(registry.problems(), Vec::<String>::new());
    let mut seen = 0;

    let short = [("accept", media::OCI_MANIFEST)];
    let url = "/v2/team/app/manifests/v1";
    client
        .send(Method::HEAD, url, &short, Payload::None)
        .await
        .unwrap();
    let problem = only(&registry, &mut seen);
    assert!(problem.starts_with("HEAD /v2/team/app/manifests/v1: Accept does not have"));
    assert!(problem.contains(media::DOCKER_LIST) && !problem.contains(media::OCI_MANIFEST));

    let location = open(&client).await;
    patch(&client, &location, Some("bytes 0-3/4"), "0123").await;
    assert!(only(&registry, &mut seen).contains("Content-Range \"bytes 0-3/4\""));

    let start = "/v2/team/app/blobs/uploads/";
    client
        .send(Method::POST, start, &short, Payload::empty())
        .await
        .unwrap();
    assert!(only(&registry, &mut seen).contains("Accept of an upload"));
    client
        .send(Method::POST, start, &[], Payload::None)
        .await
        .unwrap();
    assert!(only(&registry, &mut seen).contains("POST without Content-Length"));

    let wrong = Manifest::new(media::DOCKER_MANIFEST, image.root().bytes.clone());
    put_manifest(&client, url, &wrong).await;
    assert!(only(&registry, &mut seen).contains("whose mediaType is"));

    let other = Image::oci().label("unpushed").build();
    let by_digest = format!("/v2/team/app/manifests/{}", other.digest());
    put_manifest(&client, &by_digest, other.root()).await;
    assert_eq!(registry.problems().len(), seen);
    put_manifest(&client, url, other.root()).await;
    assert!(only(&registry, &mut seen).contains(other.blobs()[0].digest()));
}

#[tokio::test]
async fn what_arrived_is_judged_whole() {
    let (registry, _client) = start(Profile::distribution()).await;
    let child = Image::single([Layer::tar("base", 10)]);
    let index = Image::index([child.clone()]);
    let state = registry.state();
    let verify = || registry.verify_complete("app", "v1");
    assert!(verify().unwrap_err().contains("no repository app"));
    registry.push("app", Some("v2"), &index);
    assert!(verify().unwrap_err().contains("has no v1"));
    registry.push("app", Some("v1"), &index);
    verify().unwrap();

    let layer = &child.blobs()[1];
    state.remove_blob("app", layer.digest());
    assert!(verify().unwrap_err().contains(layer.digest()));
    state.put_blob("app", layer);
    state.remove_manifest("app", child.digest());
    assert!(verify().unwrap_err().contains(child.digest()));

    let lying = Layer::tar("base", 10).claiming_size(3);
    registry.push("sizes", Some("v1"), &Image::single([lying]));
    let error = registry.verify_complete("sizes", "v1").unwrap_err();
    assert!(error.contains("says that"), "{error}");

    let fake = Blob::with_digest(testkit::digest::EMPTY, "not empty");
    let layer = Layer::of_blob("application/x", fake);
    registry.push("bytes", Some("v1"), &Image::single([layer]));
    let error = registry.verify_complete("bytes", "v1").unwrap_err();
    assert!(error.contains("has other bytes"), "{error}");

    let foreign = Layer::foreign("windows", 10, "https://example.com/x");
    registry.push("foreign", Some("v1"), &Image::single([foreign]));
    registry.verify_complete("foreign", "v1").unwrap();
}

#[tokio::test]
async fn garbage_is_what_no_manifest_names() {
    let (registry, _client) = start(Profile::distribution()).await;
    let image = Image::single([Layer::tar("base", 10)]);
    registry.push("app", Some("v1"), &image);
    registry.state().put_blob("app", &Blob::new("loose"));
    registry.state().put_blob("other", &image.blobs()[1]);
    assert_eq!(registry.state().collect_garbage(), 2);
    registry.verify_complete("app", "v1").unwrap();
    assert!(
        !registry
            .state()
            .has_blob("other", image.blobs()[1].digest())
    );
}

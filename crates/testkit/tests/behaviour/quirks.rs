//! Manifests and blobs in which registries differ from distribution.

use http::Method;
use testkit::image::media;
use testkit::profile::{AcceptRule, DeleteRule, Existence, Immutable, Unknown};
use testkit::raw::{Client, Payload, RawResponse, push_over_http};
use testkit::{Image, Layer, Platform, Profile};

use crate::{post, put_manifest, start};

async fn get(client: &Client, url: &str) -> RawResponse {
    let accept = [("accept", media::ACCEPT_ALL)];
    let send = client.send(Method::GET, url, &accept, Payload::None);
    send.await.unwrap()
}

async fn head(client: &Client, url: &str) -> RawResponse {
    let accept = [("accept", media::ACCEPT_ALL)];
    let send = client.send(Method::HEAD, url, &accept, Payload::None);
    send.await.unwrap()
}

#[tokio::test]
async fn manifests_with_less_or_more_than_usual() {
    let (registry, client) = start(Profile {
        content_digest: false,
        manifest_head: Some(405),
        content_type_suffix: "; charset=utf-8",
        manifest_location: false,
        ..Profile::distribution()
    })
    .await;
    let image = Image::oci().build();
    push_over_http(&client, "app", Some("v1"), &image)
        .await
        .unwrap();
    let url = "/v2/app/manifests/v1";
    assert_eq!(head(&client, url).await.status, 405);
    let got = get(&client, url).await;
    assert_eq!(got.header("docker-content-digest"), "");
    let kind = format!("{}; charset=utf-8", media::OCI_MANIFEST);
    assert_eq!(got.header("content-type"), kind);
    let put = put_manifest(&client, url, image.root()).await;
    assert_eq!((put.status, put.header("location")), (201, ""));
    assert_eq!(registry.problems(), Vec::<String>::new());
}

#[tokio::test]
async fn immutable_tags() {
    for (rule, status, code) in [
        (Immutable::Ecr, 400, "TAG_INVALID"),
        (Immutable::Harbor, 412, "PRECONDITION"),
        (Immutable::Quay, 409, "TAG_IMMUTABLE"),
    ] {
        let (_registry, client) = start(Profile {
            immutable_tags: Some(rule),
            ..Profile::distribution()
        })
        .await;
        let image = Image::oci().build();
        push_over_http(&client, "app", Some("v1"), &image)
            .await
            .unwrap();
        // Not even its type.
        let again = put_manifest(&client, "/v2/app/manifests/v1", image.root()).await;
        assert_eq!((again.status, &*again.error_code()), (status, code));
        let other = put_manifest(&client, "/v2/app/manifests/v2", image.root()).await;
        assert_eq!(other.status, 201);
    }
}

#[tokio::test]
async fn rewritten_manifests_have_another_digest() {
    let (registry, client) = start(Profile {
        rewrites_manifests: true,
        ..Profile::distribution()
    })
    .await;
    let image = Image::oci().build();
    push_over_http(&client, "app", None, &image).await.unwrap();
    let put = put_manifest(&client, "/v2/app/manifests/v1", image.root()).await;
    let stored = registry.state().digest("app", "v1").unwrap();
    assert_ne!(stored, image.digest());
    assert_eq!(put.header("docker-content-digest"), stored);
}

#[tokio::test]
async fn a_web_server_that_likes_everything() {
    let (registry, client) = start(Profile {
        web_server: Some((200, 200)),
        ..Profile::distribution()
    })
    .await;
    let image = Image::oci().build();
    let put = put_manifest(&client, "/v2/app/manifests/v1", image.root()).await;
    assert_eq!((put.status, put.header("docker-content-digest")), (200, ""));
    assert_eq!(put.header("docker-distribution-api-version"), "");
    assert_eq!(registry.state().repositories(), Vec::<String>::new());
}

#[tokio::test]
async fn tags_by_parameter() {
    let (registry, client) = start(Profile::strict()).await;
    let image = Image::oci().build();
    push_over_http(&client, "app", None, &image).await.unwrap();
    let url = format!("/v2/app/manifests/{}?tag=a&tag=b", image.digest());
    let put = put_manifest(&client, &url, image.root()).await;
    let named: Vec<_> = put.headers.get_all("oci-tag").iter().collect();
    assert_eq!(put.status, 201);
    assert_eq!(named, ["a", "b"]);
    assert_eq!(registry.state().tags("app"), ["a", "b"]);
}

#[tokio::test]
async fn deletes() {
    for (rule, tag, digest) in [
        (DeleteRule::All, 202, 202),
        (DeleteRule::ByDigest(400), 400, 202),
        (DeleteRule::Nothing, 405, 405),
    ] {
        let (registry, client) = start(Profile {
            delete: rule,
            ..Profile::strict()
        })
        .await;
        let image = Image::oci().build();
        registry.push("app", Some("v1"), &image);
        let delete = async |url: String| {
            let send = client.send(Method::DELETE, &url, &[], Payload::None);
            send.await.unwrap().status
        };
        assert_eq!(delete("/v2/app/manifests/v1".into()).await, tag);
        let url = format!("/v2/app/manifests/{}", image.digest());
        assert_eq!(delete(url).await, digest);
        let url = format!("/v2/app/blobs/{}", image.blobs()[0].digest());
        assert_eq!(delete(url).await, digest);
    }
}

#[tokio::test]
async fn what_must_exist_before_a_push() {
    let image = Image::oci().build();
    for (existence, unknown, status) in [
        (Existence::Repository, Unknown::NotFound, 404),
        (Existence::Namespace, Unknown::Denied, 403),
        (Existence::Namespace, Unknown::Unauthorized, 401),
        (Existence::Namespace, Unknown::ProjectNotFound, 401),
    ] {
        let (registry, client) = start(Profile {
            existence: existence.clone(),
            unknown_repository: unknown,
            ..Profile::distribution()
        })
        .await;
        let start = "/v2/team/app/blobs/uploads/";
        assert_eq!(post(&client, start).await.status, status, "{unknown:?}");
        if existence == Existence::Repository {
            registry.state().create_repository("team/app");
        } else {
            registry.state().create_namespace("team");
        }
        push_over_http(&client, "team/app", Some("v1"), &image)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn blobs_from_the_storage_host() {
    let (registry, client) = start(Profile {
        blob_redirect: Some(307),
        head_redirect: true,
        ..Profile::distribution()
    })
    .await;
    let image = Image::single([Layer::synthetic(100_000, 1)]);
    registry.push("app", Some("v1"), &image);
    let blob = &image.blobs()[1];
    let url = format!("/v2/app/blobs/{}", blob.digest());
    let redirect = client.get(&url).await.unwrap();
    assert_eq!(redirect.status, 307);
    let there = redirect.header("location").to_owned();
    assert!(there.contains(&registry.storage_host()));
    let range = [("range", "bytes=99990-")];
    let part = client.send(Method::GET, &there, &range, Payload::None);
    let part = part.await.unwrap();
    assert_eq!((part.status, part.body.len()), (206, 10));
    assert_eq!(part.header("docker-content-digest"), "");
    // Signed for GET only, and for callers without a credential.
    assert_eq!(head(&client, &there).await.status, 403);
    let signed_head = head(&client, &url).await;
    assert_eq!(
        head(&client, signed_head.header("location")).await.status,
        200
    );
    assert_eq!(registry.problems(), Vec::<String>::new());
    let stranger = [("authorization", "Bearer x")];
    let refused = client.send(Method::GET, &there, &stranger, Payload::None);
    assert_eq!(refused.await.unwrap().status, 400);
    assert_eq!(registry.problems().len(), 1);
    assert_eq!(registry.bytes_sent(), 10);
    assert_eq!(registry.storage_requests().len(), 4);
}

#[tokio::test]
async fn ranges_can_be_ignored() {
    let (registry, client) = start(Profile::gitea()).await;
    let image = Image::single([Layer::synthetic(1000, 1)]);
    registry.push("app", None, &image);
    let url = format!("/v2/app/blobs/{}", image.blobs()[1].digest());
    let range = [("range", "bytes=500-")];
    let whole = client.send(Method::GET, &url, &range, Payload::None);
    let whole = whole.await.unwrap();
    assert_eq!((whole.status, whole.body.len()), (200, 1000));
}

#[tokio::test]
async fn short_accepts() {
    let amd64 = Image::docker().layer(Layer::tar("a", 10)).build();
    let arm64 = Image::docker().platform(Platform::linux("arm64")).build();
    let list = Image::list([arm64, amd64.clone()]);
    for (rule, converted) in [
        (AcceptRule::Ignored, list.digest()),
        (AcceptRule::Distribution3, amd64.digest()),
    ] {
        let (registry, client) = start(Profile {
            accept: rule,
            ..Profile::distribution()
        })
        .await;
        registry.push("app", Some("v1"), &list);
        let accept = [("accept", media::DOCKER_MANIFEST)];
        let head = client.send(Method::HEAD, "/v2/app/manifests/v1", &accept, Payload::None);
        assert_eq!(
            head.await.unwrap().header("docker-content-digest"),
            converted
        );
    }
    let (registry, client) = start(Profile::distribution()).await;
    registry.push("app", Some("v1"), &amd64);
    let schema1 = client.get("/v2/app/manifests/v1").await.unwrap();
    assert_eq!(schema1.header("content-type"), media::DOCKER_SCHEMA1_SIGNED);
    assert_ne!(schema1.header("docker-content-digest"), amd64.digest());
}

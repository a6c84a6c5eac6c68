//! Pulling manifests with long and short `Accept`.

use http::Method;
use testkit::image::media;
use testkit::raw::Payload;
use testkit::{Image, Layer, Platform};

use crate::both;

fn layer() -> Layer {
    Layer::tar("base", 500)
}

#[tokio::test]
async fn full_accept_gets_what_was_pushed() {
    both(async |s| {
        let oci = Image::oci().layer(layer()).build();
        let docker = Image::docker().layer(layer()).build();
        for (tag, image) in [
            ("oci", oci.clone()),
            ("docker", docker.clone()),
            ("index", Image::index([oci])),
            ("list", Image::list([docker])),
        ] {
            s.push("app", Some(tag), &image).await;
            for reference in [tag, image.digest()] {
                let url = format!("/v2/app/manifests/{reference}");
                let accept = [("accept", media::ACCEPT_ALL)];
                let get = s.send(Method::GET, &url, &accept, Payload::None).await;
                assert_eq!((get.status, &get.body), (200, &image.root().bytes));
                assert_eq!(get.header("content-type"), image.root().media_type);
                let head = s.send(Method::HEAD, &url, &accept, Payload::None).await;
                assert_eq!(head.header("docker-content-digest"), image.digest());
                let length = image.root().size().to_string();
                assert_eq!(head.header("content-length"), length);
                for known in [image.digest().to_owned(), format!("\"{}\"", image.digest())] {
                    let known = [("if-none-match", known.as_str()), accept[0]];
                    let same = s.send(Method::GET, &url, &known, Payload::None).await;
                    assert_eq!(same.status, 304);
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn oci_needs_to_be_accepted() {
    both(async |s| {
        let image = Image::oci().layer(layer()).build();
        s.push("app", Some("v1"), &image).await;
        s.push("app", Some("index"), &Image::index([image.clone()]))
            .await;
        for reference in ["v1", "index", image.digest()] {
            let url = format!("/v2/app/manifests/{reference}");
            for accept in [None, Some("*/*"), Some(media::DOCKER_MANIFEST)] {
                let headers: Vec<_> = accept.map(|a| ("accept", a)).into_iter().collect();
                let get = s.send(Method::GET, &url, &headers, Payload::None).await;
                assert_eq!(get.error_code(), "MANIFEST_UNKNOWN");
                let head = s.send(Method::HEAD, &url, &headers, Payload::None).await;
                assert_eq!(head.status, 404);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_docker_list_becomes_linux_amd64() {
    both(async |s| {
        let amd64 = Image::docker().layer(layer()).build();
        let arm64 = Image::docker()
            .platform(Platform::linux("arm64"))
            .layer(layer())
            .build();
        let list = Image::list([arm64.clone(), amd64.clone()]);
        s.push("app", Some("v1"), &list).await;
        let accept = [("accept", media::DOCKER_MANIFEST)];
        let url = "/v2/app/manifests/v1";
        let get = s.send(Method::GET, url, &accept, Payload::None).await;
        assert_eq!(get.body, amd64.root().bytes);
        s.send(Method::HEAD, url, &accept, Payload::None).await;
        let by_digest = format!("/v2/app/manifests/{}", list.digest());
        let get = s
            .send(Method::GET, &by_digest, &accept, Payload::None)
            .await;
        assert_eq!(get.body, list.root().bytes);
        s.get(&by_digest).await;

        s.push("app", Some("arm"), &Image::list([arm64])).await;
        let none = s
            .send(Method::GET, "/v2/app/manifests/arm", &accept, Payload::None)
            .await;
        assert_eq!(none.status, 404);
    })
    .await;
}

#[tokio::test]
async fn unknown_manifests() {
    both(async |s| {
        s.push("app", Some("v1"), &Image::oci().build()).await;
        let digest = testkit::digest::EMPTY;
        for reference in ["v2", digest, "v+1"] {
            for name in ["app", "nowhere"] {
                let url = format!("/v2/{name}/manifests/{reference}");
                assert_eq!(s.get(&url).await.status, 404);
                assert_eq!(s.head(&url).await.status, 404);
            }
        }
    })
    .await;
}

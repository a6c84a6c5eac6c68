//! The registry of this crate as its users see it.

use testkit::image::media;
use testkit::raw::{Client, Payload, push_over_http};
use testkit::{Image, Kind, Layer, Platform, Profile, Registry, Tls};

fn image() -> Image {
    let base = Layer::tar("base", 2_000);
    let amd64 = Image::oci()
        .layer(base.clone())
        .layer(Layer::synthetic(300_000, 1))
        .build();
    let arm64 = Image::oci()
        .platform(Platform::linux("arm64"))
        .layer(base)
        .build();
    Image::index([amd64, arm64])
}

#[tokio::test]
async fn what_is_pushed_over_http_is_there() {
    let registry = Registry::start(Profile::distribution()).await;
    let image = image();
    let client = Client::new(registry.url());
    let digest = push_over_http(&client, "team/app", Some("v1"), &image)
        .await
        .unwrap();

    registry.verify_complete("team/app", "v1").unwrap();
    assert_eq!(registry.state().digest("team/app", "v1"), Some(digest));
    assert_eq!(registry.state().tags("team/app"), ["v1"]);
    assert_eq!(registry.state().open_uploads(), 0);
    assert_eq!(registry.bytes_received(), image.blob_bytes());
    assert_eq!(
        registry.count(|r| r.kind == Kind::UploadPut),
        image.blobs().len()
    );
    assert_eq!(registry.problems(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_seeded_can_be_pulled() {
    let registry = Registry::start(Profile::distribution()).await;
    let image = image();
    registry.push("app", Some("v1"), &image);
    let client = Client::new(registry.url());
    let accept = [("accept", media::ACCEPT_ALL)];
    let answer = client
        .send(
            http::Method::GET,
            "/v2/app/manifests/v1",
            &accept,
            Payload::None,
        )
        .await
        .unwrap();
    assert_eq!((answer.status, &answer.body), (200, &image.root().bytes));
    let mut sent = 0;
    for blob in image.blobs() {
        let answer = client
            .get(&format!("/v2/app/blobs/{}", blob.digest()))
            .await
            .unwrap();
        assert_eq!(testkit::digest::sha256(&answer.body), blob.digest());
        sent += blob.size();
    }
    assert_eq!(registry.bytes_sent(), sent);
}

#[tokio::test]
async fn tls() {
    let registry = Registry::builder().tls(Tls::new()).start().await;
    registry.push("app", Some("v1"), &image());
    let client = Client::new(registry.url())
        .trust(registry.ca_pem().unwrap())
        .unwrap();
    assert_eq!(
        client.get("/v2/app/tags/list").await.unwrap().json()["tags"][0],
        "v1"
    );
}

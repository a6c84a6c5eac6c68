//! The registry of this crate, as its users see it.

use testkit::image::media;
use testkit::raw::{Client, Payload, push_over_http};
use testkit::{Blob, Image, Kind, Layer, Platform, Profile, Registry, Tls, Totals};

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
async fn a_registry_comes_back_on_its_port() {
    let registry = Registry::start(Profile::distribution()).await;
    registry.push("app", Some("v1"), &image());
    let (state, address, client) = (
        registry.state(),
        registry.address(),
        Client::new(registry.url()),
    );
    registry.stop().await;
    client.get("/v2/").await.unwrap_err();
    let again = Registry::builder().state(state).port(address.port());
    let _again = again.start().await;
    let tags = client.get("/v2/app/tags/list").await.unwrap();
    assert_eq!(tags.json()["tags"][0], "v1");
}

#[test]
fn a_registry_on_a_thread_serves_who_blocks() {
    use std::io::{Read as _, Write as _};
    let registry = Registry::builder().start_on_thread();
    let mut stream = std::net::TcpStream::connect(registry.address()).unwrap();
    let ping = b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(ping).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!((registry.requests().len(), registry.connections()), (1, 1));
}

#[tokio::test]
async fn other_addresses_are_other_hosts() {
    let address = "127.0.0.2".parse().unwrap();
    let registry = Registry::builder()
        .address(address)
        .storage_hostname("localhost")
        .start()
        .await;
    assert!(registry.host().starts_with("127.0.0.2:"));
    assert!(registry.storage_host().starts_with("localhost:"));
    let client = Client::new(registry.url());
    assert_eq!(client.get("/v2/").await.unwrap().status, 200);
}

#[tokio::test]
async fn requests_are_counted_as_they_come() {
    let registry = Registry::start(Profile::distribution()).await;
    let client = Client::new(registry.url());
    let headers = [("user-agent", "test/1"), ("range", "bytes=0-1")];
    client
        .send(
            http::Method::GET,
            "/v2/a/b/blobs/x?n=a%20b",
            &headers,
            Payload::None,
        )
        .await
        .unwrap();
    client.get("/v2/").await.unwrap();
    let requests = registry.requests();
    let first = &requests[0];
    assert_eq!(
        (first.sequence, first.kind, first.status),
        (0, Kind::BlobGet, 404)
    );
    assert_eq!(first.repository.as_deref(), Some("a/b"));
    assert_eq!(first.reference.as_deref(), Some("x"));
    assert_eq!(first.parameter("n").as_deref(), Some("a b"));
    assert_eq!(first.header("user-agent"), Some("test/1"));
    assert_eq!(first.line(), "GET /v2/a/b/blobs/x?n=a%20b");
    assert_eq!(requests[1].kind, Kind::Ping);
    assert_eq!(registry.peak_requests(), 1);
    registry.clear_requests();
    assert!(registry.requests().is_empty());
    client.get("/v2/").await.unwrap();
    assert_eq!(registry.requests()[0].sequence, 2);
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

#[tokio::test]
async fn totals_are_there_without_the_requests() {
    let registry = Registry::builder().counts_only().start().await;
    let image = image();
    let client = Client::new(registry.url());
    push_over_http(&client, "team/app", Some("v1"), &image)
        .await
        .unwrap();
    let digest = image.blobs()[0].digest();
    let url = format!("/v2/team/app/blobs/{digest}");
    client.get(&url).await.unwrap();
    client.get("/v2/team/app/blobs/nothing").await.unwrap();

    assert!(registry.requests().is_empty());
    let totals = registry.totals();
    assert_eq!(totals.bytes_received, image.blob_bytes());
    assert_eq!(totals.bytes_sent, image.blobs()[0].size());
    // POST and PUT for each blob, PUT for each manifest and the root, and the two GETs.
    let pushes = 2 * image.blobs().len() + image.manifests().len() + 1;
    assert_eq!(totals.requests, pushes as u64 + 2);
    assert_eq!(totals.token_requests, 0);

    registry.clear_requests();
    assert_eq!(registry.totals(), Totals::default());
}

#[tokio::test]
async fn a_digest_that_is_believed_is_not_computed_but_the_size_is_known() {
    let registry = Registry::builder().believe_blobs().start().await;
    let client = Client::new(registry.url());
    let image = Image::single([Layer::synthetic(100_000, 1)]);
    push_over_http(&client, "app", Some("v1"), &image)
        .await
        .unwrap();
    registry.verify_complete("app", "v1").unwrap();

    let other = Image::single([Layer::synthetic(100_000, 2)]);
    let (config, layer) = (&other.blobs()[0], &other.blobs()[1]);
    registry.state().put_blob("team/app", config);
    registry.put_manifest("team/app", Some("v1"), other.root());
    let short = Blob::with_digest(layer.digest(), "short");
    let url = super::open(&client).await;
    let answer = super::close(&client, &url, &short, Payload::Bytes("short".into())).await;
    assert_eq!(answer.status, 201);
    let wrong = registry.verify_complete("team/app", "v1").unwrap_err();
    assert!(wrong.ends_with("has 100000 bytes; it has 5"), "{wrong}");
}

//! Uploads in each form, and mounts.

use http::Method;
use testkit::Blob;
use testkit::raw::Payload;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::both;
use crate::transcript::with_digest;

#[tokio::test]
async fn one_put() {
    both(async |s| {
        let blob = Blob::synthetic(200_000, 1);
        let location = s.open("team/app").await;
        let url = with_digest(&location, blob.digest());
        let put = s.send(Method::PUT, &url, &[], (&blob).into()).await;
        assert_eq!(put.status, 201);
        assert_eq!(put.header("docker-content-digest"), blob.digest());
        // The session has ended.
        assert_eq!(s.get(&location).await.error_code(), "BLOB_UPLOAD_UNKNOWN");
        let again = s.send(Method::PUT, &url, &[], (&blob).into()).await;
        assert_eq!(again.status, 404);
    })
    .await;
}

#[tokio::test]
async fn one_patch() {
    both(async |s| {
        let blob = Blob::new("0123456789");
        let location = s.open("app").await;
        let payload = Payload::Chunked(blob.bytes().unwrap());
        let patch = s.send(Method::PATCH, &location, &[], payload).await;
        assert_eq!((patch.status, patch.header("range")), (202, "0-9"));
        let url = with_digest(patch.header("location"), blob.digest());
        let put = s.send(Method::PUT, &url, &[], Payload::empty()).await;
        assert_eq!(put.status, 201);
    })
    .await;
}

#[tokio::test]
async fn chunks() {
    both(async |s| {
        let blob = Blob::new("0123456789");
        let mut location = s.open("app").await;
        for (part, range) in [("0123", "0-3"), ("45", "4-5")] {
            let headers = [("content-range", range)];
            let payload = Payload::Bytes(part.into());
            let patch = s.send(Method::PATCH, &location, &headers, payload).await;
            assert_eq!(patch.status, 202);
            location = patch.header("location").to_owned();
        }
        let status = s.get(&location).await;
        assert_eq!((status.status, status.header("range")), (204, "0-5"));
        s.head(&location).await;
        let url = with_digest(status.header("location"), blob.digest());
        let put = s
            .send(Method::PUT, &url, &[], Payload::Bytes("6789".into()))
            .await;
        assert_eq!(put.status, 201);
        let get = s.get(&format!("/v2/app/blobs/{}", blob.digest())).await;
        assert_eq!(get.body, "0123456789");
    })
    .await;
}

#[tokio::test]
async fn content_range_is_not_looked_at() {
    both(async |s| {
        let location = s.open("app").await;
        let headers = [("content-range", "7-9")];
        let payload = Payload::Bytes("012".into());
        let patch = s.send(Method::PATCH, &location, &headers, payload).await;
        assert_eq!((patch.status, patch.header("range")), (202, "0-2"));
    })
    .await;
}

#[tokio::test]
async fn an_outdated_url_is_invalid() {
    both(async |s| {
        let old = s.open("app").await;
        let payload = Payload::Bytes("0123".into());
        let patch = s.send(Method::PATCH, &old, &[], payload).await;
        let new = patch.header("location").to_owned();
        let stale = s.get(&old).await;
        assert_eq!(
            (stale.status, &*stale.error_code()),
            (404, "BLOB_UPLOAD_INVALID")
        );
        let newest = s.get(&new).await;
        assert_eq!((newest.status, newest.header("range")), (204, "0-3"));
        s.get("/v2/app/blobs/uploads/0").await;
        s.get("/v2/app/blobs/uploads/00000000-0000-4000-8000-00000000ffff")
            .await;
    })
    .await;
}

/// Sends the head of a PATCH that declares 10 bytes, four of them, and then nothing: the connection ends.
async fn break_off(s: &crate::transcript::Session, url: &str) {
    let (_, rest) = url.split_once("//").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let head = format!("PATCH /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 10\r\n\r\n0123");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    // Whatever the answer, if there is one: when the stream ends, the registry has finished the request.
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(s.client.base().ends_with(host));
}

#[tokio::test]
async fn a_broken_patch_cannot_be_resumed() {
    both(async |s| {
        let location = s.open("app").await;
        break_off(s, &location).await;
        let status = s.get(&location).await;
        assert_eq!(
            (status.status, &*status.error_code()),
            (404, "BLOB_UPLOAD_INVALID")
        );
        let payload = Payload::Bytes("456789".into());
        let again = s.send(Method::PATCH, &location, &[], payload).await;
        assert_eq!(again.status, 404);
    })
    .await;
}

#[tokio::test]
async fn wrong_digests() {
    both(async |s| {
        let blob = Blob::new("0123456789");
        for digest in ["", "?", "sha256:12", "md5:d41d8cd98f00b204e9800998ecf8427e"] {
            let location = s.open("app").await;
            let url = with_digest(&location, digest);
            let put = s.send(Method::PUT, &url, &[], (&blob).into()).await;
            assert_eq!((put.status, &*put.error_code()), (400, "DIGEST_INVALID"));
        }
        let location = s.open("app").await;
        let put = s.send(Method::PUT, &location, &[], (&blob).into()).await;
        assert_eq!(put.error_code(), "DIGEST_INVALID");
        let location = s.open("app").await;
        let url = with_digest(&location, testkit::digest::EMPTY_JSON);
        let put = s.send(Method::PUT, &url, &[], (&blob).into()).await;
        assert_eq!((put.status, &*put.error_code()), (400, "DIGEST_INVALID"));
        assert_eq!(s.get(&location).await.status, 404);
    })
    .await;
}

#[tokio::test]
async fn a_post_with_the_blob_opens_a_session() {
    both(async |s| {
        let blob = Blob::new("0123456789");
        let url = format!("/v2/app/blobs/uploads/?digest={}", blob.digest());
        let octets = [("content-type", "application/octet-stream")];
        let post = s.send(Method::POST, &url, &octets, (&blob).into()).await;
        assert_eq!(post.status, 202);
        let head = s.head(&format!("/v2/app/blobs/{}", blob.digest())).await;
        assert_eq!(head.status, 404);
    })
    .await;
}

#[tokio::test]
async fn cancelled_sessions() {
    both(async |s| {
        let location = s.open("app").await;
        assert_eq!(s.delete(&location).await.status, 204);
        assert_eq!(s.delete(&location).await.status, 404);
    })
    .await;
}

#[tokio::test]
async fn an_empty_blob() {
    both(async |s| {
        let location = s.open("app").await;
        let url = with_digest(&location, testkit::digest::EMPTY);
        let put = s.send(Method::PUT, &url, &[], Payload::empty()).await;
        assert_eq!(put.status, 201);
        let url = format!("/v2/app/blobs/{}", testkit::digest::EMPTY);
        let get = s.get(&url).await;
        assert_eq!((get.status, get.body.len()), (200, 0));
        assert_eq!(s.head(&url).await.header("content-length"), "0");
    })
    .await;
}

#[tokio::test]
async fn mounts() {
    both(async |s| {
        let blob = Blob::new("0123456789");
        let digest = blob.digest();
        s.push_blob("team/app", &blob).await;
        let mount = |name: &str, query: String| format!("/v2/{name}/blobs/uploads/?{query}");
        let from = |from: &str| format!("mount={digest}&from={from}");

        let done = s.post(&mount("team/copy", from("team/app"))).await;
        assert_eq!(done.status, 201);
        let get = s.get(&format!("/v2/team/copy/blobs/{digest}")).await;
        assert_eq!(get.body, "0123456789");
        // The repository itself shows if it has the blob.
        let own = s.post(&mount("team/app", from("team/app"))).await;
        assert_eq!(own.status, 201);
        let own = s.post(&mount("team/empty", from("team/empty"))).await;
        assert_eq!(own.status, 202);

        for query in [
            from("team/nowhere"),
            from("UPPER"),
            from(""),
            format!("mount={digest}"),
            "mount=sha256:1&from=team/app".to_owned(),
            format!("mount={}&from=team/app", testkit::digest::EMPTY),
            "from=team/app".to_owned(),
        ] {
            let declined = s.post(&mount("team/other", query.clone())).await;
            assert_eq!(declined.status, 202, "{query}");
            let location = declined.header("location").to_owned();
            assert_eq!(s.get(&location).await.status, 204, "{query}");
        }
    })
    .await;
}

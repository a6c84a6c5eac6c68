//! Pulling blobs.

use http::Method;
use testkit::Blob;
use testkit::raw::Payload;

use crate::both;

#[tokio::test]
async fn blobs_are_served_whole_and_in_ranges() {
    both(async |s| {
        let blob = Blob::new("0123456789");
        s.push_blob("team/app", &blob).await;
        let url = format!("/v2/team/app/blobs/{}", blob.digest());
        let head = s.head(&url).await;
        assert_eq!((head.status, head.header("content-length")), (200, "10"));
        let get = s.get(&url).await;
        assert_eq!((get.status, &get.body[..]), (200, &b"0123456789"[..]));
        for (range, part) in [
            ("bytes=0-3", "0123"),
            ("bytes=5-", "56789"),
            ("bytes=-2", "89"),
            ("bytes=8-100", "89"),
            ("bytes=0-0", "0"),
        ] {
            let answer = s
                .send(Method::GET, &url, &[("range", range)], Payload::None)
                .await;
            assert_eq!((answer.status, &answer.body[..]), (206, part.as_bytes()));
        }
        for (range, status) in [("bytes=10-", 416), ("bytes=20-30", 416), ("items=0-1", 416)] {
            let answer = s
                .send(Method::GET, &url, &[("range", range)], Payload::None)
                .await;
            assert_eq!((answer.status, answer.complete), (status, false), "{range}");
        }
        let head = [("range", "bytes=2-4")];
        s.send(Method::HEAD, &url, &head, Payload::None).await;
        let etag = format!("\"{}\"", blob.digest());
        let known = [("if-none-match", etag.as_str())];
        let answer = s.send(Method::GET, &url, &known, Payload::None).await;
        assert_eq!(answer.status, 304);
    })
    .await;
}

#[tokio::test]
async fn missing_blobs() {
    both(async |s| {
        let blob = Blob::new("0123456789");
        s.push_blob("team/app", &blob).await;
        let elsewhere = format!("/v2/team/other/blobs/{}", blob.digest());
        assert_eq!(s.get(&elsewhere).await.error_code(), "BLOB_UNKNOWN");
        assert_eq!(s.head(&elsewhere).await.status, 404);
        let unknown = format!("/v2/team/app/blobs/{}", testkit::digest::EMPTY);
        assert_eq!(s.get(&unknown).await.error_code(), "BLOB_UNKNOWN");
        s.get("/v2/team/app/blobs/sha256:44").await;
        s.get("/v2/team/app/blobs/latest").await;
        s.send(Method::PUT, &elsewhere, &[], Payload::empty()).await;
    })
    .await;
}

#[tokio::test]
async fn deleted_blobs_are_gone_from_one_repository() {
    both(async |s| {
        let blob = Blob::new("0123456789");
        s.push_blob("a", &blob).await;
        s.push_blob("b", &blob).await;
        let url = format!("/v2/a/blobs/{}", blob.digest());
        assert_eq!(s.delete(&url).await.status, 202);
        assert_eq!(s.delete(&url).await.status, 404);
        assert_eq!(s.get(&url).await.status, 404);
        let other = format!("/v2/b/blobs/{}", blob.digest());
        assert_eq!(s.get(&other).await.status, 200);
    })
    .await;
}

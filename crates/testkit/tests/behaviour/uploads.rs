//! Uploads in which registries differ from distribution.

use http::Method;
use testkit::profile::{ContentRange, LocationForm, MountRule, PatchRule, RangeForm, StaleSession};
use testkit::raw::Payload;
use testkit::{Blob, Image, Kind, Layer, Profile, Registry};

use crate::{close, open, patch, post, start};

fn with_patch(rule: impl FnOnce(&mut PatchRule)) -> Profile {
    let mut profile = Profile::distribution();
    rule(&mut profile.patch);
    profile
}

#[tokio::test]
async fn every_form_of_location_leads_on() {
    for location in [
        LocationForm::Absolute,
        LocationForm::SchemeRelative,
        LocationForm::HostAbsolute,
        LocationForm::Relative,
        LocationForm::Storage,
    ] {
        let (registry, client) = start(Profile {
            location: location.clone(),
            ..Profile::distribution()
        })
        .await;
        let blob = Blob::new("0123456789");
        let first = open(&client).await;
        let patched = patch(&client, &first, None, "0123456789").await;
        assert_eq!(patched.status, 202);
        let next = client.resolve_from(&first, patched.header("location"));
        let put = close(&client, &next, &blob, Payload::empty()).await;
        assert_eq!(put.status, 201, "{location:?}");
        assert_eq!(
            registry.state().blob("team/app", blob.digest()).unwrap(),
            "0123456789"
        );
        assert_eq!(registry.bytes_received(), 10);
        let elsewhere = if location == LocationForm::Storage {
            2
        } else {
            0
        };
        assert_eq!(registry.storage_requests().len(), elsewhere);
    }
}

#[tokio::test]
async fn an_upload_url_is_only_good_byte_for_byte() {
    let (_registry, client) = start(Profile::strict()).await;
    let location = open(&client).await;
    let blob = Blob::new("x");
    for spoiled in [
        location.replace("%2F", "/"),
        location.replace("%3d", "%3D"),
        location.replace("%7E", "~"),
        location.replace('+', "%20"),
    ] {
        assert_ne!(spoiled, location);
        let put = close(&client, &spoiled, &blob, (&blob).into()).await;
        assert_eq!(put.error_code(), "BLOB_UPLOAD_INVALID");
    }
    assert_eq!(
        close(&client, &location, &blob, (&blob).into())
            .await
            .status,
        201
    );
}

#[tokio::test]
async fn forms_of_range() {
    for (form, start_range, patch_range, status_range) in [
        (RangeForm::Plain, "0-0", "0-3", "0-3"),
        (RangeForm::Prefixed, "bytes=0-0", "bytes=0-3", "bytes=0-3"),
        (RangeForm::Quay, "bytes=0--1", "0-3", "bytes=0-4"),
        (RangeForm::Absent, "", "", ""),
    ] {
        let (_registry, client) = start(Profile {
            upload_range: form,
            ..Profile::distribution()
        })
        .await;
        let url = "/v2/team/app/blobs/uploads/";
        let opened = post(&client, url).await;
        assert_eq!(opened.header("range"), start_range);
        let patched = patch(&client, opened.header("location"), None, "0123").await;
        assert_eq!(patched.header("range"), patch_range);
        let status = client.get(patched.header("location")).await.unwrap();
        assert_eq!((status.status, status.header("range")), (204, status_range));
    }
}

#[tokio::test]
async fn ecr_answers_201_and_a_range_that_stays() {
    let (registry, client) = start(Profile::ecr()).await;
    registry.state().create_repository("team/app");
    let location = open(&client).await;
    let first = patch(&client, &location, Some("0-3"), "0123").await;
    assert_eq!((first.status, first.header("range")), (201, "0-3"));
    let second = patch(&client, first.header("location"), Some("4-5"), "45").await;
    assert_eq!((second.status, second.header("range")), (201, "0-3"));
    let blob = Blob::new("012345");
    let put = close(&client, second.header("location"), &blob, Payload::empty()).await;
    assert_eq!(put.status, 201);
}

#[tokio::test]
async fn content_range_is_checked() {
    let (_registry, client) = start(with_patch(|p| p.content_range = ContentRange::Checked)).await;
    let location = open(&client).await;
    let patched = patch(&client, &location, Some("0-3"), "0123").await;
    let next = patched.header("location");
    for (range, status, code) in [
        ("5-6", 416, "RANGE_INVALID"),
        ("0-1", 416, "RANGE_INVALID"),
        ("bytes 4-5/10", 400, "BLOB_UPLOAD_INVALID"),
        ("4-7", 400, "SIZE_INVALID"),
    ] {
        let refused = patch(&client, next, Some(range), "45").await;
        assert_eq!(
            (refused.status, &*refused.error_code()),
            (status, code),
            "{range}"
        );
        if status == 416 {
            assert_eq!(refused.header("range"), "0-3");
        }
    }
    assert_eq!(
        patch(&client, next, Some("4-5"), "45")
            .await
            .header("range"),
        "0-5"
    );
}

#[tokio::test]
async fn gitea_wants_a_range_behind_the_start() {
    let (_registry, client) = start(Profile::gitea()).await;
    let location = open(&client).await;
    let patched = patch(&client, &location, None, "0123").await;
    let refused = patch(&client, patched.header("location"), None, "45").await;
    assert_eq!(refused.status, 416);
}

#[tokio::test]
async fn google_takes_one_patch() {
    let (_registry, client) = start(Profile::google()).await;
    let location = open(&client).await;
    let patched = patch(&client, &location, None, "0123").await;
    let refused = patch(&client, patched.header("location"), None, "45").await;
    assert_eq!(refused.status, 404);
    let blob = Blob::new("0123");
    let put = close(&client, patched.header("location"), &blob, Payload::empty()).await;
    assert_eq!(put.status, 201);
}

#[tokio::test]
async fn stale_urls() {
    for (rule, status, alive) in [
        (StaleSession::Ignored, 204, true),
        (StaleSession::Invalid, 404, true),
        (StaleSession::Killed, 404, false),
        // The status may be requested with an outdated URL.
        (StaleSession::Refused, 204, true),
    ] {
        let (registry, client) = start(Profile {
            stale_session: rule,
            ..Profile::distribution()
        })
        .await;
        let old = open(&client).await;
        let patched = patch(&client, &old, None, "0123").await;
        assert_eq!(client.get(&old).await.unwrap().status, status, "{rule:?}");
        let newest = client.get(patched.header("location")).await.unwrap();
        assert_eq!(newest.status == 204, alive, "{rule:?}");
        assert_eq!(registry.state().open_uploads(), usize::from(alive));
        let put = close(&client, &old, &Blob::new("0123"), Payload::empty()).await;
        let expected = match rule {
            StaleSession::Ignored => 201,
            StaleSession::Refused => 416,
            _ => 404,
        };
        assert_eq!(put.status, expected, "{rule:?}");
    }
}

#[tokio::test]
async fn limits_of_bodies() {
    let (registry, client) = start(Profile {
        put_limit: Some(5),
        patch_limit: Some((5, 413)),
        ranged_patch_limit: Some(3),
        ..Profile::distribution()
    })
    .await;
    let blob = Blob::new("0123456789");
    let put = close(&client, &open(&client).await, &blob, (&blob).into()).await;
    assert_eq!(put.status, 413);
    let chunked = Payload::Chunked(blob.bytes().unwrap());
    let put = close(&client, &open(&client).await, &blob, chunked).await;
    assert_eq!(put.status, 413);
    assert_eq!(
        patch(&client, &open(&client).await, None, "012345")
            .await
            .status,
        413
    );
    assert_eq!(
        patch(&client, &open(&client).await, Some("0-3"), "0123")
            .await
            .status,
        416
    );
    assert_eq!(
        patch(&client, &open(&client).await, None, "0123")
            .await
            .status,
        202
    );
    assert!(!registry.state().has_blob("team/app", blob.digest()));
}

#[tokio::test]
async fn whole_puts_can_be_refused() {
    let (registry, client) = start(Profile {
        refuses_whole_put: Some(501),
        chunk_min_length: Some(4),
        ..Profile::distribution()
    })
    .await;
    let blob = Blob::new("0123456789");
    let put = close(&client, &open(&client).await, &blob, (&blob).into()).await;
    assert_eq!(put.status, 501);
    let opened = post(&client, "/v2/team/app/blobs/uploads/").await;
    assert_eq!(opened.header("oci-chunk-min-length"), "4");
    let patched = patch(&client, opened.header("location"), None, "01234567").await;
    let rest = Payload::Bytes("89".into());
    let put = close(&client, patched.header("location"), &blob, rest).await;
    assert_eq!(put.status, 201);
    assert!(registry.state().has_blob("team/app", blob.digest()));
}

#[tokio::test]
async fn one_post() {
    let (registry, client) = start(Profile::strict()).await;
    let blob = Blob::new("0123456789");
    let url = format!("/v2/team/app/blobs/uploads/?digest={}", blob.digest());
    let octets = [("content-type", "application/octet-stream")];
    let send = async |url: &str, headers: &[(&str, &str)], payload: Payload| {
        let send = client.send(Method::POST, url, headers, payload);
        send.await.unwrap().status
    };
    assert_eq!(send(&url, &[], (&blob).into()).await, 415);
    assert_eq!(send(&url, &octets, Payload::Bytes("x".into())).await, 400);
    assert_eq!(send(&url, &octets, (&blob).into()).await, 201);
    assert!(registry.state().has_blob("team/app", blob.digest()));
    let bare = "/v2/team/app/blobs/uploads/";
    assert_eq!(send(bare, &[], Payload::None).await, 411);
    let accept = [("accept", testkit::image::media::OCI_MANIFEST)];
    assert_eq!(send(bare, &accept, Payload::empty()).await, 406);
}

#[tokio::test]
async fn rules_for_mounts() {
    let image = Image::single([Layer::tar("base", 100)]);
    let digest = image.blobs()[1].digest().to_owned();
    for (mount, status) in [
        (MountRule::Accept, 201),
        (MountRule::Referenced, 201),
        (MountRule::Decline, 202),
        (MountRule::Refuse(400), 400),
        (MountRule::Refuse(405), 405),
        (MountRule::Refuse(500), 500),
    ] {
        let (registry, client) = start(Profile {
            mount,
            ..Profile::distribution()
        })
        .await;
        registry.push("team/base", Some("v1"), &image);
        registry.state().put_blob("team/loose", &image.blobs()[1]);
        let url = |from: &str| format!("/v2/team/app/blobs/uploads/?mount={digest}&from={from}");
        assert_eq!(
            post(&client, &url("team/base")).await.status,
            status,
            "{mount:?}"
        );
        let mounted = registry.state().has_blob("team/app", &digest);
        assert_eq!(mounted, status == 201);
        assert_eq!(registry.count(|r| r.kind == Kind::Mount), 1);
        if mount == MountRule::Referenced {
            assert_eq!(post(&client, &url("team/loose")).await.status, 202);
        }
    }
    let (registry, client) = start(Profile::zot()).await;
    registry.push("team/base", Some("v1"), &image);
    let url = format!("/v2/team/app/blobs/uploads/?mount={digest}");
    assert_eq!(post(&client, &url).await.status, 201);
}

#[tokio::test]
async fn sha512() {
    let (registry, client) = start(Profile::strict()).await;
    let digest = testkit::digest::sha512(b"0123456789");
    let blob = Blob::with_digest(digest.clone(), "0123456789");
    for query in ["", "?digest-algorithm=sha512"] {
        let url = format!("/v2/team/app/blobs/uploads/{query}");
        let opened = post(&client, &url).await;
        let put = close(&client, opened.header("location"), &blob, (&blob).into()).await;
        assert_eq!(put.status, 201);
        assert_eq!(put.header("docker-content-digest"), digest);
        assert!(registry.state().remove_blob("team/app", &digest));
    }
}

#[tokio::test]
async fn discarded_blobs_keep_digest_and_size() {
    let registry = Registry::builder().discard_blobs().start().await;
    let client = testkit::raw::Client::new(registry.url());
    let image = Image::single([Layer::synthetic(50_000_000, 4)]);
    testkit::raw::push_over_http(&client, "team/app", Some("v1"), &image)
        .await
        .unwrap();
    registry.verify_complete("team/app", "v1").unwrap();
    assert_eq!(registry.bytes_received(), image.blob_bytes());
    let layer = &image.blobs()[1];
    assert_eq!(registry.state().blob("team/app", layer.digest()), None);
    let url = format!("/v2/team/app/blobs/{}", layer.digest());
    let head = client
        .send(Method::HEAD, &url, &[], Payload::None)
        .await
        .unwrap();
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, "50000000")
    );
    assert_eq!(client.get(&url).await.unwrap().status, 500);
    // Content with a wrong digest is not stored.
    let location = open(&client).await;
    let put = close(&client, &location, layer, Payload::Bytes("x".into())).await;
    assert_eq!(put.error_code(), "DIGEST_INVALID");
}

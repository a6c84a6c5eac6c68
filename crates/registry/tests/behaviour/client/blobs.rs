//! Lookups and downloads of blobs: ranges, redirects, breaks, wrong answers.

use bytes::Bytes;
use image_syncer_registry::{Error, ErrorKind};
use testkit::{Action, Answer, Blob, Fault, Kind, Profile};

use super::kit::{Kit, MIB, descriptor, descriptor_of};

pub(super) async fn with_blob(profile: Profile, blob: &Blob) -> Kit {
    let kit = Kit::open(profile).await;
    kit.server.state().put_blob("a/b", blob);
    kit
}

/// All that a reader gives from `offset` on, and how it ended.
pub(super) async fn read(kit: &Kit, blob: &Blob, offset: u64) -> (Vec<u8>, Result<(), Error>) {
    read_as(kit, &descriptor(blob), offset).await
}

pub(super) async fn read_as(
    kit: &Kit,
    descriptor: &image_syncer_registry::Descriptor,
    offset: u64,
) -> (Vec<u8>, Result<(), Error>) {
    let mut all = Vec::new();
    let mut reader = match kit
        .client
        .open_blob(&kit.repository("a/b"), descriptor, offset)
        .await
    {
        Ok(reader) => reader,
        Err(error) => return (all, Err(error)),
    };
    loop {
        match reader.chunk().await {
            Ok(Some(bytes)) => all.extend_from_slice(&bytes),
            Ok(None) => return (all, Ok(())),
            Err(error) => return (all, Err(error)),
        }
    }
}

#[tokio::test]
async fn looking_for_a_blob_is_one_request() {
    let blob = Blob::synthetic(1000, 1);
    let kit = with_blob(Profile::distribution(), &blob).await;
    let repository = kit.repository("a/b");
    assert!(
        kit.client
            .has_blob(&repository, &descriptor(&blob))
            .await
            .unwrap()
    );
    let other = Blob::synthetic(1000, 2);
    assert!(
        !kit.client
            .has_blob(&repository, &descriptor(&other))
            .await
            .unwrap()
    );
    assert_eq!(kit.took(), [(Kind::BlobHead, 200), (Kind::BlobHead, 404)]);
    // Another size under the digest: it is something else.
    let wrong = descriptor_of(blob.digest(), Some(999));
    assert!(!kit.client.has_blob(&repository, &wrong).await.unwrap());
    let found = kit.client.head_blob(&repository, &wrong).await.unwrap();
    assert_eq!(found, image_syncer_registry::Presence::WrongSize(1000));
}

#[tokio::test]
async fn a_redirect_to_storage_says_yes() {
    let blob = Blob::synthetic(1000, 1);
    let profile = Profile {
        blob_redirect: Some(307),
        head_redirect: true,
        ..Profile::distribution()
    };
    let kit = with_blob(profile, &blob).await;
    assert!(
        kit.client
            .has_blob(&kit.repository("a/b"), &descriptor(&blob))
            .await
            .unwrap()
    );
    assert_eq!(kit.took(), [(Kind::BlobHead, 307)]);
    assert_eq!(kit.server.storage_requests().len(), 0);
}

#[tokio::test]
async fn a_redirect_within_the_registry_says_nothing_yet() {
    let blob = Blob::synthetic(1000, 1);
    let kit = with_blob(Profile::distribution(), &blob).await;
    let tidied = format!("/v2/a/b/blobs/{}?tidy=1", blob.digest());
    kit.server.fault(
        Fault::on(Kind::BlobHead).matching(|r| r.query.is_none()),
        Answer::new(301).header("location", tidied),
    );
    let repository = kit.repository("a/b");
    assert!(
        kit.client
            .has_blob(&repository, &descriptor(&blob))
            .await
            .unwrap()
    );
    assert_eq!(kit.took().last(), Some(&(Kind::BlobHead, 200)));
}

#[tokio::test]
async fn where_a_head_of_a_blob_does_not_do_a_get_does() {
    let blob = Blob::synthetic(1000, 1);
    let kit = with_blob(Profile::distribution(), &blob).await;
    kit.server
        .fault(Fault::on(Kind::BlobHead), Action::status(405));
    let repository = kit.repository("a/b");
    assert!(
        kit.client
            .has_blob(&repository, &descriptor(&blob))
            .await
            .unwrap()
    );
    assert_eq!(kit.took(), [(Kind::BlobHead, 405), (Kind::BlobGet, 200)]);
}

#[tokio::test]
async fn the_size_of_a_blob_can_be_requested() {
    let blob = Blob::synthetic(1000, 1);
    let kit = with_blob(Profile::distribution(), &blob).await;
    let unsized_blob = descriptor_of(blob.digest(), None);
    let size = kit
        .client
        .blob_size(&kit.repository("a/b"), &unsized_blob)
        .await
        .unwrap();
    assert_eq!(size, Some(1000));
    assert_eq!(kit.took().len(), 1);
}

#[tokio::test]
async fn a_blob_is_one_request_whatever_its_shape() {
    for size in [1, 15, 70_000, 3 * MIB] {
        let blob = Blob::synthetic(size, 3);
        for redirect in [None, Some(302), Some(303), Some(307), Some(308)] {
            let kit = with_blob(
                Profile {
                    blob_redirect: redirect,
                    ..Profile::distribution()
                },
                &blob,
            )
            .await;
            let (bytes, end) = read(&kit, &blob, 0).await;
            end.unwrap();
            assert_eq!(bytes, blob.bytes().unwrap());
            assert_eq!(kit.server.requests().len(), 1);
            assert_eq!(kit.server.problems(), [""; 0]);
        }
    }
}

#[tokio::test]
async fn a_blob_without_bytes_needs_no_request() {
    let empty = Blob::new("");
    let kit = Kit::open(Profile::distribution()).await;
    let (bytes, end) = read(&kit, &empty, 0).await;
    end.unwrap();
    assert!(bytes.is_empty());
    let wrong = descriptor_of(Blob::new("x").digest(), Some(0));
    let (_, end) = read_as(&kit, &wrong, 0).await;
    assert_eq!(end.unwrap_err().kind(), ErrorKind::NotFound);
    // The digest decides, whatever size is stated.
    assert_eq!(kit.took(), [(Kind::BlobGet, 404)]);
}

#[tokio::test]
async fn reading_starts_at_the_offset() {
    let blob = Blob::synthetic(100_000, 4);
    for ranges in [true, false] {
        let kit = with_blob(
            Profile {
                blob_ranges: ranges,
                ..Profile::distribution()
            },
            &blob,
        )
        .await;
        for offset in [1, 99_999, 100_000] {
            let (bytes, end) = read(&kit, &blob, offset).await;
            end.unwrap();
            assert_eq!(
                bytes,
                blob.bytes().unwrap()[usize::try_from(offset).unwrap()..]
            );
        }
        let (_, end) = read(&kit, &blob, 100_001).await;
        assert_eq!(end.unwrap_err().kind(), ErrorKind::Protocol);
        assert_eq!(kit.took().len(), 3, "none for the end");
    }
}

#[tokio::test]
async fn an_absent_blob_and_an_absent_repository_are_not_found() {
    let kit = Kit::open(Profile::distribution()).await;
    let (_, end) = read(&kit, &Blob::synthetic(10, 1), 0).await;
    assert_eq!(end.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(kit.took().len(), 1);
}

#[tokio::test]
async fn storage_that_refuses_is_named_and_leaves_the_token_alone() {
    let blob = Blob::synthetic(1000, 1);
    let kit = with_blob(
        Profile {
            blob_redirect: Some(307),
            ..Profile::distribution()
        },
        &blob,
    )
    .await;
    kit.server
        .fault(Fault::on(Kind::Storage), Action::status(401));
    let (_, end) = read(&kit, &blob, 0).await;
    let error = end.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
    assert_eq!(error.host(), kit.server.storage_host(), "{error}");
    // The address may have expired: the registry is asked for another one.
    assert_eq!(kit.took(), [(Kind::BlobGet, 307); 2]);
}

#[tokio::test]
async fn a_small_blob_is_read_whole_within_its_limit() {
    let blob = Blob::new(Bytes::from_static(b"{\"os\":\"linux\"}"));
    let kit = with_blob(Profile::distribution(), &blob).await;
    let repository = kit.repository("a/b");
    let bytes = kit
        .client
        .read_blob(&repository, &descriptor(&blob), 14)
        .await
        .unwrap();
    assert_eq!(bytes, blob.bytes().unwrap());
    assert_eq!(kit.took().len(), 1);
    let error = kit
        .client
        .read_blob(&repository, &descriptor(&blob), 13)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    assert_eq!(kit.took().len(), 0, "its size is known");
    let unsized_blob = descriptor_of(blob.digest(), None);
    let error = kit
        .client
        .read_blob(&repository, &unsized_blob, 13)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
}

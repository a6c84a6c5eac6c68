//! The forms of upload, and the registries that want each.

use image_syncer_registry::{ErrorKind, OpenedUpload};
use testkit::profile::{ContentRange, LocationForm, PatchRule, RangeForm};
use testkit::{Action, Blob, Fault, Kind, Profile};

use crate::client::kit::{Given, Kit, MIB, PATCH, POST, PUT, descriptor_of};

#[tokio::test]
async fn sizes_around_every_edge_arrive() {
    let kit = Kit::open(Profile::strict()).await;
    for size in [0, 1, 15, 65_535, 65_536, 65_537, 5 * MIB] {
        let blob = Blob::synthetic(size, size);
        let source = Given::of(&blob).in_chunks_of(1 << 16);
        assert!(
            kit.send_from("a/b", &blob, &source).await.unwrap(),
            "{size}"
        );
        kit.assert_arrived("a/b", &blob);
        assert_eq!(kit.took(), [POST, PUT], "{size}");
        assert_eq!(source.opened(), if size == 0 { vec![] } else { vec![0] });
    }
}

#[tokio::test]
async fn the_size_of_the_source_counts_and_not_the_manifests() {
    for size in [0, 1, 3 * MIB] {
        let blob = Blob::synthetic(size, 3);
        for stated in [None, Some(0), Some(size + 1), Some(size.saturating_sub(1))] {
            for profile in [
                Profile::distribution(),
                Profile {
                    refuses_whole_put: Some(405),
                    patch_limit: Some((MIB, 413)),
                    ..Profile::distribution3()
                },
            ] {
                let is_whole = profile.refuses_whole_put.is_none();
                let kit = Kit::open(profile).await;
                let repository = kit.repository("a/b");
                let descriptor = descriptor_of(blob.digest(), stated);
                let opened = kit.client.open_upload(&repository, &descriptor, None);
                let OpenedUpload::Session(upload) = opened.await.unwrap() else {
                    panic!("it is not there");
                };
                let source = Given::of(&blob).sized();
                kit.client.upload(upload, &source).await.unwrap();
                kit.assert_arrived("a/b", &blob);
                if is_whole {
                    assert_eq!(kit.took(), [POST, PUT], "{size} {stated:?}");
                    assert!(source.opened().len() <= 1, "{size} {stated:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_refused_put_becomes_a_stream_and_is_remembered() {
    for status in [404, 405, 501] {
        let profile = Profile {
            refuses_whole_put: Some(status),
            ..Profile::distribution()
        };
        let kit = Kit::open(profile).await;
        let blob = Blob::synthetic(2 * MIB, 1);
        kit.send("a/b", &blob).await.unwrap();
        kit.assert_arrived("a/b", &blob);
        let refused = (Kind::UploadPut, status);
        assert_eq!(kit.took(), [POST, refused, POST, PATCH, PUT]);
        let other = Blob::synthetic(MIB, 2);
        kit.send("a/b", &other).await.unwrap();
        assert_eq!(kit.took(), [POST, PATCH, PUT]);
    }
}

#[tokio::test]
async fn a_limit_on_size_holds_for_larger_blobs() {
    // Azure's limit on a PUT, which a PATCH does not have.
    let profile = Profile {
        put_limit: Some(2 * MIB),
        ..Profile::distribution()
    };
    let kit = Kit::open(profile).await;
    let large = Blob::synthetic(3 * MIB, 1);
    kit.send("a/b", &large).await.unwrap();
    kit.assert_arrived("a/b", &large);
    assert_eq!(kit.took().last_chunk::<3>(), Some(&[POST, PATCH, PUT]));
    kit.send("a/b", &Blob::synthetic(4 * MIB, 2)).await.unwrap();
    assert_eq!(kit.took(), [POST, PATCH, PUT]);
    // The limit is unknown; half of the refused size is tried.
    kit.send("a/b", &Blob::synthetic(MIB, 3)).await.unwrap();
    assert_eq!(kit.took(), [POST, PUT]);
}

#[tokio::test]
async fn a_proxy_that_limits_every_body_gets_chunks() {
    let profile = Profile {
        put_limit: Some(4 * MIB),
        patch_limit: Some((4 * MIB, 413)),
        ..Profile::distribution3()
    };
    let kit = Kit::open(profile).await;
    let blob = Blob::synthetic(10 * MIB, 1);
    let source = Given::of(&blob);
    kit.send_from("a/b", &blob, &source).await.unwrap();
    kit.assert_arrived("a/b", &blob);
    let took = kit.took();
    let measured = (Kind::BlobHead, 200);
    assert_eq!(
        took.last_chunk::<6>(),
        Some(&[POST, PATCH, PATCH, PATCH, PUT, measured]),
        "{took:?}"
    );
    // From now on it starts there, and reads the source once over all chunks.
    let next = Blob::synthetic(9 * MIB, 2);
    let source = Given::of(&next);
    kit.send_from("a/b", &next, &source).await.unwrap();
    assert_eq!(kit.took(), [POST, PATCH, PATCH, PATCH, PUT, measured]);
    assert_eq!(source.opened(), [0]);
    kit.assert_arrived("a/b", &next);
}

#[tokio::test]
async fn chunks_that_are_too_large_are_made_smaller() {
    // 416 is what GHCR answers.
    let profile = Profile {
        refuses_whole_put: Some(405),
        patch_limit: Some((MIB, 416)),
        ..Profile::distribution3()
    };
    let kit = Kit::open(profile).await;
    let blob = Blob::synthetic(3 * MIB, 1);
    kit.send("a/b", &blob).await.unwrap();
    kit.assert_arrived("a/b", &blob);
    kit.took();
    kit.send("a/b", &Blob::synthetic(2 * MIB, 2)).await.unwrap();
    assert_eq!(kit.took(), [POST, PATCH, PATCH, PUT, (Kind::BlobHead, 200)]);
}

#[tokio::test]
async fn chunks_are_as_long_as_the_registry_demands() {
    let profile = Profile {
        refuses_whole_put: Some(405),
        patch: PatchRule {
            status: 201,
            content_range: ContentRange::Checked,
            second: None,
            needs_range_later: false,
        },
        patch_limit: Some((6 * MIB, 413)),
        chunk_min_length: Some(5 * MIB),
        upload_range: RangeForm::Stale,
        ..Profile::distribution3()
    };
    let kit = Kit::open(profile).await;
    let blob = Blob::synthetic(12 * MIB, 1);
    kit.send("a/b", &blob).await.unwrap();
    kit.assert_arrived("a/b", &blob);
    let sizes: Vec<u64> = kit
        .server
        .requests()
        .iter()
        .filter(|r| r.kind == Kind::UploadPatch && r.succeeded())
        .map(|r| r.request_bytes)
        .collect();
    assert_eq!(sizes, [5 * MIB, 5 * MIB, 2 * MIB]);
}

#[tokio::test]
async fn the_last_refusal_is_reported_if_no_form_is_accepted() {
    let profile = Profile {
        put_limit: Some(1000),
        patch_limit: Some((1000, 413)),
        ..Profile::distribution()
    };
    let kit = Kit::open(profile).await;
    let error = kit
        .send("a/b", &Blob::synthetic(3 * MIB, 1))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    assert_eq!(error.status().map(|s| s.as_u16()), Some(413));
}

#[tokio::test]
async fn streams_arrive_whatever_the_registry_says_of_ranges() {
    for form in [
        RangeForm::Plain,
        RangeForm::Prefixed,
        RangeForm::Quay,
        RangeForm::Stale,
        RangeForm::Absent,
    ] {
        for location in [LocationForm::Absolute, LocationForm::Relative] {
            let profile = Profile {
                refuses_whole_put: Some(405),
                upload_range: form,
                location: location.clone(),
                ..Profile::distribution3()
            };
            let kit = Kit::open(profile).await;
            let blob = Blob::synthetic(2 * MIB, 1);
            kit.send("a/b", &blob).await.unwrap();
            kit.assert_arrived("a/b", &blob);
            kit.server
                .change_profile(|profile| profile.patch_limit = Some((MIB, 413)));
            let chunked = Blob::synthetic(3 * MIB, 2);
            kit.send("a/b", &chunked).await.unwrap();
            kit.assert_arrived("a/b", &chunked);
        }
    }
}

#[tokio::test]
async fn a_wrong_count_is_set_right_by_asking() {
    let kit = Kit::open(Profile {
        refuses_whole_put: Some(405),
        ..Profile::distribution3()
    })
    .await;
    kit.send("a/b", &Blob::synthetic(10, 9)).await.unwrap();
    kit.took();
    let blob = Blob::synthetic(MIB, 1);
    kit.server.fault(
        Fault::on(Kind::UploadPatch).nth(1),
        Action::WithHeaders(vec![("range", "0-99".to_owned())]),
    );
    // It took everything and says that it took a hundred bytes, so that the next PATCH is out of step.
    kit.send("a/b", &blob).await.unwrap();
    kit.assert_arrived("a/b", &blob);
}

#[tokio::test]
async fn a_registry_that_keeps_only_the_last_chunk_is_found_out() {
    let profile = Profile {
        put_limit: Some(MIB),
        patch_limit: Some((MIB, 413)),
        ..Profile::distribution()
    };
    let kit = Kit::open(profile).await;
    kit.server.fault(
        Fault::on(Kind::BlobHead),
        Action::WithHeaders(vec![("content-length", MIB.to_string())]),
    );
    let error = kit
        .send("a/b", &Blob::synthetic(3 * MIB, 1))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

//! Recovery from breaks of an upload, at either side.

use bytes::Bytes;
use image_syncer_registry::{Error, ErrorKind};
use testkit::profile::{RangeForm, StaleSession};
use testkit::{Action, Answer, Blob, Cut, Fault, Kind, Profile};

use crate::client::kit::{Given, Kit, MIB, POST, PUT};

/// More than fits into the buffers between two sockets, so that a break happens before the last byte has left.
fn large() -> Blob {
    Blob::synthetic(48 * MIB, 1)
}

/// distribution 3, which can be resumed.
fn resumable() -> Profile {
    Profile::distribution3()
}

#[tokio::test]
async fn a_broken_put_resumes_at_the_offset_of_the_registry() {
    let kit = Kit::open(resumable()).await;
    let blob = large();
    kit.server.fault(
        Fault::on(Kind::UploadPut).nth(1),
        Action::CutRequest {
            after: 5 * MIB,
            how: Cut::Reset,
        },
    );
    let source = Given::of(&blob);
    kit.send_from("a/b", &blob, &source).await.unwrap();
    kit.assert_arrived("a/b", &blob);
    let took = kit.server.requests();
    let kinds: Vec<Kind> = took.iter().map(|r| r.kind).collect();
    assert_eq!(
        kinds,
        [
            Kind::Mount,
            Kind::UploadPut,
            Kind::UploadStatus,
            Kind::UploadPatch,
            Kind::UploadPut
        ]
    );
    assert_eq!(took[3].header("content-range"), Some("5242880-50331647"));
    assert_eq!(source.opened(), [0, 5 * MIB]);
    assert_eq!(
        kit.server.bytes_received(),
        48 * MIB,
        "no byte was sent twice"
    );
}

#[tokio::test]
async fn every_way_of_counting_is_resumed() {
    for form in [RangeForm::Plain, RangeForm::Prefixed, RangeForm::Quay] {
        let kit = Kit::open(Profile {
            upload_range: form,
            ..resumable()
        })
        .await;
        let blob = Blob::synthetic(4 * MIB, 1);
        kit.server.fault(
            Fault::on(Kind::UploadPut).nth(1),
            Action::CutRequest {
                after: 2 * MIB,
                how: Cut::Close,
            },
        );
        kit.send("a/b", &blob).await.unwrap();
        kit.assert_arrived("a/b", &blob);
        assert_eq!(kit.server.bytes_received(), 4 * MIB, "{form:?}");
    }
}

#[tokio::test]
async fn without_a_count_it_starts_again() {
    for profile in [
        Profile {
            upload_range: RangeForm::Absent,
            ..resumable()
        },
        Profile {
            refuses_status: Some(405),
            ..resumable()
        },
        Profile::distribution(),
    ] {
        let kit = Kit::open(profile).await;
        let blob = large();
        kit.server.fault(
            Fault::on(Kind::UploadPut).nth(1),
            Action::CutRequest {
                after: 2 * MIB,
                how: Cut::Reset,
            },
        );
        let source = Given::of(&blob);
        kit.send_from("a/b", &blob, &source).await.unwrap();
        kit.assert_arrived("a/b", &blob);
        let kinds: Vec<Kind> = kit.server.requests().iter().map(|r| r.kind).collect();
        assert_eq!(
            kinds,
            [
                Kind::Mount,
                Kind::UploadPut,
                Kind::UploadStatus,
                Kind::Mount,
                Kind::UploadPut
            ]
        );
        assert_eq!(source.opened(), [0, 0]);
    }
}

#[tokio::test]
async fn a_lost_reply_is_settled_by_a_head() {
    let kit = Kit::open(Profile::distribution()).await;
    let blob = Blob::synthetic(2 * MIB, 1);
    kit.server.fault(
        Fault::on(Kind::UploadPut).nth(1),
        Action::LoseReply(Cut::Reset),
    );
    kit.send("a/b", &blob).await.unwrap();
    kit.assert_arrived("a/b", &blob);
    assert_eq!(kit.server.bytes_received(), 2 * MIB);
    assert_eq!(
        kit.took(),
        [POST, (Kind::UploadPut, 0), (Kind::BlobHead, 200)]
    );
}

#[tokio::test]
async fn a_gateway_that_gave_up_waiting_is_settled_by_a_head() {
    let kit = Kit::open(Profile {
        refuses_whole_put: Some(405),
        ..Profile::distribution()
    })
    .await;
    kit.send("a/b", &Blob::synthetic(10, 9)).await.unwrap();
    let blob = Blob::synthetic(2 * MIB, 1);
    let upload = kit.session("a/b", &blob).await;
    // It did close the upload behind the 504.
    kit.server.state().put_blob("a/b", &blob);
    kit.server.fault(
        Fault::on(Kind::UploadPut).matching(|r| r.header("content-length") == Some("0")),
        Action::status(504),
    );
    kit.client.upload(upload, &Given::of(&blob)).await.unwrap();
    assert_eq!(kit.took().last(), Some(&(Kind::BlobHead, 200)));
}

#[tokio::test]
async fn a_session_that_is_lost_is_opened_anew() {
    let kit = Kit::open(Profile::distribution()).await;
    let blob = Blob::synthetic(2 * MIB, 1);
    kit.server.fault(
        Fault::on(Kind::UploadPut).nth(1),
        Action::error(404, "BLOB_UPLOAD_UNKNOWN", "another node has it"),
    );
    kit.send("a/b", &blob).await.unwrap();
    assert_eq!(kit.took(), [POST, (Kind::UploadPut, 404), POST, PUT]);
}

#[tokio::test]
async fn a_busy_server_is_retried() {
    for status in [429, 500, 503] {
        let kit = Kit::open(resumable()).await;
        let blob = Blob::synthetic(2 * MIB, 1);
        kit.server
            .fault(Fault::on(Kind::UploadPut).nth(1), Action::status(status));
        kit.send("a/b", &blob).await.unwrap();
        kit.assert_arrived("a/b", &blob);
        assert_eq!(kit.heard.retries(), 1);
    }
}

#[tokio::test]
async fn tries_run_out_where_nothing_moves() {
    let kit = Kit::open(Profile::distribution()).await;
    let blob = Blob::synthetic(MIB, 1);
    kit.server
        .fault(Fault::on(Kind::UploadPut), Action::status(500));
    let error = kit.send("a/b", &blob).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.tries()),
        (ErrorKind::Server, 4),
        "{error}"
    );
    let puts = kit
        .took()
        .iter()
        .filter(|(kind, _)| *kind == Kind::UploadPut)
        .count();
    assert_eq!(puts, 4);
}

#[tokio::test]
async fn progress_forgives_breaks() {
    let kit = Kit::open(resumable()).await;
    let blob = Blob::synthetic(12 * MIB, 1);
    kit.server.fault(
        Fault::on([Kind::UploadPut, Kind::UploadPatch]).times(5),
        Action::CutRequest {
            after: 2 * MIB,
            how: Cut::Close,
        },
    );
    kit.send("a/b", &blob).await.unwrap();
    kit.assert_arrived("a/b", &blob);
    assert_eq!(kit.server.bytes_received(), 12 * MIB);
}

#[tokio::test]
async fn an_early_refusal_that_is_seen_is_final() {
    let kit = Kit::open(Profile::distribution()).await;
    let blob = Blob::synthetic(100, 1);
    kit.server.fault(
        Fault::on(Kind::UploadPut),
        Answer::new(403).error("DENIED", "quota exceeded").early(),
    );
    let error = kit.send("a/b", &blob).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.message().contains("quota exceeded"), "{error}");
    assert_eq!(kit.took().len(), 2);
}

#[tokio::test]
async fn bytes_that_arrived_wrong_are_sent_once_more() {
    let kit = Kit::open(Profile::distribution()).await;
    let blob = Blob::synthetic(MIB, 1);
    let refusal = Action::error(400, "DIGEST_INVALID", "content does not match digest");
    kit.server
        .fault(Fault::on(Kind::UploadPut).nth(1), refusal.clone());
    let source = Given::of(&blob);
    kit.send_from("a/b", &blob, &source).await.unwrap();
    assert_eq!(source.opened(), [0, 0]);
    kit.took();
    kit.server.clear_faults();
    kit.server.fault(Fault::on(Kind::UploadPut), refusal);
    let error = kit.send("a/b", &Blob::synthetic(MIB, 2)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    let wrong = (Kind::UploadPut, 400);
    let absent = (Kind::BlobHead, 404);
    assert_eq!(kit.took(), [POST, wrong, POST, wrong, absent]);
    // Somebody else may have sent it meanwhile.
    let blob = Blob::synthetic(MIB, 3);
    let upload = kit.session("a/b", &blob).await;
    let given = Given::of(&blob);
    kit.server
        .fault(Fault::on(Kind::Mount), Action::status(500));
    kit.server.state().put_blob("a/b", &blob);
    kit.client.upload(upload, &given).await.unwrap();
    let there = (Kind::BlobHead, 200);
    let refused = (Kind::Mount, 500);
    let plain = (Kind::UploadPost, 202);
    assert_eq!(kit.took(), [wrong, refused, plain, wrong, there]);
}

#[tokio::test]
async fn a_conflict_with_another_upload_leads_to_a_look_and_another_try() {
    let conflict = || Action::error(409, "CONFLICT", "another upload is under way");
    for kind in [Kind::Mount, Kind::UploadPut] {
        let kit = Kit::open(Profile::distribution()).await;
        let blob = Blob::synthetic(1_000, 1);
        kit.server.fault(Fault::on(kind).nth(1), conflict());
        kit.send("a/b", &blob).await.unwrap();
        kit.assert_arrived("a/b", &blob);
        let refused = (kind, 409);
        let absent = (Kind::BlobHead, 404);
        match kind {
            Kind::Mount => assert_eq!(kit.took(), [refused, (Kind::UploadPost, 202), PUT]),
            _ => assert_eq!(kit.took(), [POST, refused, absent, POST, PUT]),
        }
    }
    // The other one was first.
    let kit = Kit::open(Profile::distribution()).await;
    let blob = Blob::synthetic(1_000, 1);
    let upload = kit.session("a/b", &blob).await;
    kit.server.state().put_blob("a/b", &blob);
    kit.server.fault(Fault::on(Kind::UploadPut), conflict());
    kit.client.upload(upload, &Given::of(&blob)).await.unwrap();
    assert_eq!(kit.took(), [(Kind::UploadPut, 409), (Kind::BlobHead, 200)]);
    // One that does not end is none.
    let error = kit.send("a/b", &Blob::synthetic(9, 2)).await.unwrap_err();
    assert_eq!((error.kind(), error.tries()), (ErrorKind::Rejected, 4));
}

#[tokio::test]
async fn an_error_of_the_source_is_the_sources() {
    for profile in [
        Profile::distribution(),
        Profile {
            refuses_whole_put: Some(405),
            ..resumable()
        },
    ] {
        let kit = Kit::open(profile).await;
        kit.send("warm/up", &Blob::synthetic(10, 9)).await.unwrap();
        let blob = Blob::synthetic(2 * MIB, 1);
        let half = blob.bytes().unwrap().slice(..1_000_000);
        let cause = Error::new(ErrorKind::Denied, "fetch blob", "source.example", "no more");
        let source = Given::bytes(half).failing(cause);
        let error = kit.send_from("a/b", &blob, &source).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.host()),
            (ErrorKind::Denied, "source.example")
        );
        kit.server.quiet().await;
        assert!(!kit.server.state().has_blob("a/b", blob.digest()));
        assert_eq!(source.opened(), [0]);
    }
}

#[tokio::test]
async fn an_error_behind_the_last_byte_is_in_time() {
    // As a reader gives it that found the wrong digest: all the bytes, and then no end.
    for profile in [
        Profile::distribution(),
        Profile {
            refuses_whole_put: Some(405),
            ..resumable()
        },
    ] {
        let kit = Kit::open(profile).await;
        kit.send("warm/up", &Blob::synthetic(10, 9)).await.unwrap();
        let blob = Blob::synthetic(200_000, 1);
        let cause = Error::new(
            ErrorKind::Corrupt,
            "fetch blob",
            "source.example",
            "wrong digest",
        );
        let source = Given::of(&blob).failing(cause);
        let error = kit.send_from("a/b", &blob, &source).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.host()),
            (ErrorKind::Corrupt, "source.example")
        );
        kit.server.quiet().await;
        assert!(!kit.server.state().has_blob("a/b", blob.digest()));
    }
}

#[tokio::test]
async fn a_source_of_another_length_never_completes_the_blob() {
    let blob = Blob::synthetic(200_000, 1);
    let bytes = blob.bytes().unwrap();
    let longer = Bytes::from([&bytes[..], b"x"].concat());
    for wrong in [bytes.slice(..199_999), longer] {
        let kit = Kit::open(Profile::distribution()).await;
        let error = kit
            .send_from("a/b", &blob, &Given::bytes(wrong))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.message().contains("200000 bytes"), "{error}");
        kit.server.quiet().await;
        assert_eq!(kit.server.state().blobs("a/b"), [""; 0]);
    }
}

#[tokio::test]
async fn a_registry_that_only_appends_is_not_fooled_by_a_resume() {
    // `Content-Range` is ignored and a stale URL is not noticed: whatever comes is appended.
    let profile = Profile {
        stale_session: StaleSession::Ignored,
        ..Profile::distribution()
    };
    let kit = Kit::open(profile).await;
    let blob = Blob::synthetic(4 * MIB, 1);
    kit.server.fault(
        Fault::on(Kind::UploadPut).nth(1),
        Action::CutRequest {
            after: MIB,
            how: Cut::Reset,
        },
    );
    kit.send("a/b", &blob).await.unwrap();
    kit.assert_arrived("a/b", &blob);
}

#[tokio::test]
async fn a_stalled_upload_goes_on() {
    let kit = Kit::open(resumable()).await;
    let blob = Blob::synthetic(16 * MIB, 1);
    kit.server.fault(
        Fault::on(Kind::UploadPut).nth(1),
        Action::StallRequest { after: 2 * MIB },
    );
    kit.send("a/b", &blob).await.unwrap();
    kit.assert_arrived("a/b", &blob);
}

#[tokio::test]
async fn repeated_progress_does_not_count() {
    // Each session accepts a first chunk of a MiB and is lost.
    let profile = Profile {
        refuses_whole_put: Some(405),
        patch_limit: Some((MIB, 413)),
        ..resumable()
    };
    let kit = Kit::open(profile).await;
    kit.send("a/b", &Blob::synthetic(2 * MIB, 9)).await.unwrap();
    kit.took();
    kit.server.fault(
        Fault::on(Kind::UploadPatch).matching(|r| {
            r.header("content-range")
                .is_some_and(|range| !range.starts_with("0-"))
        }),
        Action::error(404, "BLOB_UPLOAD_UNKNOWN", "another node has it"),
    );
    let error = kit
        .send("a/b", &Blob::synthetic(3 * MIB, 1))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.tries()),
        (ErrorKind::UploadLost, 4),
        "{error}"
    );
    let patches = kit
        .took()
        .iter()
        .filter(|(kind, _)| *kind == Kind::UploadPatch)
        .count();
    assert_eq!(patches, 8);
}

#[tokio::test]
async fn a_registry_that_counts_wrong_is_given_up() {
    // It accepts everything, and reports two bytes each time.
    let kit = Kit::open(Profile {
        refuses_whole_put: Some(405),
        ..resumable()
    })
    .await;
    let answer = Answer::new(202).header("range", "0-1");
    kit.server.fault(Fault::on(Kind::UploadPatch), answer);
    let error = kit.send("a/b", &Blob::synthetic(MIB, 1)).await.unwrap_err();
    assert_eq!(error.code(), Some("DIGEST_INVALID"), "{error}");
    let patches = kit
        .took()
        .iter()
        .filter(|(kind, _)| *kind == Kind::UploadPatch)
        .count();
    assert_eq!(patches, 4, "two for each of two sessions");
}

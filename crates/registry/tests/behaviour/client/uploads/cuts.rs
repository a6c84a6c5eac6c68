//! Uploads that are cut off again and again, at destinations where they cannot be resumed.

use testkit::profile::PatchRule;
use testkit::{Action, Blob, Cut, Fault, Kind, Profile, Request};

use crate::client::kit::{Kit, MIB, PATCH, POST, PUT};

const CUT_PUT: (Kind, u16) = (Kind::UploadPut, 0);
const CUT_PATCH: (Kind, u16) = (Kind::UploadPatch, 0);
const MEASURED: (Kind, u16) = (Kind::BlobHead, 200);
/// The session of distribution 2.8 is lost after a cut.
const LOST: (Kind, u16) = (Kind::UploadStatus, 404);

fn length(request: &Request) -> u64 {
    let length = request.header("content-length").unwrap_or_default();
    length.parse().unwrap_or(0)
}

/// A proxy that cuts off each body of one of these kinds after 5 MiB.
fn cut_after_5_mib<const N: usize>(kit: &Kit, kinds: [Kind; N]) -> testkit::fault::Handle {
    let cut = Action::CutRequest {
        after: 5 * MIB,
        how: Cut::Reset,
    };
    let long = |request: &Request| length(request) > 5 * MIB;
    kit.server.fault(Fault::on(kinds).matching(long), cut)
}

#[tokio::test]
async fn chunks_that_get_through_are_sent_after_two_cuts_and_at_once_for_the_next_blob() {
    let kit = Kit::open(Profile::distribution()).await;
    let cuts = cut_after_5_mib(&kit, [Kind::UploadPut, Kind::UploadPatch]);
    let blob = Blob::synthetic(12 * MIB, 1);
    kit.send("a/b", &blob).await.unwrap();
    kit.assert_arrived("a/b", &blob);
    let twice = [POST, CUT_PUT, LOST].repeat(2);
    let chunks = [POST, PATCH, PATCH, PATCH, PUT, MEASURED];
    assert_eq!(kit.took(), [&twice[..], &chunks[..]].concat());
    assert_eq!(kit.heard.retries(), 2);
    // In another repository of the host as well.
    let blob = Blob::synthetic(11 * MIB, 2);
    kit.send("c/d", &blob).await.unwrap();
    kit.assert_arrived("c/d", &blob);
    assert_eq!(kit.took(), chunks);
    assert_eq!(cuts.hits(), 2);
    // A body of the size of a chunk is one PUT as before.
    kit.send("a/b", &Blob::synthetic(4 * MIB, 3)).await.unwrap();
    assert_eq!(kit.took(), [POST, PUT]);
}

#[tokio::test]
async fn a_partial_upload_that_cannot_be_resumed_is_sent_in_chunks() {
    let kit = Kit::open(Profile::distribution3()).await;
    let cuts = cut_after_5_mib(&kit, [Kind::UploadPut]);
    let is_resumed = |request: &Request| {
        let range = request.header("content-range").unwrap_or_default();
        !range.starts_with("0-") && length(request) > 4 * MIB
    };
    kit.server.fault(
        Fault::on(Kind::UploadPatch).matching(is_resumed),
        Action::error(405, "UNSUPPORTED", "not in parts"),
    );
    let blob = Blob::synthetic(12 * MIB, 1);
    kit.send("a/b", &blob).await.unwrap();
    kit.assert_arrived("a/b", &blob);
    let chunks = [POST, PATCH, PATCH, PATCH, PUT, MEASURED];
    let refused = (Kind::UploadPatch, 405);
    let held = (Kind::UploadStatus, 204);
    let before = [POST, CUT_PUT, held, refused, POST, CUT_PUT];
    assert_eq!(kit.took(), [before, chunks].concat());
    assert_eq!(cuts.hits(), 2);
    kit.send("a/b", &Blob::synthetic(12 * MIB, 2))
        .await
        .unwrap();
    assert_eq!(kit.took(), chunks);
}

#[tokio::test]
async fn a_refusal_that_is_lost_with_its_connection_is_suspected_and_remembered() {
    // The proxy answers 413 at once and closes; a client that is still sending may see only a reset.
    let kit = Kit::open(Profile::distribution()).await;
    kit.server.fault(
        Fault::on(Kind::UploadPut).matching(|request| length(request) > 0),
        Action::CutRequest {
            after: 0,
            how: Cut::Reset,
        },
    );
    let blob = Blob::synthetic(8 * MIB, 1);
    kit.send("a/b", &blob).await.unwrap();
    kit.assert_arrived("a/b", &blob);
    let took = kit.took();
    let arrived = took.last_chunk::<5>().unwrap();
    assert_eq!(arrived[3..], [PUT, MEASURED], "{took:?}");
    kit.send("a/b", &Blob::synthetic(8 * MIB, 2)).await.unwrap();
    let next = kit.took();
    assert_eq!((next[0], next[1]), (POST, PATCH));
    assert!(!next.contains(&CUT_PUT), "{next:?}");
}

#[tokio::test]
async fn chunks_that_are_cut_off_as_well_become_smaller() {
    let kit = Kit::open(Profile::distribution()).await;
    let cut = Action::CutRequest {
        after: MIB,
        how: Cut::Reset,
    };
    let long = |request: &Request| length(request) > MIB;
    let kinds = [Kind::UploadPut, Kind::UploadPatch];
    kit.server.fault(Fault::on(kinds).matching(long), cut);
    let blob = Blob::synthetic(24 * MIB, 1);
    kit.send("a/b", &blob).await.unwrap();
    kit.assert_arrived("a/b", &blob);
    let took = kit.took();
    let patches = took.iter().filter(|request| **request == PATCH).count();
    assert_eq!(patches, 24, "{took:?}");
    kit.send("a/b", &Blob::synthetic(3 * MIB, 2)).await.unwrap();
    assert_eq!(kit.took(), [POST, PATCH, PATCH, PATCH, PUT, MEASURED]);
}

#[tokio::test]
async fn a_destination_that_refuses_chunks_gets_one_patch_and_then_one_put() {
    for status in [400, 404, 405, 416] {
        // Google's registries accept one PATCH of any length.
        let profile = Profile::distribution();
        let kit = Kit::open(Profile {
            patch: PatchRule {
                second: Some(status),
                ..profile.patch
            },
            ..profile
        })
        .await;
        cut_after_5_mib(&kit, [Kind::UploadPut]);
        let blob = Blob::synthetic(12 * MIB, 1);
        kit.send("a/b", &blob).await.unwrap();
        kit.assert_arrived("a/b", &blob);
        let took = kit.took();
        assert_eq!(took.last_chunk(), Some(&[POST, PATCH, PUT]), "{took:?}");
        kit.send("a/b", &Blob::synthetic(12 * MIB, 2))
            .await
            .unwrap();
        assert_eq!(kit.took(), [POST, PATCH, PUT], "{status}");
    }
    // One that knows no PATCH at all gets the PUT again.
    let kit = Kit::open(Profile::distribution()).await;
    let cut = Action::CutRequest {
        after: 5 * MIB,
        how: Cut::Reset,
    };
    kit.server.fault(Fault::on(Kind::UploadPut).times(2), cut);
    kit.server
        .fault(Fault::on(Kind::UploadPatch), Action::status(405));
    let blob = Blob::synthetic(12 * MIB, 1);
    kit.send("a/b", &blob).await.unwrap();
    kit.assert_arrived("a/b", &blob);
    let refused = (Kind::UploadPatch, 405);
    let before = [POST, CUT_PUT, LOST].repeat(2);
    let after = [POST, refused, POST, refused, POST, PUT];
    assert_eq!(kit.took(), [&before[..], &after[..]].concat());
    kit.send("a/b", &Blob::synthetic(12 * MIB, 2))
        .await
        .unwrap();
    assert_eq!(kit.took(), [POST, PUT]);
}

#[tokio::test]
async fn a_destination_that_begins_to_refuse_chunks_gets_larger_bodies_again() {
    let kit = Kit::open(Profile::distribution()).await;
    cut_after_5_mib(&kit, [Kind::UploadPut, Kind::UploadPatch]);
    kit.send("a/b", &Blob::synthetic(12 * MIB, 1))
        .await
        .unwrap();
    kit.took();
    kit.server.clear_faults();
    kit.server
        .change_profile(|profile| profile.patch.second = Some(405));
    let blob = Blob::synthetic(12 * MIB, 2);
    kit.send("a/b", &blob).await.unwrap();
    kit.assert_arrived("a/b", &blob);
    let refused = (Kind::UploadPatch, 405);
    assert_eq!(kit.took(), [POST, PATCH, refused, POST, PATCH, PUT]);
    kit.send("a/b", &Blob::synthetic(12 * MIB, 3))
        .await
        .unwrap();
    assert_eq!(kit.took(), [POST, PATCH, PUT]);
}

#[tokio::test]
async fn a_destination_that_keeps_only_the_last_chunk_gets_one_body() {
    let kit = Kit::open(Profile::distribution()).await;
    cut_after_5_mib(&kit, [Kind::UploadPut]);
    let wrong = Action::WithHeaders(vec![("content-length", (4 * MIB).to_string())]);
    kit.server.fault(Fault::on(Kind::BlobHead).nth(1), wrong);
    let blob = Blob::synthetic(12 * MIB, 1);
    kit.send("a/b", &blob).await.unwrap();
    kit.assert_arrived("a/b", &blob);
    let took = kit.took();
    let plain = (Kind::UploadPost, 202);
    let after = [MEASURED, plain, PATCH, PUT, MEASURED];
    assert_eq!(took.last_chunk(), Some(&after), "{took:?}");
    kit.send("a/b", &Blob::synthetic(12 * MIB, 2))
        .await
        .unwrap();
    assert_eq!(kit.took(), [POST, PATCH, PUT]);
}

#[tokio::test]
async fn a_proxy_that_gives_up_waiting_gets_chunks() {
    for status in [408, 504] {
        let kit = Kit::open(Profile::distribution()).await;
        let long = |request: &Request| length(request) > 5 * MIB;
        kit.server.fault(
            Fault::on([Kind::UploadPut, Kind::UploadPatch]).matching(long),
            Action::status(status),
        );
        let blob = Blob::synthetic(12 * MIB, 1);
        kit.send("a/b", &blob).await.unwrap();
        kit.assert_arrived("a/b", &blob);
        kit.took();
        kit.send("a/b", &Blob::synthetic(6 * MIB, 2)).await.unwrap();
        let took = kit.took();
        assert_eq!((took[0], took[1]), (POST, PATCH), "{took:?}");
    }
}

#[tokio::test]
async fn an_upload_that_progresses_with_each_cut_stays_one_body() {
    let kit = Kit::open(Profile::distribution3()).await;
    let kinds = [Kind::UploadPut, Kind::UploadPatch];
    let cut = Action::CutRequest {
        after: 2 * MIB,
        how: Cut::Close,
    };
    kit.server.fault(Fault::on(kinds).times(5), cut);
    let blob = Blob::synthetic(16 * MIB, 1);
    kit.send("a/b", &blob).await.unwrap();
    kit.assert_arrived("a/b", &blob);
    let held = (Kind::UploadStatus, 204);
    let resumed = [CUT_PATCH, held].repeat(4);
    let first = [POST, CUT_PUT, held];
    assert_eq!(
        kit.took(),
        [&first[..], &resumed[..], &[PATCH, PUT]].concat()
    );
    kit.send("a/b", &Blob::synthetic(16 * MIB, 2))
        .await
        .unwrap();
    assert_eq!(kit.took(), [POST, PUT]);
}

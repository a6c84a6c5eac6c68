//! 429 at every step of an upload: it waits, and goes on in the same session.

use std::sync::atomic::{AtomicU64, Ordering};

use testkit::{Action, Blob, Cut, Fault, Kind, Profile};

use crate::client::kit::{Kit, MIB, PATCH, POST, PUT};

fn refused(kind: Kind) -> (Kind, u16) {
    (kind, 429)
}

/// A registry that accepts an upload in the named form.
fn streaming() -> Profile {
    Profile {
        refuses_whole_put: Some(405),
        ..Profile::distribution3()
    }
}

fn chunked() -> Profile {
    Profile {
        patch_limit: Some((MIB, 413)),
        ..streaming()
    }
}

/// Returns the requests of an upload of `size` bytes where the `nth` request of `kind` is answered 429, when the form is known.
async fn takes(profile: Profile, size: u64, kind: Kind, nth: u64) -> Vec<(Kind, u16)> {
    let kit = Kit::open(profile).await;
    Box::pin(kit.send("a/b", &Blob::synthetic(size, 9)))
        .await
        .unwrap();
    kit.server.state().cancel_uploads();
    kit.took();
    let hit = kit
        .server
        .fault(Fault::on(kind).nth(nth), Action::status(429));
    let blob = Blob::synthetic(size, 1);
    Box::pin(kit.send("a/b", &blob)).await.unwrap();
    kit.assert_arrived("a/b", &blob);
    assert_eq!(hit.hits(), 1);
    assert_eq!(kit.server.state().open_uploads(), 0, "a session was left");
    assert_eq!(kit.heard.retries(), 1);
    kit.took()
}

#[tokio::test]
async fn every_step_goes_on_in_the_same_session() {
    use Kind::{Mount, UploadPatch, UploadPut};
    let whole = Profile::distribution;
    for size in [1_000, 3 * MIB] {
        let took = takes(whole(), size, Mount, 1).await;
        assert_eq!(took, [refused(Mount), POST, PUT], "{size}");
        let took = takes(whole(), size, UploadPut, 1).await;
        assert_eq!(took, [POST, refused(UploadPut), PUT], "{size}");
        let took = takes(streaming(), size, UploadPatch, 1).await;
        assert_eq!(took, [POST, refused(UploadPatch), PATCH, PUT], "{size}");
        let took = takes(streaming(), size, UploadPut, 1).await;
        assert_eq!(took, [POST, PATCH, refused(UploadPut), PUT], "{size}");
    }
    let took = takes(chunked(), 3 * MIB, UploadPatch, 2).await;
    let (post, patch) = (POST, PATCH);
    let head = (Kind::BlobHead, 200);
    assert_eq!(
        took,
        [post, patch, refused(UploadPatch), patch, patch, PUT, head]
    );
    let took = takes(chunked(), 3 * MIB, Kind::BlobHead, 1).await;
    assert_eq!(
        took,
        [
            post,
            patch,
            patch,
            patch,
            PUT,
            refused(Kind::BlobHead),
            head
        ]
    );
}

#[tokio::test]
async fn questions_about_a_broken_upload_are_retried() {
    let kit = Kit::open(Profile::distribution3()).await;
    let blob = Blob::synthetic(4 * MIB, 1);
    let cut = Action::CutRequest {
        after: 2 * MIB,
        how: Cut::Close,
    };
    kit.server.fault(Fault::on(Kind::UploadPut).nth(1), cut);
    kit.server
        .fault(Fault::on(Kind::UploadStatus).nth(1), Action::status(429));
    kit.send("a/b", &blob).await.unwrap();
    kit.assert_arrived("a/b", &blob);
    assert_eq!(
        kit.took(),
        [
            POST,
            (Kind::UploadPut, 0),
            refused(Kind::UploadStatus),
            (Kind::UploadStatus, 204),
            PATCH,
            PUT
        ]
    );
    let kit = Kit::open(Profile::distribution3()).await;
    kit.server.fault(
        Fault::on(Kind::UploadPut).nth(1),
        Action::LoseReply(Cut::Reset),
    );
    kit.server
        .fault(Fault::on(Kind::BlobHead).nth(1), Action::status(429));
    kit.send("a/b", &blob).await.unwrap();
    assert_eq!(
        kit.took(),
        [
            POST,
            (Kind::UploadPut, 0),
            refused(Kind::BlobHead),
            (Kind::BlobHead, 200)
        ]
    );
}

#[tokio::test]
async fn a_limited_registry_gets_one_session_a_blob_and_no_request_in_vain() {
    const BLOBS: u64 = 50;
    let kit = Kit::open(Profile::distribution()).await;
    let count = AtomicU64::new(0);
    let limit = kit.server.fault(
        Fault::on_any().matching(move |_| count.fetch_add(1, Ordering::SeqCst) % 3 == 2),
        Action::status(429),
    );
    for seed in 0..BLOBS {
        let blob = Blob::synthetic(1_000 + seed, seed);
        kit.send("a/b", &blob).await.unwrap();
        kit.assert_arrived("a/b", &blob);
    }
    let took = kit.took();
    let count = |which| took.iter().filter(|request| **request == which).count() as u64;
    assert_eq!((count(POST), count(PUT)), (BLOBS, BLOBS));
    assert_eq!(took.len() as u64, 2 * BLOBS + limit.hits());
    assert_eq!(limit.hits(), BLOBS - 1);
    assert_eq!(kit.server.state().open_uploads(), 0);
}

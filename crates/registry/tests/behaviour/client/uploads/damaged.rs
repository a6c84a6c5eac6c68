//! Blobs that a registry holds in a wrong length, and what their upload does about it.

use image_syncer_registry::{ErrorKind, Presence};
use testkit::{Action, Blob, Fault, Kind, Profile};

use crate::client::kit::{Given, Kit, PUT, descriptor};

/// A blob of 1,000 bytes that `kit` saw to have another length in `a/b`.
async fn damaged(kit: &Kit) -> Blob {
    let blob = Blob::synthetic(1_000, 1);
    kit.server.state().put_blob("a/b", &blob);
    let wrong = Action::WithHeaders(vec![("content-length", "999".to_owned())]);
    kit.server.fault(Fault::on(Kind::BlobHead).nth(1), wrong);
    let (repository, descriptor) = (kit.repository("a/b"), descriptor(&blob));
    let found = kit.client.head_blob(&repository, &descriptor);
    assert_eq!(found.await.unwrap(), Presence::WrongSize(999));
    kit.took();
    blob
}

#[tokio::test]
async fn a_blob_that_was_seen_wrong_is_looked_at_after_its_upload() {
    let kit = Kit::open(Profile::distribution()).await;
    let blob = damaged(&kit).await;
    let repository = kit.repository("a/b");
    let descriptor = descriptor(&blob);
    let upload = kit.client.start_upload(&repository, &descriptor).await;
    let given = Given::of(&blob);
    kit.client.upload(upload.unwrap(), &given).await.unwrap();
    let (post, head) = ((Kind::UploadPost, 202), (Kind::BlobHead, 200));
    assert_eq!(kit.took(), [post, PUT, head]);
    // It was right, and is not looked at again.
    let upload = kit.client.start_upload(&repository, &descriptor).await;
    kit.client.upload(upload.unwrap(), &given).await.unwrap();
    assert_eq!(kit.took(), [post, PUT]);
}

#[tokio::test]
async fn a_blob_that_stays_wrong_fails_once_with_its_lengths() {
    let kit = Kit::open(Profile::distribution()).await;
    let blob = damaged(&kit).await;
    let repository = kit.repository("a/b");
    let descriptor = descriptor(&blob);
    let wrong = Action::WithHeaders(vec![("content-length", "999".to_owned())]);
    let hits = kit.server.fault(Fault::on(Kind::BlobHead), wrong.clone());
    // Only the HEAD is wrong.
    assert!(kit.send("a/b", &blob).await.unwrap());
    let (mount, post) = ((Kind::Mount, 201), (Kind::UploadPost, 202));
    let (head, get) = ((Kind::BlobHead, 200), (Kind::BlobGet, 200));
    assert_eq!(kit.took(), [mount, head, post, PUT, head, get]);
    assert_eq!(hits.hits(), 2);
    kit.server.fault(Fault::on(Kind::BlobGet), wrong);
    let error = kit.send("a/b", &blob).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(
        error
            .message()
            .contains("has 999 bytes there instead of 1000"),
        "{error}"
    );
    assert_eq!(kit.took(), [mount, head, post, PUT, head, get]);
    let again = kit.send("a/b", &blob).await.unwrap_err();
    assert_eq!(again.message(), error.message());
    let again = kit.client.start_upload(&repository, &descriptor).await;
    assert_eq!(again.err().map(|e| e.kind()), Some(ErrorKind::Corrupt));
    assert_eq!(kit.took(), []);
}

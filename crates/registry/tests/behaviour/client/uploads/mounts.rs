//! Mounts that fail: the blob is sent instead.

use image_syncer_registry::{ErrorKind, OpenedUpload};
use testkit::{Action, Blob, Cut, Fault, Kind, Profile};

use crate::client::kit::{Kit, descriptor};

const REFUSED: &str = "z/z";

async fn open(
    kit: &Kit,
    blob: &Blob,
    from: &str,
) -> Result<OpenedUpload, image_syncer_registry::Error> {
    let from = kit.repository(from);
    let to = kit.repository("a/b");
    kit.client
        .open_upload(&to, &descriptor(blob), Some(&from))
        .await
}

#[tokio::test]
async fn a_mount_that_fails_again_and_again_becomes_an_upload_and_is_remembered() {
    let plain = (Kind::UploadPost, 202);
    for (status, action) in [
        (502, Action::status(502)),
        (503, Action::status(503)),
        (504, Action::status(504)),
        (408, Action::status(408)),
        (0, Action::CutBeforeAnswer(Cut::Reset)),
    ] {
        let kit = Kit::open(Profile::distribution()).await;
        let blob = Blob::synthetic(100, 1);
        kit.server.state().put_blob(REFUSED, &blob);
        kit.server.fault(Fault::on(Kind::Mount), action);
        let opened = open(&kit, &blob, REFUSED).await.unwrap();
        assert!(matches!(opened, OpenedUpload::Session(_)));
        let failed = [(Kind::Mount, status); 4];
        assert_eq!(kit.took(), [&failed[..], &[plain]].concat(), "{status}");
        // That repository is not mounted from again; whether the blob exists is another question.
        kit.server.clear_faults();
        open(&kit, &blob, REFUSED).await.unwrap();
        assert_eq!(kit.took(), [(Kind::Mount, 202)], "{status}");
        let other = Blob::synthetic(100, 2);
        kit.server.state().put_blob("c/d", &other);
        let opened = open(&kit, &other, "c/d").await.unwrap();
        assert!(matches!(opened, OpenedUpload::Present { mounted: true }));
    }
}

#[tokio::test]
async fn a_server_that_always_fails_gets_one_request_without_a_mount() {
    let kit = Kit::open(Profile::distribution()).await;
    let posts = [Kind::Mount, Kind::UploadPost];
    kit.server.fault(Fault::on(posts), Action::status(503));
    let blob = Blob::synthetic(100, 1);
    let error = open(&kit, &blob, REFUSED).await.err().unwrap();
    assert_eq!(
        (error.kind(), error.tries()),
        (ErrorKind::Server, 4),
        "{error}"
    );
    let failed = [(Kind::Mount, 503); 4];
    assert_eq!(
        kit.took(),
        [&failed[..], &[(Kind::UploadPost, 503)]].concat()
    );
}

#[tokio::test]
async fn a_mount_that_opens_a_session_nowhere_becomes_an_upload() {
    let kit = Kit::open(Profile::distribution()).await;
    let without = Action::WithoutHeaders(vec!["location"]);
    kit.server.fault(Fault::on(Kind::Mount), without);
    let blob = Blob::synthetic(100, 1);
    kit.send("a/b", &blob).await.unwrap();
    kit.assert_arrived("a/b", &blob);
    let plain = (Kind::UploadPost, 202);
    let put = (Kind::UploadPut, 201);
    assert_eq!(kit.took(), [(Kind::Mount, 202), plain, put]);
    kit.send("a/b", &Blob::synthetic(100, 2)).await.unwrap();
    assert_eq!(kit.took(), [plain, put]);
}

//! Copies of single blobs.

use image_syncer_registry::{CopiedBlob, Descriptor, ErrorKind};
use testkit::{Action, Blob, Cut, Fault, Kind, Profile};

use super::kit::{Kit, MIB, descriptor};

async fn two() -> (Kit, Kit) {
    let source = Kit::open(Profile::distribution()).await;
    (source, Kit::open(Profile::distribution()).await)
}

#[tokio::test]
async fn a_blob_flows_from_registry_to_registry_once() {
    let (source, destination) = two().await;
    let blob = Blob::synthetic(3 * MIB, 1);
    source.server.state().put_blob("a/b", &blob);
    let (from, to) = (source.repository("a/b"), destination.repository("c/d"));
    let copy = || {
        let blob = descriptor(&blob);
        let (source, destination) = (source.client.clone(), destination.client.clone());
        let (from, to) = (from.clone(), to.clone());
        async move { source.copy_blob(&from, &blob, &destination, &to).await }
    };
    assert_eq!(copy().await.unwrap(), CopiedBlob::Uploaded);
    destination.assert_arrived("c/d", &blob);
    assert_eq!(source.took(), [(Kind::BlobGet, 200)]);
    let kinds: Vec<Kind> = destination
        .took()
        .into_iter()
        .map(|(kind, _)| kind)
        .collect();
    assert_eq!(kinds, [Kind::Mount, Kind::UploadPut]);
    // It is there now.
    assert_eq!(copy().await.unwrap(), CopiedBlob::Present);
    assert_eq!((source.took().len(), destination.took().len()), (0, 1));
}

#[tokio::test]
async fn a_blob_is_mounted_within_a_registry() {
    let kit = Kit::open(Profile::distribution()).await;
    let blob = Blob::synthetic(MIB, 1);
    kit.server.state().put_blob("a/b", &blob);
    let (from, to) = (kit.repository("a/b"), kit.repository("c/d"));
    let copied = kit
        .client
        .copy_blob(&from, &descriptor(&blob), &kit.client, &to)
        .await;
    assert_eq!(copied.unwrap(), CopiedBlob::Mounted);
    assert_eq!(kit.took(), [(Kind::Mount, 201)]);
    kit.assert_arrived("c/d", &blob);
}

#[tokio::test]
async fn both_ends_continue_after_a_break() {
    let (source, destination) = two().await;
    let blob = Blob::synthetic(3 * MIB, 1);
    source.server.state().put_blob("a/b", &blob);
    source.server.fault(
        Fault::on(Kind::BlobGet).nth(1),
        Action::CutResponse {
            after: MIB,
            how: Cut::Reset,
        },
    );
    destination.server.fault(
        Fault::on(Kind::UploadPut).nth(1),
        Action::CutRequest {
            after: 2 * MIB,
            how: Cut::Reset,
        },
    );
    let (from, to) = (source.repository("a/b"), destination.repository("c/d"));
    let copied = source
        .client
        .copy_blob(&from, &descriptor(&blob), &destination.client, &to)
        .await;
    assert_eq!(copied.unwrap(), CopiedBlob::Uploaded);
    destination.assert_arrived("c/d", &blob);
}

#[tokio::test]
async fn wrong_bytes_do_not_arrive() {
    let (source, destination) = two().await;
    let (blob, other) = (Blob::synthetic(MIB, 1), Blob::synthetic(MIB, 2));
    source.server.state().put_blob("a/b", &blob);
    let (from, to) = (source.repository("a/b"), destination.repository("c/d"));
    let missing: Descriptor = descriptor(&other);
    let copied = source
        .client
        .copy_blob(&from, &missing, &destination.client, &to)
        .await;
    let error = copied.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert_eq!(error.host(), source.server.host());
    let corrupt = Action::Corrupt { offset: 0 };
    source
        .server
        .fault(Fault::on(Kind::BlobGet).always(), corrupt);
    let copied = source
        .client
        .copy_blob(&from, &descriptor(&blob), &destination.client, &to)
        .await;
    let error = copied.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert_eq!(error.host(), source.server.host());
    assert!(!destination.server.state().has_blob("c/d", blob.digest()));
}

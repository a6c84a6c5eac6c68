//! A large layer whose connection is cut again and again.

use testkit::{Action, Cut, Fault, Image, Kind, Layer, Profile, Registry};

use crate::matrix::reasons;
use crate::registry_pair::{LONG_STALL, rule, run, stores};

const MIB: u64 = 1024 * 1024;

/// Returns the size of the layer, and the number of bytes before a cut.
fn lengths() -> (u64, u64) {
    if crate::is_long() {
        (4096 * MIB, 64 * MIB)
    } else {
        (64 * MIB, MIB)
    }
}

/// Cuts every download after `every` bytes.
fn cut_downloads(source: &Registry, every: u64) {
    let cut = Action::CutResponse {
        after: every,
        how: Cut::Reset,
    };
    source.fault(Fault::on(Kind::BlobGet), cut);
}

/// Cuts every upload after `every` bytes.
fn cut_uploads(destination: &Registry, every: u64) {
    let cut = Action::CutRequest {
        after: every,
        how: Cut::Reset,
    };
    destination.fault(Fault::on([Kind::UploadPut, Kind::UploadPatch]), cut);
}

/// Copies a layer of `size` bytes between registries that `arm` prepares. Returns the number of bytes that the source
/// sent.
async fn arrives(size: u64, arm: impl FnOnce(&Registry, &Registry)) -> u64 {
    let source = Registry::start(Profile::distribution()).await;
    let destination = Registry::builder()
        .profile(Profile::distribution3())
        .discard_blobs()
        .start()
        .await;
    let image = Image::single([Layer::synthetic(size, 7)]);
    source.push("from/aim", Some("v1"), &image);
    arm(&source, &destination);
    let from = format!("{}/from/aim:v1", source.host());
    let rules = vec![rule(&from, &[format!("{}/to/aim", destination.host())])];
    let summary = run(stores(&[&source, &destination], LONG_STALL), rules, 1).await;
    assert_eq!(reasons(&summary), [""; 0]);
    destination.verify_complete("to/aim", "v1").unwrap();
    assert_eq!(
        destination.state().digest("to/aim", "v1").as_deref(),
        Some(image.digest())
    );
    source.bytes_sent()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_in_pieces_costs_no_byte_twice() {
    let (size, every) = lengths();
    let sent = arrives(size, |source, _| cut_downloads(source, every)).await;
    assert!(sent <= size + size / 50, "{sent} bytes for {size}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_in_pieces_arrives() {
    let (size, every) = lengths();
    arrives(size, |_, destination| cut_uploads(destination, every)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_cut_at_both_ends_arrives() {
    let (size, every) = lengths();
    arrives(size, |source, destination| {
        // The cuts fall at different bytes.
        cut_downloads(source, every + every / 3);
        cut_uploads(destination, every);
    })
    .await;
}

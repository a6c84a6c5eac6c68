//! Blobs that break, stall, or are not what they should be while they are read.

use image_syncer_registry::ErrorKind;
use testkit::{Action, Blob, Cut, Fault, Kind, Profile};

use super::blobs::{read, read_as, with_blob};
use super::kit::{MIB, descriptor_of};

#[tokio::test]
async fn a_broken_download_resumes_where_it_broke() {
    let blob = Blob::synthetic(3 * MIB, 5);
    for redirect in [None, Some(307)] {
        let kit = with_blob(
            Profile {
                blob_redirect: redirect,
                ..Profile::distribution()
            },
            &blob,
        )
        .await;
        let kinds = if redirect.is_some() {
            Kind::Storage
        } else {
            Kind::BlobGet
        };
        kit.server.fault(
            Fault::on(kinds).nth(1),
            Action::CutResponse {
                after: MIB + 17,
                how: Cut::Reset,
            },
        );
        kit.server.fault(
            Fault::on(kinds).nth(2),
            Action::CutResponse {
                after: 100,
                how: Cut::Close,
            },
        );
        let (bytes, end) = read(&kit, &blob, 0).await;
        end.unwrap();
        assert_eq!(bytes, blob.bytes().unwrap());
        let requests = kit.server.requests();
        let ranges: Vec<bool> = requests
            .iter()
            .map(|r| r.header("range").is_some())
            .collect();
        assert_eq!(ranges, [false, true, true]);
        assert_eq!(kit.server.problems(), [""; 0]);
    }
}

#[tokio::test]
async fn a_break_costs_the_start_where_ranges_are_ignored() {
    let blob = Blob::synthetic(300_000, 6);
    let kit = with_blob(
        Profile {
            blob_ranges: false,
            ..Profile::distribution()
        },
        &blob,
    )
    .await;
    kit.server.fault(
        Fault::on(Kind::BlobGet).nth(1),
        Action::CutResponse {
            after: 200_000,
            how: Cut::Close,
        },
    );
    let (bytes, end) = read(&kit, &blob, 0).await;
    end.unwrap();
    assert_eq!(bytes, blob.bytes().unwrap());
    assert_eq!(kit.took(), [(Kind::BlobGet, 200); 2]);
}

#[tokio::test]
async fn progress_forgives_the_breaks_so_far() {
    // Five breaks with only three retries, but a MiB between them.
    let blob = Blob::synthetic(8 * MIB, 7);
    let kit = with_blob(Profile::distribution(), &blob).await;
    for n in 1..=5 {
        kit.server.fault(
            Fault::on(Kind::BlobGet).nth(n),
            Action::CutResponse {
                after: MIB + 300_000,
                how: Cut::Close,
            },
        );
    }
    let (bytes, end) = read(&kit, &blob, 0).await;
    end.unwrap();
    assert_eq!(bytes, blob.bytes().unwrap());
    assert_eq!(kit.took().len(), 6);
}

#[tokio::test]
async fn without_progress_the_tries_run_out() {
    let blob = Blob::synthetic(MIB, 8);
    let kit = with_blob(Profile::distribution(), &blob).await;
    kit.server.fault(
        Fault::on(Kind::BlobGet),
        Action::CutResponse {
            after: 10,
            how: Cut::Close,
        },
    );
    let (bytes, end) = read(&kit, &blob, 0).await;
    let error = end.unwrap_err();
    assert_eq!(
        (error.kind(), error.tries()),
        (ErrorKind::Broken, 4),
        "{error}"
    );
    assert_eq!(bytes, blob.bytes().unwrap()[..40]);
    assert_eq!(kit.took().len(), 4);
}

#[tokio::test]
async fn a_stall_is_a_break() {
    let blob = Blob::synthetic(300_000, 9);
    let kit = with_blob(Profile::distribution(), &blob).await;
    kit.server.fault(
        Fault::on(Kind::BlobGet).nth(1),
        Action::StallResponse { after: 100_000 },
    );
    let (bytes, end) = read(&kit, &blob, 0).await;
    end.unwrap();
    assert_eq!(bytes, blob.bytes().unwrap());
    assert_eq!(kit.took().len(), 2);
}

#[tokio::test]
async fn a_flipped_bit_never_completes_the_blob() {
    let blob = Blob::synthetic(MIB, 10);
    let kit = with_blob(Profile::distribution(), &blob).await;
    kit.server
        .fault(Fault::on(Kind::BlobGet), Action::Corrupt { offset: 5 });
    let (bytes, end) = read(&kit, &blob, 0).await;
    let error = end.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!((bytes.len() as u64) < MIB, "the last bytes were held back");
    let text = error.to_string();
    assert!(
        text.contains(blob.digest()) && text.contains(&kit.server.host()),
        "{text}"
    );
    assert_eq!(
        kit.took().len(),
        1,
        "bytes were handed on: the caller decides"
    );
}

/// Most of the 20 MiB are hashed on a thread, if there are enough cores.
#[tokio::test]
async fn a_large_blob_that_broke_is_right_and_one_that_is_corrupt_never_completes() {
    let size = 20 * MIB;
    let blob = Blob::synthetic(size, 13);
    let kit = with_blob(Profile::distribution(), &blob).await;
    let cut = Action::CutResponse {
        after: 15 * MIB + 17,
        how: Cut::Close,
    };
    kit.server.fault(Fault::on(Kind::BlobGet).nth(1), cut);
    let (bytes, end) = read(&kit, &blob, 0).await;
    end.unwrap();
    assert!(bytes == blob.bytes().unwrap());
    assert_eq!(kit.took().len(), 2);
    for offset in [5, 15 * MIB, size - 1] {
        kit.server.clear_faults();
        kit.server
            .fault(Fault::on(Kind::BlobGet), Action::Corrupt { offset });
        let (bytes, end) = read(&kit, &blob, 0).await;
        assert_eq!(end.unwrap_err().kind(), ErrorKind::Corrupt);
        assert!((bytes.len() as u64) < size, "the last bytes were held back");
        assert_eq!(kit.took().len(), 1);
    }
}

#[tokio::test]
async fn a_small_corrupt_blob_gets_a_second_chance() {
    let blob = Blob::synthetic(500, 11);
    let kit = with_blob(Profile::distribution(), &blob).await;
    kit.server.fault(
        Fault::on(Kind::BlobGet).nth(1),
        Action::Corrupt { offset: 5 },
    );
    let (bytes, end) = read(&kit, &blob, 0).await;
    end.unwrap();
    assert_eq!(bytes, blob.bytes().unwrap());
    assert_eq!(kit.took().len(), 2);
    kit.server.clear_faults();
    kit.server
        .fault(Fault::on(Kind::BlobGet), Action::Corrupt { offset: 5 });
    let (bytes, end) = read(&kit, &blob, 0).await;
    assert_eq!(end.unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(bytes.is_empty());
    assert_eq!(kit.took().len(), 2);
}

#[tokio::test]
async fn a_size_that_the_manifest_states_wrongly_is_read_from_the_registry() {
    for length in [5000, 9_000_000] {
        let blob = Blob::synthetic(length, 12);
        for (size, ranges) in [
            (length - 1, true),
            (length + 1, true),
            (0, true),
            (1, false),
        ] {
            let profile = Profile {
                blob_ranges: ranges,
                ..Profile::distribution()
            };
            let kit = with_blob(profile, &blob).await;
            let wrong = descriptor_of(blob.digest(), Some(size));
            let (bytes, end) = read_as(&kit, &wrong, 0).await;
            end.unwrap();
            assert!(bytes == blob.bytes().unwrap());
            assert_eq!(kit.took(), [(Kind::BlobGet, 200)], "{size}");
            // What breaks is resumed.
            let cut = Action::CutResponse {
                after: 2000,
                how: Cut::Reset,
            };
            kit.server.fault(Fault::on(Kind::BlobGet).nth(1), cut);
            let (bytes, end) = read_as(&kit, &wrong, 0).await;
            end.unwrap();
            assert!(bytes == blob.bytes().unwrap());
            assert_eq!(kit.took().len(), 2, "{size}");
            let (bytes, end) = read_as(&kit, &wrong, 2500).await;
            end.unwrap();
            assert!(bytes == blob.bytes().unwrap()[2500..]);
        }
    }
}

#[tokio::test]
async fn another_body_of_another_size_is_corrupt() {
    let blob = Blob::synthetic(5000, 12);
    let kit = with_blob(Profile::distribution(), &blob).await;
    kit.server.fault(Fault::on(Kind::BlobGet), Action::Html);
    let (bytes, end) = read(&kit, &blob, 0).await;
    let error = end.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(
        error
            .message()
            .contains(", and its manifest says 5000 bytes"),
        "{error}"
    );
    assert!(bytes.is_empty());
    assert_eq!(kit.took().len(), 2);
}

#[tokio::test]
async fn a_blob_of_unknown_size_is_held_to_its_digest() {
    let blob = Blob::synthetic(200_000, 13);
    let kit = with_blob(Profile::distribution(), &blob).await;
    let unsized_blob = descriptor_of(blob.digest(), None);
    kit.server.fault(
        Fault::on(Kind::BlobGet).nth(1),
        Action::CutResponse {
            after: 100_000,
            how: Cut::Close,
        },
    );
    let (bytes, end) = read_as(&kit, &unsized_blob, 0).await;
    end.unwrap();
    assert_eq!(bytes, blob.bytes().unwrap());
    kit.server.clear_faults();
    kit.server.fault(
        Fault::on(Kind::BlobGet),
        Action::Corrupt { offset: 199_999 },
    );
    let (bytes, end) = read_as(&kit, &unsized_blob, 0).await;
    assert_eq!(end.unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(bytes.len() < 200_000);
}

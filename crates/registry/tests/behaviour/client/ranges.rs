//! Ranges of blobs that are answered with something else: the whole blob is requested instead, once for each host.

use testkit::{Action, Answer, Blob, Cut, Fault, Kind, Profile, Request};

use super::blobs::{read, read_as, with_blob};
use super::kit::{Kit, descriptor_of};

const SIZE: u64 = 5000;
const CUT: u64 = 2000;
const WHOLE: (Kind, u16) = (Kind::BlobGet, 200);

fn is_ranged(request: &Request) -> bool {
    request.header("range").is_some()
}

/// The requests so far, and forgets them: status of each, and whether it has a range.
fn gets(kit: &Kit) -> Vec<(u16, bool)> {
    let requests = kit.server.requests();
    kit.server.clear_requests();
    let gets = requests.iter().map(|it| (it.status, is_ranged(it)));
    gets.collect()
}

/// Breaks the next download of a whole blob.
fn cut_next(kit: &Kit) {
    let is_whole = |request: &Request| !is_ranged(request);
    let cut = Action::CutResponse {
        after: CUT,
        how: Cut::Close,
    };
    kit.server
        .fault(Fault::on(Kind::BlobGet).matching(is_whole).nth(1), cut);
}

fn with_range(range: &str) -> Action {
    Action::WithHeaders(vec![("content-range", range.to_owned())])
}

fn wrong_answers() -> Vec<(u16, Action)> {
    let multipart = "multipart/byteranges; boundary=x";
    vec![
        (206, Action::WithoutHeaders(vec!["content-range"])),
        (206, with_range("nonsense")),
        (206, with_range("bytes 0-4999/5000")),
        (206, with_range("bytes 2001-4999/5000")),
        (206, with_range("bytes 2000-4998/5000")),
        (206, with_range("bytes 2000-4999/6000")),
        (
            206,
            Answer::new(206).body(multipart, "--x\r\n\r\n--x--").into(),
        ),
        (416, Action::status(416)),
        (400, Action::status(400)),
        (405, Action::status(405)),
        (501, Action::status(501)),
    ]
}

#[tokio::test]
async fn a_download_that_broke_is_read_whole_where_its_range_is_answered_wrongly() {
    let blob = Blob::synthetic(SIZE, 14);
    for (status, wrong) in wrong_answers() {
        let case = format!("{wrong:?}");
        let kit = with_blob(Profile::distribution(), &blob).await;
        kit.server
            .fault(Fault::on(Kind::BlobGet).matching(is_ranged), wrong);
        cut_next(&kit);
        let (bytes, end) = read(&kit, &blob, 0).await;
        end.unwrap();
        assert!(bytes == blob.bytes().unwrap(), "{case}");
        let first = (200, false);
        assert_eq!(gets(&kit), [first, (status, true), first], "{case}");
        assert_eq!(kit.heard.retries(), 1, "{case}");
        // The next one that breaks does not ask for a range.
        cut_next(&kit);
        let (bytes, end) = read(&kit, &blob, 0).await;
        end.unwrap();
        assert!(bytes == blob.bytes().unwrap(), "{case}");
        assert_eq!(gets(&kit), [first, first], "{case}");
    }
}

#[tokio::test]
async fn a_blob_that_is_read_from_its_middle_is_read_whole_and_its_beginning_skipped() {
    let blob = Blob::synthetic(SIZE, 14);
    for range in ["bytes 0-4999/5000", "nonsense"] {
        let kit = with_blob(Profile::distribution(), &blob).await;
        let ranged = Fault::on(Kind::BlobGet).matching(is_ranged);
        kit.server.fault(ranged, with_range(range));
        for expected in [vec![(206, true), (200, false)], vec![(200, false)]] {
            let (bytes, end) = read(&kit, &blob, 100).await;
            end.unwrap();
            assert!(bytes == blob.bytes().unwrap()[100..], "{range}");
            assert_eq!(gets(&kit), expected, "{range}");
        }
    }
}

#[tokio::test]
async fn a_length_that_only_a_range_states_is_not_held_against_the_blob() {
    let blob = Blob::synthetic(SIZE, 14);
    let kit = with_blob(Profile::distribution(), &blob).await;
    let ranged = Fault::on(Kind::BlobGet).matching(is_ranged);
    kit.server.fault(ranged, with_range("bytes 100-4999/6000"));
    let (bytes, end) = read(&kit, &blob, 100).await;
    end.unwrap();
    assert!(bytes == blob.bytes().unwrap()[100..]);
    // All came, a thousand bytes less than were announced, and what follows them does not exist.
    assert_eq!(gets(&kit), [(206, true), (416, true), (200, false)]);
}

#[tokio::test]
async fn a_range_that_a_server_fails_over_is_left_out_of_the_last_try() {
    let blob = Blob::synthetic(SIZE, 14);
    let kit = with_blob(Profile::distribution(), &blob).await;
    let ranged = Fault::on(Kind::BlobGet).matching(is_ranged);
    kit.server.fault(ranged, Action::status(500));
    cut_next(&kit);
    let (bytes, end) = read(&kit, &blob, 0).await;
    end.unwrap();
    assert!(bytes == blob.bytes().unwrap());
    let failed = [(500, true); 3];
    assert_eq!(
        gets(&kit),
        [&[(200, false)], &failed[..], &[(200, false)]].concat()
    );
}

#[tokio::test]
async fn a_server_that_ignores_ranges_costs_no_further_request() {
    let blob = Blob::synthetic(SIZE, 14);
    let profile = Profile {
        blob_ranges: false,
        ..Profile::distribution()
    };
    let kit = with_blob(profile, &blob).await;
    for _ in 0..2 {
        cut_next(&kit);
        let (bytes, end) = read(&kit, &blob, 0).await;
        end.unwrap();
        assert!(bytes == blob.bytes().unwrap());
        assert_eq!(gets(&kit), [(200, false), (200, true)]);
    }
}

#[tokio::test]
async fn a_206_with_the_whole_blob_is_accepted() {
    let blob = Blob::synthetic(SIZE, 14);
    let kit = with_blob(Profile::distribution(), &blob).await;
    let part = |range: &str| {
        let answer = Answer::new(206).header("content-range", range.to_owned());
        let bytes = blob.bytes().unwrap();
        Action::from(answer.body("application/octet-stream", bytes))
    };
    kit.server
        .fault(Fault::on(Kind::BlobGet).nth(1), part("bytes 0-4999/5000"));
    let (bytes, end) = read(&kit, &blob, 0).await;
    end.unwrap();
    assert!(bytes == blob.bytes().unwrap());
    assert_eq!(kit.took(), [(Kind::BlobGet, 206)]);
    // One that does not say that it is whole is none.
    kit.server
        .fault(Fault::on(Kind::BlobGet).nth(1), part("bytes 0-4999/*"));
    let error = read(&kit, &blob, 0).await.1.unwrap_err();
    assert!(error.message().contains("206"), "{error}");
}

#[tokio::test]
async fn the_end_of_a_blob_of_unknown_size_is_no_wrong_answer() {
    let blob = Blob::synthetic(SIZE, 14);
    let kit = with_blob(Profile::distribution(), &blob).await;
    let descriptor = descriptor_of(blob.digest(), None);
    let (bytes, end) = read_as(&kit, &descriptor, SIZE).await;
    end.unwrap();
    assert_eq!(bytes, b"");
    assert_eq!(kit.took(), [(Kind::BlobGet, 416)]);
    let (bytes, end) = read(&kit, &blob, 0).await;
    end.unwrap();
    assert_eq!(bytes.len() as u64, SIZE);
    assert_eq!(kit.took(), [WHOLE]);
}

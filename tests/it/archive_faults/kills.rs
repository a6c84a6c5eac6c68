//! SIGKILL and SIGINT while an archive is written, and while it is loaded.

use std::collections::BTreeSet;
use std::process::Child;

use testkit::{Action, Fault, Gate, Kind, Registry};

use super::{BLOBS, FILE, PARTIAL, WRITE, gathered, is_clean, numbered, place, source};
use crate::support::{
    Outcome, PATIENCE, Place, assert_arrived, draw, image, insecure, registry, signal,
};

/// All following numbers depend on the seed.
const SEED: u64 = 0x000A_2C41;

const IMAGES: u64 = 8;

/// Blobs of all images: a config and a layer each, and a common layer.
const BLOB_COUNT: u64 = 2 * IMAGES + 1;

/// Returns the number of kills; `scripts/reliability --long` sets the variable.
fn kills() -> u64 {
    match std::env::var_os("RELIABILITY_LONG") {
        Some(_) => 50,
        None => 8,
    }
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Lets the program run until it requests the blob `number`, and kills it then.
fn kill_at_blob(place: &Place, source: &Registry, number: u64) {
    let gate = Gate::new();
    let fault = Fault::on(Kind::BlobGet).nth(number);
    source.fault(fault, Action::Hold(gate.clone()));
    let child = place.command(&WRITE).spawn().unwrap();
    gate.wait(1, PATIENCE).unwrap();
    kill(child);
    gate.open();
    source.clear_faults();
}

/// Lets the program run until the unfinished archive has `bytes`, and kills it then. It may have ended before.
fn kill_at_byte(place: &Place, bytes: u64) {
    let mut child = place.command(&WRITE).spawn().unwrap();
    let partial = place.path(PARTIAL);
    while child.try_wait().unwrap().is_none() {
        if std::fs::metadata(&partial).is_ok_and(|file| file.len() >= bytes) {
            break;
        }
        std::thread::yield_now();
    }
    kill(child);
}

/// Returns the digests of the blobs that were requested on connections from the number `first` on, in order. Requests of a
/// killed program may be noted after its end.
fn downloaded(source: &Registry, first: u64) -> Vec<String> {
    let requests = source.requests().into_iter();
    let blobs =
        requests.filter(|request| request.kind == Kind::BlobGet && request.connection >= first);
    let mut digests: Vec<String> = blobs
        .map(|blob| blob.path.rsplit_once(':').unwrap().1.to_owned())
        .collect();
    digests.sort();
    digests
}

#[test]
fn a_killed_writer_keeps_the_old_file_and_the_next_one_goes_on() {
    let source = source(IMAGES);
    let whole = place(&source);
    whole.run(&WRITE).exits(0).says("8 copied");
    is_clean(&whole);
    let expected = std::fs::read(whole.path(FILE)).unwrap();
    let once = downloaded(&source, 0);
    let all: BTreeSet<String> = once.iter().cloned().collect();
    assert_eq!([once.len() as u64, all.len() as u64], [BLOB_COUNT; 2]);
    // An archive with another image, which stays in it.
    let old = std::fs::read(older().path(FILE)).unwrap();
    let mut with_old = None;
    for number in 0..kills() {
        let (place, is_new) = (place(&source), number % 4 < 2);
        if !is_new {
            std::fs::write(place.path(FILE), &old).unwrap();
        }
        let drawn = draw(SEED, number);
        if number % 2 == 0 {
            kill_at_blob(&place, &source, 1 + drawn % BLOB_COUNT);
        } else {
            kill_at_byte(&place, drawn % (expected.len() as u64));
        }
        let name = format!("kill {number}");
        let found = std::fs::read(place.path(FILE)).ok();
        let was_replaced = !place.path(BLOBS).exists() || found.as_deref() == Some(&expected);
        let is_whole = found.as_deref() == (!is_new).then_some(&old[..]);
        assert!(is_whole || (number % 2 == 1 && was_replaced), "{name}");
        let kept: BTreeSet<String> = gathered(&place.path(BLOBS)).into_iter().collect();
        source.clear_requests();
        let first = source.connections();
        place.run(&WRITE).exits(0).says("8 images: ");
        is_clean(&place);
        if is_whole {
            let missing: Vec<String> = all.difference(&kept).cloned().collect();
            assert_eq!(downloaded(&source, first), missing, "{name}");
        }
        let written = std::fs::read(place.path(FILE)).unwrap();
        let same = if is_new {
            written == expected
        } else {
            written == *with_old.get_or_insert_with(|| written.clone())
        };
        assert!(same, "{name}: the archive has other bytes");
    }
}

/// Returns a place with an archive of another image.
fn older() -> Place {
    let source = registry();
    source.push("app", Some("old"), &image("old"));
    let place = place(&source);
    place.run(&WRITE).exits(0).says("1 copied");
    place
}

#[test]
fn a_killed_loader_is_continued_by_the_next_one() {
    let source = source(IMAGES);
    let place = place(&source);
    place.run(&WRITE).exits(0);
    let from = format!("oci-archive:{FILE}#{}/app", source.host());
    let archive = std::fs::read(place.path(FILE)).unwrap();
    for number in 0..kills() {
        let destination = registry();
        let host = destination.host();
        let to = format!("{host}/back");
        let load = ["copy", "--all-tags", &from, &to, "--insecure", &host];
        let gate = Gate::new();
        // A blob has at least one request.
        let nth = 1 + draw(SEED, number) % BLOB_COUNT;
        let fault = Fault::on_any().matching(|request| request.kind.takes_blob());
        destination.fault(fault.nth(nth), Action::Hold(gate.clone()));
        let child = place.command(&load).spawn().unwrap();
        gate.wait(1, PATIENCE).unwrap();
        kill(child);
        gate.open();
        destination.clear_faults();
        let before = uploaded(&destination);
        destination.clear_requests();
        place.run(&load).exits(0).says("8 images: ");
        for image in 0..IMAGES {
            assert_arrived(&destination, "back", &format!("v{image}"), &numbered(image));
        }
        let twice: Vec<_> = uploaded(&destination)
            .intersection(&before)
            .cloned()
            .collect();
        assert_eq!(twice, [""; 0], "kill {number}, at upload request {nth}");
    }
    assert_eq!(std::fs::read(place.path(FILE)).unwrap(), archive);
    is_clean(&place);
}

/// Returns the digests of the blobs that were uploaded.
fn uploaded(destination: &Registry) -> BTreeSet<String> {
    let requests = destination.requests().into_iter();
    let uploads = requests.filter(|it| it.kind.takes_blob() && it.status == 201);
    uploads
        .filter_map(|upload| upload.parameter("digest"))
        .collect()
}

#[test]
fn an_interrupted_writer_leaves_no_file_and_the_next_one_goes_on() {
    let source = source(2);
    source.push("late", Some("v1"), &image("late"));
    // The list of `late` does not arrive.
    let list = Gate::new();
    let fault = Fault::on(Kind::Tags).repository("late");
    source.fault(fault, Action::Hold(list.clone()));
    let blob = Gate::new();
    source.fault(Fault::on(Kind::BlobGet).nth(1), Action::Hold(blob.clone()));
    let rules = "SRC/app: oci-archive:images.tar\nSRC/late: oci-archive:images.tar\n";
    let place = Place::new()
        .file("images.yaml", &rules.replace("SRC", &source.host()))
        .file("auth.yaml", &insecure(&[&source]));
    let child = place.command(&WRITE).spawn().unwrap();
    list.wait(1, PATIENCE).unwrap();
    blob.wait(1, PATIENCE).unwrap();
    signal(&child, "-INT");
    blob.open();
    Outcome::of(child.wait_with_output().unwrap())
        .exits(130)
        .says("the run was stopped before. Run the command again: it goes on with what is in .images.tar.blobs");
    assert!(!place.path(FILE).exists() && !place.path(PARTIAL).exists());
    let kept: BTreeSet<String> = gathered(&place.path(BLOBS)).into_iter().collect();
    assert!(!kept.is_empty());
    list.open();
    source.clear_faults();
    source.clear_requests();
    place.run(&WRITE).exits(0).says("3 images: ");
    is_clean(&place);
    assert!(
        downloaded(&source, 0)
            .iter()
            .all(|digest| !kept.contains(digest))
    );
}

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use registry::{Algorithm, Digest, Repository, Tag};
use tempfile::TempDir;

use super::Records;
use crate::inventory::Inventory;
use crate::rule::PlatformFilter;

/// Only a failing test waits that long.
const PATIENCE: Duration = Duration::from_secs(60);

fn repository(path: &str) -> Repository {
    Repository::parse(path).unwrap()
}

fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

fn open(path: &Path) -> Arc<Records> {
    Arc::new(Records::open(path, |error| panic!("{error}")).unwrap())
}

fn inventory(records: &Arc<Records>, arch: &[&str]) -> Inventory {
    let arch: Vec<String> = arch.iter().map(ToString::to_string).collect();
    let filter = PlatformFilter::parse(&[], &arch).unwrap();
    Inventory::with_records(Arc::clone(records), &filter)
}

/// A run that notes what `write` tells it.
fn run(directory: &TempDir, write: impl FnOnce(&Inventory)) {
    let records = open(&directory.path().join("r.sqlite3"));
    write(&inventory(&records, &[]));
    records.close(PATIENCE);
}

#[test]
fn what_was_copied_is_known_to_the_next_run() {
    let directory = tempfile::tempdir().unwrap();
    let (source, place) = (repository("s.example/a"), repository("d.example/b"));
    let (v1, renamed) = (tag("v1"), tag("renamed"));
    let digests = [Digest::sha256(b"1"), Digest::of(Algorithm::Sha512, b"2")];
    run(&directory, |inventory| {
        assert_eq!(inventory.last_copied(&source, &v1, &place, &v1), None);
        inventory.copied(&source, &v1, &place, &v1, &digests[0]);
        inventory.copied(&source, &v1, &place, &renamed, &digests[1]);
        // It tells of earlier runs, not of this one.
        assert!(!inventory.was_copied_to(&place));
    });
    run(&directory, |inventory| {
        let last = |to| inventory.last_copied(&source, &v1, &place, to);
        assert_eq!(last(&v1).as_ref(), Some(&digests[0]));
        assert_eq!(last(&renamed).as_ref(), Some(&digests[1]));
        assert_eq!(last(&tag("v2")), None);
        assert!(inventory.was_copied_to(&place));
        assert!(!inventory.was_copied_to(&source));
        assert!(!inventory.was_copied_to(&repository("other.example/b")));
    });
}

#[test]
fn what_was_copied_over_is_not_known_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other) = (repository("s.example/a"), repository("s.example/z"));
    let (place, v1) = (repository("d.example/b"), tag("v1"));
    let digest = Digest::sha256(b"1");
    run(&directory, |i| i.copied(&one, &v1, &place, &v1, &digest));
    run(&directory, |i| i.copied(&other, &v1, &place, &v1, &digest));
    run(&directory, |inventory| {
        assert_eq!(inventory.last_copied(&one, &v1, &place, &v1), None);
        let known = inventory.last_copied(&other, &v1, &place, &v1);
        assert_eq!(known, Some(digest));
    });
}

#[test]
fn another_platform_filter_made_another_image() {
    let directory = tempfile::tempdir().unwrap();
    let (source, place, v1) = (
        repository("s.example/a"),
        repository("d.example/b"),
        tag("v1"),
    );
    let records = open(&directory.path().join("r.sqlite3"));
    let digest = Digest::sha256(b"1");
    inventory(&records, &["amd64"]).copied(&source, &v1, &place, &v1, &digest);
    records.close(PATIENCE);
    let records = open(&directory.path().join("r.sqlite3"));
    let last = |arch: &[&str]| inventory(&records, arch).last_copied(&source, &v1, &place, &v1);
    assert_eq!(last(&["amd64"]), Some(digest));
    assert_eq!(last(&["arm64"]), None);
    assert_eq!(last(&[]), None);
}

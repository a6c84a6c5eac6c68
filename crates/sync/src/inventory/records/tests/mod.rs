#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod reading;
mod seen;
mod versions;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use image_syncer_registry::{Algorithm, Digest, Tag};
use tempfile::TempDir;

use super::reader::RecordsReader;
use super::writer::RecordsWriter;
use super::{
    DAY, RecordUpdate, RecordedCopy, Records, RecordsError, RecordsErrorKind, RecordsMaintenance,
    ReferrersChecks, file,
};
use crate::Repository;
use crate::inventory::Inventory;
use crate::inventory::registry_facts::DigestKey;
use crate::inventory::{BlobFacts, BlobUpdate};
use crate::rule::{CopyOptions, PlatformFilter};

/// Upper bound for a failing test only.
const PATIENCE: Duration = Duration::from_secs(60);

fn repository(path: &str) -> Repository {
    Repository::parse(path).unwrap()
}

fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

/// Runs `future` on a runtime, as tasks do.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

fn open(path: &Path) -> Arc<Records> {
    Arc::new(Records::open(path, |error| panic!("{error}")).unwrap())
}

/// Returns the options of copies of whole images.
fn whole() -> CopyOptions {
    CopyOptions::default()
}

/// Returns the options of copies of these architectures.
fn only(arch: &[&str]) -> CopyOptions {
    let arch: Vec<String> = arch.iter().map(ToString::to_string).collect();
    CopyOptions {
        platforms: Arc::new(PlatformFilter::parse(&[], &arch).unwrap()),
        ..whole()
    }
}

/// Returns the digest of the last copy to `tag` of `to`, if it came from that tag of `from` with `options`.
fn last_copied(
    inventory: &Inventory,
    (from, from_tag): (&Repository, &Tag),
    (to, to_tag): (&Repository, &Tag),
    options: &CopyOptions,
) -> Option<Digest> {
    let copies = block_on(inventory.recorded_copies(to));
    let copy = copies.find((from, from_tag), to_tag, options.content_fingerprint())?;
    Some(copy.digest.to_digest())
}

/// A run that notes the facts of `write`.
fn run(directory: &TempDir, write: impl FnOnce(&Inventory)) {
    let records = open(&directory.path().join("r.sqlite3"));
    write(&Inventory::with_records(Arc::clone(&records)));
    records.close(PATIENCE);
}

#[test]
fn the_next_run_knows_earlier_copies() {
    let directory = tempfile::tempdir().unwrap();
    let (source, destination) = (repository("s.example/a"), repository("d.example/b"));
    let (v1, renamed) = (tag("v1"), tag("renamed"));
    let digests = [
        Digest::sha256(b"1"),
        Digest::compute(Algorithm::Sha512, b"2"),
    ];
    run(&directory, |inventory| {
        assert!(block_on(inventory.recorded_copies(&destination)).is_empty());
        inventory.copied(&source, &v1, &destination, &v1, &whole(), &digests[0]);
        inventory.copied(&source, &v1, &destination, &renamed, &whole(), &digests[1]);
    });
    run(&directory, |inventory| {
        let last = |to| last_copied(inventory, (&source, &v1), (&destination, to), &whole());
        assert_eq!(last(&v1).as_ref(), Some(&digests[0]));
        assert_eq!(last(&renamed).as_ref(), Some(&digests[1]));
        assert_eq!(last(&tag("v2")), None);
        for other in [&source, &repository("other.example/b")] {
            assert!(block_on(inventory.recorded_copies(other)).is_empty());
        }
    });
}

#[test]
fn a_copy_from_another_source_replaces_the_record() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other) = (repository("s.example/a"), repository("s.example/z"));
    let (destination, v1) = (repository("d.example/b"), tag("v1"));
    let digest = Digest::sha256(b"1");
    run(&directory, |i| {
        i.copied(&one, &v1, &destination, &v1, &whole(), &digest);
    });
    run(&directory, |i| {
        i.copied(&other, &v1, &destination, &v1, &whole(), &digest);
    });
    run(&directory, |inventory| {
        let last = |from| last_copied(inventory, (from, &v1), (&destination, &v1), &whole());
        assert_eq!((last(&one), last(&other)), (None, Some(digest)));
    });
}

#[test]
fn copies_of_another_platform_filter_are_ignored() {
    let directory = tempfile::tempdir().unwrap();
    let (source, destination, v1) = (
        repository("s.example/a"),
        repository("d.example/b"),
        tag("v1"),
    );
    let records = open(&directory.path().join("r.sqlite3"));
    let digest = Digest::sha256(b"1");
    let inventory = Inventory::with_records(Arc::clone(&records));
    inventory.copied(&source, &v1, &destination, &v1, &only(&["amd64"]), &digest);
    records.close(PATIENCE);
    let records = open(&directory.path().join("r.sqlite3"));
    let inventory = Inventory::with_records(records);
    let ends = ((&source, &v1), (&destination, &v1));
    let last = |arch: &[&str]| last_copied(&inventory, ends.0, ends.1, &only(arch));
    assert_eq!(last(&["amd64"]), Some(digest));
    assert_eq!(last(&["arm64"]), None);
    assert_eq!(last(&[]), None);
}

/// Writes these updates on that day.
fn write(path: &Path, today: i64, updates: Vec<RecordUpdate>) {
    let mut writer = RecordsWriter::over(file::FORMAT.open(path).unwrap(), today);
    writer.write(updates).unwrap();
    writer.finish().unwrap();
}

fn reader(path: &Path) -> RecordsReader {
    RecordsReader::over(file::FORMAT.open(path).unwrap(), file::SCHEMA).unwrap()
}

fn blob(number: usize) -> DigestKey {
    DigestKey::from_digest(&Digest::sha256(&number.to_be_bytes()))
}

fn holds(path: &str, blobs: &[usize]) -> RecordUpdate {
    RecordUpdate::Blobs(BlobUpdate::Holds(
        repository(path),
        blobs.iter().map(|number| blob(*number)).collect(),
    ))
}

fn locations(records: &Records, path: &str, number: usize) -> Vec<String> {
    let mut found = block_on(records.locations(&repository(path), vec![blob(number)]));
    let locations = found.pop().map(|(_, locations)| locations);
    let locations = locations.unwrap_or_default();
    locations.iter().map(ToString::to_string).collect()
}

#[test]
fn a_blob_is_known_by_registry_the_repository_itself_first() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("r.sqlite3");
    let names = [
        "r.example/a",
        "r.example/b",
        "r.example/c",
        "r.example/d",
        "r.example/e",
    ];
    let mut updates: Vec<RecordUpdate> = names.iter().map(|name| holds(name, &[1])).collect();
    updates.push(holds("other.example/a", &[2]));
    write(&path, 100, updates);
    let records = open(&path);
    let found = locations(&records, "r.example/e", 1);
    assert_eq!(found.len(), 4, "{found:?}");
    assert_eq!(found[0], "r.example/e");
    assert_eq!(locations(&records, "r.example/new", 1).len(), 3);
    assert_eq!(locations(&records, "r.example/e", 2), [""; 0]);
    assert_eq!(
        locations(&records, "other.example/b", 2),
        ["other.example/a"]
    );
    assert_eq!(locations(&records, "new.example/b", 2), [""; 0]);
}

#[test]
fn deleted_and_forgotten_records_are_gone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("r.sqlite3");
    let mut updates = vec![holds("r.example/a", &[1, 2]), holds("r.example/b", &[1, 2])];
    updates.push(RecordUpdate::Blobs(BlobUpdate::Gone(
        repository("r.example/a"),
        blob(1),
    )));
    updates.push(RecordUpdate::Blobs(BlobUpdate::Forget(repository(
        "r.example/b",
    ))));
    updates.push(RecordUpdate::Blobs(BlobUpdate::Forget(repository(
        "r.example/unheard-of",
    ))));
    updates.push(holds("r.example/b", &[3]));
    write(&path, 100, updates);
    let records = open(&path);
    let known = |name, number| locations(&records, name, number);
    assert_eq!(known("r.example/a", 1), [""; 0]);
    assert_eq!(known("r.example/b", 2), ["r.example/a"]);
    assert_eq!(known("r.example/b", 3), ["r.example/b"]);
}

#[test]
fn old_records_are_pruned_and_recent_ones_stay() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("r.sqlite3");
    let count = |table: &str| -> i64 {
        let file = rusqlite::Connection::open(&path).unwrap();
        let count = format!("SELECT count(*) FROM {table}");
        file.query_row(&count, (), |row| row.get(0)).unwrap()
    };
    write(
        &path,
        100,
        vec![holds("r.example/a", &[1]), holds("s.example/b", &[2])],
    );
    // The first is too soon to be written again, the second is not.
    write(&path, 106, vec![holds("r.example/a", &[1])]);
    let seen = || -> Vec<i64> {
        let file = rusqlite::Connection::open(&path).unwrap();
        let mut seen = file
            .prepare("SELECT seen FROM blobs ORDER BY seen")
            .unwrap();
        let rows = seen.query_map((), |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    assert_eq!(seen(), [100, 100]);
    write(&path, 107, vec![holds("r.example/a", &[1])]);
    assert_eq!(seen(), [100, 107]);
    // Pruned when 90 days have passed since the record, and a week since the last pruning.
    write(&path, 190, vec![]);
    assert_eq!(
        (count("blobs"), count("repositories"), count("registries")),
        (2, 2, 2)
    );
    write(&path, 191, vec![]);
    assert_eq!(count("blobs"), 2);
    write(&path, 197, vec![]);
    assert_eq!(
        (count("blobs"), count("repositories"), count("registries")),
        (1, 1, 1)
    );
}

#[test]
fn a_full_disk_is_reported_once_and_earlier_records_stay_readable() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("r.sqlite3");
    write(&path, 100, vec![holds("r.example/a", &[0])]);
    let connection = file::FORMAT.open(&path).unwrap();
    connection
        .pragma_update(None, "max_page_count", 20)
        .unwrap();
    let updates = (1..2_000).map(|number| holds("r.example/a", &[number]));
    let mut writer = RecordsWriter::over(connection, 100);
    let error = writer.write(updates.collect()).unwrap_err();
    drop(writer);
    let error = RecordsError::new(&path, error);
    assert_eq!(error.kind(), RecordsErrorKind::Full);
    let reported = error.to_string();
    assert!(
        reported.starts_with(&format!(
            "records file {}: the disk is full (",
            path.display()
        )),
        "{reported}"
    );
    assert_eq!(locations(&open(&path), "r.example/a", 0), ["r.example/a"]);
}

#[test]
fn a_fault_is_reported_once_and_then_nothing_is_known() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("r.sqlite3");
    write(
        &path,
        100,
        (0..2_000)
            .map(|number| holds("r.example/a", &[number]))
            .collect(),
    );
    let mut bytes = std::fs::read(&path).unwrap();
    // The schema stays intact; every other page is damaged.
    bytes[4096..].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let reported: Arc<Mutex<Vec<RecordsErrorKind>>> = Arc::default();
    let reports = Arc::clone(&reported);
    let records = Records::open(&path, move |error| {
        reports.lock().unwrap().push(error.kind());
    });
    let records = records.unwrap();
    for number in 0..10 {
        assert_eq!(locations(&records, "r.example/a", number), [""; 0]);
        records.queue_update(holds("r.example/a", &[number]));
    }
    records.close(PATIENCE);
    assert_eq!(*reported.lock().unwrap(), [RecordsErrorKind::Damaged]);
}

#[test]
fn closed_records_return_nothing_and_accept_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("r.sqlite3");
    let records = open(&path);
    records.queue_update(holds("r.example/a", &[0]));
    records.close(PATIENCE);
    records.queue_update(holds("r.example/a", &[1]));
    assert_eq!(locations(&records, "r.example/a", 0), [""; 0]);
    let records = open(&path);
    assert_eq!(locations(&records, "r.example/a", 0), ["r.example/a"]);
    assert_eq!(locations(&records, "r.example/a", 1), [""; 0]);
}

#[test]
fn a_record_takes_few_bytes() {
    const RECORDS: usize = 20_000;
    let directory = tempfile::tempdir().unwrap();
    let size = |updates: Vec<RecordUpdate>| {
        let path = directory.path().join("r.sqlite3");
        write(&path, 20_000, updates);
        let size = std::fs::metadata(&path).unwrap().len();
        std::fs::remove_file(&path).unwrap();
        usize::try_from(size).unwrap() / RECORDS
    };
    let blobs: Vec<usize> = (0..RECORDS).collect();
    let images = blobs.chunks(50).enumerate();
    let held =
        images.map(|(image, blobs)| holds(&format!("r.example/team/{}", image % 100), blobs));
    assert_eq!(size(held.collect()), 50);
    let (source, destination) = (repository("s.example/a"), repository("r.example/a"));
    let copied = (0..RECORDS).map(|number| {
        let copy = RecordedCopy {
            source: source.clone(),
            source_tag: tag(&format!("v1.{number}")),
            filter: 0,
            digest: Digest::sha256(&number.to_be_bytes()),
        };
        RecordUpdate::Copied(destination.clone(), copy.source_tag.clone(), copy)
    });
    assert_eq!(size(copied.collect()), 61);
}

fn looked(destination: &str, source: &str, day: u64) -> RecordUpdate {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(day * 24 * 60 * 60);
    RecordUpdate::ReferrersChecked(checks(destination, source), Digest::sha256(b"root"), at)
}

fn checks(destination: &str, source: &str) -> ReferrersChecks {
    ReferrersChecks {
        destination: repository(destination),
        source: repository(source),
        scope: 7,
    }
}

#[test]
fn referrers_checks_are_pruned_and_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("r.sqlite3");
    let locations = ["r.example/a", "r.example/b", "r.example/c"];
    let updates = vec![
        looked(locations[0], "s.example/a", 100),
        looked(locations[1], "s.example/a", 100),
        looked(locations[1], "s.example/a", 150),
        looked(locations[2], "s.example/a", 150),
        RecordUpdate::Blobs(BlobUpdate::Forget(repository(locations[2]))),
    ];
    write(&path, 150, updates);
    let known = || {
        let mut reader = reader(&path);
        let root = Digest::sha256(b"root");
        let other = ReferrersChecks {
            scope: 8,
            ..checks(locations[0], "s.example/a")
        };
        assert_eq!(reader.last_check(&other, &root), Ok(None));
        assert!(reader.checks(&other, 9).unwrap().unwrap().is_empty());
        locations.map(|destination| {
            let checks = checks(destination, "s.example/a");
            let at = reader.last_check(&checks, &root).unwrap();
            let table = reader.checks(&checks, 1).unwrap().unwrap();
            assert_eq!(table.get(&DigestKey::from_digest(&root)).copied(), at);
            at.map(|at| at / DAY)
        })
    };
    assert_eq!(known(), [Some(100), Some(150), None]);
    write(&path, 200, vec![]);
    assert_eq!(known(), [None, Some(150), None]);
    let mut upkeep = RecordsMaintenance::open(&path).unwrap();
    // The repositories at both ends of a check are kept.
    let registries = upkeep.overview().unwrap().registries;
    let repositories: Vec<u64> = registries.iter().map(|one| one.repositories).collect();
    assert_eq!(repositories, [1, 1]);
    let endpoint = repository(locations[1]).endpoint().clone();
    assert_eq!(upkeep.forget(&endpoint, None).unwrap(), 1);
    assert_eq!(known(), [None, None, None]);
    assert_eq!(upkeep.overview().unwrap().registries, []);
}

#[test]
fn several_processes_may_create_the_same_file_together() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..50 {
        let path = directory.path().join(format!("{round}.sqlite3"));
        let start = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            let open = || {
                start.wait();
                file::FORMAT.open(&path).map(drop)
            };
            let others: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            for other in others {
                other.join().unwrap().unwrap();
            }
        });
    }
}

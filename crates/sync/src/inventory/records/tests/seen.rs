//! Times at which digests were first seen.

use super::*;

const DAY: u64 = 24 * 60 * 60;

fn at(day: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(day * DAY)
}

fn open_to_read(path: &Path) -> Arc<Records> {
    let records = Records::open_to_read(path, |error| panic!("{error}")).unwrap();
    Arc::new(records.unwrap())
}

fn seen(source: &str, digest: &str, day: u64) -> RecordUpdate {
    RecordUpdate::Seen(
        repository(source),
        Digest::sha256(digest.as_bytes()),
        at(day),
    )
}

/// Returns the time at which the digest was first seen in the repository.
fn first_seen(path: &Path, source: &str, digest: &str) -> Option<SystemTime> {
    let mut reader = reader(path);
    let digest = Digest::sha256(digest.as_bytes());
    let source = repository(source);
    let sighting = reader.sighting(&source, &digest, 0).unwrap();
    let table = reader.sightings(&source, 0, 9).unwrap().unwrap();
    assert_eq!(
        table.get(&DigestKey::from_digest(&digest)).copied(),
        sighting
    );
    super::super::time(sighting?.first)
}

#[test]
fn the_first_time_is_kept_by_repository_and_digest() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("r.sqlite3");
    write(&path, 100, vec![seen("s.example/a", "one", 100)]);
    write(&path, 120, vec![seen("s.example/a", "one", 120)]);
    assert_eq!(first_seen(&path, "s.example/a", "one"), Some(at(100)));
    assert_eq!(first_seen(&path, "s.example/a", "two"), None);
    assert_eq!(first_seen(&path, "s.example/b", "one"), None);
    // An earlier time, as from a run that wrote later, wins.
    write(&path, 120, vec![seen("s.example/a", "one", 90)]);
    assert_eq!(first_seen(&path, "s.example/a", "one"), Some(at(90)));
}

#[test]
fn digests_are_pruned_when_they_were_not_seen_for_long_and_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("r.sqlite3");
    let repositories = ["s.example/a", "s.example/b"];
    let first = repositories.map(|source| seen(source, "one", 100));
    write(&path, 100, first.into());
    write(&path, 150, vec![seen("s.example/a", "one", 150)]);
    write(&path, 200, vec![]);
    // The first was seen again, and keeps its first time.
    assert_eq!(first_seen(&path, "s.example/a", "one"), Some(at(100)));
    assert_eq!(first_seen(&path, "s.example/b", "one"), None);
    let mut upkeep = RecordsMaintenance::open(&path).unwrap();
    let overview = upkeep.overview().unwrap();
    assert_eq!(overview.registries[0].repositories, 1);
    assert!(overview.oldest_days.is_some());
    let endpoint = repository("s.example/a").endpoint().clone();
    assert_eq!(upkeep.forget(&endpoint, None).unwrap(), 1);
    assert_eq!(first_seen(&path, "s.example/a", "one"), None);
    assert_eq!(upkeep.overview().unwrap().registries, []);
}

#[test]
fn empty_records_know_nothing_and_drop_updates() {
    let records = Arc::new(Records::empty().unwrap());
    let (source, digest) = (repository("s.example/a"), Digest::sha256(b"one"));
    for inventory in [
        Inventory::reading(Arc::clone(&records)),
        Inventory::with_records(Arc::clone(&records)),
    ] {
        let first_seen = inventory.first_seen(&source, &digest, at(100));
        assert_eq!(block_on(first_seen), Some(at(100)));
    }
    assert_eq!(block_on(records.sighting(&source, &digest)), None);
    let none = Inventory::new();
    let first_seen = none.first_seen(&source, &digest, at(100));
    assert_eq!(block_on(first_seen), None);
}

#[test]
fn a_dry_run_records_nothing_and_a_wrong_clock_is_corrected() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("r.sqlite3");
    let today = super::super::day(SystemTime::now());
    write(&path, today, vec![seen("s.example/a", "late", 500)]);
    let (source, one) = (repository("s.example/a"), Digest::sha256(b"one"));
    let late = Digest::sha256(b"late");
    let records = open_to_read(&path);
    let dry = Inventory::reading(Arc::clone(&records));
    assert_eq!(
        block_on(dry.first_seen(&source, &one, at(200))),
        Some(at(200))
    );
    assert_eq!(
        block_on(dry.first_seen(&source, &late, at(200))),
        Some(at(200))
    );
    assert_eq!(first_seen(&path, "s.example/a", "one"), None);
    let records = open(&path);
    let copying = Inventory::with_records(Arc::clone(&records));
    for digest in [&one, &late] {
        assert_eq!(
            block_on(copying.first_seen(&source, digest, at(200))),
            Some(at(200))
        );
    }
    drop(copying);
    records.close(Duration::from_secs(60));
    assert_eq!(first_seen(&path, "s.example/a", "one"), Some(at(200)));
    assert_eq!(first_seen(&path, "s.example/a", "late"), Some(at(200)));
}

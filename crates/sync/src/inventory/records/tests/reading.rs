//! Read-only records, and the thread that reads.

use super::*;

fn open_to_read(path: &Path) -> Option<Records> {
    Records::open_to_read(path, |error| panic!("{error}")).unwrap()
}

#[test]
fn reading_records_creates_and_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("r.sqlite3");
    assert!(open_to_read(&path).is_none());
    std::fs::write(&path, "").unwrap();
    assert!(open_to_read(&path).is_none());
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    let (source, destination, v1) = (
        repository("s.example/a"),
        repository("d.example/b"),
        tag("v1"),
    );
    let (one, two) = (Digest::sha256(b"1"), Digest::sha256(b"2"));
    run(&directory, |i| {
        i.copied(&source, &v1, &destination, &v1, &whole(), &one);
    });
    let before = std::fs::read(&path).unwrap();
    let records = Arc::new(open_to_read(&path).unwrap());
    for inventory in [
        Inventory::reading(Arc::clone(&records)),
        // Even an inventory that writes has no writer here.
        Inventory::with_records(Arc::clone(&records)),
    ] {
        let last = last_copied(&inventory, (&source, &v1), (&destination, &v1), &whole());
        assert_eq!(last.as_ref(), Some(&one));
        inventory.copied(&source, &v1, &destination, &v1, &whole(), &two);
        inventory.record_committed(&destination, [&two]);
        inventory.forget(&destination);
    }
    records.close(PATIENCE);
    assert_eq!(std::fs::read(&path).unwrap(), before);
    run(&directory, |inventory| {
        let last = last_copied(inventory, (&source, &v1), (&destination, &v1), &whole());
        assert_eq!(last.as_ref(), Some(&one));
    });
}

#[test]
fn reading_refuses_foreign_files_and_accepts_older_ones() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("r.sqlite3");
    std::fs::write(&path, "something else altogether, and longer than a header").unwrap();
    let error = Records::open_to_read(&path, |error| panic!("{error}")).unwrap_err();
    assert_eq!(error.kind(), RecordsErrorKind::Damaged);
    std::fs::remove_file(&path).unwrap();
    run(&directory, |_| {});
    let older = rusqlite::Connection::open(&path).unwrap();
    older
        .execute_batch("DROP TABLE seen; DROP TABLE referrers; PRAGMA user_version = 1")
        .unwrap();
    drop(older);
    let records = open_to_read(&path).unwrap();
    let checks = checks("d.example/b", "s.example/a");
    let (source, digest) = (repository("s.example/a"), Digest::sha256(b"1"));
    assert_eq!(block_on(records.last_check(checks.clone(), &digest)), None);
    assert_eq!(block_on(records.checks(checks, 9)).unwrap().len(), 0);
    assert_eq!(block_on(records.sighting(&source, &digest)), None);
    assert_eq!(block_on(records.sightings(source, 9)).unwrap().len(), 0);
    // In a directory without write permission, the file is read without its log.
    let (connection, _) = file::FORMAT.open_unchanging(&path).unwrap().unwrap();
    let mut reader = RecordsReader::over(connection, 1).unwrap();
    let copies = reader.copies(&repository("d.example/b"), 0).unwrap();
    assert!(copies.is_empty());
}

#[tokio::test]
async fn lookups_of_tasks_run_on_a_thread_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("r.sqlite3");
    let (source, destination, v1) = (
        repository("s.example/a"),
        repository("r.example/b"),
        tag("v1"),
    );
    let root = Digest::sha256(b"root");
    let copy = RecordedCopy {
        source: source.clone(),
        source_tag: v1.clone(),
        filter: 0,
        digest: root.clone(),
    };
    let updates = vec![
        holds("r.example/a", &[1]),
        RecordUpdate::Copied(destination.clone(), v1.clone(), copy),
    ];
    write(&path, 100, updates);
    let records = open(&path);
    let inventory = Inventory::with_records(Arc::clone(&records));
    // Each of them would panic on this thread.
    let copies = inventory.recorded_copies(&destination).await;
    let copy = copies.find((&source, &v1), &v1, 0).unwrap();
    assert_eq!(copy.digest.to_digest(), root);
    let found = records.locations(&destination, vec![blob(1), blob(2)]);
    assert_eq!(found.await, [(blob(1), vec![repository("r.example/a")])]);
    let checks = checks("s.example/a", "s.example/a");
    assert_eq!(records.last_check(checks, &root).await, None);
    records.close(PATIENCE);
    assert!(records.copies(&destination).await.is_empty());
}

#[test]
fn the_digests_of_a_repository_are_read_at_once_and_unchanged_ones_not_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("r.sqlite3");
    let (source, destination) = (repository("s.example/a"), repository("d.example/b"));
    let (whole, now) = (whole(), SystemTime::now());
    let digests: Vec<Digest> = (0..5_u8).map(|number| Digest::sha256(&[number])).collect();
    // Nothing is looked up in a new file.
    for (lookups, updates, is_known) in [(0, 10, false), (2, 0, true)] {
        let records = open(&path);
        let inventory = Inventory::with_records(Arc::clone(&records));
        for digest in &digests {
            let first = block_on(inventory.first_seen(&source, digest, now)).unwrap();
            assert_eq!(first < now, is_known);
            let (from, to) = (&source, &destination);
            let checked = inventory.last_referrers_check(from, to, digest, &whole);
            assert_eq!(block_on(checked).is_some(), is_known);
            if !is_known {
                inventory.record_referrers_check(from, to, digest, &whole, now);
            }
        }
        records.close(PATIENCE);
        let activity = records.activity();
        assert_eq!((activity.lookups, activity.updates), (lookups, updates));
        assert_eq!(activity.transactions > 0, !is_known);
    }
}

#[cfg(debug_assertions)]
#[tokio::test]
#[should_panic(expected = "the records were read on a thread of the runtime")]
async fn a_lookup_on_a_thread_of_the_runtime_panics() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("r.sqlite3");
    write(&path, 100, vec![]);
    let mut reader = reader(&path);
    let _ = reader.copies(&repository("r.example/a"), 100);
}

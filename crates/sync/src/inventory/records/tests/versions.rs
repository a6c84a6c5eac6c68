//! Files of older and newer versions.

use super::*;

/// Changes the file as an older version would have left it.
fn downgrade(path: &Path, statements: &str) {
    let older = rusqlite::Connection::open(path).unwrap();
    older.execute_batch(statements).unwrap();
}

#[test]
fn files_of_older_versions_are_extended_and_keep_their_records() {
    for statements in [
        "DROP TABLE seen; DROP TABLE referrers; PRAGMA user_version = 1;",
        "DROP TABLE seen; PRAGMA user_version = 2;",
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("r.sqlite3");
        write(&path, 100, vec![holds("r.example/a", &[1])]);
        downgrade(&path, statements);
        let digest = Digest::sha256(b"1");
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(100 * 24 * 60 * 60);
        let seen = RecordUpdate::Seen(repository("s.example/a"), digest.clone(), at);
        write(
            &path,
            100,
            vec![looked("r.example/a", "s.example/a", 100), seen],
        );
        let records = open(&path);
        assert_eq!(locations(&records, "r.example/a", 1), ["r.example/a"]);
        let checks = checks("r.example/a", "s.example/a");
        let (root, source) = (Digest::sha256(b"root"), repository("s.example/a"));
        let checked = block_on(records.last_check(checks, &root));
        assert_eq!(checked.and_then(super::super::time), Some(at));
        let sighting = block_on(records.sighting(&source, &digest)).unwrap();
        assert_eq!(super::super::time(sighting.first), Some(at));
    }
}

#[test]
fn a_newer_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("r.sqlite3");
    write(&path, 100, vec![]);
    downgrade(&path, "PRAGMA user_version = 4;");
    let error = Records::open(&path, |error| panic!("{error}")).unwrap_err();
    assert_eq!(error.kind(), RecordsErrorKind::Newer);
}

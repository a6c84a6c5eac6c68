use image_syncer_sync::sqlite_file::FileErrorKind;
use rusqlite::Connection;

use crate::service::history::queue::Batch;
use crate::service::history::tests::{Fixture, PATIENCE, copied, listed, queued};
use crate::service::history::update::{RunUpdate, Update};
use crate::service::history::writer::HistoryWriter;
use crate::service::history::{History, HistoryError, HistoryFile, RunFilter, file};
use crate::service::observer::RunObserver as _;
use crate::service::run::RunState;

#[tokio::test]
async fn what_a_killed_process_left_behind_is_interrupted() {
    let fixture = Fixture::new();
    let mut running = queued("nightly", 1);
    running.state = RunState::Running;
    running.started = Some(running.requested);
    fixture.history.changed(&running);
    let waiting = queued("nightly", 2);
    fixture.history.changed(&waiting);
    let ended = fixture.run(queued("other", 3), []);
    fixture.history.flush().await;
    // The files of a killed process: it did not close them.
    let copy = tempfile::tempdir().unwrap();
    for name in ["history.sqlite3", "history.sqlite3-wal"] {
        let from = fixture.directory.path().join(name);
        std::fs::copy(from, copy.path().join(name)).unwrap();
    }
    let path = copy.path().join("history.sqlite3");
    let history = History::open(&path, |_| {}).unwrap();
    let limit = 10;
    let filter = RunFilter {
        limit,
        ..RunFilter::default()
    };
    let runs = history.runs(filter).await.unwrap();
    let states: Vec<_> = runs.iter().map(|run| (run.id, run.state)).collect();
    assert_eq!(
        states,
        [
            (ended.id, RunState::Succeeded),
            (waiting.id, RunState::Interrupted),
            (running.id, RunState::Interrupted),
        ]
    );
    assert_eq!(runs[0].ended, ended.ended);
    assert!(runs[2].ended > runs[2].started);
}

#[tokio::test]
async fn a_service_that_is_dropped_leaves_an_interrupted_run() {
    let fixture = Fixture::new();
    let run = queued("nightly", 1);
    fixture.history.changed(&run);
    let Fixture {
        directory, history, ..
    } = fixture;
    history.close(PATIENCE).unwrap();
    drop(history);
    let history = History::open(&directory.path().join("history.sqlite3"), |_| {}).unwrap();
    let found = history.run(run.id).await.unwrap().unwrap();
    assert_eq!(found.state, RunState::Interrupted);
}

#[tokio::test]
async fn a_second_service_is_refused_and_a_reader_is_not() {
    let fixture = Fixture::new();
    let error = History::open(&fixture.path(), |_| {}).err().unwrap();
    assert_eq!(error.kind(), FileErrorKind::Locked);
    let path = fixture.path();
    let message = format!(
        "history file {}: another image-syncer serve uses it: stop that one, or give this one another directory with \
         --state",
        path.display()
    );
    assert_eq!(error.to_string(), message);
    let file = fixture.file();
    let run = fixture.run(queued("nightly", 1), listed(vec![copied("app:v1", 1)]));
    fixture.history.flush().await;
    assert_eq!(file.newest_run().unwrap(), Some(run.id));
}

#[test]
fn files_that_are_no_history_of_this_version_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.sqlite3");
    let open = || History::open(&path, |_| {}).err().unwrap();
    let missing = HistoryFile::open(&path).err().unwrap();
    assert_eq!(missing.kind(), FileErrorKind::Missing);
    std::fs::write(&path, "these are no rows at all".repeat(100)).unwrap();
    assert_eq!(open().kind(), FileErrorKind::Damaged);
    std::fs::remove_file(&path).unwrap();
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("CREATE TABLE a (b)").unwrap();
    assert_eq!(open().kind(), FileErrorKind::Foreign);
    drop(connection);
    std::fs::remove_file(&path).unwrap();
    History::open(&path, |_| {})
        .unwrap()
        .close(PATIENCE)
        .unwrap();
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    let error = open();
    assert_eq!(error.kind(), FileErrorKind::Newer);
    let message =
        "a newer image-syncer wrote it (schema 99; this version knows 2): use that version";
    assert!(error.to_string().contains(message), "{error}");
}

#[tokio::test]
async fn a_file_of_the_first_version_gets_the_table_that_it_lacks() {
    let fixture = Fixture::new();
    let run = fixture.run(queued("nightly", 1), listed(vec![copied("app:v1", 1)]));
    fixture.history.close(PATIENCE).unwrap();
    let connection = Connection::open(fixture.path()).unwrap();
    connection
        .execute_batch("DROP TABLE throughputs; PRAGMA user_version = 1")
        .unwrap();
    // A command reads it as it is.
    assert_eq!(fixture.file().newest_run().unwrap(), Some(run.id));
    let Fixture {
        directory, history, ..
    } = fixture;
    drop(history);
    let history = History::open(&directory.path().join("history.sqlite3"), |_| {}).unwrap();
    assert_eq!(history.run(run.id).await.unwrap().as_ref(), Some(&run));
    assert_eq!(history.throughput(run.id).await.unwrap(), []);
    let version: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 2);
}

#[tokio::test]
async fn a_fault_is_reported_once_and_what_waits_is_written_later() {
    let fixture = Fixture::new();
    let ready = fixture.run(queued("nightly", 1), []);
    fixture.history.flush().await;
    let other = Connection::open(fixture.path()).unwrap();
    let trigger =
        "CREATE TRIGGER fault BEFORE INSERT ON images BEGIN SELECT raise(ABORT, 'fault'); END";
    other.execute_batch(trigger).unwrap();
    let run = fixture.run(queued("nightly", 2), listed(vec![copied("app:v1", 1)]));
    fixture.history.flush().await;
    let further = fixture.run(queued("nightly", 3), []);
    fixture.history.flush().await;
    assert_eq!(fixture.reported.lock().unwrap().len(), 1);
    // The request of the second run may have been written before its image.
    let newest = fixture.file().newest_run().unwrap();
    assert!(
        newest == Some(ready.id) || newest == Some(run.id),
        "{newest:?}"
    );
    // What waits is known all the same.
    let known = fixture.history.run(run.id).await.unwrap();
    assert_eq!(known.as_ref(), Some(&run));
    other.execute_batch("DROP TRIGGER fault").unwrap();
    fixture.history.close(PATIENCE).unwrap();
    assert_eq!(fixture.file().newest_run().unwrap(), Some(further.id));
    assert_eq!(fixture.number("SELECT count(*) FROM images"), 1);
    assert_eq!(fixture.reported.lock().unwrap().len(), 1);
}

#[test]
fn a_batch_that_a_full_disk_refused_can_be_written_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.sqlite3");
    let connection = file::open(&path).unwrap();
    let limit = |connection: &Connection, pages: i64| {
        let set = connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()));
        set.unwrap();
    };
    limit(&connection, 60);
    let mut writer = HistoryWriter::over(connection);
    let run = queued("nightly", 1);
    let images = (0..2_000).map(|number| copied(&format!("app:v{number}"), number));
    let events = listed(images.collect());
    let events = events.iter().filter_map(RunUpdate::from_event);
    let mut batch = Batch::default();
    batch.runs.insert(run.id, run.clone());
    let updates = events.map(|event| Update::Event(run.id, event));
    batch.updates.extend(updates);
    let error = HistoryError::new(&path, writer.write(&batch).unwrap_err());
    assert_eq!(error.kind(), FileErrorKind::Full);
    let start = format!("history file {}: the disk is full (", path.display());
    assert!(error.to_string().starts_with(&start), "{error}");
    let file = HistoryFile::open(&path).unwrap();
    assert_eq!(file.newest_run().unwrap(), None);
    limit(&writer.connection, 1_000_000);
    writer.write(&batch).unwrap();
    assert_eq!(file.newest_run().unwrap(), Some(run.id));
    let totals = "SELECT images, tags FROM totals";
    let totals = file
        .connection
        .query_row(totals, (), |row| Ok((row.get(0)?, row.get(1)?)));
    assert_eq!(totals, Ok((2_000, 2_000)));
}

#[test]
fn a_state_directory_that_is_a_file_is_named_with_the_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    std::fs::write(&state, "").unwrap();
    let path = state.join("history.sqlite3");
    let error = History::open(&path, |_| {}).err().unwrap();
    assert_eq!(
        error.to_string(),
        format!(
            "history file {}: it cannot be opened or written (a part of its path is no directory): name a directory \
             that exists and may be written to with --state",
            path.display()
        )
    );
}

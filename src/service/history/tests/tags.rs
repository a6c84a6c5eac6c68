use image_syncer_registry::Cause;
use image_syncer_sync::Event;
use image_syncer_sync::event::Change;

use crate::service::history::queries;
use crate::service::history::queue::Batch;
use crate::service::history::tests::{
    Fixture, copied, digest, failed, listed, planned, queued, rule_id, unchanged,
};
use crate::service::history::update::{RunUpdate, Update};
use crate::service::history::writer::HistoryWriter;
use crate::service::history::{
    HistoryFile, ImageFilter, TagCursor, TagQuery, TagRecord, TagState, file,
};
use crate::service::run::{RunPurpose, RunState, Scope};

const V1: &str = "b.example/mirror/app:v1";

impl Fixture {
    /// Returns the tag at this destination.
    async fn tag(&self, destination: &str) -> Option<TagRecord> {
        self.history.flush().await;
        let query = TagQuery::Destination(destination.into());
        self.history.tags(query).await.unwrap().pop()
    }
}

#[tokio::test]
async fn a_tag_has_its_digest_since_the_run_that_copied_it() {
    let fixture = Fixture::new();
    let first = fixture.run(queued("nightly", 1), listed(vec![copied("app:v1", 1)]));
    let tag = fixture.tag(V1).await.unwrap();
    assert_eq!((tag.run, tag.copied), (first.id, true));
    assert_eq!((tag.state, &*tag.rule), (TagState::Same, "nightly"));
    assert_eq!(tag.source, "a.example/app:v1");
    assert_eq!(
        (&tag.digest, &tag.expected),
        (&Some(digest(1)), &Some(digest(1)))
    );
    fixture.run(queued("nightly", 2), listed(vec![unchanged("app:v1", 1)]));
    let again = fixture.tag(V1).await.unwrap();
    assert_eq!(
        (again.run, again.at, again.since),
        (first.id, tag.at, tag.since)
    );
    let third = fixture.run(queued("nightly", 3), listed(vec![copied("app:v1", 2)]));
    let moved = fixture.tag(V1).await.unwrap();
    assert_eq!((moved.run, moved.digest), (third.id, Some(digest(2))));
    assert!(moved.at > tag.at);
    for query in [
        TagQuery::Destination(V1.into()),
        TagQuery::Source("a.example/app:v1".into()),
        TagQuery::Digest(digest(1)),
    ] {
        let past = fixture.history.past_tags(query.clone()).await.unwrap();
        assert_eq!(past.len(), 1, "{query:?}");
        assert_eq!((&*past[0].destination, &past[0].digest), (V1, &digest(1)));
        assert_eq!((past[0].run, past[0].copied), (first.id, true));
        assert_eq!((past[0].at, past[0].until), (tag.at, moved.at));
    }
    let find = async |number| {
        let query = TagQuery::Digest(digest(number));
        fixture.history.tags(query).await.unwrap().len()
    };
    assert_eq!((find(1).await, find(2).await), (0, 1));
    let source = TagQuery::Source("a.example/app:v1".into());
    assert_eq!(fixture.history.tags(source).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_comparison_says_what_is_missing_moved_or_incomplete() {
    let fixture = Fixture::new();
    let mut check = queued("nightly", 1);
    check.purpose = RunPurpose::Check;
    let from = digest(20);
    let images = listed(vec![
        planned("app:new", 1, Change::New),
        planned("app:moved", 2, Change::Moved { from }),
        planned("app:signed", 3, Change::Referrers),
        planned("app:forced", 4, Change::Again(Vec::new())),
        failed("app:failed", Cause::ServerError, "b.example"),
        failed("app:other", Cause::TagConflict, ""),
        unchanged("app:same", 5),
    ]);
    fixture.run(check, images);
    let expected = [
        ("new", TagState::Missing, Some(1), None),
        ("moved", TagState::Moved, Some(2), Some(20)),
        ("signed", TagState::Incomplete, Some(3), Some(3)),
        ("forced", TagState::Same, Some(4), Some(4)),
        ("failed", TagState::Failed, None, None),
        ("same", TagState::Same, Some(5), Some(5)),
    ];
    for (tag, state, at_source, at_destination) in expected {
        let found = fixture.tag(&format!("b.example/mirror/app:{tag}")).await;
        let found = found.unwrap();
        assert_eq!(found.state, state, "{tag}");
        assert_eq!(found.expected, at_source.map(digest), "{tag}");
        assert_eq!(found.digest, at_destination.map(digest), "{tag}");
        assert!(!found.copied);
    }
    assert_eq!(fixture.tag("b.example/mirror/app:other").await, None);
    let counts = fixture.history.difference_counts().await.unwrap();
    assert_eq!(counts.len(), 1);
    assert_eq!((&*counts[0].rule, counts[0].counts.same), ("nightly", 2));
    assert_eq!(counts[0].counts.different(), 4);
    let repositories = fixture
        .history
        .repositories("nightly".into())
        .await
        .unwrap();
    assert_eq!(repositories[0].repository, "a.example/app");
    assert_eq!(repositories[0].counts, counts[0].counts);
    let page = fixture.history.differences("nightly".into(), None, 3);
    let page = page.await.unwrap();
    let tags: Vec<&str> = page.tags.iter().map(|tag| tag.source.as_str()).collect();
    let names = [
        "a.example/app:failed",
        "a.example/app:moved",
        "a.example/app:new",
    ];
    assert_eq!(tags, names);
    let next: TagCursor = String::from(page.next.unwrap()).parse().unwrap();
    let page = fixture.history.differences("nightly".into(), Some(next), 3);
    let page = page.await.unwrap();
    assert_eq!(page.tags[0].source, "a.example/app:signed");
    assert_eq!((page.tags.len(), page.next), (1, None));
}

#[tokio::test]
async fn a_tag_that_a_whole_run_did_not_see_is_extra() {
    let fixture = Fixture::new();
    let images = || vec![copied("app:v1", 1), copied("app:v2", 2)];
    fixture.run(queued("nightly", 1), listed(images()));
    // None of these compared all tags of the rule.
    let mut part = queued("nightly", 2);
    part.scope = Scope {
        tags: vec!["v2".into()],
        ..Scope::default()
    };
    fixture.run(part, listed(vec![unchanged("app:v2", 2)]));
    fixture.run(queued("nightly", 3), []);
    let mut unfinished = listed(images());
    unfinished.pop();
    fixture.run(queued("nightly", 4), unfinished);
    let mut failed_list = listed(vec![]);
    failed_list.push(Event::RepositoryFailed {
        rule: rule_id(),
        repository: "a.example/app".into(),
        failure: image_syncer_sync::Failure::local("cannot list"),
    });
    fixture.run(queued("nightly", 5), failed_list);
    assert_eq!(fixture.tag(V1).await.unwrap().state, TagState::Same);
    let whole = fixture.run(queued("nightly", 6), listed(vec![unchanged("app:v2", 2)]));
    let tag = fixture.tag(V1).await.unwrap();
    assert_eq!((tag.state, tag.expected), (TagState::Extra, None));
    assert_eq!(
        (tag.digest, tag.since),
        (Some(digest(1)), whole.ended.unwrap())
    );
    let counts = fixture.history.difference_counts().await.unwrap();
    assert_eq!((counts[0].counts.same, counts[0].counts.extra), (1, 1));
    assert_eq!(counts[0].checked, whole.ended);
    fixture.run(queued("nightly", 7), listed(vec![unchanged("app:v1", 1)]));
    let tag = fixture.tag(V1).await.unwrap();
    assert_eq!((tag.state, tag.copied), (TagState::Same, true));
}

#[tokio::test]
async fn a_missing_tag_that_its_source_loses_is_forgotten() {
    let fixture = Fixture::new();
    let images = vec![planned("app:v1", 1, Change::New)];
    fixture.run(queued("nightly", 1), listed(images));
    assert_eq!(fixture.tag(V1).await.unwrap().state, TagState::Missing);
    fixture.run(queued("nightly", 2), listed(vec![]));
    assert_eq!(fixture.tag(V1).await, None);
    assert_eq!(fixture.number("SELECT tags FROM totals"), 0);
    assert_eq!(fixture.history.difference_counts().await.unwrap(), []);
}

#[tokio::test]
async fn tags_of_a_repository_are_listed_in_pages() {
    let fixture = Fixture::new();
    let images = (0..25).map(|number| copied(&format!("app:v{number:02}"), number));
    let mut images: Vec<Event> = images.collect();
    images.push(copied("app2:v1", 30));
    fixture.run(queued("nightly", 1), listed(images));
    fixture.history.flush().await;
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let repository = "a.example/app".to_owned();
        let page = fixture.history.repository_tags(repository, after, 10);
        let page = page.await.unwrap();
        found.extend(page.tags.into_iter().map(|tag| tag.source));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let expected = (0..25).map(|number| format!("a.example/app:v{number:02}"));
    assert_eq!(found, expected.collect::<Vec<_>>());
}

#[test]
fn unchanged_images_write_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let connection = file::open(&directory.path().join("h.sqlite3")).unwrap();
    let mut writer = HistoryWriter::over(connection);
    let mut write = |number| {
        let mut run = queued("nightly", number);
        run.state = RunState::Running;
        let images = (0..1_000).map(|number| unchanged(&format!("app:v{number}"), number));
        let events = listed(images.collect());
        let events = events.iter().filter_map(RunUpdate::from_event);
        let mut batch = Batch::default();
        let updates = events.map(|event| Update::Event(run.id, event));
        batch.updates.extend(updates);
        batch.runs.insert(run.id, run.clone());
        let before = writer.connection.total_changes();
        writer.write(&batch).unwrap();
        run.state = RunState::Succeeded;
        let mut end = Batch::default();
        end.runs.insert(run.id, run);
        writer.write(&end).unwrap();
        writer.connection.total_changes() - before
    };
    assert!(write(1) > 1_000);
    // The state of the run, twice, its numbers, and the time of the comparison.
    assert_eq!(write(2), 4);
}

#[test]
fn a_run_that_lost_events_says_so_and_marks_no_tag_as_extra() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("h.sqlite3");
    let mut writer = HistoryWriter::over(file::open(&path).unwrap());
    let mut write = |number, images: Vec<Event>, lost| {
        let mut run = queued("nightly", number);
        run.state = RunState::Succeeded;
        let events = listed(images);
        let events = events.iter().filter_map(RunUpdate::from_event);
        let mut batch = Batch::default();
        let updates = events.map(|event| Update::Event(run.id, event));
        batch.updates.extend(updates);
        batch.lost.insert(run.id, lost);
        batch.runs.insert(run.id, run.clone());
        writer.write(&batch).unwrap();
        run.id
    };
    write(1, vec![copied("app:v1", 1)], 0);
    let id = write(2, vec![copied("app:v2", 2)], 1);
    let reading = HistoryFile::open(&path).unwrap();
    let filter = ImageFilter {
        limit: 10,
        ..ImageFilter::default()
    };
    let page = queries::images(&reading.connection, id, &filter).unwrap();
    assert_eq!((page.lost, page.images.len()), (1, 1));
    let tags = reading.tags(&TagQuery::Destination(V1.into())).unwrap();
    assert_eq!(tags[0].state, TagState::Same);
}

use image_syncer_registry::Cause;
use image_syncer_sync::{Event, Failure, Outcome};

use crate::service::history::tests::{
    Fixture, PATIENCE, copied, digest, ended, failed, listed, queued, rule_id, unchanged,
};
use crate::service::history::{History, ImageFilter, ImageOutcome, RunFilter};
use crate::service::observer::RunObserver as _;
use crate::service::run::{Cause as RunCause, RunPurpose, RunState, Scope};
use crate::service::schedule::LastStart;

#[tokio::test]
async fn a_run_has_its_last_state_and_the_images_that_were_not_unchanged() {
    let fixture = Fixture::new();
    let images = listed(vec![
        copied("app:v1", 1),
        unchanged("app:v2", 2),
        ended(
            "app:v3",
            Outcome::Skipped {
                why: "no platform matches".into(),
            },
        ),
        failed("app:v4", Cause::NoPushRight, "b.example"),
    ]);
    let run = fixture.run(queued("nightly", 1), images);
    fixture.history.flush().await;
    assert_eq!(
        fixture.history.run(run.id).await.unwrap(),
        Some(run.clone())
    );
    let page = fixture.history.images(run.id, ImageFilter::default());
    let page = page.await.unwrap();
    assert_eq!(page.images.len(), 1, "the limit is at least 1");
    assert_eq!(page.next, Some(0));
    let all = ImageFilter {
        limit: 100,
        ..ImageFilter::default()
    };
    let page = fixture.history.images(run.id, all.clone()).await.unwrap();
    let found: Vec<_> = page
        .images
        .iter()
        .map(|image| (image.number, &*image.source, image.outcome, image.bytes))
        .collect();
    assert_eq!(
        found,
        [
            (0, "a.example/app:v1", ImageOutcome::Copied, 1_000),
            (1, "a.example/app:v3", ImageOutcome::Skipped, 0),
            (2, "a.example/app:v4", ImageOutcome::Failed, 0),
        ]
    );
    assert_eq!(page.next, None);
    let first = &page.images[0];
    let destination = Some("b.example/mirror/app:v1");
    assert_eq!(first.destination.as_deref(), destination);
    assert_eq!(first.digest, Some(digest(1)));
    assert_eq!(first.elapsed_ms, 250);
    assert_eq!(
        page.images[1].reason.as_deref(),
        Some("no platform matches")
    );
    let groups = fixture.history.failures(run.id).await.unwrap();
    assert_eq!(groups.len(), 1);
    let key = &groups[0].key;
    assert_eq!(
        (&*key.side, &*key.cause, &*key.host, groups[0].count),
        ("local", "no-push-right", "b.example", 1)
    );
    assert!(groups[0].hint.as_deref().unwrap().contains("push"));
    assert_eq!(groups[0].examples, page.images[2..]);
    assert_eq!(page.images[2].hint, groups[0].hint);
    assert_eq!(page.images[2].failure.as_ref(), Some(key));
}

#[tokio::test]
async fn runs_are_found_by_rule_and_state() {
    let fixture = Fixture::new();
    let mut runs = Vec::new();
    for number in 0..6 {
        let rule = if number % 2 == 0 { "even" } else { "odd" };
        runs.push(fixture.run(queued(rule, number), []));
    }
    let waiting = queued("odd", 7);
    fixture.history.flush().await;
    fixture.history.changed(&waiting);
    runs.push(waiting.clone());
    runs.reverse();
    fixture.history.flush().await;
    let find = async |rules: &[&str], state, limit| {
        let filter = RunFilter {
            rules: rules.iter().map(|rule| (*rule).into()).collect(),
            state,
            before: None,
            limit,
        };
        fixture.history.runs(filter).await.unwrap()
    };
    assert_eq!(find(&[], None, 100).await, runs);
    assert_eq!(find(&[], Some(RunState::Queued), 100).await, runs[..1]);
    let odd: Vec<_> = runs
        .iter()
        .filter(|run| &*run.rule == "odd")
        .cloned()
        .collect();
    assert_eq!(find(&["odd"], None, 100).await, odd);
    assert_eq!(find(&["odd"], None, 2).await, odd[..2]);
    assert_eq!(
        find(&["odd"], Some(RunState::Succeeded), 100).await,
        odd[1..]
    );
    assert_eq!(find(&["odd", "even", "other"], None, 100).await, runs);
    let strip = fixture.history.last_runs(2).await.unwrap();
    assert_eq!(strip["odd"], odd[..2]);
    assert_eq!(strip.len(), 2);
    assert_eq!(fixture.file().newest_run().unwrap(), Some(waiting.id));
    assert_eq!(
        fixture.file().last_successes().unwrap()["odd"],
        odd[1].ended.unwrap()
    );
    assert!(fixture.reported.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_list_that_failed_counts_as_a_failure_of_its_repository_or_rule() {
    let fixture = Fixture::new();
    let mut events = listed(vec![]);
    let failure = |cause| Failure {
        cause,
        host: "a.example".into(),
        ..Failure::local("cannot list: refused")
    };
    events.push(Event::RepositoryFailed {
        rule: rule_id(),
        repository: "a.example/team/app".into(),
        failure: failure(Cause::NoPullRight),
    });
    events.push(Event::RuleFailed {
        rule: rule_id(),
        failure: failure(Cause::LoginRefused),
    });
    let run = fixture.run(queued("nightly", 1), events);
    fixture.history.flush().await;
    let filter = ImageFilter {
        outcome: Some(ImageOutcome::Failed),
        limit: 10,
        ..ImageFilter::default()
    };
    let page = fixture.history.images(run.id, filter).await.unwrap();
    let found: Vec<_> = page
        .images
        .iter()
        .map(|image| (&*image.source, image.destination.as_deref()))
        .collect();
    assert_eq!(
        found,
        [("a.example/team/app", None), ("a.example/team/*", None)]
    );
    assert_eq!(fixture.history.failures(run.id).await.unwrap().len(), 2);
}

#[tokio::test]
async fn the_schedule_goes_on_from_the_last_start_of_a_whole_rule() {
    let fixture = Fixture::new();
    let whole = fixture.run(queued("hourly", 1), []);
    let mut check = queued("hourly", 2);
    check.purpose = RunPurpose::Check;
    fixture.run(check, []);
    let mut part = queued("hourly", 3);
    part.scope = Scope {
        tags: vec!["v1".into()],
        ..Scope::default()
    };
    let part = fixture.run(part, []);
    // It never started.
    let mut cancelled = queued("hourly", 4);
    fixture.history.changed(&cancelled);
    cancelled.state = RunState::Cancelled;
    fixture.history.changed(&cancelled);
    let mut interrupted = fixture.run(queued("daily", 5), []);
    interrupted.state = RunState::Interrupted;
    fixture.history.changed(&interrupted);
    fixture.history.flush().await;
    let starts = fixture.file().last_starts().unwrap();
    assert_eq!(starts.len(), 2);
    assert_eq!(starts["hourly"], LastStart::At(whole.started.unwrap()));
    let start = LastStart::Interrupted(interrupted.started.unwrap());
    assert_eq!(starts["daily"], start);
    let found = fixture.history.run(part.id).await.unwrap().unwrap();
    assert_eq!(found.scope.tags, ["v1"]);
}

#[tokio::test]
async fn what_is_merged_with_a_run_that_waits_is_kept() {
    let fixture = Fixture::new();
    let mut run = queued("hourly", 1);
    run.cause = RunCause::Api;
    run.scope.tags = vec!["v1".into()];
    fixture.history.changed(&run);
    fixture.history.flush().await;
    run.cause = RunCause::Schedule;
    run.scope = Scope::default();
    fixture.history.changed(&run);
    let run = fixture.run(run, []);
    fixture.history.flush().await;
    let found = fixture.history.run(run.id).await.unwrap().unwrap();
    assert_eq!(
        (found.cause, found.scope),
        (RunCause::Schedule, Scope::default())
    );
    // It is a start of the whole rule.
    assert_eq!(fixture.file().last_starts().unwrap().len(), 1);
}

#[tokio::test]
async fn a_search_finds_parts_of_references_without_regard_to_case() {
    let fixture = Fixture::new();
    let images = listed(vec![
        copied("team/app:v1", 1),
        copied("team/Web:RC1", 2),
        copied("other/app:rc1", 3),
    ]);
    let run = fixture.run(queued("nightly", 1), images);
    fixture.history.flush().await;
    let find = async |text: &str| {
        let filter = ImageFilter {
            text: Some(text.into()),
            limit: 10,
            ..ImageFilter::default()
        };
        let page = fixture.history.images(run.id, filter).await.unwrap();
        assert_eq!(page.next, None);
        page.images
            .iter()
            .map(|image| image.number)
            .collect::<Vec<_>>()
    };
    assert_eq!(find("rc1").await, [1, 2]);
    assert_eq!(find("MIRROR/team").await, [0, 1]);
    assert_eq!(find("app:v").await, [0]);
    assert_eq!(find("%").await, [0; 0]);
}

#[tokio::test]
async fn a_run_that_is_followed_again_has_its_images_once() {
    let fixture = Fixture::new();
    let mut run = queued("all", 1);
    run.state = RunState::Running;
    fixture.history.changed(&run);
    for event in listed(vec![copied("app:v1", 1), copied("app:v2", 2)]) {
        fixture.history.event(run.id, &event);
    }
    fixture.history.flush().await;
    assert_eq!(fixture.number("SELECT count(*) FROM images"), 2);
    // As after a restart: the run is interrupted for the file, and goes on at other replicas.
    fixture.history.close(PATIENCE).unwrap();
    let path = fixture.path();
    let history = History::open(&path, |_| {}).unwrap();
    history.changed(&run);
    let images = vec![
        copied("app:v1", 1),
        copied("app:v2", 2),
        copied("app:v3", 3),
    ];
    for event in listed(images) {
        history.event(run.id, &event);
    }
    history.flush().await;
    assert_eq!(fixture.number("SELECT count(*) FROM images"), 3);
    assert_eq!(fixture.number("SELECT kept FROM runs"), 3);
    assert_eq!(fixture.number("SELECT images FROM totals"), 3);
}

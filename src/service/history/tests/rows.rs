use image_syncer_registry::Cause;
use image_syncer_sync::Outcome;

use crate::service::history::tests::{
    Fixture, at, copied, digest, ended, failed, listed, queued, unchanged,
};
use crate::service::history::{ImageFilter, ImageOutcome, RunFilter};
use crate::service::run::RunState;

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
    crate::service::observer::RunObserver::changed(&fixture.history, &waiting);
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
    assert_eq!(at(0), jiff::Timestamp::UNIX_EPOCH);
}

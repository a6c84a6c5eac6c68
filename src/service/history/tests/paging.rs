use image_syncer_registry::Cause;
use image_syncer_sync::Event;
use proptest::prelude::*;

use crate::service::history::tests::{Fixture, copied, failed, listed, queued};
use crate::service::history::{ImageFilter, ImageOutcome, RunFilter};
use crate::service::run::{Run, RunState};

/// Reads all pages of runs.
async fn read_runs(
    fixture: &Fixture,
    rules: &[&str],
    state: Option<RunState>,
    limit: usize,
) -> Vec<Run> {
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let filter = RunFilter {
            rules: rules.iter().map(|rule| (*rule).into()).collect(),
            state,
            before,
            limit,
        };
        let page = fixture.history.runs(filter).await.unwrap();
        assert!(page.len() <= limit);
        before = page.last().map(|run| run.id);
        if page.is_empty() {
            return found;
        }
        found.extend(page);
    }
}

/// Reads all pages of the numbers of images.
async fn read_images(
    fixture: &Fixture,
    run: &Run,
    outcome: Option<ImageOutcome>,
    text: Option<&str>,
    limit: usize,
) -> Vec<i64> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let filter = ImageFilter {
            outcome,
            text: text.map(str::to_owned),
            after,
            limit,
        };
        let page = fixture.history.images(run.id, filter).await.unwrap();
        assert!(page.images.len() <= limit);
        found.extend(page.images.iter().map(|image| image.number));
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn pages_have_everything_once(
        runs in prop::collection::vec((0_usize..3, any::<bool>()), 0..40),
        images in prop::collection::vec((any::<bool>(), 0_u64..4), 0..60),
        limit in 1_usize..12,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let fixture = Fixture::new();
            let rules = ["a", "b", "c"];
            let mut model = Vec::new();
            for (number, (rule, waits)) in runs.iter().enumerate() {
                let run = queued(rules[*rule], i64::try_from(number).unwrap());
                if *waits {
                    use crate::service::observer::RunObserver as _;
                    fixture.history.changed(&run);
                    model.push(run);
                } else {
                    model.push(fixture.run(run, []));
                }
            }
            let events = images.iter().map(|(fails, name)| {
                let name = format!("app{name}:v1");
                if *fails { failed(&name, Cause::ServerError, "b.example") } else { copied(&name, 1) }
            });
            let events: Vec<Event> = listed(events.collect());
            let with_images = fixture.run(queued("d", 1_000), events);
            model.push(with_images.clone());
            model.reverse();
            fixture.history.flush().await;
            for state in [None, Some(RunState::Queued), Some(RunState::Succeeded)] {
                for selected in [&[][..], &["b"], &["a", "c"]] {
                    let expected = model.iter().filter(|run| {
                        state.is_none_or(|state| run.state == state)
                            && (selected.is_empty() || selected.contains(&&*run.rule))
                    });
                    let expected: Vec<Run> = expected.cloned().collect();
                    prop_assert_eq!(read_runs(&fixture, selected, state, limit).await, expected);
                }
            }
            for outcome in [None, Some(ImageOutcome::Failed), Some(ImageOutcome::Copied)] {
                for text in [None, Some("app2")] {
                    let numbered = images.iter().zip(0_i64..);
                    let expected = numbered.filter(|((fails, name), _)| {
                        let found = if *fails { ImageOutcome::Failed } else { ImageOutcome::Copied };
                        outcome.is_none_or(|outcome| outcome == found) && (text.is_none() || *name == 2)
                    });
                    let expected: Vec<i64> = expected.map(|(_, number)| number).collect();
                    let found = read_images(&fixture, &with_images, outcome, text, limit).await;
                    prop_assert_eq!(found, expected);
                }
            }
            Ok(())
        })?;
    }
}

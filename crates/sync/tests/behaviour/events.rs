//! Runs over stores, and their events.

use std::sync::{Arc, Mutex};

use image_syncer_sync::engine::{Engine, Stop};
use image_syncer_sync::event::Copied;
use image_syncer_sync::report::{Report, Summary};
use image_syncer_sync::rule::Rule;
use image_syncer_sync::store::RegistryStores;
use image_syncer_sync::{Event, Listener, Outcome};
use tokio_util::sync::CancellationToken;

use crate::settings::Settings;

/// Outcomes of a run, and its report.
#[derive(Default)]
pub(crate) struct RunEvents {
    report: Report,
    outcomes: Mutex<Vec<(String, String, Outcome)>>,
}

impl Listener for RunEvents {
    fn event(&self, event: &Event) {
        self.report.event(event);
        if let Event::ImageFinished { image, outcome, .. } = event {
            let (source, destination) = (image.source.to_string(), image.destination.to_string());
            let mut outcomes = self.outcomes.lock().unwrap();
            outcomes.push((source, destination, outcome.clone()));
        }
    }
}

impl RunEvents {
    pub(crate) fn summary(&self) -> Summary {
        self.report.summary()
    }
    /// Returns source, destination and outcome of each pair, in order.
    pub(crate) fn outcomes(&self) -> Vec<(String, String, Outcome)> {
        self.outcomes.lock().unwrap().clone()
    }
    pub(crate) fn copies(&self) -> Vec<Copied> {
        let copied = |(_, _, outcome)| match outcome {
            Outcome::Copied(copied) => Some(copied),
            _ => None,
        };
        self.outcomes().into_iter().filter_map(copied).collect()
    }
}

/// Runs `rules` to the end. Checks that every image has an outcome.
pub(crate) async fn run_events(
    stores: RegistryStores,
    rules: Vec<Arc<Rule>>,
    settings: Settings,
) -> Arc<RunEvents> {
    run_events_until(CancellationToken::new(), stores, rules, settings).await
}

/// Runs `rules` to the end, or until `stop`.
pub(crate) async fn run_events_until(
    stop: impl Into<Stop>,
    stores: RegistryStores,
    rules: Vec<Arc<Rule>>,
    settings: Settings,
) -> Arc<RunEvents> {
    let events = Arc::new(RunEvents::default());
    let engine = Engine::new(Arc::new(stores), settings.run(), events.clone());
    engine.run(settings.complete(rules), stop).await;
    assert!(events.summary().is_complete());
    events
}

//! Whole runs over in-memory stores, for the tests of all modules.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

pub(crate) use std::sync::Arc;
use std::sync::Mutex;

use image_syncer_registry::Manifest;
pub(crate) use image_syncer_registry::Repository;
pub(crate) use tokio_util::sync::CancellationToken;

pub(crate) use crate::engine::{Engine, Stop};
use crate::event::{Copied, Evidence};
pub(crate) use crate::event::{Event, Listener, Outcome};
pub(crate) use crate::lock::lock;
use crate::report::{Report, Summary};
use crate::rule::RuleError;
pub(crate) use crate::rule::{PlatformFilter, Rule};
pub(crate) use crate::settings::{Intent, Settings};
pub(crate) use crate::store::memory::MemoryStores;

/// Events of a run.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) events: Mutex<Vec<Event>>,
    report: Report,
}

impl Listener for Heard {
    fn event(&self, event: &Event) {
        self.report.event(event);
        lock(&self.events).push(event.clone());
    }
}

impl Heard {
    pub(crate) fn summary(&self) -> Summary {
        self.report.summary()
    }
    /// Each pair and its outcome, one per line, sorted.
    pub(crate) fn endings(&self) -> Vec<String> {
        let mut endings: Vec<String> = lock(&self.events)
            .iter()
            .filter_map(|event| match event {
                Event::ImageFinished { image, outcome, .. } => Some(format!(
                    "{} -> {}: {}",
                    image.source,
                    image.destination,
                    ending(outcome)
                )),
                _ => None,
            })
            .collect();
        endings.sort();
        endings
    }
    /// The only copy of the run.
    pub(crate) fn copied(&self) -> Copied {
        let events = lock(&self.events);
        let mut all = events.iter().filter_map(|event| match event {
            Event::ImageFinished {
                outcome: Outcome::Copied(copied),
                ..
            } => Some(copied.clone()),
            _ => None,
        });
        let copied = all.next().expect("nothing was copied");
        assert!(all.next().is_none(), "more than one was copied");
        copied
    }
}

fn ending(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Copied(copied) if !copied.losses.is_empty() => "repaired".to_owned(),
        Outcome::Copied(_) => "copied".to_owned(),
        Outcome::Unchanged { by, .. } => match by {
            Evidence::Verified => "verified".to_owned(),
            Evidence::Registry => "unchanged".to_owned(),
            Evidence::Records => "unchanged by record".to_owned(),
        },
        Outcome::Skipped { why } => format!("skipped, {why}"),
        Outcome::Planned(planned) => format!("planned, {:?}", planned.change),
        Outcome::Failed(failure) if failure.interrupted => "interrupted".to_owned(),
        Outcome::Failed(failure) => format!("failed, {}", failure.reason),
    }
}

pub(crate) fn settings() -> Settings {
    Settings {
        intent: Intent::Copy,
        platforms: Arc::default(),
        parts: crate::rule::Parts::default(),
        force: false,
        verify: false,
        immutable: Arc::default(),
        referrers: None,
        transfers: None,
        images: 4,
        records: None,
    }
}

pub(crate) fn only(arch: &str) -> Settings {
    let platforms = PlatformFilter::parse(&[], &[arch.to_owned()]).unwrap();
    Settings {
        platforms: Arc::new(platforms),
        ..settings()
    }
}

pub(crate) fn forced() -> Settings {
    Settings {
        force: true,
        ..settings()
    }
}

pub(crate) fn verifying() -> Settings {
    Settings {
        verify: true,
        ..settings()
    }
}

pub(crate) fn rule(source: &str, destinations: &[&str]) -> Arc<Rule> {
    let no_default = |_: &Repository| Err(RuleError("no default".to_owned()));
    Arc::new(Rule::parse(source, destinations, &no_default).unwrap())
}

/// Stores with a source and a destination, and the rules and settings of a run.
pub(crate) struct Scenario {
    pub(crate) stores: MemoryStores,
    pub(crate) source: Repository,
    /// The first destination of the rule.
    pub(crate) destination: Repository,
    pub(crate) rules: Vec<Arc<Rule>>,
    pub(crate) settings: Settings,
}

impl Scenario {
    /// Creates empty stores and a rule from the texts of a file.
    pub(crate) fn new(source: &str, destinations: &[&str]) -> Self {
        let rule = rule(source, destinations);
        Self {
            stores: MemoryStores::new(),
            source: rule.source.repository.clone(),
            destination: rule.destinations[0].repository.clone(),
            rules: vec![rule],
            settings: settings(),
        }
    }
    /// Stores an image for linux/amd64 at the source, under `tags`.
    pub(crate) fn image(&self, name: &str, tags: &[&str], layers: &[&str]) -> Manifest {
        let image = self.stores.image(&self.source, name, "linux/amd64", layers);
        for tag in tags {
            self.stores.tag(&self.source, tag, &image);
        }
        image
    }
    /// Runs the rules to the end.
    pub(crate) async fn run(&self) -> Arc<Heard> {
        self.run_with(self.settings.clone()).await
    }
    /// Runs the rules to the end with other settings.
    pub(crate) async fn run_with(&self, settings: Settings) -> Arc<Heard> {
        run(&self.stores, settings, &self.rules).await
    }
}

/// Runs `rules` to the end.
pub(crate) async fn run(
    stores: &MemoryStores,
    settings: Settings,
    rules: &[Arc<Rule>],
) -> Arc<Heard> {
    let heard = Arc::new(Heard::default());
    let engine = Engine::new(Arc::new(stores.clone()), settings, heard.clone());
    engine.run(rules.to_vec(), CancellationToken::new()).await;
    let summary = heard.summary();
    assert!(summary.is_complete(), "something was lost: {summary:?}");
    assert_eq!(engine.locks(), 0, "a lock was not released");
    heard
}

//! Events of a run, for assertions.

use std::sync::Mutex;

use image_syncer_registry::ErrorKind;

use crate::event::{Copied, Event, Evidence, Listener, Outcome};
use crate::failure::{Failure, Side};
use crate::lock::lock;
use crate::report::{Report, Summary};

/// Events of a run.
#[derive(Default)]
pub(crate) struct RunEvents {
    pub(crate) events: Mutex<Vec<Event>>,
    report: Report,
}

impl Listener for RunEvents {
    fn event(&self, event: &Event) {
        // Both have the events in the same order.
        let mut events = lock(&self.events);
        self.report.event(event);
        events.push(event.clone());
    }
}

impl RunEvents {
    pub(crate) fn summary(&self) -> Summary {
        self.report.summary()
    }
    /// Returns the summary of a process that reads the events as JSON.
    pub(crate) fn summary_elsewhere(&self) -> Summary {
        let report = Report::new();
        for event in &*lock(&self.events) {
            let json = serde_json::to_vec(event).unwrap();
            report.event(&serde_json::from_slice(&json).unwrap());
        }
        let json = serde_json::to_vec(&report.summary()).unwrap();
        serde_json::from_slice(&json).unwrap()
    }
    /// Returns each pair and its outcome, one per line, sorted.
    pub(crate) fn endings(&self) -> Vec<String> {
        let line = |(source, destination, outcome): (String, String, Outcome)| {
            format!("{source} -> {destination}: {}", ending(&outcome))
        };
        let mut endings: Vec<String> = self.outcomes().into_iter().map(line).collect();
        endings.sort();
        endings
    }
    /// Returns source, destination and outcome of each pair, in order.
    pub(crate) fn outcomes(&self) -> Vec<(String, String, Outcome)> {
        let finished = |event: &Event| match event {
            Event::ImageFinished { image, outcome, .. } => {
                let (source, destination) = (&image.source, &image.destination);
                Some((source.to_string(), destination.to_string(), outcome.clone()))
            }
            _ => None,
        };
        lock(&self.events).iter().filter_map(finished).collect()
    }
    /// Returns the destination and the volume of each copy, sorted.
    pub(crate) fn copies(&self) -> Vec<(String, Copied)> {
        let copy = |(_, destination, outcome)| match outcome {
            Outcome::Copied(copied) => Some((destination, copied)),
            _ => None,
        };
        let mut copies: Vec<_> = self.outcomes().into_iter().filter_map(copy).collect();
        copies.sort_by(|(a, _): &(String, _), (b, _)| a.cmp(b));
        copies
    }
    /// Returns the only copy of the run.
    pub(crate) fn copied(&self) -> Copied {
        let mut copies = self.copies();
        assert_eq!(copies.len(), 1, "{:?}", self.endings());
        copies.remove(0).1
    }
    /// Returns the numbers of manifests and blobs of the only copy.
    pub(crate) fn copied_counts(&self) -> (u64, u64) {
        let volume = self.copied().volume;
        (volume.manifests, volume.blobs)
    }
    /// Returns the only failure of the run.
    pub(crate) fn failure(&self) -> Failure {
        let mut failures = self.summary().failures;
        assert_eq!(failures.len(), 1, "{:?}", self.endings());
        failures.remove(0).failure
    }
    /// Returns side and kind of the only failure.
    pub(crate) fn failure_kind(&self) -> (Side, Option<ErrorKind>) {
        let failure = self.failure();
        (failure.side, failure.kind)
    }
    /// Returns the results of the rules' searches and the warnings, one per line, in order.
    pub(crate) fn rule_events(&self) -> Vec<String> {
        let line = |event: &Event| match event {
            Event::RuleDiscovered { images, empty, .. } => {
                let why = empty.as_deref().unwrap_or("-");
                Some(format!("discovered {images}, {why}"))
            }
            Event::TagsSelected { explanation, .. } => Some(format!("selected, {explanation}")),
            Event::RuleFailed { failure, .. } => Some(format!("failed, {failure}")),
            Event::RepositoriesListed {
                place,
                listed,
                ended,
                ..
            } => {
                let end = if *ended { ", ended" } else { "" };
                Some(format!("{place}: {listed} listed{end}"))
            }
            Event::RepositoryDiscovered {
                repository,
                images,
                empty,
                ..
            } => {
                let why = empty.as_deref().unwrap_or("-");
                Some(format!("{repository}: discovered {images}, {why}"))
            }
            Event::RepositoryFailed {
                repository,
                failure,
                ..
            } => Some(format!("{repository}: failed, {failure}")),
            Event::Warning { text } => Some(format!("warning, {text}")),
            _ => None,
        };
        lock(&self.events).iter().filter_map(line).collect()
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

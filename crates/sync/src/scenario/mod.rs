//! Whole runs over in-memory stores, for the tests of all modules.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod content;
mod events;
mod records;
mod settings;

pub(crate) use std::sync::Arc;

pub(crate) use crate::Repository;
use bytes::Bytes;
use image_syncer_registry::{Digest, Manifest};
pub(crate) use tokio_util::sync::CancellationToken;

pub(crate) use crate::engine::{Engine, Stop};
pub(crate) use crate::event::Outcome;
use crate::id::RuleId;
use crate::rule::{
    CopyOptions, DestinationTemplate, IfEmpty, PatternRule, RuleError, Selection, SourcePattern,
};
pub(crate) use crate::rule::{Referrers, Rule};
pub(crate) use crate::settings::Intent;
pub(crate) use crate::store::memory::MemoryStores;

pub(crate) use content::{companion_tag, digest_of, numbered};
pub(crate) use events::RunEvents;
use records::RecordsFile;
pub(crate) use settings::{
    Settings, forced, one_at_a_time, only, settings, verifying, with_intent, with_referrers,
};

/// Stores with a source and a destination, and the rules and settings of a run.
pub(crate) struct Scenario {
    pub(crate) stores: MemoryStores,
    pub(crate) source: Repository,
    /// The first destination of the rule.
    pub(crate) destination: Repository,
    pub(crate) rules: Vec<Arc<Rule>>,
    pub(crate) settings: Settings,
    records: Option<RecordsFile>,
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
            records: None,
        }
    }
    /// Returns the scenario with other settings.
    pub(crate) fn with_settings(self, settings: Settings) -> Self {
        Self { settings, ..self }
    }
    /// Returns the scenario with other rules.
    pub(crate) fn with_rules(self, rules: Vec<Arc<Rule>>) -> Self {
        Self { rules, ..self }
    }
    /// Returns the scenario with `count` tags in a page of a list.
    pub(crate) fn with_page(self, count: usize) -> Self {
        self.stores.behave(|behaviour| behaviour.page = count);
        self
    }

    /// Runs the rules to the end.
    pub(crate) async fn run(&self) -> Arc<RunEvents> {
        self.run_with(self.settings.clone()).await
    }
    /// Runs the rules to the end with other settings.
    pub(crate) async fn run_with(&self, settings: Settings) -> Arc<RunEvents> {
        self.run_rules(settings, &self.rules).await
    }
    /// Runs other rules to the end with other settings.
    pub(crate) async fn run_rules(
        &self,
        settings: Settings,
        rules: &[Arc<Rule>],
    ) -> Arc<RunEvents> {
        let run = self.prepare(settings, rules);
        run.finish(CancellationToken::new()).await
    }
    /// Returns a run of `rules` that has not started.
    pub(crate) fn prepare(&self, settings: Settings, rules: &[Arc<Rule>]) -> PreparedRun {
        let events = Arc::new(RunEvents::default());
        PreparedRun {
            rules: settings.complete(rules),
            engine: Engine::new(
                Arc::new(self.stores.clone()),
                settings.into(),
                events.clone(),
            ),
            events,
        }
    }

    /// Returns the number of calls that start with `prefix`.
    pub(crate) fn count(&self, prefix: &str) -> usize {
        self.stores.count(prefix)
    }
    /// Returns the calls that start with one of `prefixes`, in order.
    pub(crate) fn calls_with(&self, prefixes: &[&str]) -> Vec<String> {
        let mut calls = self.stores.calls();
        calls.retain(|call| prefixes.iter().any(|prefix| call.starts_with(prefix)));
        calls
    }
    /// Returns the digest under the tag at the destination.
    pub(crate) fn copied_digest(&self, tag: &str) -> Option<Digest> {
        self.stores.tagged(&self.destination, tag)
    }
    /// Returns the name of the manifest under the tag at the destination.
    pub(crate) fn copied_name(&self, tag: &str) -> Option<String> {
        let digest = self.copied_digest(tag)?;
        Some(self.stores.name(&digest))
    }
    /// Returns a manifest of the destination.
    pub(crate) fn copied_manifest(&self, digest: &Digest) -> Manifest {
        self.stores.manifest(&self.destination, digest).unwrap()
    }
    /// Returns the bytes of a blob of the destination.
    pub(crate) fn copied_blob(&self, digest: &Digest) -> Option<Bytes> {
        self.stores.blob_bytes(&self.destination, digest)
    }
    /// Returns true if the destination has the blob.
    pub(crate) fn has_copied_blob(&self, digest: &Digest) -> bool {
        self.copied_blob(digest).is_some()
    }
}

/// A run that starts with [`PreparedRun::finish`], so that a test can act meanwhile.
pub(crate) struct PreparedRun {
    pub(crate) engine: Engine,
    pub(crate) events: Arc<RunEvents>,
    rules: Vec<Arc<Rule>>,
}

impl PreparedRun {
    /// Runs to the end, or until `stop`. Checks that every image has an outcome, that no lock is left, and that another
    /// process could report the run.
    pub(crate) async fn finish(&self, stop: impl Into<Stop>) -> Arc<RunEvents> {
        self.engine.run(self.rules.clone(), stop).await;
        let summary = self.events.summary();
        assert!(summary.is_complete(), "something was lost: {summary:?}");
        assert_eq!(self.engine.locks(), 0, "a lock was not released");
        assert_eq!(self.events.summary_elsewhere(), summary);
        Arc::clone(&self.events)
    }
    /// Runs until `action` has ended, and cancels then.
    pub(crate) async fn cancel_after(&self, action: impl Future<Output = ()>) -> Arc<RunEvents> {
        let cancel = CancellationToken::new();
        let cancelling = async {
            action.await;
            cancel.cancel();
        };
        let (events, ()) = tokio::join!(self.finish(cancel.clone()), cancelling);
        events
    }
    /// Runs to the end while `action` runs.
    pub(crate) async fn finish_during(&self, action: impl Future<Output = ()>) -> Arc<RunEvents> {
        let (events, ()) = tokio::join!(self.finish(CancellationToken::new()), action);
        events
    }
}

/// Parses a rule from the texts of a file.
pub(crate) fn rule(source: &str, destinations: &[&str]) -> Arc<Rule> {
    let no_default = |_: &Repository| Err(RuleError("no default".to_owned()));
    Arc::new(Rule::parse(source, destinations, &no_default).unwrap())
}

/// Returns a rule that copies every tag of the repositories that `from` matches.
pub(crate) fn pattern(from: &[&str], to: &[&str]) -> PatternRule {
    let listed = from
        .iter()
        .flat_map(|text| SourcePattern::parse(text).unwrap().listed);
    let name = from.join(",");
    PatternRule {
        id: RuleId::new(&name, None),
        name: name.into(),
        location: None,
        from: listed.collect(),
        except: Vec::new(),
        select: Selection::All,
        destinations: to
            .iter()
            .map(|to| DestinationTemplate::parse(to).unwrap())
            .collect(),
        options: Arc::new(CopyOptions::default()),
        if_empty: IfEmpty::default(),
    }
}

/// Lets all tasks that can run do so, many times.
pub(crate) async fn let_tasks_run(times: usize) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

/// Lets other tasks run until `condition` holds.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

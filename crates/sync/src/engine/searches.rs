//! Searches of the images of rules, some at a time.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::discover::{DestinationTagIndex, Discovered, Discoverer, RuleSearch, SourceTags};
use crate::engine::source_progress::{CoveredReceiver, SourceProgress};
use crate::engine::{Engine, RULES};
use crate::event::{Event, Listener};
use crate::expand::PatternProgress;
use crate::failure::Failure;
use crate::rule::Rule;
use crate::span;

/// Searches of a run.
pub(super) struct Searches<'a> {
    discoverer: Arc<Discoverer>,
    destination_index: Arc<DestinationTagIndex>,
    source_tags: Arc<SourceTags>,
    sources: &'a SourceProgress,
    /// True if images are only reported: destinations are not listed, and leftover tags are unknown.
    lists_only: bool,
    listener: Arc<dyn Listener>,
    found: mpsc::Sender<Discovered>,
    cancel: CancellationToken,
    /// One permit for each search.
    slots: Arc<Semaphore>,
    running: JoinSet<()>,
    /// Number of rules that were started: the position of the next one.
    started: usize,
}

impl<'a> Searches<'a> {
    /// Returns the searches of a run. `rules` are those that name their repositories; rules of patterns may follow.
    pub(super) fn new(
        engine: &Engine,
        (rules, patterns_follow): (&[Arc<Rule>], bool),
        found: mpsc::Sender<Discovered>,
        sources: &'a SourceProgress,
        cancel: &CancellationToken,
    ) -> Self {
        let inventory = Arc::clone(engine.copier.inventory());
        let destination_index = DestinationTagIndex::new(&engine.stores, inventory)
            .with_listing(engine.copier.listing());
        let destination_index = Arc::new(destination_index);
        let source_tags = Arc::clone(engine.copier.source_tags());
        let discoverer = Discoverer::new(
            Arc::clone(&engine.listener),
            Arc::clone(&destination_index),
            Arc::clone(&source_tags),
            rules,
            patterns_follow,
        );
        // Tags of several rules may have the same names.
        let is_divisible = rules.len() == 1 && !patterns_follow;
        let divider = engine.tag_divider.clone().filter(|_| is_divisible);
        let discoverer = discoverer
            .with_ages(Arc::clone(engine.copier.tag_ages()))
            .with_divider(divider);
        Self {
            discoverer: Arc::new(discoverer),
            destination_index,
            source_tags,
            sources,
            lists_only: engine.lists_only,
            listener: Arc::clone(&engine.listener),
            found,
            cancel: cancel.clone(),
            slots: Arc::new(Semaphore::new(RULES)),
            running: JoinSet::new(),
            started: 0,
        }
    }

    /// Prepares lists for `rule`. All rules whose images may overlap should be added before the first of them starts.
    pub(super) fn add(&self, rule: &Rule) -> CoveredReceiver {
        self.source_tags.expect(rule, &self.cancel);
        if !self.lists_only {
            self.destination_index.add(rule);
        }
        self.sources.add_rule(&rule.source.repository)
    }

    /// Prepares a rule that names its repository, and reports the number of images that it names.
    pub(super) fn add_named(&self, rule: &Rule) -> CoveredReceiver {
        self.discoverer.announce(rule);
        self.add(rule)
    }

    /// Passes over the next rule, which another process carries out.
    pub(super) fn pass_over(&mut self) {
        self.discoverer.pass_over(self.started);
        self.started += 1;
    }

    /// Passes over the next rule, which is part of a pattern.
    pub(super) fn pass_over_part(&mut self, rule: &Arc<Rule>) {
        self.discoverer.add(self.started, rule);
        self.pass_over();
    }

    /// Prepares the next rule, which is part of a pattern.
    pub(super) fn add_part(&self, rule: &Arc<Rule>) -> CoveredReceiver {
        self.discoverer.add(self.started, rule);
        self.add(rule)
    }

    /// Starts the search of a rule that was added, once a slot is free. `pattern` is that of which the rule is a part.
    pub(super) async fn start(
        &mut self,
        rule: Arc<Rule>,
        covered: CoveredReceiver,
        pattern: Option<Arc<PatternProgress>>,
    ) {
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        while self.running.try_join_next().is_some() {}
        let span = span::rule(&rule);
        let search = SearchTask {
            discoverer: Arc::clone(&self.discoverer),
            listener: Arc::clone(&self.listener),
            lists_only: self.lists_only,
            rank: self.started,
            rule,
            pattern,
            found: self.found.clone(),
            covered,
            cancel: self.cancel.clone(),
        };
        self.started += 1;
        self.running.spawn(search.run(slot).instrument(span));
    }

    /// Waits for the end of all searches.
    pub(super) async fn finish(mut self) {
        drop(self.found);
        while self.running.join_next().await.is_some() {}
        self.destination_index.wait_for_lists().await;
    }
}

/// Search of one rule.
struct SearchTask {
    discoverer: Arc<Discoverer>,
    lists_only: bool,
    listener: Arc<dyn Listener>,
    rank: usize,
    rule: Arc<Rule>,
    pattern: Option<Arc<PatternProgress>>,
    found: mpsc::Sender<Discovered>,
    covered: CoveredReceiver,
    cancel: CancellationToken,
}

impl SearchTask {
    /// Sends the images of the rule. Releases `slot` before the wait for leftover tags.
    async fn run(self, slot: impl Send) {
        let source = &self.rule.source.repository;
        let search = self.discoverer.search(
            (self.rank, &self.rule),
            self.pattern.as_ref(),
            &self.found,
            &self.cancel,
        );
        let search = AssertUnwindSafe(search).catch_unwind().await;
        let searched = Discovered::Searched(source.clone());
        // Sending fails only while the run is torn down.
        let _ = self.found.send(searched).await;
        // Only now, so that searches of a stopped run, which end at once, do not gather before the queue.
        drop(slot);
        let ended = match search {
            Ok(search) => {
                let finish = AssertUnwindSafe(self.finish(search));
                finish.catch_unwind().await
            }
            Err(panic) => Err(panic),
        };
        if let Err(panic) = ended {
            self.fail(Failure::panicked(&*panic));
        }
        let _ = self.found.send(Discovered::Ended(source.clone())).await;
    }

    /// Reports the failure of the search itself.
    fn fail(&self, failure: Failure) {
        let rule = self.rule.id;
        match &self.pattern {
            Some(pattern) => {
                let repository = self.rule.source.repository.to_string();
                pattern.end_repository(&repository, Err(failure), true);
            }
            None => self.listener.event(&Event::RuleFailed { rule, failure }),
        }
    }

    /// Sends the leftover tags, after the end of all other images of the source.
    async fn finish(&self, mut search: RuleSearch<'_>) {
        if search.has_deferred_tags() && !self.lists_only {
            let mut covered = self.covered.clone();
            let covered = covered.wait_for(Option::is_some).await;
            let covered = covered.ok().and_then(|tags| tags.clone());
            if let Some(covered) = covered {
                search.send_leftovers(&covered).await;
            }
        }
        search.finish();
    }
}

//! The seam between the runs and everything that shows or keeps them: history, metrics, live events, notifications, log.

use std::sync::Arc;
use std::time::Duration;

use image_syncer_sync::Event;

use crate::service::rule_book::RuleBook;
use crate::service::run::{Run, RunId};
use crate::service::throughput::{Sample, Throughput};

/// Receives the states and events of all runs. Called from many tasks; must not block for long.
pub(crate) trait RunObserver: Send + Sync {
    /// A run was requested, started or ended; `run` has its new state. Called in the order of the states. All events of a
    /// run come before its end.
    fn changed(&self, _run: &Run) {}
    /// A person cancelled a run in progress. Its images in flight may go on for `grace`.
    fn cancelling(&self, _run: &Run, _grace: Duration) {}
    /// A run ended whose end another replica of the service reports to receivers of notifications.
    fn ended_elsewhere(&self, run: &Run) {
        self.changed(run);
    }
    /// An event of a run in progress.
    fn event(&self, _run: RunId, _event: &Event) {}
    /// The progress of a run, once a second while it is running.
    fn progress(&self, _run: &Run, _sample: &Sample) {}
    /// The throughput of a whole run, just before its end.
    fn record_throughput(&self, _run: RunId, _throughput: &Throughput) {}
    /// The rules were read, at the start and after each reload.
    fn rules(&self, _rules: &Arc<RuleBook>) {}
    /// The files were read again, or have mistakes. [`RunObserver::rules`] precedes it.
    fn reloaded(&self, _rules: Result<&Arc<RuleBook>, &str>) {}
}

/// Several observers as one.
#[derive(Clone, Default)]
pub(crate) struct RunObservers(Arc<[Arc<dyn RunObserver>]>);

impl RunObservers {
    /// Creates the observer that forwards to all of these, in their order.
    pub(crate) fn new(observers: impl IntoIterator<Item = Arc<dyn RunObserver>>) -> Self {
        Self(observers.into_iter().collect())
    }
}

impl RunObserver for RunObservers {
    fn changed(&self, run: &Run) {
        self.0.iter().for_each(|observer| observer.changed(run));
    }

    fn cancelling(&self, run: &Run, grace: Duration) {
        let observers = self.0.iter();
        observers.for_each(|observer| observer.cancelling(run, grace));
    }

    fn ended_elsewhere(&self, run: &Run) {
        let observers = self.0.iter();
        observers.for_each(|observer| observer.ended_elsewhere(run));
    }

    fn event(&self, run: RunId, event: &Event) {
        self.0
            .iter()
            .for_each(|observer| observer.event(run, event));
    }

    fn progress(&self, run: &Run, sample: &Sample) {
        self.0
            .iter()
            .for_each(|observer| observer.progress(run, sample));
    }

    fn record_throughput(&self, run: RunId, throughput: &Throughput) {
        self.0
            .iter()
            .for_each(|observer| observer.record_throughput(run, throughput));
    }

    fn rules(&self, rules: &Arc<RuleBook>) {
        self.0.iter().for_each(|observer| observer.rules(rules));
    }

    fn reloaded(&self, rules: Result<&Arc<RuleBook>, &str>) {
        self.0.iter().for_each(|observer| observer.reloaded(rules));
    }
}

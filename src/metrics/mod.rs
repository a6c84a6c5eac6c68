//! Metrics in the formats of Prometheus: for `/metrics` of the service, and for the file of `--metrics`.
//!
//! Labels are bounded: by name there are at most [`state::RULES`] rules and [`state::REGISTRIES`] registries, and all
//! others share the label `other`. No label has a repository or a tag. All series of a rule that a reload removes end.

mod collector;
mod file;
mod histogram;
mod observers;
mod process;
mod state;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard};

use image_syncer_sync::Session;
use jiff::Timestamp;
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

use crate::lock::lock;
use crate::service::schedule::Schedules;
use collector::Collector;
pub(crate) use file::MetricsFile;
use process::ProcessCollector;
use state::State;
pub(crate) use state::status_class;

/// Prefix of all names but those of the process.
const PREFIX: &str = "image_syncer";

/// `Content-Type` of [`Metrics::encode`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics of the process. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Metrics(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Source of the limits of registries.
    session: Mutex<Option<Session>>,
    /// Source of the times of the next runs.
    schedules: Mutex<Option<Schedules>>,
}

impl Metrics {
    /// Uses the limits of `session` from now on.
    pub(crate) fn set_session(&self, session: &Session) {
        *lock(&self.0.session) = Some(session.clone());
    }

    /// Uses the times of `schedules`.
    pub(crate) fn set_schedules(&self, schedules: &Schedules) {
        *lock(&self.0.schedules) = Some(schedules.clone());
    }

    /// Sets the end of the last successful run of `rule`, from the history.
    pub(crate) fn set_last_success(&self, rule: &str, ended: Timestamp) {
        if let Some(series) = self.state().named_rule(rule) {
            series.last_success = series.last_success.max(Some(ended.as_second()));
        }
    }

    /// Counts a hook of this kind.
    pub(crate) fn count_hook(&self, kind: &'static str, result: &'static str) {
        *self.state().hooks.entry((kind, result)).or_default() += 1;
    }

    /// Adds receivers of notifications, whose counters begin at zero.
    pub(crate) fn add_receivers<'a>(&self, names: impl Iterator<Item = &'a str>) {
        let mut state = self.state();
        for name in names {
            state.notifications.entry(name.into()).or_default();
        }
    }

    /// Counts a try to send a notification to a receiver: `delivered`, `retried` or `failed`.
    pub(crate) fn count_notification(&self, receiver: &str, outcome: &'static str) {
        self.state().count_notification(receiver, outcome);
    }

    /// Sets the number of notifications in the queue.
    pub(crate) fn set_waiting_notifications(&self, number: u64) {
        self.state().waiting_notifications = Some(number);
    }

    /// Sets the number of workers that share the runs.
    #[cfg(feature = "share")]
    pub(crate) fn set_workers(&self, number: u64) {
        self.state().workers = Some(number);
    }

    /// Returns all metrics in the text format of `OpenMetrics`.
    pub(crate) fn encode(&self) -> String {
        self.update_schedules();
        self.update_limits();
        let mut metrics = Registry::with_prefix(PREFIX);
        metrics.register_collector(Box::new(self.collector()));
        let mut process = Registry::default();
        process.register_collector(Box::new(ProcessCollector));
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = text::encode_registry(&mut text, &metrics);
        let _ = text::encode(&mut text, &process);
        text
    }

    /// Reads the times of the next runs.
    fn update_schedules(&self) {
        let Some(schedules) = lock(&self.0.schedules).clone() else {
            return;
        };
        for (rule, series) in &mut self.state().rules {
            series.planned = schedules.planned(rule);
        }
    }

    /// Reads the limits of the registries.
    fn update_limits(&self) {
        let Some(session) = lock(&self.0.session).clone() else {
            return;
        };
        for (name, series) in &mut self.state().registries {
            if let Ok(registry) = image_syncer_registry::Registry::parse(name) {
                series.limits = session.registry_limits(&registry);
            }
        }
    }

    /// Returns a collector of the present values.
    fn collector(&self) -> Collector {
        Collector::new(self.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }
}

//! Values of all metrics, by their labels.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use image_syncer_registry::transport::{ByteCounters, PauseReason, RegistryLimits};
use image_syncer_sync::Outcome;
use image_syncer_sync::event::Volume;

use crate::metrics::histogram::{Histogram, REQUEST_SECONDS, RUN_SECONDS};
use crate::service::run::RunId;
use crate::service::schedule::PlannedRun;

/// Maximum number of rules with a label of their own.
pub(super) const RULES: usize = 500;
/// Maximum number of registries with a label of their own.
pub(super) const REGISTRIES: usize = 1_000;
/// Label of the rules and registries beyond these.
pub(super) const OTHER: &str = "other";

/// Methods of requests, as labels; all others are the last one.
pub(super) const METHODS: [&str; 7] = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "other"];
/// Classes of the status of an answer, as labels. The last one is for requests without an answer.
pub(super) const STATUSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];
/// Outcomes of images, as labels.
pub(super) const OUTCOMES: [&str; 6] = [
    "copied",
    "unchanged",
    "different",
    "skipped",
    "failed",
    "interrupted",
];

/// Outcomes of tries to send a notification, as labels.
pub(super) const NOTIFICATION_OUTCOMES: [&str; 3] = ["delivered", "retried", "failed"];

/// Values of all metrics.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) rules: BTreeMap<Arc<str>, RuleSeries>,
    /// Rules without a label of their own, together.
    pub(super) other_rules: Option<RuleSeries>,
    pub(super) registries: BTreeMap<Arc<str>, RegistrySeries>,
    /// Registries without a label of their own, together.
    pub(super) other_registries: Option<RegistrySeries>,
    /// Number of hooks by kind and result.
    pub(super) hooks: BTreeMap<(&'static str, &'static str), u64>,
    /// Number of tries to send a notification by receiver and outcome, in the order of [`NOTIFICATION_OUTCOMES`].
    pub(super) notifications: BTreeMap<Arc<str>, [u64; NOTIFICATION_OUTCOMES.len()]>,
    /// Notifications in the queue.
    pub(super) waiting_notifications: Option<u64>,
    /// Workers that share the runs; `None` for a service on its own.
    pub(super) workers: Option<u64>,
    pub(super) config_reload_ok: Option<bool>,
    /// Runs in progress.
    pub(super) runs: HashMap<RunId, ActiveRun>,
}

/// A run in progress.
#[derive(Debug)]
pub(super) struct ActiveRun {
    pub(super) rule: Arc<str>,
    pub(super) transfers: u64,
}

/// Values of one rule.
#[derive(Debug)]
pub(super) struct RuleSeries {
    /// Number of runs by cause and result.
    pub(super) runs: BTreeMap<(&'static str, &'static str), u64>,
    pub(super) duration: Histogram<{ RUN_SECONDS.len() }>,
    /// In seconds since 1970.
    pub(super) last_success: Option<i64>,
    pub(super) last_run_failed: Option<u64>,
    /// Next run by schedule.
    pub(super) planned: Option<PlannedRun>,
    /// Number of images by outcome, in the order of [`OUTCOMES`].
    pub(super) images: [u64; OUTCOMES.len()],
}

/// Values of one registry.
#[derive(Debug)]
pub(super) struct RegistrySeries {
    /// Number of requests by method and status, in the order of [`METHODS`] and [`STATUSES`].
    pub(super) requests: [[u64; STATUSES.len()]; METHODS.len()],
    pub(super) duration: Histogram<{ REQUEST_SECONDS.len() }>,
    pub(super) retries: u64,
    pub(super) rate_limit_pauses: Duration,
    pub(super) overload_pauses: Duration,
    pub(super) bytes: Arc<ByteCounters>,
    pub(super) saved: SavedBytes,
    /// Limits at the last look.
    pub(super) limits: RegistryLimits,
}

/// Bytes that were not sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SavedBytes {
    pub(super) mounted: u64,
    pub(super) present: u64,
    pub(super) shared: u64,
}

impl Default for RuleSeries {
    fn default() -> Self {
        Self {
            runs: BTreeMap::new(),
            duration: Histogram::new(&RUN_SECONDS),
            last_success: None,
            last_run_failed: None,
            planned: None,
            images: [0; OUTCOMES.len()],
        }
    }
}

impl Default for RegistrySeries {
    fn default() -> Self {
        Self {
            requests: [[0; STATUSES.len()]; METHODS.len()],
            duration: Histogram::new(&REQUEST_SECONDS),
            retries: 0,
            rate_limit_pauses: Duration::ZERO,
            overload_pauses: Duration::ZERO,
            bytes: Arc::default(),
            saved: SavedBytes::default(),
            limits: RegistryLimits::default(),
        }
    }
}

impl State {
    /// Sets the rules. Those that have labels of their own keep them; all series of vanished rules end.
    pub(super) fn set_rules<'a>(&mut self, names: impl Iterator<Item = &'a Arc<str>> + Clone) {
        let current: HashSet<&str> = names.clone().map(|name| &**name).collect();
        self.rules.retain(|name, _| current.contains(&**name));
        for name in names {
            if self.rules.len() >= RULES {
                break;
            }
            self.rules.entry(Arc::clone(name)).or_default();
        }
        if current.len() > self.rules.len() {
            self.other_rules.get_or_insert_default();
        }
    }

    /// Returns the values of `rule`, if it has a label of its own.
    pub(super) fn named_rule(&mut self, rule: &str) -> Option<&mut RuleSeries> {
        self.rules.get_mut(rule)
    }

    /// Returns the values that count `rule`.
    pub(super) fn rule(&mut self, rule: &str) -> &mut RuleSeries {
        match self.rules.get_mut(rule) {
            Some(series) => series,
            None => self.other_rules.get_or_insert_default(),
        }
    }

    /// Returns the values that count `registry`.
    pub(super) fn registry(&mut self, registry: &str) -> &mut RegistrySeries {
        if self.registries.contains_key(registry) || self.registries.len() < REGISTRIES {
            // The copy of the name is short, and only made once for most registries.
            if !self.registries.contains_key(registry) {
                self.registries
                    .insert(registry.into(), RegistrySeries::default());
            }
            if let Some(series) = self.registries.get_mut(registry) {
                return series;
            }
        }
        self.other_registries.get_or_insert_default()
    }

    /// Counts a try to send a notification. Receivers that the files do not have any more share a label.
    pub(super) fn count_notification(&mut self, receiver: &str, outcome: &str) {
        let is_known = self.notifications.contains_key(receiver);
        let label = if is_known { receiver } else { OTHER };
        let numbers = self.notifications.entry(label.into()).or_default();
        count(numbers, &NOTIFICATION_OUTCOMES, outcome);
    }

    /// Returns each rule with its label.
    pub(super) fn labelled_rules(&self) -> impl Iterator<Item = (&str, &RuleSeries)> {
        let named = self.rules.iter().map(|(name, series)| (&**name, series));
        named.chain(self.other_rules.as_ref().map(|series| (OTHER, series)))
    }

    /// Returns each registry with its label.
    pub(super) fn labelled_registries(&self) -> impl Iterator<Item = (&str, &RegistrySeries)> {
        let named = self.registries.iter();
        let named = named.map(|(name, series)| (&**name, series));
        let others = self.other_registries.as_ref();
        named.chain(others.map(|series| (OTHER, series)))
    }

    /// Returns the number of transfers in flight.
    pub(super) fn transfers(&self) -> u64 {
        self.runs.values().map(|run| run.transfers).sum()
    }
}

impl RuleSeries {
    /// Counts an image.
    pub(super) fn count_image(&mut self, outcome: &Outcome) {
        let label = match outcome {
            Outcome::Copied(_) => "copied",
            Outcome::Unchanged { .. } => "unchanged",
            Outcome::Planned(_) => "different",
            Outcome::Skipped { .. } => "skipped",
            Outcome::Failed(failure) if failure.interrupted => "interrupted",
            Outcome::Failed(_) => "failed",
        };
        count(&mut self.images, &OUTCOMES, label);
    }
}

impl RegistrySeries {
    /// Counts a request; `status` is `None` without an answer.
    pub(super) fn count_request(&mut self, method: &str, status: Option<u16>, elapsed: Duration) {
        let position = METHODS.iter().position(|known| *known == method);
        let position = position.unwrap_or(METHODS.len() - 1);
        if let Some(statuses) = self.requests.get_mut(position) {
            count(statuses, &STATUSES, status_class(status));
        }
        if status.is_some() {
            self.duration.observe(elapsed);
        }
    }

    /// Adds the time of a pause.
    pub(super) fn add_pause(&mut self, delay: Duration, why: PauseReason) {
        let total = match why {
            PauseReason::RateLimit => &mut self.rate_limit_pauses,
            PauseReason::Overload => &mut self.overload_pauses,
        };
        *total = total.saturating_add(delay);
    }
}

impl SavedBytes {
    /// Adds what a copy did not send.
    pub(super) fn add(&mut self, volume: &Volume) {
        self.mounted += volume.mounted_bytes;
        self.present += volume.present_bytes;
        self.shared += volume.shared_bytes;
    }
}

/// Returns the class of a status.
pub(crate) fn status_class(status: Option<u16>) -> &'static str {
    match status {
        Some(100..=199) => "1xx",
        Some(200..=299) => "2xx",
        Some(300..=399) => "3xx",
        Some(400..=499) => "4xx",
        Some(_) => "5xx",
        None => "none",
    }
}

/// Adds one to the number of `label`.
fn count(numbers: &mut [u64], labels: &[&str], label: &str) {
    let position = labels.iter().position(|known| *known == label);
    if let Some(number) = position.and_then(|position| numbers.get_mut(position)) {
        *number += 1;
    }
}

//! Tests of notifications: events, forms, tries, and requests over real connections.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod deliveries;
mod forms;
mod requests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use image_syncer_registry::auth::Secret;
use image_syncer_sync::config::{NotifyConfig, NotifyKind, SecretPlace, ServiceConfig};
use jiff::Timestamp;

use super::{DeliveryQueue, Notifier, Report};
use crate::metrics::Metrics;
use crate::service::clock::Clock;
use crate::service::history::{Delivery, WaitingDeliveries};
use crate::service::rule_health::RuleHealths;
use crate::service::run::{Cause, Run, RunCounts, RunId, RunPurpose, RunState, Scope};

/// Time of the events.
pub(super) fn noon() -> Timestamp {
    "2026-11-30T12:00:00Z".parse().unwrap()
}

/// Returns a run of a rule.
pub(in crate::service) fn run(rule: &str, state: RunState) -> Run {
    let failed = state == RunState::Failed;
    Run {
        id: RunId::after(noon(), None),
        rule: Arc::from(rule),
        cause: Cause::Schedule,
        purpose: RunPurpose::Sync,
        scope: Scope::default(),
        state,
        requested: noon(),
        started: Some(noon()),
        ended: Some(noon()),
        counts: RunCounts {
            images: 3,
            copied: 2,
            failed: failed.into(),
            unchanged: (!failed).into(),
            ..RunCounts::default()
        },
        failure: failed.then(|| "r.example/a:v1: cannot push: <denied>".to_owned()),
    }
}

/// Returns the settings of a receiver.
pub(super) fn receiver(kind: NotifyKind, url: &str, on: &[&str]) -> NotifyConfig {
    NotifyConfig {
        kind,
        url: SecretPlace::Text(Secret::new(url)),
        secret: None,
        on: on.iter().map(ToString::to_string).collect(),
    }
}

/// Returns a notifier of these receivers, and the lines that it prints.
pub(super) fn notifier(
    receivers: Vec<NotifyConfig>,
    queue: Arc<dyn DeliveryQueue>,
    clock: Clock,
) -> (Notifier, Arc<Mutex<Vec<String>>>) {
    notifier_with(receivers, queue, clock, Metrics::default())
}

/// Returns a notifier that counts in `metrics`, and the lines that it prints.
pub(super) fn notifier_with(
    receivers: Vec<NotifyConfig>,
    queue: Arc<dyn DeliveryQueue>,
    clock: Clock,
    metrics: Metrics,
) -> (Notifier, Arc<Mutex<Vec<String>>>) {
    let mut config = ServiceConfig::default();
    config.url = Some("https://mirror.example".to_owned());
    config.notify = receivers;
    let lines = Arc::new(Mutex::new(Vec::new()));
    let written = Arc::clone(&lines);
    let report: Report = Arc::new(move |_, text| written.lock().unwrap().push(text.to_owned()));
    let notifier = Notifier::new(
        &config,
        &|_| None,
        queue,
        clock,
        (RuleHealths::default(), metrics),
        report,
    )
    .unwrap();
    (notifier.unwrap(), lines)
}

/// A queue in memory, which outlives its notifiers.
#[derive(Clone)]
pub(super) struct MemoryQueue {
    pub(super) state: Arc<Mutex<QueueState>>,
    clock: Clock,
}

#[derive(Default)]
pub(super) struct QueueState {
    last: i64,
    pub(super) waiting: BTreeMap<i64, Delivery>,
    /// Reasons of those that were given up.
    pub(super) failed: Vec<String>,
}

impl MemoryQueue {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            state: Arc::default(),
            clock,
        }
    }
}

impl DeliveryQueue for MemoryQueue {
    fn add(&self, receiver: &str, body: String) {
        let mut state = self.state.lock().unwrap();
        state.last += 1;
        let delivery = Delivery {
            id: state.last,
            receiver: receiver.to_owned(),
            body,
            created: self.clock.now(),
            next: self.clock.now(),
            tries: 0,
        };
        state.waiting.insert(delivery.id, delivery);
    }

    fn due(&self, now: Timestamp, limit: usize) -> BoxFuture<'_, Result<Vec<Delivery>, String>> {
        let state = self.state.lock().unwrap();
        let due = state.waiting.values().filter(|it| it.next <= now);
        let mut due: Vec<Delivery> = due.cloned().collect();
        due.sort_by_key(|it| (it.next, it.id));
        due.truncate(limit);
        std::future::ready(Ok(due)).boxed()
    }

    fn waiting(&self) -> BoxFuture<'_, Result<WaitingDeliveries, String>> {
        let state = self.state.lock().unwrap();
        let waiting = WaitingDeliveries {
            number: state.waiting.len() as u64,
            next: state.waiting.values().map(|it| it.next).min(),
        };
        std::future::ready(Ok(waiting)).boxed()
    }

    fn finish(&self, id: i64) {
        self.state.lock().unwrap().waiting.remove(&id);
    }

    fn retry(&self, id: i64, next: Timestamp, _: String) {
        let mut state = self.state.lock().unwrap();
        let delivery = state.waiting.get_mut(&id).unwrap();
        delivery.next = next;
        delivery.tries += 1;
    }

    fn postpone(&self, id: i64, next: Timestamp) {
        let mut state = self.state.lock().unwrap();
        state.waiting.get_mut(&id).unwrap().next = next;
    }

    fn fail(&self, id: i64, error: String) {
        let mut state = self.state.lock().unwrap();
        state.waiting.remove(&id).unwrap();
        state.failed.push(error);
    }
}

//! Notifications: messages to people and programs about rules and runs.
//!
//! [`Notifier`] observes the runs, and adds an event to the queue for each receiver that chose it (`rule_health.rs`
//! decides when a rule fails and recovers). `delivery.rs` sends the events of the queue in the forms of their receivers
//! (`forms.rs`), in up to five tries. URLs of receivers contain tokens, so they appear nowhere but in requests.

mod delivery;
mod event;
mod forms;
mod notifications;
mod queue;
#[cfg(test)]
pub(super) mod tests;
mod text;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use image_syncer_sync::config::{NotifyConfig, NotifyKind, ServiceConfig};
use image_syncer_sync::{Event, Failure, Outcome};
use jiff::Timestamp;
use tokio::sync::Notify;
use url::Url;

use self::event::{EventKind, Notification};
pub(crate) use self::notifications::Notifications;
use self::queue::DeliveryQueue;
use crate::hint::hint;
use crate::lock::lock;
use crate::metrics::Metrics;
use crate::service::clock::Clock;
use crate::service::observer::RunObserver;
use crate::service::rule_book::RuleBook;
use crate::service::rule_health::{RuleHealths, Transition};
use crate::service::run::{Run, RunId, RunPurpose, RunState};
use crate::service::secret::SharedSecret;
use crate::ui::LineLabel;

/// Prints a line for people.
type Report = Arc<dyn Fn(LineLabel, &str) + Send + Sync>;

/// Notifies receivers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Notifier(Arc<Shared>);

struct Shared {
    receivers: Vec<Receiver>,
    address: Option<String>,
    queue: Arc<dyn DeliveryQueue>,
    /// A message was added to the queue.
    added: Notify,
    state: Mutex<State>,
    health: RuleHealths,
    clock: Clock,
    metrics: Metrics,
    report: Report,
}

#[derive(Default)]
struct State {
    /// Hints for the first failures of runs in progress.
    hints: HashMap<RunId, Option<String>>,
    have_files_mistakes: bool,
}

/// A receiver of messages.
struct Receiver {
    /// Name in the queue and in lines: the kind, and the number among those of this kind.
    name: String,
    kind: NotifyKind,
    url: SharedSecret,
    secret: Option<SharedSecret>,
    on: HashSet<EventKind>,
    /// Time from which it accepts messages again.
    resumed: Mutex<Option<Timestamp>>,
}

impl Receiver {
    fn new(
        config: &NotifyConfig,
        name: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let explain = |why: String| {
            format!(
                "the receiver {name} of notifications cannot be used: {why}. Correct `service.notify`."
            )
        };
        let url = SharedSecret::resolve(&config.url, environment).map_err(explain)?;
        let secret = config.secret.as_ref();
        let secret = secret.map(|place| SharedSecret::resolve(place, environment));
        let secret = secret.transpose().map_err(explain)?;
        // The names were checked with the file.
        let mut on: HashSet<EventKind> = config.on.iter().flat_map(|name| name.parse()).collect();
        if on.is_empty() {
            on.extend(EventKind::DEFAULT);
        }
        let receiver = Self {
            name: name.to_owned(),
            kind: config.kind,
            url,
            secret,
            on,
            resumed: Mutex::default(),
        };
        receiver.url().map_err(explain)?;
        Ok(receiver)
    }

    /// Returns the URL, which may change in its file.
    fn url(&self) -> Result<Url, String> {
        let text = self.url.current();
        let url = Url::parse(text.reveal().trim()).ok();
        let url = url.filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host());
        url.ok_or_else(|| "its `url` is not a URL that begins with https:// or http://".to_owned())
    }
}

impl Notifier {
    /// Creates the notifier for the receivers of the files; `None` without any.
    ///
    /// # Errors
    /// A clause, if a secret or a URL is missing or invalid.
    pub(crate) fn new(
        config: &ServiceConfig,
        environment: &dyn Fn(&str) -> Option<String>,
        queue: Arc<dyn DeliveryQueue>,
        clock: Clock,
        (health, metrics): (RuleHealths, Metrics),
        report: Report,
    ) -> Result<Option<Self>, String> {
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let receivers = config.notify.iter().map(|config| {
            let kind = match config.kind {
                NotifyKind::CloudEvents => "cloudevents",
                NotifyKind::Slack => "slack",
                NotifyKind::Feishu => "feishu",
                NotifyKind::DingTalk => "dingtalk",
            };
            let number = numbers.entry(kind).or_default();
            *number += 1;
            Receiver::new(config, &format!("{kind}-{number}"), environment)
        });
        let receivers = receivers.collect::<Result<Vec<_>, _>>()?;
        if receivers.is_empty() {
            return Ok(None);
        }
        metrics.add_receivers(receivers.iter().map(|receiver| &*receiver.name));
        Ok(Some(Self(Arc::new(Shared {
            receivers,
            address: config.url.clone(),
            queue,
            added: Notify::new(),
            state: Mutex::default(),
            health,
            clock,
            metrics,
            report,
        }))))
    }

    /// Records the end of a run that copies. Returns the hint of its failure, and the change of its rule's health.
    fn record(&self, run: &Run) -> Option<(Option<String>, Option<EventKind>)> {
        if !run.state.is_over() {
            return None;
        }
        let hint = lock(&self.0.state).hints.remove(&run.id).flatten();
        if run.purpose != RunPurpose::Sync {
            return None;
        }
        let kind = self
            .0
            .health
            .record(run)
            .map(|transition| match transition {
                Transition::Failing => EventKind::RuleFailing,
                Transition::Recovered => EventKind::RuleRecovered,
            });
        Some((hint, kind))
    }

    /// Adds an event to the queue for all receivers that chose it.
    fn add(&self, notification: &Notification) {
        let receivers = self.0.receivers.iter();
        let mut chosen = receivers
            .filter(|it| it.on.contains(&notification.event))
            .peekable();
        if chosen.peek().is_none() {
            return;
        }
        let Ok(body) = serde_json::to_string(notification) else {
            return;
        };
        for receiver in chosen {
            self.0.queue.add(&receiver.name, body.clone());
        }
        self.0.added.notify_one();
    }

    /// Returns the first failure of an event, if it is one.
    fn failure(event: &Event) -> Option<&Failure> {
        match event {
            Event::ImageFinished {
                outcome: Outcome::Failed(failure),
                ..
            }
            | Event::RuleFailed { failure, .. }
            | Event::RepositoryFailed { failure, .. }
                if !failure.interrupted =>
            {
                Some(failure)
            }
            _ => None,
        }
    }
}

impl RunObserver for Notifier {
    fn changed(&self, run: &Run) {
        let Some((hint, transition)) = self.record(run) else {
            return;
        };
        let event = match run.state {
            RunState::Failed => Some(EventKind::RunFailed),
            RunState::Succeeded => Some(EventKind::RunSucceeded),
            RunState::Cancelled => Some(EventKind::RunCancelled),
            _ => None,
        };
        let address = self.0.address.as_deref();
        for event in event.into_iter().chain(transition) {
            self.add(&Notification::about_run(
                event,
                run,
                hint.as_deref(),
                address,
            ));
        }
    }

    fn ended_elsewhere(&self, run: &Run) {
        self.record(run);
    }

    fn event(&self, run: RunId, event: &Event) {
        if let Some(failure) = Self::failure(event) {
            let mut state = lock(&self.0.state);
            state.hints.entry(run).or_insert_with(|| hint(failure));
        }
    }

    fn rules(&self, rules: &Arc<RuleBook>) {
        self.0.health.rules(rules);
    }

    fn reloaded(&self, rules: Result<&Arc<RuleBook>, &str>) {
        let mistakes = rules.err();
        let had = {
            let mut state = lock(&self.0.state);
            std::mem::replace(&mut state.have_files_mistakes, mistakes.is_some())
        };
        let event = match (had, mistakes) {
            (false, Some(_)) => EventKind::ConfigFailed,
            (true, None) => EventKind::ConfigRecovered,
            _ => return,
        };
        let (now, address) = (self.0.clock.now(), self.0.address.as_deref());
        self.add(&Notification::about_files(event, mistakes, now, address));
    }
}

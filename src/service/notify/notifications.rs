//! The notifications of a service: the notifier with its queue, health of rules, and transport.

use std::sync::Arc;

use image_syncer_registry::transport::{Silent, Transport, TransportOptions};
use image_syncer_sync::config::ServiceConfig;

use super::Notifier;
use crate::metrics::Metrics;
use crate::service::clock::Clock;
use crate::service::history::History;
use crate::service::observer::RunObserver;
use crate::service::rule_health::RuleHealths;
use crate::service::run::Run;
use crate::ui::LineWriter;

/// Notifications of a service, and the health of its rules, which causes some of them.
pub(crate) struct Notifications {
    health: RuleHealths,
    /// `None` without a receiver.
    sender: Option<(Notifier, Transport)>,
}

impl Notifications {
    /// Opens the notifications of the files. Nothing observes their requests, whose URLs are secrets.
    ///
    /// # Errors
    /// A secret or a URL of a receiver is missing or invalid.
    pub(crate) fn open(
        config: &ServiceConfig,
        options: &TransportOptions,
        history: &History,
        clock: Clock,
        metrics: &Metrics,
        lines: &LineWriter,
    ) -> anyhow::Result<Self> {
        let (queue, report) = (Arc::new(history.clone()), lines.clone());
        let environment = |name: &str| std::env::var(name).ok();
        let report = Arc::new(move |label, text: &str| report.print(label, text));
        let health = RuleHealths::default();
        let shared = (health.clone(), metrics.clone());
        let notifier = Notifier::new(config, &environment, queue, clock, shared, report);
        let Some(notifier) = notifier.map_err(anyhow::Error::msg)? else {
            return Ok(Self {
                health,
                sender: None,
            });
        };
        let options = options.clone().with_observer(Arc::new(Silent));
        Ok(Self {
            health,
            sender: Some((notifier, Transport::new(options)?)),
        })
    }

    /// Returns the observer of the runs.
    pub(crate) fn observer(&self) -> Arc<dyn RunObserver> {
        match &self.sender {
            Some((notifier, _)) => Arc::new(notifier.clone()),
            None => Arc::new(self.health.clone()),
        }
    }

    /// Returns the health of the rules.
    pub(crate) fn health(&self) -> RuleHealths {
        self.health.clone()
    }

    /// Restores the health of rules from their last runs.
    pub(crate) fn restore(&self, last: &[Run]) {
        self.health.restore(last);
    }

    /// Sends messages, until the future is dropped.
    pub(crate) async fn drive(&self) {
        match &self.sender {
            Some((notifier, transport)) => notifier.drive(transport).await,
            None => std::future::pending().await,
        }
    }
}

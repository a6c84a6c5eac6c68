//! The notifications of a service: the notifier with its queue, health of rules, and transport.

use std::sync::Arc;

use image_syncer_registry::transport::{Silent, Transport, TransportOptions};
use image_syncer_sync::config::ServiceConfig;

use super::Notifier;
use crate::metrics::Metrics;
use crate::service::clock::Clock;
use crate::service::history::History;
use crate::service::observer::RunObserver;
use crate::service::run::Run;
use crate::ui::LineWriter;

/// Notifications of a service; empty without a receiver.
pub(crate) struct Notifications(Option<(Notifier, Transport)>);

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
        let notifier = Notifier::new(config, &environment, queue, clock, metrics.clone(), report);
        let Some(notifier) = notifier.map_err(anyhow::Error::msg)? else {
            return Ok(Self(None));
        };
        let options = options.clone().with_observer(Arc::new(Silent));
        Ok(Self(Some((notifier, Transport::new(options)?))))
    }

    /// Returns the observer of the runs.
    pub(crate) fn observer(&self) -> Option<Arc<dyn RunObserver>> {
        let (notifier, _) = self.0.as_ref()?;
        Some(Arc::new(notifier.clone()))
    }

    /// Restores the health of rules from their last runs.
    pub(crate) fn restore(&self, last: &[Run]) {
        if let Some((notifier, _)) = &self.0 {
            notifier.restore(last.to_vec());
        }
    }

    /// Sends messages, until the future is dropped.
    pub(crate) async fn drive(&self) {
        match &self.0 {
            Some((notifier, transport)) => notifier.drive(transport).await,
            None => std::future::pending().await,
        }
    }
}

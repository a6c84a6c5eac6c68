//! The notifications of a service: the notifier with its queue, health of rules, and transport.

use std::sync::Arc;

use image_syncer_registry::transport::{Silent, Transport, TransportOptions};
use image_syncer_sync::config::ServiceConfig;

use super::Notifier;
use crate::metrics::Metrics;
use crate::service::clock::Clock;
use crate::service::history::History;
use crate::service::observer::RunObserver;
use crate::ui::LineWriter;

/// Number of last runs of each rule from which its health is restored.
const RESTORED: usize = 30;

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

    /// Restores the health of rules from the history.
    ///
    /// # Errors
    /// The history cannot be read.
    pub(crate) async fn restore(&self, history: &History) -> anyhow::Result<()> {
        if let Some((notifier, _)) = &self.0 {
            let runs = history.last_runs(RESTORED).await?;
            notifier.restore(runs.into_values().flatten().collect());
        }
        Ok(())
    }

    /// Sends messages, until the future is dropped.
    pub(crate) async fn drive(&self) {
        match &self.0 {
            Some((notifier, transport)) => notifier.drive(transport).await,
            None => std::future::pending().await,
        }
    }
}

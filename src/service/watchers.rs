//! The parts of a service that observe its runs and requests, and the sessions that report to them.

use std::sync::Arc;

use anyhow::Context;
use image_syncer_registry::transport::Observer;
use image_syncer_sync::Archives;
use image_syncer_sync::inventory::records::Records;
use image_syncer_sync::settings::Intent;
use image_syncer_sync::{Config, Session};

use crate::metrics::Metrics;
use crate::run::observers::Observers;
use crate::run::{RegistryAccess, SessionParts};
use crate::service::clock::Clock;
use crate::service::events::LiveEvents;
use crate::service::history::{History, HistoryFile};
use crate::service::lines::RunLines;
use crate::service::notify::Notifications;
use crate::service::observer::{RunObserver, RunObservers};
use crate::service::registries::RegistryStats;
use crate::service::schedule::Schedules;
use crate::service::sharing::Sharing;
use crate::service::spec::ServiceSpec;
use crate::ui::{LineLabel, LineWriter, Log, RequestLogger};

/// The parts that observe runs and requests.
pub(super) struct Watchers {
    pub(super) clock: Clock,
    pub(super) events: LiveEvents,
    pub(super) schedules: Schedules,
    pub(super) history: History,
    pub(super) metrics: Metrics,
    pub(super) registries: RegistryStats,
    pub(super) notifications: Notifications,
}

impl Watchers {
    /// Opens the parts, and returns the history also as the file that has the past.
    pub(super) fn open(
        spec: &ServiceSpec,
        config: &Config,
        access: &RegistryAccess,
        lines: &LineWriter,
    ) -> anyhow::Result<(Self, HistoryFile)> {
        let clock = Clock::default();
        let (history, past) = open_history(spec, lines)?;
        let schedules = Schedules::new(clock, past.last_starts()?);
        let metrics = Metrics::default();
        metrics.set_schedules(&schedules);
        let notifications = Notifications::open(
            &config.service,
            &access.transport,
            &history,
            clock,
            &metrics,
            lines,
        )?;
        let watchers = Self {
            clock,
            events: LiveEvents::default(),
            schedules,
            history,
            metrics,
            registries: RegistryStats::default(),
            notifications,
        };
        Ok((watchers, past))
    }

    /// Returns the observers of runs. Schedules precede metrics, which show the next runs.
    pub(super) fn of_runs(&self, lines: &LineWriter) -> RunObservers {
        let mut observers: Vec<Arc<dyn RunObserver>> = vec![
            Arc::new(self.schedules.clone()),
            Arc::new(self.events.clone()),
            Arc::new(self.metrics.clone()),
            Arc::new(self.history.clone()),
            Arc::new(self.registries.clone()),
        ];
        observers.push(self.notifications.observer());
        // A line about the end of a run comes when everything else knows it.
        observers.push(Arc::new(RunLines::new(lines.clone())));
        RunObservers::new(observers)
    }

    /// Opens the records, and returns the factory of sessions that use them.
    pub(super) fn sessions(
        &self,
        spec: &ServiceSpec,
        lines: &LineWriter,
        log: &Log,
    ) -> SessionFactory {
        SessionFactory {
            observer: Arc::new(Observers(vec![
                Arc::new(RequestLogger::new(lines.clone())),
                Arc::new(self.events.clone()),
                Arc::new(self.metrics.clone()),
                Arc::new(self.registries.clone()),
            ])),
            records: spec.records().open(Intent::Copy, lines, log),
            transfers: spec.transfers,
            archives: spec.archives.clone(),
            metrics: self.metrics.clone(),
            registries: self.registries.clone(),
        }
    }
}

/// Opens sessions, which report to the same observers and use the same records.
pub(super) struct SessionFactory {
    observer: Arc<dyn Observer>,
    pub(super) records: Option<Arc<Records>>,
    transfers: Option<usize>,
    archives: Archives,
    metrics: Metrics,
    registries: RegistryStats,
}

impl SessionFactory {
    /// Opens a session with these connections and logins.
    ///
    /// # Errors
    /// The TLS configuration cannot be built.
    pub(super) fn open(
        &self,
        access: RegistryAccess,
        sharing: &Sharing,
    ) -> anyhow::Result<Session> {
        self.registries.set_logins(access.keychain.entries());
        let parts = SessionParts {
            transfers: self.transfers,
            archives: self.archives.clone(),
            records: self.records.clone(),
            observer: Arc::clone(&self.observer),
        };
        let session = sharing.open_session(access, parts)?;
        self.metrics.set_session(&session);
        self.registries.set_session(&session);
        Ok(session)
    }
}

/// Opens the history, also as the file that has the past.
fn open_history(spec: &ServiceSpec, lines: &LineWriter) -> anyhow::Result<(History, HistoryFile)> {
    let path = spec.history().context(
        "the directory of the history is unknown: neither HOME nor XDG_STATE_HOME is set. Write --state DIR.",
    )?;
    let reports = lines.clone();
    let history = History::open(&path, move |error| {
        let text = format!("{error}; the service goes on, and writes what it missed later");
        reports.print(LineLabel::Warning, &text);
    })?;
    Ok((history, HistoryFile::open(&path)?))
}

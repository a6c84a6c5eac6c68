//! A run on a server that workers share: this process begins it, works on it, and reports what all workers did.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use image_syncer_sync::engine::Stop;
use image_syncer_sync::inventory::records::Records;
use image_syncer_sync::rule::RuleSet;
use image_syncer_sync::settings::Intent;
use image_syncer_sync::{Config, Listener, Session};

use crate::run::active::ActiveRun;
use crate::run::observers::Observers;
use crate::run::run_outputs::RunOutputs;
use crate::run::spec::{RegistryAccess, RunSpec};
use crate::run::wiring::{self, SessionParts};
use crate::share::postgres::{
    Budgets, Facts, NewRun, PostgresShare, RunUsage, ServerUrl, ShareOptions, SharedRunState,
};
use crate::share::{RunEvents, RunKey, RunWork, ShareError, Worker};
use crate::ui::{LineLabel, LineWriter};

/// Maximum time for which a stop waits until the other workers know of it.
const CANCELLING: Duration = Duration::from_secs(5);

/// Maximum time without the server by default.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Server that a run is shared on.
#[derive(Clone)]
pub(crate) struct ShareSpec {
    /// Its address, which may have a password.
    pub(crate) url: String,
    /// Maximum time without it.
    pub(crate) timeout: Duration,
}

impl ShareSpec {
    /// Returns the server that the files name; `None` without the key `share`.
    ///
    /// # Errors
    /// Its secret cannot be read.
    pub(crate) fn from_config(
        config: &Config,
        environment: impl FnOnce(&str) -> Option<String>,
    ) -> anyhow::Result<Option<Self>> {
        let Some(share) = &config.share else {
            return Ok(None);
        };
        let url = share.url.resolve(environment);
        let url = url.map_err(|why| anyhow!("`share`: {why}"))?;
        Ok(Some(Self {
            url: url.current().reveal().to_owned(),
            timeout: share.timeout.unwrap_or(TIMEOUT),
        }))
    }

    /// Connects to the server, as a worker for these rules.
    ///
    /// # Errors
    /// The server cannot be used.
    pub(crate) async fn connect(
        &self,
        rules: &RuleSet,
        lines: &LineWriter,
    ) -> anyhow::Result<Arc<PostgresShare>> {
        // A mistake of the command line, unlike a server that is away.
        ServerUrl::parse(&self.url).map_err(anyhow::Error::msg)?;
        let options = ShareOptions {
            url: self.url.clone(),
            timeout: self.timeout,
            digest: rules.digest(),
        };
        let lines = lines.clone();
        let report = move |text: &str| lines.print(LineLabel::Warning, text);
        Ok(PostgresShare::connect(options, Arc::new(report)).await?)
    }
}

/// A run that this process began.
pub(super) struct SharedRun {
    share: Arc<PostgresShare>,
    run: RunKey,
    events: RunEvents,
}

impl SharedRun {
    /// Begins a run of `rules`. The events of all workers go to `listener`.
    ///
    /// # Errors
    /// The server refuses.
    pub(super) async fn begin(
        share: Arc<PostgresShare>,
        rules: &RuleSet,
        intent: Intent,
        listener: Arc<dyn Listener>,
    ) -> anyhow::Result<Self> {
        let work = RunWork {
            intent,
            ..RunWork::default()
        };
        let new = NewRun {
            work,
            cause: "sync".to_owned(),
            slot: None,
        };
        let opened = share.open_run(new).await;
        let opened = opened.context("the shared run cannot begin")?;
        Ok(Self {
            share,
            run: opened.run,
            events: RunEvents::new(rules, listener),
        })
    }

    /// Works on the run with `worker`, and reports its events, until it is over. `stop` cancels it for all workers.
    /// Returns the requests and bytes of all workers, as far as the server has them.
    ///
    /// # Errors
    /// The server could not be reached for too long: how the run ended is unknown.
    pub(super) async fn drive(
        self,
        worker: &Worker,
        stop: &Stop,
    ) -> Result<Option<RunUsage>, ShareError> {
        let (share, run) = (Arc::clone(&self.share), self.run);
        let work = async {
            let (worked, followed) = tokio::join!(worker.work(), self.follow());
            worked.and(followed)
        };
        let cancelling = async {
            stop.cancel.cancelled().await;
            // The units of this worker end when the server knows, so that their results count.
            let _ = tokio::time::timeout(CANCELLING, share.cancel(run)).await;
            worker.stop.cancel.cancel();
            stop.abandon.cancelled().await;
            worker.stop.abandon.cancel();
            std::future::pending().await
        };
        let ended = tokio::select! {
            ended = work => ended,
            never = cancelling => never,
        };
        // The leases end by themselves otherwise.
        let _ = share.leave().await;
        ended?;
        Ok(share.run_usage(run).await.ok())
    }

    /// Reports the events of units as they end.
    async fn follow(mut self) -> Result<(), ShareError> {
        let mut seen = 0;
        loop {
            let news = self.share.news(self.run, seen).await?;
            seen = news.last;
            news.units
                .into_iter()
                .for_each(|unit| self.events.add(unit));
            match news.state {
                SharedRunState::Queued | SharedRunState::Running => continue,
                SharedRunState::Done => {}
                SharedRunState::Cancelled | SharedRunState::Abandoned { .. } => {
                    for unit in self.share.unfinished(self.run).await? {
                        self.events.interrupt(&unit);
                    }
                }
            }
            self.events.end();
            return Ok(());
        }
    }
}

/// Begins a run that is shared on a server.
///
/// # Errors
/// The server cannot be used, or refuses.
pub(super) async fn begin(
    spec: RunSpec,
    share: &ShareSpec,
    records: Option<Arc<Records>>,
    stop: Stop,
    outputs: &RunOutputs,
) -> anyhow::Result<ActiveRun> {
    let rules = spec.rules.numbered();
    let server = share.connect(&rules, &outputs.lines).await?;
    let parts = SessionParts {
        transfers: spec.transfers,
        archives: spec.archives.clone(),
        records,
        observer: outputs.observer(),
    };
    let session = open_session(&server, spec.registries, parts)?;
    outputs.set_session(&session);
    let listener = outputs.listener();
    let shared = SharedRun::begin(Arc::clone(&server), &rules, spec.intent, listener).await?;
    let worker = Worker {
        share: server.for_run(shared.run),
        session,
        rules,
        listing: spec.listing,
        // The signals of the run reach the server first.
        stop: Stop::new(stop.grace),
        progress: Arc::default(),
    };
    server.show_progress(&worker.progress);
    Ok(ActiveRun {
        worker,
        stop,
        shared: Some(shared),
    })
}

/// Opens a session that shares limits, pauses and facts with the other workers.
///
/// # Errors
/// The TLS configuration cannot be built.
pub(crate) fn open_session(
    share: &PostgresShare,
    mut access: RegistryAccess,
    mut parts: SessionParts,
) -> anyhow::Result<Session> {
    parts.observer = Arc::new(Observers(vec![share.observer(), parts.observer]));
    let limits = Budgets::start(share.database());
    access.transport = access.transport.with_shared_limits(limits);
    wiring::open_session_with(access, parts, Some(Facts::start(share.database())))
}

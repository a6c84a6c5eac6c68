//! A worker of shared work.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use image_syncer_sync::Listener;
use image_syncer_sync::transfer::Progress;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_postgres::Row;

use crate::lock::lock;
use crate::run_summary::Traffic;
use crate::share::postgres::claims::{Claims, RunShare};
use crate::share::postgres::connection::Hints;
use crate::share::postgres::held::HeldUnits;
use crate::share::postgres::patience::Patience;
use crate::share::postgres::usage::UsageCounter;
use crate::share::postgres::{
    Database, Parameter, ServerReport, ServerUrl, ShareOptions, keeper, parameters, statements,
};
use crate::share::{RunKey, Share, ShareError};

/// Length of a lease.
const LEASE: Duration = Duration::from_secs(60);
/// Variable with another length, in seconds, for tests.
const LEASE_VARIABLE: &str = "IMAGE_SYNCER_TEST_LEASE";

/// Number of workers that may be lost with a unit before the next loss ends it.
pub(super) const LOSSES: i32 = 4;

/// Worker at a `PostgreSQL` server.
pub(crate) struct PostgresShare {
    pub(super) database: Database,
    pub(super) timeout: Duration,
    digest: Mutex<String>,
    pub(super) lease: Duration,
    pub(super) worker: WorkerIdentity,
    pub(super) held: HeldUnits,
    /// Signals that there may be units, or cancelled runs.
    pub(super) hints: Arc<Hints>,
    /// True once nothing is claimed any more. Held by each claim.
    pub(super) closing: tokio::sync::Mutex<bool>,
    active: Mutex<Instant>,
    progress: Mutex<Option<Arc<Progress>>>,
    pub(super) usage: UsageCounter,
    report: ServerReport,
    url: ServerUrl,
    keeper: Mutex<Option<AbortHandle>>,
}

/// Identity of a worker.
#[derive(Clone, Debug)]
pub(super) struct WorkerIdentity {
    /// Unique among all workers.
    pub(super) id: String,
    /// Name of the machine.
    pub(super) host: String,
}

impl WorkerIdentity {
    fn new() -> Self {
        let host = rustix::system::uname();
        let host = host.nodename().to_string_lossy().into_owned();
        let started = jiff::Timestamp::now().as_microsecond();
        let id = format!("{host}-{}-{started:x}", std::process::id());
        Self { id, host }
    }
}

impl PostgresShare {
    /// Connects, prepares the tables, and registers this worker. Lines about the server go to `report`.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses.
    pub(crate) async fn connect(
        options: ShareOptions,
        report: ServerReport,
    ) -> Result<Arc<Self>, ShareError> {
        let lease = std::env::var(LEASE_VARIABLE).ok();
        let lease = lease.and_then(|text| text.parse().ok());
        let lease = lease.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let lease = lease.filter(|lease| !lease.is_zero()).unwrap_or(LEASE);
        Self::with_lease(options, lease, report).await
    }

    pub(super) async fn with_lease(
        options: ShareOptions,
        lease: Duration,
        report: ServerReport,
    ) -> Result<Arc<Self>, ShareError> {
        let share = Arc::new(Self::new(options, lease, report).await?);
        share.renew().await?;
        let keeper = tokio::spawn(keeper::keep(
            Arc::downgrade(&share),
            Arc::clone(&share.hints),
        ))
        .abort_handle();
        *lock(&share.keeper) = Some(keeper);
        Ok(share)
    }

    /// Connects to read runs, without being a worker.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses.
    pub(crate) async fn read_only(
        url: &str,
        timeout: Duration,
        report: ServerReport,
    ) -> Result<Self, ShareError> {
        let options = ShareOptions {
            url: url.to_owned(),
            timeout,
            digest: String::new(),
        };
        Self::new(options, LEASE, report).await
    }

    async fn new(
        options: ShareOptions,
        lease: Duration,
        report: ServerReport,
    ) -> Result<Self, ShareError> {
        let url = ServerUrl::parse(&options.url).map_err(ShareError::new)?;
        let database = Database::connect(url.clone(), Arc::clone(&report)).await?;
        Ok(Self {
            hints: database.control.hints(),
            database,
            timeout: options.timeout,
            digest: Mutex::new(options.digest),
            lease,
            worker: WorkerIdentity::new(),
            held: HeldUnits::default(),
            closing: tokio::sync::Mutex::default(),
            active: Mutex::new(Instant::now()),
            progress: Mutex::default(),
            usage: UsageCounter::default(),
            report,
            url,
            keeper: Mutex::default(),
        })
    }

    /// Returns the units of one run with the rules of this worker, until it is over.
    pub(crate) fn for_run(self: &Arc<Self>, run: RunKey) -> Arc<dyn Share> {
        let claims = Claims {
            share: Arc::clone(self),
            digest: self.digest(),
            run: Some(run),
            idle: None,
            listener: None,
        };
        Arc::new(RunShare::new(claims))
    }

    /// Returns the units of all runs with the rules `digest`, until there was none for the time `idle`. The events of
    /// the units also go to `listener`, as they happen.
    pub(crate) fn for_all(
        self: &Arc<Self>,
        digest: String,
        idle: Option<Duration>,
        listener: Option<Arc<dyn Listener>>,
    ) -> Arc<dyn Share> {
        let claims = Claims {
            share: Arc::clone(self),
            digest,
            run: None,
            idle,
            listener,
        };
        Arc::new(RunShare::new(claims))
    }

    /// Sets the identity of the rules of this worker.
    #[cfg_attr(not(feature = "service"), allow(dead_code))]
    pub(crate) fn set_digest(&self, digest: String) {
        *lock(&self.digest) = digest;
    }

    /// Returns the identity of the rules of this worker.
    pub(crate) fn digest(&self) -> String {
        lock(&self.digest).clone()
    }

    /// Reports these counters with each renewal, for operators.
    pub(crate) fn show_progress(&self, progress: &Arc<Progress>) {
        *lock(&self.progress) = Some(Arc::clone(progress));
    }

    /// Returns the connections.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// Returns the URL, which displays without its password.
    pub(crate) fn url(&self) -> &ServerUrl {
        &self.url
    }

    /// Puts everything back that this worker still holds, and signs it off. Nothing is claimed any more.
    ///
    /// # Errors
    /// The server refuses, or cannot be reached. The leases end by themselves then.
    pub(crate) async fn leave(&self) -> Result<(), ShareError> {
        *self.closing.lock().await = true;
        if let Some(keeper) = lock(&self.keeper).take() {
            keeper.abort();
        }
        let id = &self.worker.id;
        let all: Option<i64> = None;
        let me = parameters!(id: String);
        let close = parameters!(all: Option<i64>);
        let run = self.usage.last_run();
        let usage = run.map(|run| self.usage_text(run));
        let usage = usage.unwrap_or_default();
        let run = run.unwrap_or(RunKey(0)).0;
        let sums = parameters!(run: i64, id: String, usage: String);
        let mut all: Vec<(&str, &[_])> = vec![
            (statements::RETURN_ALL, &me),
            (statements::CLOSE_CANCELLED, &close),
            (statements::LEAVE, &me),
            (statements::NOTIFY, &[]),
        ];
        if !usage.is_empty() {
            all.push((statements::STORE_USAGE, &sums));
        }
        self.database.work.batch(&all).await?;
        Ok(())
    }

    /// Carries out a statement that may be repeated.
    pub(super) async fn read(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, ShareError> {
        let mut patience = Patience::new(&self.database.work, self.timeout);
        loop {
            match self.database.work.query(sql, parameters).await {
                Ok(rows) => return Ok(rows),
                Err(error) => patience.wait(error).await?,
            }
        }
    }

    /// Records that this worker has work.
    pub(super) fn touch(&self) {
        *lock(&self.active) = Instant::now();
    }

    /// Returns the time since this worker had work.
    pub(super) fn idle_time(&self) -> Duration {
        lock(&self.active).elapsed()
    }

    /// Counts everything so far for `run`. Returns the sums of the run as JSON.
    pub(super) fn usage_text(&self, run: RunKey) -> String {
        let progress = lock(&self.progress).clone();
        let traffic = progress.map(|progress| Traffic {
            fetched: progress.bytes_fetched(),
            sent: progress.bytes_streamed(),
        });
        self.usage.count_for(run, traffic.unwrap_or_default())
    }

    pub(super) fn progress_text(&self) -> String {
        let progress = lock(&self.progress).clone();
        let progress = progress.map(|progress| {
            serde_json::json!({
                "fetched_bytes": progress.bytes_fetched(),
                "sent_bytes": progress.bytes_streamed(),
                "uploads": progress.uploads_under_way(),
            })
        });
        progress
            .unwrap_or_else(|| serde_json::json!({}))
            .to_string()
    }

    pub(super) fn report_line(&self, line: &str) {
        (self.report)(line);
    }

    pub(super) fn report_error(&self, error: &ShareError) {
        (self.report)(&error.to_string());
    }
}

impl Drop for PostgresShare {
    fn drop(&mut self) {
        if let Some(keeper) = lock(&self.keeper).take() {
            keeper.abort();
        }
    }
}

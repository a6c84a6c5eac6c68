//! A worker: a process that carries out units of the runs of others.

use std::convert::Infallible;
#[cfg(feature = "service")]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use image_syncer_registry::transport::Observer;
use image_syncer_sync::engine::Stop;
#[cfg(feature = "service")]
use image_syncer_sync::event::RuleDescription;
use image_syncer_sync::report::{Report, Summary};
use image_syncer_sync::rule::RuleSet;
use image_syncer_sync::session::Session;
use image_syncer_sync::settings::{Intent, Listing};
use image_syncer_sync::{Archives, Listener};

use crate::cli::Logging;
use crate::exit::Exit;
use crate::interrupt::Signals;
#[cfg(feature = "service")]
use crate::metrics::MetricsFile;
use crate::problems::Problems;
use crate::run::collisions::{self, Inputs};
use crate::run::listeners::Listeners;
#[cfg(feature = "service")]
use crate::run::observers::Observers;
use crate::run::process;
use crate::run::records::RecordsChoice;
use crate::run::shared::{self, ShareSpec};
use crate::run::spec::RegistryAccess;
use crate::run::wiring::SessionParts;
use crate::share::Worker;
use crate::share::postgres::PostgresShare;
use crate::ui::screen::ScreenThread;
use crate::ui::units::count;
use crate::ui::{EventLines, LineLabel, LineWriter, Log, Printer, RequestLogger};

/// Maximum time for which the end of the process waits for its last records.
const CLOSING: Duration = Duration::from_secs(5);

/// Time between two writes of the file with metrics.
const METRICS: Duration = Duration::from_secs(15);

/// Specification of a worker.
pub(crate) struct WorkSpec {
    /// Rules of the files.
    pub(crate) rules: RuleSet,
    /// Server with the runs.
    pub(crate) share: ShareSpec,
    /// Time without work after which the worker ends; `None` for never.
    pub(crate) idle: Option<Duration>,
    /// Connections and logins.
    pub(crate) registries: RegistryAccess,
    /// Maximum number of blob downloads in flight.
    pub(crate) transfers: Option<usize>,
    /// Archives of images.
    pub(crate) archives: Archives,
    /// Use of lists with digests.
    pub(crate) listing: Listing,
    /// Records of earlier runs.
    pub(crate) records: RecordsChoice,
    /// Maximum time that images may go on after a request to stop.
    pub(crate) grace: Duration,
    /// Output for people.
    pub(crate) logging: Logging,
    /// File with metrics.
    #[cfg(feature = "service")]
    pub(crate) metrics: Option<PathBuf>,
}

/// File with metrics of the worker.
#[derive(Default)]
struct WorkerMetrics {
    #[cfg(feature = "service")]
    file: Option<Arc<MetricsFile>>,
    #[cfg(feature = "service")]
    rules: Vec<Arc<RuleDescription>>,
    report: Arc<Report>,
}

/// Works until a signal, or until there was no work for a while.
///
/// # Errors
/// All mistakes that were found before the start, together; or the server cannot be used.
pub(crate) fn work(
    mut spec: WorkSpec,
    inputs: &Inputs,
    mut problems: Problems,
    printer: &Printer,
) -> anyhow::Result<Exit> {
    problems.collect(Log::check(&spec.logging));
    let log = spec.logging.log.as_deref().map(|path| ("--log", path));
    let outputs = log.into_iter().chain(spec.records.named());
    #[cfg(feature = "service")]
    let outputs = outputs.chain(spec.metrics.as_deref().map(|path| ("--metrics", path)));
    let outputs: Vec<_> = outputs.collect();
    collisions::refuse(inputs, &outputs, &mut problems);
    let metrics = WorkerMetrics::open(&spec, &mut problems);
    let mut warnings = problems.finish()?;
    let writing = ScreenThread::to(std::io::stderr()).context("cannot start a thread")?;
    let beside = printer.clone().by_way_of(writing.screen());
    let log = process::open_log(&mut spec.logging, &mut warnings, &beside)?;
    let (_entered, _closing) = (log.attach(), log.closing());
    let lines = LineWriter::new(beside, &log);
    for warning in &warnings {
        lines.print(LineLabel::Warning, warning);
    }
    let runtime = process::runtime(&log)?;
    let (exit, mut signals) = runtime.block_on(async {
        let mut signals = Signals::listen().context("cannot listen for signals")?;
        anyhow::Ok((
            drive(spec, metrics, (&lines, &log), &mut signals).await?,
            signals,
        ))
    })?;
    log.close();
    let written = runtime.block_on(writing.finish(signals.next()));
    // A name that is still being resolved must not hold the process.
    runtime.shutdown_background();
    Ok(if written { exit } else { Exit::Interrupted })
}

/// Connects to the server; `None` if a signal came before.
async fn connect(
    share: &ShareSpec,
    rules: &RuleSet,
    lines: &LineWriter,
    signals: &mut Signals,
) -> anyhow::Result<Option<Arc<PostgresShare>>> {
    let server = tokio::select! {
        server = share.connect(rules, lines) => server?,
        name = signals.next() => {
            let text = format!("{name}: the worker ends before it reached the server");
            lines.print(LineLabel::Warning, &text);
            return Ok(None);
        }
    };
    let text = format!("working for {}, until a signal", server.url());
    lines.print(LineLabel::Note, &text);
    Ok(Some(server))
}

async fn drive(
    spec: WorkSpec,
    metrics: WorkerMetrics,
    (lines, log): (&LineWriter, &Log),
    signals: &mut Signals,
) -> anyhow::Result<Exit> {
    let rules = spec.rules.numbered();
    let Some(server) = connect(&spec.share, &rules, lines, signals).await? else {
        return Ok(Exit::Done);
    };
    let records = spec.records.open(Intent::Copy, lines, log);
    let report = Arc::clone(&metrics.report);
    let mut all: Vec<Arc<dyn Listener>> =
        vec![report.clone(), Arc::new(EventLines::new(lines.clone()))];
    all.extend(metrics.listener());
    let parts = SessionParts {
        transfers: spec.transfers,
        archives: spec.archives.clone(),
        records: records.clone(),
        observer: metrics.observer(RequestLogger::new(lines.clone())),
    };
    let session = shared::open_session(&server, spec.registries, parts)?;
    metrics.set_session(&session);
    let worker = Worker {
        share: server.for_all(rules.digest(), spec.idle, Some(Arc::new(Listeners(all)))),
        session,
        rules,
        listing: spec.listing,
        stop: Stop::new(spec.grace),
        progress: Arc::default(),
    };
    server.show_progress(&worker.progress);
    let ended = tokio::select! {
        ended = worker.work() => ended,
        never = metrics.keep(lines) => match never {},
        () = handle_signals(&worker.session, &worker.stop, signals, lines) => {
            return Ok(Exit::Interrupted);
        }
    };
    // The leases end by themselves otherwise.
    let _ = server.leave().await;
    if let Some(records) = records {
        records.close(CLOSING);
    }
    lines.print(LineLabel::Note, &totals(&report.summary()));
    let is_written = metrics.refresh(lines);
    Ok(match ended {
        Ok(()) if !is_written => Exit::Failed,
        Ok(()) => Exit::Done,
        Err(error) => {
            lines.print(LineLabel::Failed, &error.to_string());
            Exit::Failed
        }
    })
}

impl WorkerMetrics {
    /// Opens the file, if it is requested.
    #[cfg_attr(not(feature = "service"), allow(unused_variables))]
    fn open(spec: &WorkSpec, problems: &mut Problems) -> Self {
        Self {
            #[cfg(feature = "service")]
            file: spec
                .metrics
                .as_deref()
                .and_then(|path| problems.collect(MetricsFile::begin(path)))
                .map(Arc::new),
            #[cfg(feature = "service")]
            rules: spec.rules.numbered().descriptions(),
            report: Arc::new(Report::new()),
        }
    }

    /// Returns the listener that fills the file.
    #[cfg_attr(not(feature = "service"), allow(clippy::unused_self))]
    fn listener(&self) -> Option<Arc<dyn Listener>> {
        #[cfg(feature = "service")]
        let file = self.file.clone().map(|file| file as Arc<dyn Listener>);
        #[cfg(not(feature = "service"))]
        let file = None;
        file
    }

    /// Returns an observer that also fills the file.
    #[cfg_attr(not(feature = "service"), allow(clippy::unused_self))]
    fn observer(&self, next: RequestLogger) -> Arc<dyn Observer> {
        #[cfg(feature = "service")]
        if let Some(file) = &self.file {
            return Arc::new(Observers(vec![file.observer(), Arc::new(next)]));
        }
        Arc::new(next)
    }

    /// Uses the limits of the session.
    #[cfg_attr(not(feature = "service"), allow(unused_variables, clippy::unused_self))]
    fn set_session(&self, session: &Session) {
        #[cfg(feature = "service")]
        if let Some(file) = &self.file {
            file.set_session(session);
        }
    }

    /// Writes the file again and again, while it is polled.
    async fn keep(&self, lines: &LineWriter) -> Infallible {
        let mut is_written = true;
        loop {
            tokio::time::sleep(METRICS).await;
            // A failure is reported once.
            if is_written {
                is_written = self.refresh(lines);
            }
        }
    }

    /// Writes the file. Returns false if it could not be written, which is reported.
    #[cfg_attr(not(feature = "service"), allow(unused_variables, clippy::unused_self))]
    fn refresh(&self, lines: &LineWriter) -> bool {
        #[cfg(feature = "service")]
        if let Some(file) = &self.file
            && let Err(error) = file.refresh(&self.rules, &self.report.summary())
        {
            lines.print(LineLabel::Failed, &format!("{error:#}"));
            return false;
        }
        true
    }
}

/// Returns a sentence about everything that the worker did.
fn totals(summary: &Summary) -> String {
    format!(
        "the worker ends: {} copied, {} unchanged, {} failed",
        count(summary.copied, "image"),
        summary.unchanged,
        summary.failed
    )
}

/// Returns the units to others in order on the first signal, and at once on the second; returns on the third.
async fn handle_signals(session: &Session, stop: &Stop, signals: &mut Signals, lines: &LineWriter) {
    let name = signals.next().await;
    let grace = stop.grace.as_secs();
    let text = format!(
        "{name}: no further image starts; running images may go on for {grace} s, until a second signal; other workers do the rest"
    );
    lines.print(LineLabel::Warning, &text);
    session.set_shutdown_deadline(stop.grace);
    stop.cancel.cancel();
    let name = signals.next().await;
    let text = format!("{name}: running images are dropped");
    lines.print(LineLabel::Warning, &text);
    stop.abandon.cancel();
    signals.next().await;
}

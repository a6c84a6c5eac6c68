//! A worker: a process that carries out units of the runs of others.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use image_syncer_sync::Listener;
use image_syncer_sync::engine::Stop;
use image_syncer_sync::report::{Report, Summary};
use image_syncer_sync::rule::RuleSet;
use image_syncer_sync::session::Session;
use image_syncer_sync::settings::{Intent, Listing};

use crate::cli::Logging;
use crate::exit::Exit;
use crate::interrupt::Signals;
use crate::problems::Problems;
use crate::run::collisions::{self, Inputs};
use crate::run::listeners::Listeners;
use crate::run::process;
use crate::run::records::RecordsChoice;
use crate::run::shared::{self, ShareSpec};
use crate::run::spec::RegistryAccess;
use crate::run::wiring::SessionParts;
use crate::share::Worker;
use crate::ui::screen::ScreenThread;
use crate::ui::units::count;
use crate::ui::{EventLines, LineLabel, LineWriter, Log, Printer, RequestLogger};

/// Maximum time for which the end of the process waits for its last records.
const CLOSING: Duration = Duration::from_secs(5);

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
    /// Use of lists with digests.
    pub(crate) listing: Listing,
    /// Records of earlier runs.
    pub(crate) records: RecordsChoice,
    /// Maximum time that images may go on after a request to stop.
    pub(crate) grace: Duration,
    /// Output for people.
    pub(crate) logging: Logging,
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
    let outputs: Vec<_> = log.into_iter().chain(spec.records.named()).collect();
    collisions::refuse(inputs, &outputs, &mut problems);
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
        anyhow::Ok((drive(spec, &lines, &log, &mut signals).await?, signals))
    })?;
    log.close();
    let written = runtime.block_on(writing.finish(signals.next()));
    // A name that is still being resolved must not hold the process.
    runtime.shutdown_background();
    Ok(if written { exit } else { Exit::Interrupted })
}

async fn drive(
    spec: WorkSpec,
    lines: &LineWriter,
    log: &Log,
    signals: &mut Signals,
) -> anyhow::Result<Exit> {
    let rules = spec.rules.numbered();
    let connecting = spec.share.connect(&rules, lines);
    let server = tokio::select! {
        server = connecting => server?,
        _ = signals.next() => return Ok(Exit::Interrupted),
    };
    lines.print(
        LineLabel::Note,
        &format!("working for {}, until a signal", server.url()),
    );
    let records = spec.records.open(Intent::Copy, lines, log);
    let report = Arc::new(Report::new());
    let all: Vec<Arc<dyn Listener>> =
        vec![report.clone(), Arc::new(EventLines::new(lines.clone()))];
    let parts = SessionParts {
        transfers: spec.transfers,
        records: records.clone(),
        observer: Arc::new(RequestLogger::new(lines.clone())),
    };
    let session = shared::open_session(&server, spec.registries, parts)?;
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
    Ok(match ended {
        Ok(()) => Exit::Done,
        Err(error) => {
            lines.print(LineLabel::Failed, &error.to_string());
            Exit::Failed
        }
    })
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

//! Carries out a run on a terminal: runtime, signals, screen and outputs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use image_syncer_sync::engine::Stop;
use image_syncer_sync::inventory::records::Records;
use image_syncer_sync::rule::RuleSet;
use image_syncer_sync::settings::Intent;
use tokio::runtime::Runtime;

use crate::cli::{Logging, ProgressMode};
use crate::exit::Exit;
use crate::interrupt::Signals;
use crate::problems::Problems;
use crate::run::active::{ActiveRun, RunEnd};
use crate::run::collisions::{self, Inputs};
use crate::run::output_files::Outputs;
use crate::run::process;
use crate::run::run_outputs::{FinishedRun, RunOutputs};
#[cfg(feature = "share")]
use crate::run::shared;
use crate::run::spec::RunSpec;
use crate::run::stdout_output::Purpose;
use crate::run::wiring::{self, SessionParts};
use crate::run_summary::ShardRecord;
use crate::share::{LocalShare, Worker};
use crate::ui::live::ProgressDisplay;
use crate::ui::screen::ScreenThread;
use crate::ui::{LineLabel, LineWriter, Log, Printer};

/// Maximum time for which the end of a run waits for its last records.
const CLOSING: Duration = Duration::from_secs(5);

/// Output for people, and on stdout.
pub(crate) struct TerminalOptions {
    /// Flags of log and progress.
    pub(crate) logging: Logging,
    /// Display of the progress.
    pub(crate) progress: ProgressMode,
    /// Output on stdout, and its exit code.
    pub(crate) purpose: Purpose,
}

/// Runner of one run on a terminal.
pub(crate) struct TerminalRunner {
    spec: RunSpec,
    options: TerminalOptions,
    outputs: Outputs,
    /// Warnings from before the run.
    warnings: Vec<String>,
}

impl TerminalRunner {
    /// Checks the outputs of `spec` and `options` against each other and against the files that were read, `inputs`,
    /// and opens the files for programs.
    ///
    /// # Errors
    /// All mistakes that were found before the first request, together.
    pub(crate) fn prepare(
        spec: RunSpec,
        options: TerminalOptions,
        inputs: &Inputs,
        mut problems: Problems,
    ) -> anyhow::Result<Self> {
        problems.collect(Log::check(&options.logging));
        let log = options.logging.log.as_deref().map(|path| ("--log", path));
        let outputs: Vec<_> = spec.outputs.named().chain(log).collect();
        let outputs: Vec<_> = outputs.into_iter().chain(spec.records.named()).collect();
        collisions::refuse(inputs, &outputs, &mut problems);
        let outputs = Outputs::open(spec.command, &spec.outputs, &mut problems);
        let warnings = problems.finish()?;
        Ok(Self {
            // A file that cannot be opened is one of the mistakes.
            outputs: outputs.context("an output cannot be opened")?,
            spec,
            options,
            warnings,
        })
    }

    /// Carries out the run. `printer` is used before and after it.
    ///
    /// # Errors
    /// The run cannot begin.
    pub(crate) fn run(mut self, printer: &Printer) -> anyhow::Result<Exit> {
        let writing = ScreenThread::to(std::io::stderr()).context("cannot start a thread")?;
        let beside = printer.clone().by_way_of(writing.screen());
        let log = process::open_log(&mut self.options.logging, &mut self.warnings, &beside)?;
        let (_entered, _closing) = (log.attach(), log.closing());
        let stop = Stop::new(self.spec.grace);
        let Self {
            spec,
            options,
            outputs,
            warnings,
        } = self;
        let outputs = open_outputs(&spec, &options, outputs, beside, &log, &stop)?;
        let records = spec.records.open(spec.intent, &outputs.lines, &log);
        print_warnings(&spec, &warnings, records.is_some(), &outputs.lines);
        let runtime = process::runtime(&log)?;
        let (rules, intent) = (spec.rules.clone(), spec.intent);
        let shard = spec.shard.clone();
        let mut interrupts = {
            let _entered = runtime.enter();
            Signals::listen().context("cannot listen for signals")?
        };
        let begun = runtime.block_on(async {
            tokio::select! {
                begun = begin(spec, records.clone(), stop, &outputs) => begun.map(Some),
                _ = interrupts.next() => Ok(None),
            }
        })?;
        let Some(run) = begun else {
            return Ok(Exit::Interrupted);
        };
        let exit = drive(
            run,
            intent,
            (&rules, shard.as_ref()),
            records,
            &outputs,
            &runtime,
            &mut interrupts,
        );
        log.close();
        // The reader of stderr or stdout may have stopped reading; a signal ends the wait.
        let written = runtime.block_on(writing.finish(interrupts.next()));
        let exit = match &outputs.shown {
            _ if !written => Exit::Interrupted,
            Some(shown) => runtime.block_on(shown.finish(exit, interrupts.next(), printer)),
            None => exit,
        };
        // A name that is still being resolved must not hold the process.
        runtime.shutdown_background();
        Ok(exit)
    }
}

/// Prints what is known before the run.
fn print_warnings(spec: &RunSpec, warnings: &[String], has_records: bool, lines: &LineWriter) {
    for warning in warnings {
        lines.print(LineLabel::Warning, warning);
    }
    for note in &spec.notes {
        lines.print(LineLabel::Note, note);
    }
    if !has_records {
        for warning in spec.warnings_without_records() {
            lines.print(LineLabel::Warning, warning);
        }
    }
}

/// Builds the outputs for people and programs.
fn open_outputs(
    spec: &RunSpec,
    options: &TerminalOptions,
    files: Outputs,
    printer: Printer,
    log: &Log,
    stop: &Stop,
) -> anyhow::Result<RunOutputs> {
    let rules = spec.rules.descriptions();
    let logging = &options.logging;
    let shown = options.purpose.shown(spec.command, &rules, logging, stop)?;
    let lines = LineWriter::new(printer.clone(), log);
    let lines = match &shown {
        Some(shown) => shown.filtered_lines(lines),
        None => lines,
    };
    let display = ProgressDisplay::new(logging, options.progress, shown.is_some(), printer);
    Ok(RunOutputs::open(files, lines, display, shown))
}

/// Opens a session for the run, and the run on the server that it is shared on.
async fn begin(
    spec: RunSpec,
    records: Option<Arc<Records>>,
    stop: Stop,
    outputs: &RunOutputs,
) -> anyhow::Result<ActiveRun> {
    #[cfg(feature = "share")]
    if let Some(share) = spec.share.clone() {
        return shared::begin(spec, &share, records, stop, outputs).await;
    }
    let parts = SessionParts {
        transfers: spec.transfers,
        archives: spec.archives.clone(),
        records,
        observer: outputs.observer(),
    };
    let session = wiring::open_session(spec.registries, parts)?;
    outputs.set_session(&session);
    Ok(ActiveRun {
        worker: Worker {
            share: Arc::new(LocalShare::new(spec.intent, outputs.listener())),
            session,
            rules: spec.rules,
            listing: spec.listing,
            stop: stop.clone(),
            progress: Arc::default(),
        },
        stop,
        #[cfg(feature = "share")]
        shared: None,
    })
}

/// Drives `run` to its end, closes its records and writes its outputs.
fn drive(
    run: ActiveRun,
    intent: Intent,
    (rules, shard): (&RuleSet, Option<&ShardRecord>),
    records: Option<Arc<Records>>,
    outputs: &RunOutputs,
    runtime: &Runtime,
    interrupts: &mut Signals,
) -> Exit {
    let started = Instant::now();
    let moved = Arc::clone(&run.worker.progress);
    let descriptions = rules.descriptions();
    let drive = run.drive(&descriptions, interrupts, outputs);
    let cancelled = match runtime.block_on(drive) {
        RunEnd::Drained { cancelled } => {
            if let Some(records) = records {
                records.close(CLOSING);
            }
            cancelled
        }
        RunEnd::Abandoned => true,
    };
    outputs.close(&FinishedRun {
        rules,
        shard,
        descriptions: &descriptions,
        started,
        moved: &moved,
        intent,
        cancelled,
    })
}

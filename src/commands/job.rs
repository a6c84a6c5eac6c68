//! A run: its parts are built here, driven and reported.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use image_syncer_registry::auth::{DockerFiles, Keychain, KeychainEntry};
use image_syncer_registry::transport::{
    RetryPolicy, Timeouts, Transport, TransportOptions, certificate_directories,
};
use image_syncer_registry::{Options, Registries};
use image_syncer_sync::engine::{Engine, Stop};
use image_syncer_sync::inventory::records::Records;
use image_syncer_sync::rule::Referrers;
use image_syncer_sync::rule::{Immutable, Rule};
use image_syncer_sync::settings::{Intent, Settings};
use image_syncer_sync::store::RegistryStores;
use tokio::runtime::Runtime;

use crate::cli;
use crate::commands::collisions::{self, Inputs};
use crate::commands::concurrency::{IMAGES, Windows};
use crate::commands::outputs::Outputs;
use crate::commands::problems::Problems;
use crate::commands::rates;
use crate::commands::run::{ActiveRun, RunEnd};
use crate::commands::run_outputs::{self, RunOutputs};
use crate::commands::stdout_output::Purpose;
use crate::commands::{records, setup};
use crate::exit::Exit;
use crate::interrupt::Signals;
use crate::ui::live::ProgressDisplay;
use crate::ui::screen::ScreenThread;
use crate::ui::{LineLabel, LineWriter, Log, Printer};

/// Maximum number of worker threads of the runtime. Each costs memory, and threads beyond the cores are useless.
const MOST_THREADS: usize = 512;

/// Maximum time for which the end of a run waits for its last records.
const CLOSING: Duration = Duration::from_secs(5);

/// A run to carry out.
pub(super) struct RunJob {
    /// Name of the command.
    pub(super) command: &'static str,
    /// Rules to carry out.
    pub(super) rules: Vec<Arc<Rule>>,
    /// Credentials of the files.
    pub(super) credentials: Vec<KeychainEntry>,
    /// Files that were read.
    pub(super) inputs: Inputs,
    /// Mistakes and warnings so far.
    pub(super) problems: Problems,
    /// Purpose of the run.
    pub(super) purpose: Purpose,
    /// Flags of the group.
    pub(super) copying: cli::Copying,
    /// Flags of the group.
    pub(super) transfer: cli::Transfer,
    /// Flags of the group.
    pub(super) output: cli::Output,
    /// Flags of the group.
    pub(super) common: cli::Common,
    /// Flags of the group.
    pub(super) logging: cli::Logging,
}

/// Parsed flags and open outputs of a job.
struct Prepared {
    settings: Settings,
    connections: Connections,
    outputs: Outputs,
}

/// Connections and logins.
struct Connections {
    transport: TransportOptions,
    keychain: Keychain,
}

impl RunJob {
    /// Carries out the job.
    ///
    /// # Errors
    /// All mistakes that were found before the first request, together.
    pub(super) fn run(mut self, printer: &Printer) -> anyhow::Result<Exit> {
        let mut problems = std::mem::take(&mut self.problems);
        let prepared = self.prepare(&mut problems);
        let mut warnings = problems.finish()?;
        let Some(prepared) = prepared else {
            return Ok(Exit::Usage);
        };
        let writing = ScreenThread::to(std::io::stderr()).context("cannot start a thread")?;
        let beside = printer.clone().by_way_of(writing.screen());
        let log = self.open_log(&beside, &mut warnings)?;
        let (_entered, _closing) = (log.attach(), log.closing());
        let stop = Stop::new(Duration::from_secs(self.common.asking.grace));
        let outputs = self.open_outputs(prepared.outputs, beside, &log, &stop)?;
        for warning in &warnings {
            outputs.lines.print(LineLabel::Warning, warning);
        }
        let remembering = &self.common.remembering;
        let settings = Settings {
            records: records::open(remembering, self.purpose.intent(), &outputs.lines, &log),
            ..prepared.settings
        };
        let runtime = runtime(&log)?;
        let (run, mut interrupts) = {
            let _entered = runtime.enter();
            let run = self.begin(&outputs, settings.clone(), prepared.connections, stop)?;
            let interrupts = Signals::listen().context("cannot listen for signals")?;
            (run, interrupts)
        };
        let exit = self.drive(run, settings.records, &outputs, &runtime, &mut interrupts);
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

    /// Builds the outputs for people and programs.
    fn open_outputs(
        &self,
        files: Outputs,
        printer: Printer,
        log: &Log,
        stop: &Stop,
    ) -> anyhow::Result<RunOutputs> {
        let purpose = self.purpose;
        let shown = purpose.shown(self.command, &self.rules, &self.logging, stop)?;
        let lines = LineWriter::new(printer.clone(), log);
        let lines = match &shown {
            Some(shown) => shown.filtered_lines(lines),
            None => lines,
        };
        let display = ProgressDisplay::new(&self.logging, shown.is_some(), printer);
        Ok(RunOutputs::open(files, lines, display, shown))
    }

    /// Drives `run` to its end, closes its records and writes its outputs.
    fn drive(
        &self,
        run: ActiveRun,
        records: Option<Arc<Records>>,
        outputs: &RunOutputs,
        runtime: &Runtime,
        interrupts: &mut Signals,
    ) -> Exit {
        let started = Instant::now();
        let moved = Arc::clone(run.engine.progress());
        let drive = run.drive(self.rules.clone(), interrupts, outputs);
        let cancelled = match runtime.block_on(drive) {
            RunEnd::Drained { cancelled } => {
                if let Some(records) = records {
                    records.close(CLOSING);
                }
                cancelled
            }
            RunEnd::Abandoned => true,
        };
        outputs.close(&run_outputs::FinishedRun {
            rules: &self.rules,
            started,
            moved: &moved,
            cancelled,
        })
    }

    /// Warns of flags without an effect on this run.
    fn warn_of(settings: &Settings, lines: &LineWriter) {
        // A run that writes nothing creates no records.
        if settings.intent != Intent::Copy {
            return;
        }
        if settings.records.is_none() && !settings.immutable.is_empty() {
            let text = "--immutable has no effect: this run has no records, so the registries are asked for these tags";
            lines.print(LineLabel::Warning, text);
        }
        let waits = |referrers: &Arc<Referrers>| !referrers.interval.is_zero();
        if settings.records.is_none() && settings.referrers.as_ref().is_some_and(waits) {
            let text = "--referrers-interval has no effect: this run has no records, so the referrers of every unchanged image are looked up";
            lines.print(LineLabel::Warning, text);
        }
    }

    /// Opens the log. A file that cannot be opened is a warning, and the log goes to stderr.
    fn open_log(&mut self, printer: &Printer, warnings: &mut Vec<String>) -> anyhow::Result<Log> {
        match Log::open(&self.logging, printer.clone()) {
            Err(error) if self.logging.log.is_some() => {
                warnings.push(format!("{error:#}; the log goes to stderr"));
                self.logging.log = None;
                Log::open(&self.logging, printer.clone())
            }
            opened => opened,
        }
    }

    /// Parses the flags and opens the outputs. Returns `None` after a mistake.
    fn prepare(&self, problems: &mut Problems) -> Option<Prepared> {
        let settings = self.settings(problems);
        let connections = self.connections(problems);
        problems.collect(Log::check(&self.logging));
        let log = self.logging.log.as_deref();
        let records = records::file(&self.common.remembering);
        let records = records.as_ref().map(|(name, path)| (*name, path.as_path()));
        let outputs = collisions::outputs(&self.output, log, records);
        collisions::refuse(&self.inputs, &outputs, problems);
        let outputs = Outputs::open(self.command, &self.output, problems);
        Some(Prepared {
            settings: settings?,
            connections: connections?,
            outputs: outputs?,
        })
    }

    /// Returns the settings of the flags.
    fn settings(&self, problems: &mut Problems) -> Option<Settings> {
        let flags = &self.common;
        let platforms = problems.collect(setup::platforms(&flags.platforms));
        let parts = setup::parts(flags.parts, self.copying, &flags.platforms);
        let parts = problems.collect(parts);
        let immutable = problems.collect(Immutable::parse(&flags.remembering.immutable));
        let referrers = problems.collect(setup::referrers(&flags.referrers));
        Some(Settings {
            intent: self.purpose.intent(),
            platforms: Arc::new(platforms?),
            parts: parts?,
            force: self.copying.force,
            verify: self.copying.verify,
            immutable: Arc::new(immutable?),
            referrers: referrers?.map(Arc::new),
            transfers: self.transfer.proc.and_then(setup::bound),
            images: IMAGES,
            records: None,
        })
    }

    /// Returns the connections and logins of flags and files.
    fn connections(&self, problems: &mut Problems) -> Option<Connections> {
        let cli::Common { asking, safety, .. } = &self.common;
        let max_requests = problems.collect(rates::requests(&asking.max_requests));
        let max_rate = problems.collect(rates::bytes(&self.transfer.max_rate));
        let private = setup::hosts("--allow-private", &safety.allow_private);
        let private = problems.collect(private);
        let realms = problems.collect(setup::hosts("--trust-realm", &safety.trust_realm));
        let keychain = Keychain::new(self.credentials.clone(), Some(DockerFiles::from_env()));
        let keychain = problems.collect(keychain);
        let keychain = problems.collect(keychain?.with_trusted_realms(realms?));
        let windows = Windows::for_rules(&self.rules);
        Some(Connections {
            transport: TransportOptions {
                timeouts: Timeouts {
                    stall: Duration::from_secs(asking.stall_timeout),
                    closing: Duration::from_secs(self.transfer.commit_timeout),
                    ..Timeouts::default()
                },
                calls_per_host: windows.calls,
                transfers_per_host: windows.transfers,
                max_requests: max_requests?,
                max_rate: max_rate?,
                certificate_directories: certificate_directories(),
                private_hosts: private?,
                ..TransportOptions::default()
            },
            keychain: keychain?,
        })
    }

    /// Builds the run.
    fn begin(
        &self,
        audience: &RunOutputs,
        settings: Settings,
        connections: Connections,
        stop: Stop,
    ) -> anyhow::Result<ActiveRun> {
        Self::warn_of(&settings, &audience.lines);
        let transport = Arc::new(Transport::new(TransportOptions {
            observer: audience.observer(),
            ..connections.transport
        })?);
        let registries = Registries::new(Options {
            transport: Arc::clone(&transport),
            keychain: Arc::new(connections.keychain),
            retry: RetryPolicy {
                retries: self.common.asking.retries,
                ..RetryPolicy::default()
            },
        });
        let stores = Arc::new(RegistryStores::new(registries));
        Ok(ActiveRun {
            engine: Engine::new(stores, settings, audience.listener()),
            transport,
            stop,
        })
    }
}

/// Returns a runtime whose threads log to `log`.
fn runtime(log: &Log) -> anyhow::Result<Runtime> {
    let log = log.clone();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(worker_threads(std::env::var("TOKIO_WORKER_THREADS").ok()))
        .enable_all()
        .on_thread_start(move || log.attach_thread())
        .build()
        .context("cannot start the runtime")
}

/// Returns the number of threads in `requested` (`TOKIO_WORKER_THREADS`), by default one for each core. Tokio itself
/// panics if the variable is not a positive number.
fn worker_threads(requested: Option<String>) -> usize {
    let requested = requested.and_then(|number| number.trim().parse().ok());
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    match requested {
        Some(number @ 1..=MOST_THREADS) => number,
        _ => cores().min(MOST_THREADS),
    }
}

#[cfg(test)]
mod tests {
    use super::worker_threads;

    #[test]
    fn a_number_of_threads_that_is_none_counts_as_unset() {
        let cores = worker_threads(None);
        assert!(cores > 0);
        for unset in ["", "0", "-1", "many", "99999999999999999999", "1000000"] {
            assert_eq!(worker_threads(Some(unset.to_owned())), cores, "{unset}");
        }
        assert_eq!(worker_threads(Some(" 3".to_owned())), 3);
    }
}

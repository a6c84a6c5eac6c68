//! The life of a service: from its start to its end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use image_syncer_registry::transport::Observer;
use image_syncer_sync::Session;
use image_syncer_sync::config::ServiceConfig;
use image_syncer_sync::inventory::records::Records;
use image_syncer_sync::settings::Intent;

use crate::exit::Exit;
use crate::interrupt::Signals;
use crate::metrics::Metrics;
use crate::problems::Problems;
use crate::run::observers::Observers;
use crate::run::{collisions, open_session, process};
use crate::service::clock::Clock;
use crate::service::events::LiveEvents;
use crate::service::health::Health;
use crate::service::history::{History, HistoryFile};
use crate::service::hooks::Hooks;
use crate::service::http::{self, HttpState, Server, ServerLimits};
use crate::service::lines::RunLines;
use crate::service::notify::Notifications;
use crate::service::observer::{RunObserver, RunObservers};
use crate::service::registries::RegistryStats;
use crate::service::reload::{FileReader, Reload, ReloadOutcome, Reloader};
use crate::service::rule_book::RuleBook;
use crate::service::runs::{RunLimits, Runs};
use crate::service::schedule::{Schedules, request_at_start};
use crate::service::spec::{LoadedFiles, ServiceSpec};
use crate::service::state::ServiceState;
use crate::ui::screen::ScreenThread;
use crate::ui::{LineLabel, LineWriter, Log, Printer, RequestLogger};

/// Maximum number of runs at a time by default.
const RUNS: usize = 4;

/// Address by default.
const LISTEN: &str = "127.0.0.1:8080";

/// Maximum time for which the end of the service waits for its last records.
const CLOSING: Duration = Duration::from_secs(5);

/// Reads the files with `reader`, and serves until a signal.
///
/// # Errors
/// All mistakes that were found before the start, together.
pub(crate) fn serve(
    mut spec: ServiceSpec,
    reader: FileReader,
    mut problems: Problems,
    printer: &Printer,
) -> anyhow::Result<Exit> {
    let loaded = reader(&mut problems);
    problems.collect(Log::check(&spec.logging));
    refuse_collisions(&spec, &mut problems);
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
        let service = Service::start(&spec, reader, loaded, &lines, &log)?;
        anyhow::Ok((service.run(&spec, &mut signals).await?, signals))
    })?;
    log.close();
    let written = runtime.block_on(writing.finish(signals.next()));
    // A name that is still being resolved must not hold the process.
    runtime.shutdown_background();
    Ok(if written { exit } else { Exit::Interrupted })
}

/// Refuses files that two parts of the service would write.
fn refuse_collisions(spec: &ServiceSpec, problems: &mut Problems) {
    let (history, records) = (spec.history(), spec.records());
    let log = spec.logging.log.as_deref().map(|path| ("--log", path));
    let history = history.as_deref().map(|path| ("history", path));
    let outputs: Vec<_> = log
        .into_iter()
        .chain(history)
        .chain(records.named())
        .collect();
    collisions::refuse(&spec.inputs, &outputs, problems);
}

/// A service that runs.
struct Service {
    state: Arc<ServiceState>,
    settings: ServiceConfig,
    schedules: Schedules,
    reloader: Reloader,
    sessions: SessionFactory,
    notifications: Notifications,
    lines: LineWriter,
}

/// Opens sessions, which report to the same observers and use the same records.
struct SessionFactory {
    observer: Arc<dyn Observer>,
    records: Option<Arc<Records>>,
    transfers: Option<usize>,
    metrics: Metrics,
    registries: RegistryStats,
}

impl SessionFactory {
    fn open(&self, access: crate::run::RegistryAccess) -> anyhow::Result<Session> {
        let (records, observer) = (self.records.clone(), Arc::clone(&self.observer));
        self.registries.set_logins(access.keychain.entries());
        let session = open_session(access, self.transfers, records, observer)?;
        self.metrics.set_session(&session);
        self.registries.set_session(&session);
        Ok(session)
    }
}

impl Service {
    /// Opens everything that the service needs.
    fn start(
        spec: &ServiceSpec,
        reader: FileReader,
        loaded: LoadedFiles,
        lines: &LineWriter,
        log: &Log,
    ) -> anyhow::Result<Self> {
        let LoadedFiles { config, access } = loaded;
        let environment = |name: &str| std::env::var(name).ok();
        let http = HttpState::new(&config.service, environment).map_err(anyhow::Error::msg)?;
        let clock = Clock::default();
        let events = LiveEvents::default();
        let (history, past) = open_history(spec, lines)?;
        let schedules = Schedules::new(clock, past.last_starts()?);
        let metrics = Metrics::default();
        for (rule, ended) in past.last_successes()? {
            metrics.set_last_success(&rule, ended);
        }
        metrics.set_schedules(&schedules);
        let registries = RegistryStats::default();
        let notifications =
            Notifications::open(&config.service, &access.transport, &history, clock, lines)?;
        let mut observers: Vec<Arc<dyn RunObserver>> = vec![
            Arc::new(RunLines::new(lines.clone())),
            Arc::new(schedules.clone()),
            Arc::new(events.clone()),
            Arc::new(metrics.clone()),
            Arc::new(history.clone()),
            Arc::new(registries.clone()),
        ];
        observers.extend(notifications.observer());
        let sessions = SessionFactory {
            observer: Arc::new(Observers(vec![
                Arc::new(RequestLogger::new(lines.clone())),
                Arc::new(events.clone()),
                Arc::new(metrics.clone()),
                Arc::new(registries.clone()),
            ])),
            records: spec.records().open(Intent::Copy, lines, log),
            transfers: spec.transfers,
            metrics: metrics.clone(),
            registries: registries.clone(),
        };
        let limits = RunLimits {
            runs: config.service.runs.unwrap_or(RUNS),
            grace: spec.grace,
            listing: spec.listing,
            clock,
        };
        let (reload, reloader) = Reload::new(reader, config.files.clone());
        let rules = Arc::new(RuleBook::new(&config));
        let session = sessions.open(access)?;
        let observers = RunObservers::new(observers);
        let runs = Runs::new(session, rules, limits, observers, past.newest_run()?);
        let report = lines.clone();
        let hooks = Hooks::new(
            runs.clone(),
            &config.service.hooks,
            &|name| std::env::var(name).ok(),
            metrics.clone(),
            Arc::new(move |label, text| report.print(label, text)),
        );
        let hooks = hooks.map_err(anyhow::Error::msg)?;
        let health = Health::new(schedules.clone(), runs.clone(), spec.stall);
        Ok(Self {
            state: Arc::new(ServiceState {
                runs,
                events,
                hooks,
                schedules: schedules.clone(),
                health,
                reload,
                history,
                metrics,
                registries,
                http,
            }),
            settings: config.service,
            schedules,
            reloader,
            sessions,
            notifications,
            lines: lines.clone(),
        })
    }

    /// Serves until a signal, and ends in order.
    async fn run(self, spec: &ServiceSpec, signals: &mut Signals) -> anyhow::Result<Exit> {
        let Self {
            state,
            settings,
            schedules,
            reloader,
            sessions,
            notifications,
            lines,
        } = self;
        let runs = &state.runs;
        let server = listen(spec, &settings).await?;
        notifications.restore(&state.history).await?;
        state.health.set_ready();
        for url in server.urls() {
            lines.print(LineLabel::Note, &format!("listening on {url}"));
        }
        lines.print(LineLabel::Note, &schedules.description());
        request_at_start(runs, spec.sync_at_start);
        let reloads = reloader.drive(|read| apply(read, runs, &sessions, &lines));
        let closing = state.http.closing.clone();
        let answers = server.serve(http::router(&state, spec.has_page), closing.clone());
        let work = async {
            let driving = async {
                runs.drive().await;
                closing.cancel();
            };
            tokio::join!(answers, driving, async {
                tokio::select! {
                    () = schedules.drive(runs) => {}
                    () = reloads => {}
                    () = closing.cancelled() => {}
                }
            })
        };
        tokio::select! {
            _ = work => {}
            () = notifications.drive() => {}
            () = handle_signals(&state, spec, signals, &lines) => return Ok(Exit::Interrupted),
        }
        if let Some(records) = &sessions.records {
            records.close(CLOSING);
        }
        if let Err(error) = state.history.close(CLOSING) {
            lines.print(LineLabel::Warning, &error.to_string());
        }
        Ok(Exit::Done)
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

/// Listens at the addresses of the flags, or else of the files.
async fn listen(spec: &ServiceSpec, settings: &ServiceConfig) -> anyhow::Result<Server> {
    let addresses = match (spec.listen.as_slice(), settings.listen.as_slice()) {
        ([], []) => vec![LISTEN.to_owned()],
        ([], files) => files.to_vec(),
        (flags, _) => flags.to_vec(),
    };
    let limits = ServerLimits::default();
    let server = Server::bind(&addresses, settings.tls.as_ref(), limits).await;
    server.map_err(anyhow::Error::msg)
}

/// Puts the files that were read into force, or reports their mistakes.
fn apply(
    read: Result<(LoadedFiles, Vec<String>), &str>,
    runs: &Runs,
    sessions: &SessionFactory,
    lines: &LineWriter,
) -> Result<ReloadOutcome, String> {
    let opened = match read {
        Ok((loaded, warnings)) => {
            for warning in &warnings {
                lines.print(LineLabel::Warning, warning);
            }
            let rules = Arc::new(RuleBook::new(&loaded.config));
            let session = sessions.open(loaded.access);
            session
                .map(|session| (rules, session))
                .map_err(|error| format!("{error:#}"))
        }
        Err(mistakes) => Err(mistakes.to_owned()),
    };
    match opened {
        Ok((rules, session)) => {
            let outcome = ReloadOutcome {
                rules: rules.rules().len(),
            };
            runs.replace(&rules, session);
            Ok(outcome)
        }
        Err(mistakes) => {
            runs.keep(&mistakes);
            Err(mistakes)
        }
    }
}

/// Ends the runs in order on the first signal, and at once on the second; returns on the third. SIGHUP reloads.
async fn handle_signals(
    state: &ServiceState,
    spec: &ServiceSpec,
    signals: &mut Signals,
    lines: &LineWriter,
) {
    let name = loop {
        match signals.next().await {
            "SIGHUP" => state.reload.notify(),
            name => break name,
        }
    };
    let grace = spec.grace.as_secs();
    let text = format!(
        "{name}: no further run starts; running images may go on for {grace} s, until a second signal"
    );
    lines.print(LineLabel::Warning, &text);
    state.runs.close();
    state.runs.interrupt();
    let name = signals.next().await;
    lines.print(
        LineLabel::Warning,
        &format!("{name}: running images are dropped"),
    );
    state.runs.abandon();
    signals.next().await;
}

//! The life of a service: from its start to its end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use image_syncer_sync::Config;
use image_syncer_sync::config::ServiceConfig;

use crate::exit::Exit;
use crate::interrupt::Signals;
use crate::metrics::Metrics;
use crate::problems::Problems;
use crate::run::{collisions, process};
use crate::service::health::Health;
use crate::service::hooks::Hooks;
use crate::service::http::state::HttpState;
use crate::service::http::{self, Reporter, Server, ServerLimits};
use crate::service::notify::Notifications;
use crate::service::reload::{FileReader, Reload, ReloadOutcome, Reloader};
use crate::service::rule_book::RuleBook;
use crate::service::run::Run;
use crate::service::runs::{RunLimits, Runs};
use crate::service::schedule::request_at_start;
use crate::service::sharing::Sharing;
use crate::service::spec::{LoadedFiles, ServiceSpec};
use crate::service::state::ServiceState;
use crate::service::watchers::{SessionFactory, Watchers};
use crate::service::workers::Workers;
use crate::ui::screen::ScreenThread;
use crate::ui::{LineLabel, LineWriter, Log, Printer};

/// Maximum number of runs at a time by default.
const RUNS: usize = 4;

/// Number of last runs of each rule from which the state of a service is restored.
const RESTORED: usize = 30;

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
        let service = Service::start(&spec, reader, loaded, &lines, &log).await?;
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
    reloader: Reloader,
    sessions: SessionFactory,
    sharing: Sharing,
    notifications: Notifications,
    lines: LineWriter,
}

impl Service {
    /// Opens everything that the service needs.
    async fn start(
        spec: &ServiceSpec,
        reader: FileReader,
        loaded: LoadedFiles,
        lines: &LineWriter,
        log: &Log,
    ) -> anyhow::Result<Self> {
        let LoadedFiles { config, access } = loaded;
        let environment = |name: &str| std::env::var(name).ok();
        let reports = lines.clone();
        let reporter = Reporter::new(Arc::new(move |label, text| reports.print(label, text)));
        let http = HttpState::new(&config.service, environment, reporter);
        let http = http.map_err(anyhow::Error::msg)?;
        let (watchers, past) = Watchers::open(spec, &config, &access, lines)?;
        let sessions = watchers.sessions(spec, lines, log);
        let limits = run_limits(spec, &config, &watchers);
        let (reload, reloader) = Reload::new(reader, config.files.clone());
        let rules = Arc::new(RuleBook::new(&config));
        let sharing = Sharing::open(spec, &config, limits.runs, lines).await?;
        let session = sessions.open(access, &sharing)?;
        let observers = watchers.of_runs(lines);
        let runs = Runs::new(
            session.clone(),
            rules,
            limits,
            observers,
            past.newest_run()?,
        );
        sharing.join(&runs);
        sharing.work(&config.rule_set(), &session);
        // The rules are known by now.
        for (rule, ended) in past.last_successes()? {
            watchers.metrics.set_last_success(&rule, ended);
        }
        let hooks = open_hooks(&runs, &config.service, &watchers.metrics, lines)?;
        let health = Health::new(watchers.schedules.clone(), runs.clone(), spec.stall);
        Ok(Self {
            state: Arc::new(ServiceState {
                runs,
                events: watchers.events,
                hooks,
                schedules: watchers.schedules,
                rule_health: watchers.notifications.health(),
                health,
                reload,
                history: watchers.history,
                metrics: watchers.metrics,
                registries: watchers.registries,
                workers: Workers::default(),
                http,
            }),
            settings: config.service,
            reloader,
            sessions,
            sharing,
            notifications: watchers.notifications,
            lines: lines.clone(),
        })
    }

    /// Serves until a signal, and ends in order.
    async fn run(self, spec: &ServiceSpec, signals: &mut Signals) -> anyhow::Result<Exit> {
        let Self {
            state,
            settings,
            reloader,
            sessions,
            sharing,
            notifications,
            lines,
        } = self;
        let (runs, schedules) = (&state.runs, &state.schedules);
        let server = listen(spec, &settings, &state.http.reporter).await?;
        let last = state.history.last_runs(RESTORED).await?;
        let last: Vec<Run> = last.into_values().flatten().collect();
        notifications.restore(&last);
        state.health.set_ready();
        for url in server.urls() {
            lines.print(LineLabel::Note, &format!("listening on {url}"));
        }
        lines.print(LineLabel::Note, &schedules.description());
        runs.repeat(last);
        request_at_start(runs, spec.sync_at_start);
        let reloads =
            reloader.drive(|read| apply(read, runs, &settings, (&sessions, &sharing), &lines));
        let closing = state.http.closing.clone();
        let answers = server.serve(http::router(&state, spec.has_page), closing.clone());
        let work = async {
            let driving = async {
                runs.drive().await;
                sharing.leave().await;
                closing.cancel();
            };
            tokio::join!(answers, driving, async {
                tokio::select! {
                    () = schedules.drive(runs) => {}
                    () = reloads => {}
                    () = sharing.drive(&state) => {}
                    () = closing.cancelled() => {}
                }
            })
        };
        tokio::select! {
            _ = work => {}
            () = notifications.drive() => {}
            () = handle_signals(&state, (&sharing, spec), signals, &lines) => return Ok(Exit::Interrupted),
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

fn run_limits(spec: &ServiceSpec, config: &Config, watchers: &Watchers) -> RunLimits {
    RunLimits {
        runs: config.service.runs.unwrap_or(RUNS),
        grace: spec.grace,
        listing: spec.listing,
        clock: watchers.clock,
    }
}

/// Opens the hooks of the files.
fn open_hooks(
    runs: &Runs,
    settings: &ServiceConfig,
    metrics: &Metrics,
    lines: &LineWriter,
) -> anyhow::Result<Hooks> {
    let reports = lines.clone();
    let hooks = Hooks::new(
        runs.clone(),
        &settings.hooks,
        &|name| std::env::var(name).ok(),
        metrics.clone(),
        Arc::new(move |label, text| reports.print(label, text)),
    );
    hooks.map_err(anyhow::Error::msg)
}

/// Listens at the addresses of the flags, or else of the files.
async fn listen(
    spec: &ServiceSpec,
    settings: &ServiceConfig,
    reporter: &Reporter,
) -> anyhow::Result<Server> {
    let addresses = match (spec.listen.as_slice(), settings.listen.as_slice()) {
        ([], []) => vec![LISTEN.to_owned()],
        ([], files) => files.to_vec(),
        (flags, _) => flags.to_vec(),
    };
    let limits = ServerLimits::default();
    let server = Server::bind(&addresses, settings.tls.as_ref(), limits, reporter).await;
    server.map_err(anyhow::Error::msg)
}

/// Puts the files that were read into force, or reports their mistakes.
fn apply(
    read: Result<(LoadedFiles, Vec<String>), &str>,
    runs: &Runs,
    settings: &ServiceConfig,
    (sessions, sharing): (&SessionFactory, &Sharing),
    lines: &LineWriter,
) -> Result<ReloadOutcome, String> {
    let opened = match read {
        Ok((loaded, warnings)) => {
            for warning in &warnings {
                lines.print(LineLabel::Warning, warning);
            }
            if loaded.config.service != *settings {
                let text =
                    "the key `service` has changed. Restart the service to put it into force.";
                lines.print(LineLabel::Warning, text);
            }
            let rules = Arc::new(RuleBook::new(&loaded.config));
            let session = sessions.open(loaded.access, sharing);
            session
                .inspect(|session| sharing.work(&loaded.config.rule_set(), session))
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
    (sharing, spec): (&Sharing, &ServiceSpec),
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
    sharing.stop();
    let name = signals.next().await;
    lines.print(
        LineLabel::Warning,
        &format!("{name}: running images are dropped"),
    );
    state.runs.abandon();
    sharing.abandon();
    signals.next().await;
}

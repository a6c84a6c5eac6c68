//! Reports of runs that workers share.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use image_syncer_sync::Listener;
use image_syncer_sync::event::RuleDescription;
use image_syncer_sync::report::Report;
use image_syncer_sync::settings::Intent;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::ReportShared;
use crate::commands::columns::{table, time};
use crate::escape;
use crate::exit::Exit;
use crate::replacement::{self, AtomicFile};
use crate::report::ReportWriter;
use crate::run::Listeners;
use crate::run_summary::RunSummary;
use crate::share::postgres::{PostgresShare, SharedRun, SharedRunState};
use crate::share::{RunEvents, RunKey, ShareError};
use crate::ui::Printer;

/// Flag of the output.
const FLAG: &str = "--output";
/// Number of runs in the list.
const LISTED: i64 = 100;
/// Maximum time without the server.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Lists the runs, or writes the report of one.
///
/// # Errors
/// The server cannot be used, or the output is unsuitable.
pub(super) fn execute(flags: &ReportShared, printer: &Printer) -> anyhow::Result<Exit> {
    let Some(url) = &flags.share else {
        anyhow::bail!("report needs --share URL, or the action merge.");
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let output = flags.output.as_deref();
    let printed = printer.clone();
    let warn = Arc::new(move |text: &str| printed.warning(text));
    let exit = runtime.block_on(async {
        let as_json = match (flags.run, output.and_then(Path::to_str)) {
            (Some(_), _) | (None, Some("json")) => true,
            (None, None | Some("table")) => false,
            (None, Some(_)) => anyhow::bail!(
                "--output FILE needs --run. Write --output table or --output json for the list of runs."
            ),
        };
        let server = PostgresShare::read_only(url, TIMEOUT, warn).await?;
        match flags.run {
            Some(run) => {
                let file = output.filter(|path| path.as_os_str() != "json");
                one(&server, RunKey(run), file, printer).await
            }
            None => list(&server, as_json, printer).await,
        }
    });
    // A name that is still being resolved must not hold the process.
    runtime.shutdown_background();
    exit
}

async fn list(server: &PostgresShare, as_json: bool, printer: &Printer) -> anyhow::Result<Exit> {
    let runs = server.runs(LISTED).await?;
    let text = if as_json {
        let list: Value = runs.iter().map(record).collect();
        escape::document(&format!("{list:#}\n")).into_owned()
    } else {
        let heading = ["RUN", "STATE", "CAUSE", "RULE", "STARTED", "UNITS"];
        table(&heading, &runs.iter().map(row).collect::<Vec<_>>())
    };
    printer.out(&text);
    Ok(Exit::Done)
}

fn state(run: &SharedRun) -> &'static str {
    match run.state {
        SharedRunState::Queued => "queued",
        SharedRunState::Running => "running",
        SharedRunState::Done => "done",
        SharedRunState::Cancelled => "cancelled",
        SharedRunState::Abandoned { .. } => "abandoned",
    }
}

fn row(run: &SharedRun) -> Vec<String> {
    vec![
        run.run.0.to_string(),
        state(run).to_owned(),
        run.cause.clone(),
        run.rule.clone().unwrap_or_default(),
        time(run.started.unwrap_or(run.requested)),
        format!("{}/{}", run.finished, run.units),
    ]
}

fn record(run: &SharedRun) -> Value {
    let reason = match &run.state {
        SharedRunState::Abandoned { reason } => Some(reason),
        _ => None,
    };
    json!({
        "run": run.run.0,
        "state": state(run),
        "reason": reason,
        "cause": run.cause,
        "rule": run.rule,
        "slot": run.slot,
        "purpose": run.work.intent,
        "requested": run.requested,
        "started": run.started,
        "ended": run.ended,
        "units": run.units,
        "finished_units": run.finished,
        "program": run.program,
        "config": run.digest,
        "owner": run.owner,
    })
}

async fn one(
    server: &PostgresShare,
    run: RunKey,
    file: Option<&Path>,
    printer: &Printer,
) -> anyhow::Result<Exit> {
    let run = server.run(run).await?;
    if !run.state.is_over() {
        printer.warning(&format!(
            "the run {} is {}: {} of its {} units have ended, and the report has their images alone. Repeat the command when the run is over.",
            run.run.0,
            state(&run),
            run.finished,
            run.units
        ));
    }
    if let SharedRunState::Abandoned { reason } = &run.state {
        printer.warning(&format!("the run {} was abandoned: {reason}", run.run.0));
    }
    let Some(path) = file else {
        let written = write(server, &run, std::io::stdout()).await?;
        return Ok(written.map_or(Exit::Failed, |_| Exit::Done));
    };
    let file = AtomicFile::create(FLAG, path)?;
    let name = file.name();
    let file = match write(server, &run, file).await? {
        Ok(file) => file.put(),
        Err(error) => Err(error),
    };
    if let Err(error) = file {
        let error = replacement::failed(FLAG, &name, &error.into());
        printer.error(&format!("{error:#}"));
        return Ok(Exit::Failed);
    }
    Ok(Exit::Done)
}

/// Writes the report of what has ended.
///
/// # Errors
/// The server failed. An error of the output is the inner one.
async fn write<W: Write + Send + 'static>(
    server: &PostgresShare,
    run: &SharedRun,
    out: W,
) -> Result<std::io::Result<W>, ShareError> {
    let started = run.started.unwrap_or(run.requested);
    let document = Arc::new(ReportWriter::begin_at(out, command(run), started));
    let report = Arc::new(Report::new());
    let all: Vec<Arc<dyn Listener>> = vec![document.clone(), report.clone()];
    let rules = replay(server, run, Arc::new(Listeners(all))).await?;
    let usage = server.run_usage(run.run).await?;
    let mut summary = report.summary();
    let is_interrupted = !matches!(run.state, SharedRunState::Done);
    summary.finish(rules.len() as u64, is_interrupted);
    let finished = run.ended.unwrap_or_else(Timestamp::now);
    let ending = RunSummary {
        summary: &summary,
        shard: None,
        rules: &rules,
        hosts: &usage.hosts,
        traffic: usage.traffic,
        elapsed: Duration::try_from(finished.duration_since(started)).unwrap_or_default(),
        exit_code: summary.exit_code(),
    };
    Ok(document.end_at(&ending, finished))
}

/// Reports the events of the units that ended to `listener`. Returns the rules of the run.
async fn replay(
    server: &PostgresShare,
    run: &SharedRun,
    listener: Arc<dyn Listener>,
) -> Result<Vec<Arc<RuleDescription>>, ShareError> {
    let mut events = RunEvents::without_rules(listener);
    let mut seen = 0;
    while seen < run.finished {
        let news = server.news(run.run, seen).await?;
        seen = news.last;
        news.units.into_iter().for_each(|unit| events.add(unit));
        if news.state.is_over() {
            break;
        }
    }
    let rules = events.descriptions();
    if !matches!(run.state, SharedRunState::Done) {
        for unit in server.unfinished(run.run).await? {
            events.interrupt(&unit);
        }
    }
    events.end();
    Ok(rules)
}

fn command(run: &SharedRun) -> &'static str {
    match run.work.intent {
        Intent::Plan => "plan",
        Intent::Check => "check",
        _ => "sync",
    }
}

//! The command `history`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use image_syncer_registry::Digest;
use image_syncer_sync::rule::RuleFilter;
use serde_json::json;

use crate::cli::{
    HistoryAction, HistoryArgs, HistoryCommon, HistoryFormat, HistoryList, HistoryOutcome,
};
use crate::commands::columns::{table, time};
use crate::escape;
use crate::exit::Exit;
use crate::service::history::{FailureGroup, HistoryFile, PastTag, RunFilter, TagQuery, TagRecord};
use crate::service::history_file;
use crate::service::run::{Run, RunId, RunState};
use crate::ui::{Printer, units};

/// Executes `image-syncer history …`.
pub(super) fn execute(arguments: HistoryArgs, printer: &Printer) -> anyhow::Result<Exit> {
    match arguments.action {
        None => list(&arguments.list, printer),
        Some(HistoryAction::List(flags)) => list(&flags, printer),
        Some(HistoryAction::Show { run, common }) => show(&run, &common, printer),
        Some(HistoryAction::Where { place, common }) => find(&place, &common, printer),
    }
}

fn open(common: &HistoryCommon) -> anyhow::Result<HistoryFile> {
    let path = history_file(common.state.as_deref()).context(
        "the directory of the history is unknown: neither HOME nor XDG_STATE_HOME is set. Write --state DIR.",
    )?;
    Ok(HistoryFile::open(&path)?)
}

fn list(flags: &HistoryList, printer: &Printer) -> anyhow::Result<Exit> {
    let file = open(&flags.common)?;
    let filter = RunFilter {
        rules: rules(&file, &flags.rule)?,
        state: flags.outcome.map(RunState::from),
        before: None,
        limit: flags.limit.into(),
    };
    let runs = file.runs(&filter)?;
    print(&flags.common, printer, &json!(runs), || {
        let heading = [
            "RUN",
            "RULE",
            "CAUSE",
            "STATE",
            "STARTED",
            "TIME",
            "COPIED",
            "UNCHANGED",
            "FAILED",
        ];
        table(&heading, &runs.iter().map(row).collect::<Vec<_>>())
    });
    Ok(Exit::Done)
}

/// Returns the rules that the globs select; empty for all.
fn rules(file: &HistoryFile, globs: &[String]) -> anyhow::Result<Vec<Arc<str>>> {
    if globs.is_empty() {
        return Ok(Vec::new());
    }
    let filter = RuleFilter::new(globs);
    let mut rules = file.rules()?;
    let names: Vec<&str> = rules.iter().map(|rule| &**rule).collect();
    filter.check(&names)?;
    rules.retain(|rule| filter.selects(rule));
    Ok(rules)
}

fn row(run: &Run) -> Vec<String> {
    let counts = &run.counts;
    vec![
        run.id.to_string(),
        run.rule.to_string(),
        run.cause.to_string(),
        run.state.to_string(),
        time(run.started.unwrap_or(run.requested)),
        duration(run).map(units::time).unwrap_or_default(),
        (counts.copied + counts.different).to_string(),
        counts.unchanged.to_string(),
        counts.failed.to_string(),
    ]
}

fn show(id: &str, common: &HistoryCommon, printer: &Printer) -> anyhow::Result<Exit> {
    let id: RunId = id.parse().map_err(|error| anyhow!("{id}: {error}"))?;
    let file = open(common)?;
    let run = file.run(id)?;
    let run = run.with_context(|| {
        format!("the history has no run {id}. image-syncer history lists its runs.")
    })?;
    let failures = file.failures(id)?;
    let document = json!({"run": run, "failures": failures});
    print(common, printer, &document, || details(&run, &failures));
    Ok(Exit::Done)
}

fn details(run: &Run, failures: &[FailureGroup]) -> String {
    let counts = &run.counts;
    let took = duration(run).map(|took| format!(" ({})", units::time(took)));
    let mut lines = vec![
        ("run", format!("{} of {}: {}", run.id, run.rule, run.state)),
        ("cause", format!("{} ({})", run.cause, run.purpose)),
        ("requested", time(run.requested)),
        ("started", run.started.map(time).unwrap_or_default()),
        (
            "ended",
            run.ended.map(time).unwrap_or_default() + &took.unwrap_or_default(),
        ),
        (
            "images",
            format!(
                "{} known, {} copied, {} unchanged, {} different, {} skipped, {} failed, {} interrupted",
                counts.images,
                counts.copied,
                counts.unchanged,
                counts.different,
                counts.skipped,
                counts.failed,
                counts.interrupted
            ),
        ),
        (
            "data",
            format!(
                "{} read, {} sent, {} not sent again",
                units::bytes(counts.fetched_bytes),
                units::bytes(counts.sent_bytes),
                units::bytes(counts.saved_bytes)
            ),
        ),
        ("failure", run.failure.clone().unwrap_or_default()),
    ];
    lines.extend(scope(run).map(|scope| ("scope", scope)));
    let mut text = String::new();
    for (name, value) in lines.iter().filter(|(_, value)| !value.is_empty()) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<10} {}", escape::line(value));
    }
    for group in failures {
        let _ = write!(text, "\n{}", failure(group));
    }
    text
}

/// Returns the part of the rule that the run copied, if it was not all of it.
fn scope(run: &Run) -> Option<String> {
    let scope = &run.scope;
    let mut parts: Vec<&str> = scope.repository.as_deref().into_iter().collect();
    parts.extend(scope.tags.iter().map(String::as_str));
    parts.extend(scope.force.then_some("--force"));
    parts.extend(scope.verify.then_some("--verify"));
    (!parts.is_empty()).then(|| parts.join(" "))
}

fn failure(group: &FailureGroup) -> String {
    let key = &group.key;
    let place = match (&*key.host, &*key.side) {
        ("", "local") => String::new(),
        ("", side) => format!(" ({side})"),
        (host, side) => format!(" at {host} ({side})"),
    };
    let count = units::count(group.count, "failure");
    let mut text = format!(
        "{}\n",
        escape::line(&format!("{count}: {}{place}", key.cause))
    );
    if let Some(hint) = &group.hint {
        let _ = writeln!(text, "  hint: {}", escape::line(hint));
    }
    for example in &group.examples {
        let destination = example.destination.as_deref();
        let destination = destination
            .map(|it| format!(" -> {it}"))
            .unwrap_or_default();
        let reason = example.reason.as_deref().unwrap_or_default();
        let line = format!("{}{destination}: {reason}", example.source);
        let _ = writeln!(text, "  {}", escape::line(&line));
    }
    let more = group.count.saturating_sub(group.examples.len() as u64);
    if more > 0 {
        let _ = writeln!(text, "  and {} more", units::grouped(more));
    }
    text
}

fn find(place: &str, common: &HistoryCommon, printer: &Printer) -> anyhow::Result<Exit> {
    let queries = queries(place)?;
    let file = open(common)?;
    let (mut tags, mut past): (Vec<TagRecord>, Vec<PastTag>) = (Vec::new(), Vec::new());
    for query in &queries {
        tags.extend(file.tags(query)?);
        past.extend(file.past_tags(query)?);
    }
    if tags.is_empty() && past.is_empty() {
        printer.error(&format!(
            "nothing is known about {place}: no run copied, compared or replaced it."
        ));
        return Ok(Exit::Failed);
    }
    let document = json!({"tags": tags, "past": past});
    print(common, printer, &document, || {
        let heading = [
            "DESTINATION",
            "DIGEST",
            "STATE",
            "SINCE",
            "UNTIL",
            "HOW",
            "RUN",
            "SOURCE",
        ];
        let current = tags.iter().map(current_row);
        table(
            &heading,
            &current.chain(past.iter().map(past_row)).collect::<Vec<_>>(),
        )
    });
    Ok(Exit::Done)
}

/// Returns the queries for a digest, or for a reference at either end.
fn queries(place: &str) -> anyhow::Result<Vec<TagQuery>> {
    if let Ok(digest) = Digest::parse(place) {
        return Ok(vec![TagQuery::Digest(digest)]);
    }
    let name = place.rsplit(['/', '#']).next().unwrap_or_default();
    if name.len() == place.len() || !name.contains([':', '@']) {
        bail!(
            "{place} is neither a digest nor a tag. Write sha256:… with 64 hex digits, or REGISTRY/REPOSITORY:TAG."
        );
    }
    Ok(vec![
        TagQuery::Destination(place.to_owned()),
        TagQuery::Source(place.to_owned()),
    ])
}

fn current_row(tag: &TagRecord) -> Vec<String> {
    vec![
        tag.destination.clone(),
        tag.digest
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        tag.state.to_string(),
        time(tag.at),
        String::new(),
        how(tag.copied),
        tag.run.to_string(),
        tag.source.clone(),
    ]
}

fn past_row(tag: &PastTag) -> Vec<String> {
    vec![
        tag.destination.clone(),
        tag.digest.to_string(),
        "replaced".to_owned(),
        time(tag.at),
        time(tag.until),
        how(tag.copied),
        tag.run.to_string(),
        String::new(),
    ]
}

fn how(copied: bool) -> String {
    if copied { "copied" } else { "found" }.to_owned()
}

/// Prints the document, or what `text` makes of it.
fn print(
    common: &HistoryCommon,
    printer: &Printer,
    document: &serde_json::Value,
    text: impl FnOnce() -> String,
) {
    let text = match common.output {
        HistoryFormat::Json => escape::document(&format!("{document:#}\n")).into_owned(),
        HistoryFormat::Table => text(),
    };
    printer.out(&text);
}

/// Returns the time that a run took.
fn duration(run: &Run) -> Option<Duration> {
    Duration::try_from(run.ended?.duration_since(run.started?)).ok()
}

impl From<HistoryOutcome> for RunState {
    fn from(outcome: HistoryOutcome) -> Self {
        match outcome {
            HistoryOutcome::Queued => Self::Queued,
            HistoryOutcome::Running => Self::Running,
            HistoryOutcome::Succeeded => Self::Succeeded,
            HistoryOutcome::Failed => Self::Failed,
            HistoryOutcome::Cancelled => Self::Cancelled,
            HistoryOutcome::Interrupted => Self::Interrupted,
        }
    }
}

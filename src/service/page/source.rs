//! Views of the state of the service.

use std::sync::Arc;
use std::time::Duration;

use image_syncer_sync::config::{CronTime, Schedule, Times};
use image_syncer_sync::report::{FailureGroup, Summary};
use image_syncer_sync::transfer::{InFlightUpload, Progress};
use jiff::Timestamp;

use crate::hint::hint;
use crate::service::page::plot;
use crate::service::page::routes::ImagesQuery;
use crate::service::page::view::rules::{self, RuleFilter, RuleRow, RulesView};
use crate::service::page::view::run::{
    FailureCard, ImageList, RunView, TRANSFERS, Transfer, Waiting,
};
use crate::service::page::view::runs::{self, RunsView};
use crate::service::rule_book::ServiceRule;
use crate::service::run::{Run, RunCounts, RunId, RunState};
use crate::service::runs::{LiveRun, Sample};
use crate::service::state::ServiceState;

/// Returns the page of the rules.
pub(super) async fn rules(
    state: &ServiceState,
    q: &str,
    filter: RuleFilter,
    page: usize,
) -> RulesView {
    let mut active = rules::by_rule(state.runs.unfinished());
    let book = state.runs.rules();
    let rows = book.rules().iter().map(|rule| {
        let active = active.remove(&rule.name).unwrap_or_default();
        rule_row(rule, active, Vec::new(), state.schedules.next(&rule.name))
    });
    RulesView::new(q, filter, page, rows.collect())
}

/// Returns a rule; `None` if there is no such rule.
pub(super) async fn rule(state: &ServiceState, name: &str) -> Option<RuleRow> {
    let book = state.runs.rules();
    let rule = book.get(name)?;
    let mut active = state.runs.unfinished();
    active.retain(|run| *run.rule == *name);
    Some(rule_row(
        rule,
        active,
        Vec::new(),
        state.schedules.next(name),
    ))
}

fn rule_row(
    rule: &ServiceRule,
    active: Vec<Run>,
    last: Vec<Run>,
    next: Option<Timestamp>,
) -> RuleRow {
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    let location = rule.descriptions.first();
    let location = location.and_then(|rule| rule.location.as_ref());
    RuleRow {
        name: Arc::clone(&rule.name),
        from: owned(rule.sources()),
        to: owned(rule.destinations()),
        location: location.map(ToString::to_string),
        active,
        last,
        next,
        schedule: schedule(&rule.schedule),
    }
}

/// Returns a schedule as the user wrote it.
fn schedule(schedule: &Schedule) -> String {
    match &schedule.times {
        Times::Never => String::new(),
        Times::Cron(times, zone) => {
            let times: Vec<&str> = times.iter().map(CronTime::as_str).collect();
            let zone = zone.iana_name().unwrap_or("UTC");
            format!("{} {zone}", times.join(", "))
        }
        Times::Every(interval) => format!("every {}", crate::ui::units::time(*interval)),
    }
}

/// Returns a page of the runs.
pub(super) async fn runs(
    state: &ServiceState,
    rule: &str,
    shown: Option<RunState>,
    before: Option<RunId>,
) -> RunsView {
    let mut found = state.runs.unfinished();
    found.retain(|run| {
        (rule.is_empty() || run.rule.contains(rule))
            && shown.is_none_or(|shown| run.state == shown)
            && before.is_none_or(|before| run.id < before)
    });
    found.reverse();
    let has_older = found.len() > runs::PER_PAGE;
    found.truncate(runs::PER_PAGE);
    RunsView {
        rule: rule.to_owned(),
        state: shown,
        before: before.map(|id| id.to_string()).unwrap_or_default(),
        runs: found,
        has_older,
    }
}

/// Returns a run; `None` if there is no such run.
pub(super) async fn run(state: &ServiceState, id: RunId, query: &ImagesQuery) -> Option<RunView> {
    let images = ImageList {
        q: query.q.clone(),
        outcome: query.outcome.clone(),
        after: query.after.clone(),
        ..ImageList::default()
    };
    if let Some(live) = state.runs.live(id) {
        return Some(live_run(&live, images));
    }
    let unfinished = state.runs.unfinished();
    let run = unfinished.iter().find(|run| run.id == id)?.clone();
    let waiting = waiting(&run, &unfinished);
    Some(RunView {
        waiting: Some(waiting),
        ..without_progress(run, images)
    })
}

fn without_progress(run: Run, images: ImageList) -> RunView {
    RunView {
        run,
        waiting: None,
        points: Vec::new(),
        speed: None,
        left: None,
        transfers: Vec::new(),
        in_flight: 0,
        pauses: Vec::new(),
        failures: Vec::new(),
        warnings: Vec::new(),
        images,
        has_report: false,
    }
}

fn live_run(live: &LiveRun, images: ImageList) -> RunView {
    let summary = live.report.summary();
    let samples = live.throughput.samples();
    let speed = recent_speed(samples);
    let uploads = live.progress.as_deref().map(Progress::in_flight);
    let uploads = uploads.unwrap_or_default();
    let elapsed = samples.last().map_or(0, |sample| sample.second);
    RunView {
        points: plot::points(samples),
        speed,
        left: time_left(&live.run.counts, elapsed, speed, rest(&uploads)),
        transfers: largest(&uploads),
        in_flight: uploads.len(),
        failures: failures(&summary),
        warnings: summary.warnings.iter().take(20).cloned().collect(),
        ..without_progress(live.run.clone(), images)
    }
}

/// Returns what a run waits for.
fn waiting(run: &Run, unfinished: &[Run]) -> Waiting {
    let running = |other: &&Run| other.state == RunState::Running;
    let same = unfinished
        .iter()
        .filter(running)
        .find(|other| other.rule == run.rule);
    if let Some(same) = same {
        return Waiting::SameRule(same.id.to_string());
    }
    let earlier = unfinished
        .iter()
        .filter(|other| other.state == RunState::Queued && other.id < run.id);
    Waiting::Limit {
        running: unfinished
            .iter()
            .filter(running)
            .map(|other| (other.id.to_string(), other.rule.to_string()))
            .collect(),
        before: earlier.count(),
    }
}

/// Returns the bytes per second that were sent in the last seconds.
fn recent_speed(samples: &[Sample]) -> Option<u64> {
    /// Window of the speed.
    const SECONDS: u64 = 5;
    let last = samples.last()?;
    let mut earlier = samples.iter().rev();
    let first = earlier.find(|sample| sample.second + SECONDS <= last.second);
    let first = first.copied().unwrap_or_default();
    let bytes = last.sent_bytes.saturating_sub(first.sent_bytes);
    let speed = bytes.checked_div(last.second.saturating_sub(first.second))?;
    (speed > 0).then_some(speed)
}

/// Returns the bytes that the transfers in flight still have to send.
fn rest(uploads: &[Arc<InFlightUpload>]) -> u64 {
    let rests = uploads.iter().map(|upload| {
        let size = upload.blob().size.unwrap_or_default();
        size.saturating_sub(upload.done().unwrap_or_default())
    });
    rests.fold(0, u64::saturating_add)
}

/// Returns the remaining time: the longer one of the images at their pace, and the bytes in flight at their speed.
fn time_left(counts: &RunCounts, elapsed: u64, speed: Option<u64>, rest: u64) -> Option<Duration> {
    /// Seconds, and number of ended images, before which there is no estimate.
    const EARLY: u64 = 3;
    const FEW: u64 = 5;
    let ended = counts.ended();
    let missing = counts.images.saturating_sub(ended);
    let by_images = (ended >= FEW).then(|| elapsed.saturating_mul(missing) / ended);
    let by_bytes = speed.and_then(|speed| rest.checked_div(speed));
    let seconds = by_images.max(by_bytes)?;
    (elapsed >= EARLY && missing > 0).then(|| Duration::from_secs(seconds))
}

/// Returns the largest transfers, the largest first.
fn largest(uploads: &[Arc<InFlightUpload>]) -> Vec<Transfer> {
    let mut uploads: Vec<&Arc<InFlightUpload>> = uploads.iter().collect();
    uploads.sort_by_key(|upload| {
        let is_waiting = upload.done().is_none();
        (
            is_waiting,
            std::cmp::Reverse(upload.blob().size),
            upload.number(),
        )
    });
    let shown = uploads.into_iter().take(TRANSFERS).map(|upload| Transfer {
        number: upload.number(),
        digest: upload.blob().digest.to_string(),
        size: upload.blob().size,
        done: upload.done(),
        source: upload.source().to_string(),
        destination: upload.destination().to_string(),
    });
    shown.collect()
}

/// Returns the failures of a run in progress by their remedy, in the order of the first of each.
fn failures(summary: &Summary) -> Vec<FailureCard> {
    /// Number of examples of a card.
    const EXAMPLES: usize = 5;
    let mut cards: Vec<(FailureGroup, FailureCard)> = Vec::new();
    for failed in &summary.failures {
        let group = FailureGroup::from_failure(&failed.failure);
        let example = (
            failed.source.to_string(),
            failed.destination.as_ref().map(ToString::to_string),
        );
        if let Some((_, card)) = cards.iter_mut().find(|(known, _)| *known == group) {
            if card.examples.len() < EXAMPLES {
                card.examples.push(example);
            }
            continue;
        }
        let card = FailureCard {
            cause: group.cause.to_string(),
            host: group.host.clone(),
            number: summary.by_cause.get(&group).copied().unwrap_or(1),
            hint: hint(&failed.failure),
            reason: failed.failure.reason.clone(),
            examples: vec![example],
        };
        cards.push((group, card));
    }
    cards.into_iter().map(|(_, card)| card).collect()
}

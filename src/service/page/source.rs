//! Views of the state of the service.

use std::sync::Arc;
use std::time::Duration;

use image_syncer_registry::Digest;
use image_syncer_sync::report::{FailureGroup, Summary};
use image_syncer_sync::transfer::{InFlightUpload, Progress};

use crate::hint::hint;
use crate::service::history::{self, HistoryError, ImageFilter, RunFilter, TagQuery};
use crate::service::page::plot;
use crate::service::page::routes::ImagesQuery;
use crate::service::page::view::differences::{
    self, ImageView, RepositoryView, RuleDifferences, RulesDifferences,
};
use crate::service::page::view::list::ListPage;
use crate::service::page::view::reload::ReloadView;
use crate::service::page::view::rules::{self, RuleFilter, RuleRow, RulesView};
use crate::service::page::view::run::{
    CAUSES, FailureCard, IMAGES, ImageList, Pause, RunView, TRANSFERS, TransferLine, Waiting,
};
use crate::service::page::view::runs::{self, RunsView};
use crate::service::rule_book::ServiceRule;
use crate::service::run::{Run, RunCounts, RunId, RunState};
use crate::service::runs::LiveRun;
use crate::service::state::ServiceState;
use crate::service::throughput::Sample;

/// Number of runs of a strip.
const STRIP: usize = 30;

/// Returns the page of the rules.
pub(super) async fn rules(
    state: &ServiceState,
    q: &str,
    filter: RuleFilter,
    page: usize,
) -> Result<RulesView, HistoryError> {
    let mut active = rules::by_rule(state.runs.unfinished());
    // The newest of two runs may be in progress.
    let mut last = state.history.last_runs(2).await?;
    let book = state.runs.rules();
    let rows = book.rules().iter().map(|rule| {
        let active = active.remove(&rule.name).unwrap_or_default();
        let last = last.remove(&rule.name).unwrap_or_default();
        rule_row(state, rule, active, over(last))
    });
    let mut view = RulesView::new(q, filter, page, rows.collect());
    let mistakes = state.reload.mistakes();
    view.mistakes = mistakes.map(|text| ReloadView::from_mistakes(&text));
    for row in &mut view.rules.rows {
        row.last = last_runs(state, &row.name).await?;
    }
    Ok(view)
}

/// Returns a rule; `None` if there is no such rule.
pub(super) async fn rule(
    state: &ServiceState,
    name: &str,
) -> Result<Option<RuleRow>, HistoryError> {
    let book = state.runs.rules();
    let Some(rule) = book.get(name) else {
        return Ok(None);
    };
    let mut active = state.runs.unfinished();
    active.retain(|run| *run.rule == *name);
    let last = last_runs(state, &rule.name).await?;
    Ok(Some(rule_row(state, rule, active, last)))
}

async fn last_runs(state: &ServiceState, rule: &Arc<str>) -> Result<Vec<Run>, HistoryError> {
    let filter = RunFilter {
        rules: vec![Arc::clone(rule)],
        limit: STRIP + 2,
        ..RunFilter::default()
    };
    let mut runs = over(state.history.runs(filter).await?);
    runs.truncate(STRIP);
    Ok(runs)
}

/// Returns the runs that are over.
fn over(mut runs: Vec<Run>) -> Vec<Run> {
    runs.retain(|run| run.state.is_over());
    runs
}

fn rule_row(state: &ServiceState, rule: &ServiceRule, active: Vec<Run>, last: Vec<Run>) -> RuleRow {
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
        failing_since: state.rule_health.failing_since(&rule.name),
        next: state.schedules.next(&rule.name),
        schedule: rule.schedule.times.clone(),
    }
}

/// Reads the files again; `None` if the service is stopping.
pub(super) async fn reload(state: &ServiceState) -> Option<ReloadView> {
    let before = state.runs.rules();
    let outcome = tokio::select! {
        outcome = state.reload.request() => outcome,
        () = state.http.closing.cancelled() => return None,
    };
    Some(match outcome {
        Ok(_) => ReloadView::new(&before, &state.runs.rules()),
        Err(mistakes) => ReloadView::from_mistakes(&mistakes),
    })
}

/// Returns a page of the runs: of the rules whose names contain `rule`.
pub(super) async fn runs(
    state: &ServiceState,
    rule: &str,
    shown: Option<RunState>,
    before: Option<RunId>,
) -> Result<RunsView, HistoryError> {
    let book = state.runs.rules();
    let names = book.rules().iter().map(|rule| &rule.name);
    let mut names: Vec<Arc<str>> = if rule.is_empty() {
        Vec::new()
    } else {
        names.filter(|name| name.contains(rule)).cloned().collect()
    };
    if !rule.is_empty() && names.iter().all(|name| **name != *rule) {
        // A rule that is not in the files any more still has runs.
        names.push(rule.into());
    }
    let is_shown = |run: &Run| {
        (names.is_empty() || names.contains(&run.rule))
            && shown.is_none_or(|shown| run.state == shown)
            && before.is_none_or(|before| run.id < before)
    };
    let unfinished = state.runs.unfinished();
    let past = state.history.runs(RunFilter {
        rules: names.clone(),
        state: shown,
        before,
        limit: runs::PER_PAGE + 1,
    });
    let mut found = past.await?;
    // The history has old numbers of runs in progress.
    found.retain(|run| unfinished.iter().all(|other| other.id != run.id));
    found.extend(unfinished.into_iter().filter(is_shown));
    found.sort_by_key(|run| std::cmp::Reverse(run.id));
    let has_older = found.len() > runs::PER_PAGE;
    found.truncate(runs::PER_PAGE);
    Ok(RunsView {
        rule: rule.to_owned(),
        state: shown,
        before: before.map(|id| id.to_string()).unwrap_or_default(),
        runs: found,
        has_older,
    })
}

/// Returns a run; `None` if there is no such run.
pub(super) async fn run(
    state: &ServiceState,
    id: RunId,
    query: &ImagesQuery,
) -> Result<Option<RunView>, HistoryError> {
    if let Some(live) = state.runs.live(id) {
        let images = images(state, id, query).await?;
        let pauses = pauses(state, &live.run);
        return Ok(Some(live_run(&live, images, pauses)));
    }
    let unfinished = state.runs.unfinished();
    if let Some(run) = unfinished.iter().find(|run| run.id == id) {
        let waiting = waiting(run, &unfinished);
        let images = images(state, id, query).await?;
        return Ok(Some(RunView {
            waiting: Some(waiting),
            ..without_progress(run.clone(), images)
        }));
    }
    let Some(run) = state.history.run(id).await? else {
        return Ok(None);
    };
    let failures = state.history.failures(id).await?;
    let samples = state.history.throughput(id).await?;
    let images = images(state, id, query).await?;
    let has_report = run.state.is_over();
    Ok(Some(RunView {
        points: plot::points(&samples),
        failures: failures
            .into_iter()
            .take(CAUSES)
            .map(past_failure)
            .collect(),
        has_report,
        ..without_progress(run, images)
    }))
}

async fn images(
    state: &ServiceState,
    id: RunId,
    query: &ImagesQuery,
) -> Result<ImageList, HistoryError> {
    let text = query.q.trim();
    let filter = ImageFilter {
        outcome: query.outcome.parse().ok(),
        text: (!text.is_empty()).then(|| text.to_owned()),
        after: query.after.parse().ok(),
        limit: IMAGES,
    };
    let page = state.history.images(id, filter).await?;
    Ok(ImageList {
        q: text.to_owned(),
        outcome: query.outcome.clone(),
        after: query.after.clone(),
        rows: page.images,
        next: page.next.map(|next| next.to_string()),
    })
}

/// Returns the present pauses of the registries of a run.
fn pauses(state: &ServiceState, run: &Run) -> Vec<Pause> {
    let book = state.runs.rules();
    let Some(rule) = book.get(&run.rule) else {
        return Vec::new();
    };
    let ends = [rule.sources(), rule.destinations()].concat();
    let rows = state.registries.rows().into_iter().filter(|row| {
        // The name of Docker Hub may be omitted.
        row.registry == "docker.io" || ends.iter().any(|end| end.starts_with(&row.registry))
    });
    let pauses = rows.filter_map(|row| {
        let pause = row.pause?;
        Some(Pause {
            host: row.registry,
            is_rate_limit: pause.why == "rate-limit",
            until: pause.until,
        })
    });
    pauses.collect()
}

fn past_failure(group: history::FailureGroup) -> FailureCard {
    let first = group.examples.first();
    let reason = first.and_then(|image| image.reason.clone());
    let examples = group.examples.into_iter();
    FailureCard {
        cause: group.key.cause,
        host: group.key.host,
        number: group.count,
        hint: group.hint,
        reason: reason.unwrap_or_default(),
        examples: examples
            .map(|image| (image.source, image.destination))
            .collect(),
    }
}

/// Returns the numbers of the tags of all rules.
pub(super) async fn differences(
    state: &ServiceState,
    page: usize,
) -> Result<RulesDifferences, HistoryError> {
    let rules = state.history.difference_counts().await?;
    Ok(RulesDifferences::new(rules, page))
}

/// Returns the differences of a rule, and a page of its repositories.
pub(super) async fn rule_differences(
    state: &ServiceState,
    rule: &str,
    after: &str,
    repositories: usize,
) -> Result<RuleDifferences, HistoryError> {
    let name: Arc<str> = rule.into();
    let cursor = after.parse().ok();
    let history = &state.history;
    let page = history.differences(Arc::clone(&name), cursor, differences::PER_PAGE);
    let (page, tags) = (page.await?, history.difference_counts().await?);
    let mut all = history.repositories(Arc::clone(&name)).await?;
    all.sort_by_key(|repository| repository.counts.different() == 0);
    Ok(RuleDifferences {
        tags: tags.into_iter().find(|tags| tags.rule == name),
        repositories: ListPage::new(all, repositories, differences::ROWS),
        after: after.to_owned(),
        differences: page,
        rule: name,
    })
}

/// Returns the tags of a source repository.
pub(super) async fn repository(
    state: &ServiceState,
    rule: &str,
    repository: &str,
    after: &str,
) -> Result<RepositoryView, HistoryError> {
    let cursor = after.parse().ok();
    let page = state
        .history
        .repository_tags(repository.to_owned(), cursor, differences::PER_PAGE);
    Ok(RepositoryView {
        rule: rule.to_owned(),
        repository: repository.to_owned(),
        after: after.to_owned(),
        page: page.await?,
    })
}

/// Returns where the image with this reference or digest is, and was.
pub(super) async fn image(state: &ServiceState, q: &str) -> Result<ImageView, HistoryError> {
    let q = q.trim().to_owned();
    let queries = match Digest::parse(&q) {
        Ok(digest) => vec![TagQuery::Digest(digest)],
        Err(_) if q.is_empty() => Vec::new(),
        Err(_) => vec![
            TagQuery::Destination(q.clone()),
            TagQuery::Source(q.clone()),
        ],
    };
    let mut view = ImageView {
        q,
        ..ImageView::default()
    };
    for query in queries {
        view.tags.extend(state.history.tags(query.clone()).await?);
        view.past.extend(state.history.past_tags(query).await?);
    }
    Ok(view)
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

fn live_run(live: &LiveRun, images: ImageList, pauses: Vec<Pause>) -> RunView {
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
        pauses,
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
fn largest(uploads: &[Arc<InFlightUpload>]) -> Vec<TransferLine> {
    let mut uploads: Vec<&Arc<InFlightUpload>> = uploads.iter().collect();
    uploads.sort_by_key(|upload| {
        let is_waiting = upload.done().is_none();
        (
            is_waiting,
            std::cmp::Reverse(upload.blob().size),
            upload.number(),
        )
    });
    let shown = uploads
        .into_iter()
        .take(TRANSFERS)
        .map(|upload| TransferLine {
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
    let shown = cards.into_iter().take(CAUSES);
    shown.map(|(_, card)| card).collect()
}

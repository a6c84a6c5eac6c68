//! Receivers of what the metrics count: states and events of runs, and requests.

use std::sync::Arc;
use std::time::Duration;

use image_syncer_registry::transport::{ByteCounters, Observer, PauseReason, RequestRecord};
use image_syncer_sync::rule::is_file_reference;
use image_syncer_sync::{Event, Outcome};

use crate::metrics::Metrics;
use crate::metrics::state::{ActiveRun, State};
use crate::service::observer::RunObserver;
use crate::service::rule_book::RuleBook;
use crate::service::run::{Cause, Run, RunId, RunPurpose, RunState};
use crate::service::throughput::Sample;

impl RunObserver for Metrics {
    fn changed(&self, run: &Run) {
        let mut state = self.state();
        if !run.state.is_over() {
            if run.state == RunState::Running {
                let rule = run.rule.clone();
                let active = ActiveRun { rule, transfers: 0 };
                state.runs.insert(run.id, active);
            }
            return;
        }
        state.runs.remove(&run.id);
        let series = state.rule(&run.rule);
        let labels = (cause_label(run.cause), result_label(run.state));
        *series.runs.entry(labels).or_default() += 1;
        if let (Some(started), Some(ended)) = (run.started, run.ended) {
            let duration = ended.duration_since(started);
            series
                .duration
                .observe(Duration::try_from(duration).unwrap_or_default());
        }
        // A run of a part, and a comparison, prove nothing about the rule.
        let is_whole = run.scope.repository.is_none() && run.scope.tags.is_empty();
        if run.purpose == RunPurpose::Sync
            && is_whole
            && let Some(series) = state.named_rule(&run.rule)
        {
            if run.state == RunState::Succeeded {
                series.last_success = run.ended.map(jiff::Timestamp::as_second);
            }
            if run.started.is_some() {
                series.last_run_failed = Some(run.counts.failed);
            }
        }
    }

    fn event(&self, run: RunId, event: &Event) {
        let Event::ImageFinished { outcome, .. } = event else {
            return;
        };
        let mut state = self.state();
        let Some(rule) = state.runs.get(&run).map(|run| run.rule.clone()) else {
            return;
        };
        state.rule(&rule).count_image(outcome);
        record_saved_bytes(&mut state, event);
    }

    fn progress(&self, run: &Run, sample: &Sample) {
        if let Some(active) = self.state().runs.get_mut(&run.id) {
            active.transfers = sample.uploads;
        }
    }

    fn rules(&self, rules: &Arc<RuleBook>) {
        let names = rules.rules().iter().map(|rule| &rule.name);
        let mut state = self.state();
        state.set_rules(names);
        state.config_reload_ok = Some(true);
    }

    fn reloaded(&self, rules: Result<&Arc<RuleBook>, &str>) {
        self.state().config_reload_ok = Some(rules.is_ok());
    }
}

/// Counts what the copy of an image did not send.
pub(super) fn record_saved_bytes(state: &mut State, event: &Event) {
    if let Event::ImageFinished {
        image,
        outcome: Outcome::Copied(copied),
        ..
    } = event
        && let Some(registry) = registry_of(&image.destination)
    {
        state.registry(registry).saved.add(&copied.volume);
    }
}

/// Returns the registry of a full reference; `None` for a layout or an archive.
fn registry_of(reference: &str) -> Option<&str> {
    let (registry, _) = reference.split_once('/')?;
    (!registry.is_empty() && !is_file_reference(reference)).then_some(registry)
}

impl Observer for Metrics {
    fn request(&self, record: &RequestRecord<'_>) {
        let status = record.status.map(|status| status.as_u16());
        let mut state = self.state();
        let series = state.registry(record.registry);
        series.count_request(record.method.as_str(), status, record.elapsed);
    }

    fn byte_counters(&self, registry: &str) -> Option<Arc<ByteCounters>> {
        Some(Arc::clone(&self.state().registry(registry).bytes))
    }

    fn retry(&self, registry: &str, _error: &str, _tries: u32, _delay: Duration) {
        self.state().registry(registry).retries += 1;
    }

    fn pause(&self, host: &str, delay: Duration, why: PauseReason) {
        self.state().registry(host).add_pause(delay, why);
    }
}

/// Returns the label of a cause.
fn cause_label(cause: Cause) -> &'static str {
    match cause {
        Cause::Schedule => "schedule",
        Cause::Api => "api",
        Cause::Hook => "hook",
        Cause::Start => "start",
    }
}

/// Returns the label of the state of a run that is over.
fn result_label(state: RunState) -> &'static str {
    match state {
        RunState::Succeeded => "succeeded",
        RunState::Cancelled => "cancelled",
        RunState::Interrupted => "interrupted",
        RunState::Failed | RunState::Queued | RunState::Running => "failed",
    }
}

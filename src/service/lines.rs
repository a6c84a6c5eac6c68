//! Lines about runs, for the log and the terminal.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use image_syncer_sync::{Event, Listener as _};
use jiff::Timestamp;

use crate::lock::lock;
use crate::service::observer::RunObserver;
use crate::service::rule_book::RuleBook;
use crate::service::run::{Run, RunCounts, RunId, RunPurpose, RunState};
use crate::ui::units;
use crate::ui::{EventLines, LineLabel, LineWriter};

/// Prints a line for the start and the end of each run, and for each image that is not unchanged.
pub(crate) struct RunLines {
    lines: LineWriter,
    /// Lines about images of each run in progress. Each run reports a failure that it shares with others.
    events: Mutex<HashMap<RunId, Arc<EventLines>>>,
}

impl RunLines {
    /// Prints to `lines`.
    pub(crate) fn new(lines: LineWriter) -> Self {
        Self {
            lines,
            events: Mutex::default(),
        }
    }
}

impl RunObserver for RunLines {
    fn changed(&self, run: &Run) {
        let Run {
            id, rule, cause, ..
        } = run;
        let what = match run.purpose {
            RunPurpose::Sync => "run",
            RunPurpose::Check => "check",
        };
        match run.state {
            RunState::Queued => {}
            RunState::Running => {
                let events = Arc::new(EventLines::new(self.lines.clone()));
                lock(&self.events).insert(*id, events);
                let text = format!("{what} {id} of {rule} started ({cause})");
                self.lines.print(LineLabel::Note, &text);
            }
            state => {
                lock(&self.events).remove(id);
                let label = match state {
                    RunState::Failed => LineLabel::Failed,
                    RunState::Interrupted | RunState::Cancelled => LineLabel::Interrupted,
                    _ => LineLabel::Note,
                };
                let text = format!("{what} {id} of {rule} {state}{}", details(run));
                self.lines.print(label, &text);
            }
        }
    }

    fn cancelling(&self, run: &Run, grace: Duration) {
        let text = format!(
            "run {} of {} is cancelled: running images may go on for {} s",
            run.id,
            run.rule,
            grace.as_secs()
        );
        self.lines.print(LineLabel::Note, &text);
    }

    fn event(&self, run: RunId, event: &Event) {
        let events = lock(&self.events).get(&run).cloned();
        if let Some(events) = events {
            events.event(event);
        }
    }

    fn reloaded(&self, rules: Result<&Arc<RuleBook>, &str>) {
        match rules {
            Ok(rules) => {
                let rules = units::count(rules.rules().len() as u64, "rule");
                let text = format!("the files were read again: {rules}");
                self.lines.print(LineLabel::Note, &text);
            }
            Err(mistakes) => {
                let text = format!(
                    "the files were not read again, and the old rules stay in force. Correct:\n\n{mistakes}"
                );
                self.lines.print(LineLabel::Failed, &text);
            }
        }
    }
}

/// Returns the numbers of a run that is over, and its first failure.
fn details(run: &Run) -> String {
    let counts = &run.counts;
    let mut parts = numbers(counts);
    if counts.sent_bytes > 0 {
        parts.push(format!("{} sent", units::bytes(counts.sent_bytes)));
    }
    if let Some(elapsed) = elapsed(run.started, run.ended) {
        parts.push(format!("in {}", units::time(elapsed)));
    }
    let numbers = parts.join(", ");
    // Failures of images and rules had a line of their own.
    let failure = run.failure.as_ref().filter(|_| counts.failed == 0);
    let texts = [Some(numbers.as_str()), failure.map(String::as_str)];
    let texts: Vec<&str> = texts
        .into_iter()
        .flatten()
        .filter(|text| !text.is_empty())
        .collect();
    if texts.is_empty() {
        return String::new();
    }
    format!(": {}", texts.join("; "))
}

/// Returns the numbers of images that are not zero: `3 copied`.
pub(super) fn numbers(counts: &RunCounts) -> Vec<String> {
    let numbers = [
        (counts.copied, "copied"),
        (counts.different, "different"),
        (counts.unchanged, "unchanged"),
        (counts.skipped, "skipped"),
        (counts.failed, "failed"),
        (counts.interrupted, "interrupted"),
    ];
    let numbers = numbers.iter().filter(|(number, _)| *number > 0);
    let numbers = numbers.map(|(number, word)| format!("{number} {word}"));
    numbers.collect()
}

fn elapsed(started: Option<Timestamp>, ended: Option<Timestamp>) -> Option<Duration> {
    Duration::try_from(ended?.duration_since(started?)).ok()
}

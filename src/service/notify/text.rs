//! Texts about events, for people.

use crate::service::lines::numbers;
use crate::service::notify::event::{EventKind, Notification, RunFacts};

/// A text about an event.
pub(super) struct Text {
    /// The sentence that says what happened.
    pub(super) title: String,
    /// Details.
    pub(super) lines: Vec<String>,
}

impl Text {
    /// Returns the text about an event.
    pub(super) fn new(notification: &Notification) -> Self {
        let rule = notification.run.as_ref().map_or("", |run| &*run.rule);
        let run = notification.run.as_ref().map(|run| run.id.to_string());
        let run = run.unwrap_or_default();
        let what = match notification.event {
            EventKind::RuleFailing => format!("rule {rule} is failing"),
            EventKind::RuleRecovered => format!("rule {rule} has recovered"),
            EventKind::RunFailed => format!("run {run} of rule {rule} failed"),
            EventKind::RunSucceeded => format!("run {run} of rule {rule} succeeded"),
            EventKind::RunCancelled => format!("run {run} of rule {rule} was cancelled"),
            EventKind::ConfigFailed => {
                "the changed files have mistakes, and the old rules stay in force".to_owned()
            }
            EventKind::ConfigRecovered => "the files have no mistakes any more".to_owned(),
        };
        let mut lines = notification.run.as_ref().map(details).unwrap_or_default();
        lines.extend(notification.mistakes.clone());
        Self {
            title: format!("image-syncer: {what}"),
            lines,
        }
    }

    /// Returns all lines, with the link at the end.
    pub(super) fn plain(&self, link: Option<&str>) -> String {
        let lines = self.lines.iter().map(String::as_str);
        let lines = std::iter::once(self.title.as_str())
            .chain(lines)
            .chain(link);
        lines.collect::<Vec<_>>().join("\n")
    }
}

fn details(run: &RunFacts) -> Vec<String> {
    let mut lines = Vec::new();
    let numbers = numbers(&run.counts);
    if !numbers.is_empty() {
        lines.push(format!("Images: {}.", numbers.join(", ")));
    }
    if let Some(failure) = &run.failure {
        lines.push(format!("First failure: {failure}"));
    }
    if let Some(hint) = &run.hint {
        lines.push(format!("Hint: {hint}"));
    }
    lines
}

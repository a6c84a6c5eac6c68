//! Events that receivers are told about, as data.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::service::run::{Cause, Run, RunCounts, RunId, RunState, Scope};

/// Maximum length of a text about a failure, in bytes.
const MAX_TEXT: usize = 1_000;

/// Kind of an event.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
)]
pub(crate) enum EventKind {
    /// A rule failed for the first time, or after it was good.
    #[serde(rename = "rule.failing")]
    #[strum(serialize = "rule.failing")]
    RuleFailing,
    /// A rule that failed is good again.
    #[serde(rename = "rule.recovered")]
    #[strum(serialize = "rule.recovered")]
    RuleRecovered,
    /// A run failed.
    #[serde(rename = "run.failed")]
    #[strum(serialize = "run.failed")]
    RunFailed,
    /// A run succeeded.
    #[serde(rename = "run.succeeded")]
    #[strum(serialize = "run.succeeded")]
    RunSucceeded,
    /// A person stopped a run.
    #[serde(rename = "run.cancelled")]
    #[strum(serialize = "run.cancelled")]
    RunCancelled,
    /// The files have mistakes.
    #[serde(rename = "config.failed")]
    #[strum(serialize = "config.failed")]
    ConfigFailed,
    /// The files have no mistakes any more.
    #[serde(rename = "config.recovered")]
    #[strum(serialize = "config.recovered")]
    ConfigRecovered,
}

/// Event that receivers are told about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notification {
    /// Identity, the same for each try.
    pub(super) id: String,
    /// Its kind.
    pub(super) event: EventKind,
    /// Its time.
    pub(super) time: Timestamp,
    /// The run, for events of rules and runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) run: Option<RunFacts>,
    /// Mistakes of the files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mistakes: Option<String>,
    /// URL of the run, or of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) link: Option<String>,
}

/// A run that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunFacts {
    pub(super) id: RunId,
    pub(super) rule: Arc<str>,
    pub(super) cause: Cause,
    pub(super) scope: Scope,
    pub(super) state: RunState,
    pub(super) counts: RunCounts,
    /// The first failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<String>,
    /// Its remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<String>,
}

impl EventKind {
    /// Kinds for receivers that choose none.
    pub(super) const DEFAULT: [Self; 2] = [Self::RuleFailing, Self::RuleRecovered];
}

impl Notification {
    /// Returns the event of a run that ended. `address` is the URL of the service.
    pub(super) fn about_run(
        event: EventKind,
        run: &Run,
        hint: Option<&str>,
        address: Option<&str>,
    ) -> Self {
        let id = run.id;
        Self {
            id: format!("{id}-{event}"),
            event,
            time: run.ended.unwrap_or(run.requested),
            run: Some(RunFacts {
                id,
                rule: Arc::clone(&run.rule),
                cause: run.cause,
                scope: run.scope.clone(),
                state: run.state,
                counts: run.counts,
                failure: run.failure.as_deref().map(shortened),
                hint: hint.map(shortened),
            }),
            mistakes: None,
            link: address.map(|address| format!("{address}/runs/{id}")),
        }
    }

    /// Returns the event of a reload.
    pub(super) fn about_files(
        event: EventKind,
        mistakes: Option<&str>,
        time: Timestamp,
        address: Option<&str>,
    ) -> Self {
        Self {
            id: format!("{}-{event}", time.as_millisecond()),
            event,
            time,
            run: None,
            mistakes: mistakes.map(shortened),
            link: address.map(ToOwned::to_owned),
        }
    }
}

/// Returns the beginning of a text.
fn shortened(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    let mut ends = (0..=MAX_TEXT).rev();
    let start = ends.find_map(|end| text.get(..end)).unwrap_or_default();
    format!("{}…", start.trim_end())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use image_syncer_sync::config::NOTIFY_EVENTS;
    use strum::IntoEnumIterator as _;

    use super::*;

    #[test]
    fn the_kinds_are_those_of_the_files() {
        let kinds: Vec<String> = EventKind::iter().map(|kind| kind.to_string()).collect();
        assert_eq!(kinds, NOTIFY_EVENTS);
        for kind in EventKind::iter() {
            let text = serde_json::to_value(kind).unwrap();
            assert_eq!(text, kind.to_string());
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let text = "é".repeat(MAX_TEXT);
        let short = shortened(&text);
        assert_eq!(short, format!("{}…", "é".repeat(MAX_TEXT / 2)));
        assert_eq!(shortened("short"), "short");
    }
}

//! Metrics of one run or of a worker in a file, for the textfile collector of `node_exporter`.
//!
//! The file has the older text format, since that collector knows no other, and no metrics of the process, which the
//! collector has itself. All series have the name of the file as a label, so that several jobs can share a directory.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use image_syncer_registry::transport::Observer;
use image_syncer_sync::event::RuleDescription;
use image_syncer_sync::report::{RuleSummary, Summary};
use image_syncer_sync::settings::Intent;
use image_syncer_sync::{Event, Listener, RuleId, Session};
use jiff::Timestamp;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;

use crate::lock::lock;
use crate::metrics::observers::record_saved_bytes;
use crate::metrics::{Metrics, PREFIX};
use crate::replacement::{self, AtomicFile};

/// Flag that requests the file.
const FLAG: &str = "--metrics";
/// Reason for a run, as a label.
const CAUSE: &str = "command";
/// Series that a failed run keeps from the file of the run before it.
const LAST_SUCCESS: &str = "image_syncer_rule_last_success_timestamp_seconds{";
/// Maximum number of bytes of that file that are read.
const LONGEST: u64 = 16 * 1024 * 1024;

/// Metrics that are collected while a run goes on.
pub(crate) struct MetricsFile {
    metrics: Metrics,
    name: String,
    /// The path of the flag.
    #[cfg(feature = "share")]
    path: std::path::PathBuf,
    /// Value of the label of all series.
    label: String,
    /// `None` after the end.
    file: Mutex<Option<AtomicFile>>,
    /// End of the last successful run of each rule, from the earlier file.
    successes: HashMap<String, i64>,
    spans: Mutex<HashMap<RuleId, Span>>,
}

/// Time of the first and the last event of a rule.
#[derive(Clone, Copy)]
struct Span {
    first: Instant,
    last: Instant,
}

/// Results of the rules with one name.
#[derive(Default)]
struct NamedResult {
    images: [u64; 6],
    failed: u64,
    is_interrupted: bool,
    /// False if the images of a rule are not all known.
    is_complete: bool,
    span: Option<Span>,
}

impl MetricsFile {
    /// Starts the file at `path`.
    ///
    /// # Errors
    /// No file can be written there.
    pub(crate) fn begin(path: &Path) -> anyhow::Result<Self> {
        let file = AtomicFile::create(FLAG, path)?;
        let label = path.file_stem().unwrap_or_default().to_string_lossy();
        Ok(Self {
            metrics: Metrics::default(),
            name: file.name(),
            #[cfg(feature = "share")]
            path: path.to_owned(),
            label: label.into_owned(),
            successes: read_successes(file.path()),
            file: Mutex::new(Some(file)),
            spans: Mutex::default(),
        })
    }

    /// Returns the observer of all requests.
    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        Arc::new(self.metrics.clone())
    }

    /// Uses the limits of the run's session.
    pub(crate) fn set_session(&self, session: &Session) {
        self.metrics.set_session(session);
    }

    /// Puts the file in place, at the end of a run of `rules`.
    ///
    /// # Errors
    /// It could not be written; an existing file is unchanged.
    pub(crate) fn put(
        &self,
        rules: &[Arc<RuleDescription>],
        summary: &Summary,
        intent: Intent,
    ) -> anyhow::Result<()> {
        self.record_rules(rules, summary, intent);
        let Some(mut file) = lock(&self.file).take() else {
            return Ok(());
        };
        let text = self.encode();
        let written = file.write_all(text.as_bytes()).and_then(|()| file.put());
        written.map_err(|error| replacement::failed(FLAG, &self.name, &error.into()))
    }

    /// Puts the file of a worker in place, which carries out parts of runs of `rules`. May be repeated.
    ///
    /// # Errors
    /// It could not be written; an existing file is unchanged.
    #[cfg(feature = "share")]
    pub(crate) fn refresh(
        &self,
        rules: &[Arc<RuleDescription>],
        summary: &Summary,
    ) -> anyhow::Result<()> {
        self.record_images(rules, summary);
        let next = AtomicFile::create(FLAG, &self.path)?;
        let file = lock(&self.file).replace(next);
        let Some(mut file) = file else { return Ok(()) };
        let text = self.encode();
        let written = file.write_all(text.as_bytes()).and_then(|()| file.put());
        written.map_err(|error| replacement::failed(FLAG, &self.name, &error.into()))
    }

    /// Sets the images of the rules so far. The whole runs are those of the process that began them.
    #[cfg(feature = "share")]
    fn record_images(&self, rules: &[Arc<RuleDescription>], summary: &Summary) {
        let results = self.results(rules, summary);
        let mut state = self.metrics.state();
        state.set_rules(rules.iter().map(|rule| &rule.name));
        for name in results.keys() {
            state.rule(name).images = <_>::default();
        }
        for (name, result) in &results {
            let images = state.rule(name).images.iter_mut();
            for (total, number) in images.zip(result.images) {
                *total += number;
            }
        }
    }

    /// Returns the results of the rules by name.
    fn results<'a>(
        &self,
        rules: &'a [Arc<RuleDescription>],
        summary: &Summary,
    ) -> HashMap<&'a Arc<str>, NamedResult> {
        let by_id = summary.rules_by_id();
        let spans = lock(&self.spans);
        let mut results: HashMap<&Arc<str>, NamedResult> = HashMap::new();
        // Rules of other processes have no result here.
        for rule in rules.iter().filter(|rule| !rule.elsewhere) {
            let result = results.entry(&rule.name).or_insert_with(|| NamedResult {
                is_complete: true,
                ..NamedResult::default()
            });
            result.add(by_id.get(&rule.id).copied(), spans.get(&rule.id).copied());
        }
        results
    }

    /// Adds the results of the rules, at the end of the run.
    fn record_rules(&self, rules: &[Arc<RuleDescription>], summary: &Summary, intent: Intent) {
        let now = Timestamp::now().as_second();
        let results = self.results(rules, summary);
        let own = rules.iter().filter(|rule| !rule.elsewhere);
        let mut state = self.metrics.state();
        state.set_rules(own.map(|rule| &rule.name));
        for (name, result) in &results {
            let label = result.label(summary.was_interrupted());
            let series = state.rule(name);
            *series.runs.entry((CAUSE, label)).or_default() += 1;
            for (total, number) in series.images.iter_mut().zip(result.images) {
                *total += number;
            }
            if let Some(span) = result.span {
                series.duration.observe(span.last - span.first);
            }
            let Some(series) = state.named_rule(name) else {
                continue;
            };
            series.last_success = self.successes.get(&***name).copied();
            if intent == Intent::Copy {
                series.last_run_failed = Some(result.failed);
                if label == "succeeded" {
                    series.last_success = Some(now);
                }
            }
        }
    }

    fn encode(&self) -> String {
        self.metrics.update_limits();
        let label = (Cow::Borrowed("file"), Cow::Owned(self.label.clone()));
        let mut registry = Registry::with_prefix_and_labels(PREFIX, [label].into_iter());
        registry.register_collector(Box::new(self.metrics.collector()));
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = prometheus_text::encode(&mut text, &registry);
        text
    }
}

impl NamedResult {
    /// Adds the results of one rule; `None` if it did not begin.
    fn add(&mut self, rule: Option<&RuleSummary>, span: Option<Span>) {
        let Some(rule) = rule else {
            self.is_complete = false;
            return;
        };
        let numbers = [
            rule.copied,
            rule.unchanged,
            rule.planned,
            rule.skipped,
            rule.failed,
            rule.interrupted,
        ];
        for (total, number) in self.images.iter_mut().zip(numbers) {
            *total += number;
        }
        let failure = rule.failure.as_ref();
        self.failed += rule.failed + rule.failed_repositories;
        self.failed += u64::from(failure.is_some_and(|failure| !failure.interrupted));
        self.is_interrupted |= rule.interrupted > 0
            || rule.interrupted_repositories > 0
            || failure.is_some_and(|failure| failure.interrupted);
        self.is_complete &= failure.is_some() || rule.discovered.is_some();
        self.span = match (self.span, span) {
            (Some(a), Some(b)) => Some(Span {
                first: a.first.min(b.first),
                last: a.last.max(b.last),
            }),
            (a, b) => a.or(b),
        };
    }

    /// Returns the label of the result.
    fn label(&self, was_interrupted: bool) -> &'static str {
        if self.is_interrupted || (was_interrupted && !self.is_complete) {
            "interrupted"
        } else if self.failed > 0 || !self.is_complete {
            "failed"
        } else {
            "succeeded"
        }
    }
}

impl Listener for MetricsFile {
    fn event(&self, event: &Event) {
        if let Some(rule) = event.rule() {
            let now = Instant::now();
            let mut spans = lock(&self.spans);
            let span = spans.entry(rule);
            span.or_insert(Span {
                first: now,
                last: now,
            })
            .last = now;
        }
        record_saved_bytes(&mut self.metrics.state(), event);
    }
}

/// Returns the ends of successful runs in an earlier file. One that cannot be read has none.
fn read_successes(path: &Path) -> HashMap<String, i64> {
    let mut text = String::new();
    let is_file = path.metadata().is_ok_and(|metadata| metadata.is_file());
    let file = is_file.then(|| File::open(path).ok()).flatten();
    let read = file.map(|file| file.take(LONGEST).read_to_string(&mut text));
    if !matches!(read, Some(Ok(_))) {
        return HashMap::new();
    }
    text.lines().filter_map(success).collect()
}

/// Returns the rule and the time of a line, if it has them.
fn success(line: &str) -> Option<(String, i64)> {
    let (labels, value) = line.strip_prefix(LAST_SUCCESS)?.rsplit_once("} ")?;
    let rest = labels.strip_prefix("rule=\"");
    let rest = rest.or_else(|| Some(labels.split_once(",rule=\"")?.1));
    let mut rule = String::new();
    let mut letters = rest?.chars();
    loop {
        match letters.next()? {
            '"' => break,
            '\\' => match letters.next()? {
                'n' => rule.push('\n'),
                letter => rule.push(letter),
            },
            letter => rule.push(letter),
        }
    }
    Some((rule, value.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_an_earlier_file_reads_as_it_was_written() {
        let line = |labels: &str| success(&format!("{LAST_SUCCESS}{labels}}} 1796076090"));
        let found = |rule: &str| Some((rule.to_owned(), 1_796_076_090));
        assert_eq!(line(r#"file="nightly",rule="tools""#), found("tools"));
        assert_eq!(line(r#"rule="a\"b\\c\nd""#), found("a\"b\\c\nd"));
        assert_eq!(line(r#"file="nightly""#), None);
        assert_eq!(line(r#"rule="cut"#), None);
        assert_eq!(success("image_syncer_images_total{rule=\"x\"} 1"), None);
    }
}

//! One line of the log, in either format.

use std::fmt;

use serde_json::{Map, Value};
use tracing::Level;
use tracing::field::{Field, Visit};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};

use crate::escape;
use crate::ui::style::Style;
use crate::ui::units;

/// Documented fields, in their order. Others follow.
const ORDER: [&str; 14] = [
    OUTCOME,
    "rule",
    "source",
    "destination",
    "host",
    "method",
    "url",
    "status",
    "elapsed_ms",
    "try",
    "request_id",
    "action",
    "sent_bytes",
    "answer_bytes",
];

/// First word of a line for people.
const OUTCOME: &str = "outcome";

/// Fields that the message contains as well, so that the text form omits them.
const SAID: [&str; 4] = [OUTCOME, "method", "url", "status"];

/// Fields of the image for which something was done.
const BEHALF: [&str; 3] = ["rule", "source", "destination"];

/// Message and its fields.
#[derive(Debug, Default)]
pub(super) struct LogFields {
    message: String,
    named: Vec<(&'static str, Value)>,
}

impl LogFields {
    /// Returns a line that counts missing lines.
    pub(super) fn missing_lines(lines: u64) -> Self {
        let lines = units::count(lines, "line");
        Self {
            message: format!("{lines} of the log could not be written here"),
            named: Vec::new(),
        }
    }

    /// Adds the fields of an outer span that are not set.
    pub(super) fn inherit(&mut self, outer: &Self) {
        for (name, value) in &outer.named {
            if self.get(name).is_none() {
                self.named.push((name, value.clone()));
            }
        }
    }

    /// Moves the documented fields to the front.
    pub(super) fn sort_documented_first(&mut self) {
        let place = |name: &str| ORDER.iter().position(|known| *known == name);
        self.named
            .sort_by_key(|(name, _)| place(name).unwrap_or(ORDER.len()));
    }

    /// Returns one object on one line.
    pub(super) fn json(self, level: Level) -> String {
        let mut object = Map::with_capacity(self.named.len() + 3);
        object.insert("timestamp".to_owned(), now().into());
        object.insert("level".to_owned(), lower(level).into());
        object.insert("message".to_owned(), self.message.into());
        for (name, value) in self.named {
            object.entry(name).or_insert(value);
        }
        let object = Value::Object(object).to_string();
        format!("{}\n", escape::document(&object))
    }

    /// Returns time, level, message, and the other fields as `name=value`.
    pub(super) fn text(&self, level: Level, colours: bool) -> String {
        let dim = |text: &str| Style::Dim.apply(text, colours);
        let paint = match level {
            Level::ERROR => Style::Red,
            Level::WARN => Style::Yellow,
            Level::INFO => Style::Green,
            _ => Style::Dim,
        };
        let level = paint.apply(&format!("{level:>5}"), colours);
        let mut line = format!("{} {level} ", dim(&now()));
        if let Some(Value::String(outcome)) = self.get(OUTCOME) {
            line.push_str(outcome);
            // Two blanks end the column.
            line.extend(std::iter::repeat_n(
                ' ',
                13_usize.saturating_sub(outcome.len()),
            ));
        }
        line.push_str(&escape::line(&self.message));
        let rest = self.pairs();
        if !rest.is_empty() {
            line.push_str(&dim(&rest));
        }
        line.push('\n');
        line
    }

    /// Returns ` name=value` for each field that the message does not contain. Those of the event come first, because
    /// rule and image are the same in many lines.
    fn pairs(&self) -> String {
        let is_url = self.get("url").is_some();
        let is_said = |name: &str| SAID.contains(&name) || is_url && name == "host";
        let named = self.named.iter().filter(|(name, _)| !is_said(name));
        let (behalf, own): (Vec<_>, Vec<_>) = named.partition(|(name, _)| BEHALF.contains(name));
        let pair = |(name, value): &(&str, Value)| match value {
            Value::String(text) => format!(" {name}={}", quoted(text)),
            other => format!(" {name}={other}"),
        };
        own.into_iter().chain(behalf).map(pair).collect()
    }

    fn get(&self, name: &str) -> Option<&Value> {
        let found = self.named.iter().find(|(own, _)| *own == name);
        found.map(|(_, value)| value)
    }

    fn set(&mut self, field: &Field, value: impl Into<Value>) {
        let name = field.name();
        self.named.retain(|(own, _)| *own != name);
        self.named.push((name, value.into()));
    }
}

impl Visit for LogFields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.set(field, value);
        }
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.set(field, value.to_string());
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// Returns a single word as it is, and other text in quotes.
fn quoted(text: &str) -> String {
    let shown = escape::line(text);
    let is_word = !shown.is_empty() && !shown.contains([' ', '"', '=']);
    if is_word {
        shown.into_owned()
    } else {
        format!("\"{}\"", shown.replace('"', "\\\""))
    }
}

/// Returns the time as RFC 3339, in UTC, with microseconds.
fn now() -> String {
    let mut time = String::new();
    // Writing to a string does not fail.
    let _ = SystemTime.format_time(&mut Writer::new(&mut time));
    time
}

fn lower(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

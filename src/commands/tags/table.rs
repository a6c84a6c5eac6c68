//! Tags as a table, as lines or as JSON, page by page.

use std::fmt::Write as _;
use std::time::SystemTime;

use image_syncer_registry::ListedTag;
use jiff::{Timestamp, Unit};
use serde_json::json;

use crate::cli::TagsFormat;
use crate::escape;
use crate::ui::units;

/// Minimum width of the column of tags on a terminal.
const TAG: usize = 24;

/// Writer of tags.
pub(super) struct TagTable {
    form: Form,
    count: u64,
}

enum Form {
    /// Aligned columns with a heading, and short digests.
    Columns,
    /// Columns between tabs, with whole digests.
    Lines,
    Json,
}

impl TagTable {
    /// Creates a writer in this format. On a terminal, a table has aligned columns.
    pub(super) fn new(format: TagsFormat, is_terminal: bool) -> Self {
        let form = match format {
            TagsFormat::Json => Form::Json,
            TagsFormat::Table if is_terminal => Form::Columns,
            TagsFormat::Table => Form::Lines,
        };
        Self { form, count: 0 }
    }

    /// Returns true if no tag was written.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the text of a page of tags.
    pub(super) fn page<'a>(&mut self, tags: impl Iterator<Item = &'a ListedTag>) -> String {
        let mut text = String::new();
        for tag in tags {
            // Writing to a string cannot fail.
            let _ = match self.form {
                Form::Json => write!(text, "{}{}", self.separator(), json(tag)),
                Form::Lines => writeln!(text, "{}", line(tag)),
                Form::Columns => writeln!(text, "{}{}", self.heading(), columns(tag)),
            };
            self.count += 1;
        }
        text
    }

    /// Returns the end of the output.
    pub(super) fn end(&self) -> String {
        match (&self.form, self.count) {
            (Form::Json, 0) => "[]\n".to_owned(),
            (Form::Json, _) => "\n]\n".to_owned(),
            _ => String::new(),
        }
    }

    fn separator(&self) -> &'static str {
        if self.is_empty() { "[\n" } else { ",\n" }
    }

    fn heading(&self) -> String {
        if self.is_empty() {
            format!("{:TAG$}  {:19}  PUSHED\n", "TAG", "DIGEST")
        } else {
            String::new()
        }
    }
}

fn columns(listed: &ListedTag) -> String {
    let digest = listed.digest.as_ref();
    let digest = digest.map_or_else(
        || "-".to_owned(),
        |digest| units::short(digest, units::SHORT),
    );
    let line = format!("{:TAG$}  {digest:19}  {}", listed.tag, time(listed.pushed));
    escape::line(line.trim_end()).into_owned()
}

fn line(listed: &ListedTag) -> String {
    let digest = listed.digest.as_ref();
    let digest = digest.map_or_else(|| "-".to_owned(), ToString::to_string);
    format!("{}\t{digest}\t{}", listed.tag, time(listed.pushed))
}

fn json(listed: &ListedTag) -> String {
    let mut record = json!({"tag": listed.tag.to_string()});
    if let Some(members) = record.as_object_mut() {
        if let Some(digest) = &listed.digest {
            members.insert("digest".to_owned(), json!(digest.to_string()));
        }
        if listed.pushed.is_some() {
            members.insert("pushed".to_owned(), json!(time(listed.pushed)));
        }
    }
    record.to_string()
}

/// Returns the time in UTC, to the second: `2026-11-30T09:14:00Z`; `-` if it is unknown.
fn time(time: Option<SystemTime>) -> String {
    let timestamp = time.and_then(|time| Timestamp::try_from(time).ok());
    let rounded = timestamp.map(|time| time.round(Unit::Second).unwrap_or(time));
    rounded.map_or_else(|| "-".to_owned(), |time| time.to_string())
}

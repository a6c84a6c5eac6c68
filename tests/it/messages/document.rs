//! The document: entries with a name in their heading, each with messages in fenced blocks.

use std::collections::BTreeMap;

/// The document, cut into lines.
pub(super) struct Document<'a> {
    lines: Vec<&'a str>,
}

/// What begins an entry: its name follows, up to another backquote.
const HEADING: &str = "### `";
/// What begins a message.
const FENCE: &str = "```text";

impl<'a> Document<'a> {
    pub(super) fn read(text: &'a str) -> Self {
        Self {
            lines: text.lines().collect(),
        }
    }

    /// The messages by the names of their entries.
    pub(super) fn entries(&self) -> BTreeMap<String, Vec<String>> {
        let mut entries: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut name = None;
        let mut lines = self.lines.iter();
        while let Some(line) = lines.next() {
            if line.starts_with("## ") {
                name = None;
            } else if let Some(found) = named(line) {
                assert!(
                    entries.insert(found.to_owned(), Vec::new()).is_none(),
                    "{found} twice"
                );
                name = Some(found);
            } else if let Some(name) = name.filter(|_| *line == FENCE) {
                let message: Vec<&str> = lines
                    .by_ref()
                    .take_while(|line| **line != "```")
                    .copied()
                    .collect();
                entries.get_mut(name).unwrap().push(message.join("\n"));
            }
        }
        entries
    }

    /// The text with these messages in the place of those that stand in it.
    pub(super) fn with(&self, told: &BTreeMap<String, Vec<String>>) -> String {
        let mut text = String::new();
        let mut messages = [].iter();
        let mut inside = false;
        for line in &self.lines {
            if inside {
                inside = *line != "```";
                continue;
            }
            text += line;
            text.push('\n');
            if let Some(name) = named(line) {
                messages = told.get(name).map_or([].iter(), |messages| messages.iter());
            }
            if *line == FENCE
                && let Some(message) = messages.next()
            {
                text += message;
                text += "\n```\n";
                inside = true;
            }
        }
        text
    }
}

fn named(line: &str) -> Option<&str> {
    line.strip_prefix(HEADING)?.split('`').next()
}

//! The document: entries with a name in their heading, and messages in fenced blocks.

use std::collections::BTreeMap;

/// Lines of the document.
pub(super) struct Document<'a> {
    lines: Vec<&'a str>,
}

/// Beginning of an entry; its name follows, up to another backquote.
const HEADING: &str = "### `";
/// Beginning of a message.
const FENCE: &str = "```text";

impl<'a> Document<'a> {
    pub(super) fn read(text: &'a str) -> Self {
        Self {
            lines: text.lines().collect(),
        }
    }

    /// Returns the messages by the names of their entries.
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

    /// Returns the text with `new` in place of its messages.
    pub(super) fn with(&self, new: &BTreeMap<String, Vec<String>>) -> String {
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
                messages = new.get(name).map_or([].iter(), |messages| messages.iter());
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

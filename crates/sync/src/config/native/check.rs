//! Check of a file by the tables: unknown keys, missing keys, and values of the wrong kind.

use std::collections::HashMap;

use super::fields::text;
use super::findings::Findings;
use super::table::{Entries, Shape, Table};
use super::words::quoted;
use super::{braces, tables};
use crate::config::document::{Node, NodeValue};
use crate::config::file::ConfigFile;
use crate::text::nearest;

/// Checks a file.
pub(super) fn check(file: &ConfigFile, root: &Node, findings: &mut Findings) {
    let mut check = Check { file, findings };
    check.table(root, &tables::FILE);
}

struct Check<'a> {
    file: &'a ConfigFile,
    findings: &'a mut Findings,
}

impl Check<'_> {
    /// Checks a value of `what`, the key as in messages.
    fn value(&mut self, node: &Node, shape: &Shape, what: &str) {
        let Some(chosen) = shape.for_node(node) else {
            let message = self.wrong_kind(node, shape, what);
            self.findings.mistake(self.file, node.at, message);
            return;
        };
        if let Some(message) = self.unquoted_braces(node) {
            self.findings.mistake(self.file, node.at, message);
            return;
        }
        match (chosen, &node.value) {
            (_, NodeValue::Null) | (Shape::Either(_), _) => {}
            (Shape::Scalar(scalar), _) => {
                let text = text(node).unwrap_or_default();
                if let Err(why) = scalar.check(text) {
                    let message = format!("{what}: {why}");
                    self.findings.mistake(self.file, node.at, message);
                }
            }
            (Shape::List(item, may_be_empty), _) => self.list(node, item, *may_be_empty, what),
            (Shape::Map(table), _) => self.table(node, table),
            (Shape::Entries(entries), _) => self.entries(node, entries, what),
        }
    }

    fn wrong_kind(&self, node: &Node, shape: &Shape, what: &str) -> String {
        if let Some(message) = self.unquoted_braces(node) {
            return message;
        }
        let form = shape.description();
        match node.value {
            NodeValue::Null if what.starts_with('`') => {
                format!("{what} has no value. Write {form}, or remove the key.")
            }
            NodeValue::Null => format!("{what} has no value. Write {form}, or remove it."),
            _ => format!("{what} must be {form}"),
        }
    }

    /// Returns the message for `{repository}` without quotes, which is a map for YAML.
    fn unquoted_braces(&self, node: &Node) -> Option<String> {
        let NodeValue::Map(pairs) = &node.value else {
            return None;
        };
        let lacks_value = |(key, value): &(Node, Node)| {
            matches!(value.value, NodeValue::Null) && self.file.lacks_colon(key.at)
        };
        if pairs.is_empty() || !pairs.iter().all(lacks_value) {
            return None;
        }
        Some(braces::message(self.file, node.at))
    }

    fn list(&mut self, node: &Node, item: &Shape, may_be_empty: bool, what: &str) {
        let NodeValue::List(items) = &node.value else {
            return;
        };
        if items.is_empty() && !may_be_empty {
            let message = format!("the list of {what} is empty. Write at least one item.");
            self.findings.mistake(self.file, node.at, message);
        }
        let what = format!("an item of {what}");
        for node in items {
            self.value(node, item, &what);
        }
    }

    fn table(&mut self, node: &Node, table: &'static Table) {
        let NodeValue::Map(pairs) = &node.value else {
            return;
        };
        let mut seen = HashMap::new();
        let mut misspelt = Vec::new();
        for (key, value) in pairs {
            let Some(name) = self.key(key, &mut seen) else {
                continue;
            };
            match table.key(name) {
                Some(known) => self.value(value, &known.shape, &quoted(name)),
                None if table.ignores(name) => {}
                None => misspelt.extend(self.unknown(table, key, value)),
            }
        }
        for key in table.keys.iter().filter(|key| key.is_required) {
            if !seen.contains_key(key.name) && !misspelt.contains(&key.name) {
                let message = format!(
                    "the key {} is missing. Write `{}: {}`.",
                    quoted(key.name),
                    key.name,
                    placeholder(&key.shape)
                );
                self.findings.mistake(self.file, node.at, message);
            }
        }
    }

    fn entries(&mut self, node: &Node, entries: &'static Entries, what: &str) {
        let NodeValue::Map(pairs) = &node.value else {
            return;
        };
        if pairs.is_empty() && !entries.may_be_empty {
            let message = format!("the map {what} is empty. Remove the key.");
            self.findings.mistake(self.file, node.at, message);
        }
        let mut seen = HashMap::new();
        for (key, value) in pairs {
            if let Some(name) = self.key(key, &mut seen) {
                self.value(value, &entries.value, &quoted(name));
            }
        }
    }

    /// Returns the text of a key that was not seen before.
    fn key<'a>(&mut self, key: &'a Node, seen: &mut HashMap<&'a str, usize>) -> Option<&'a str> {
        let Some(name) = text(key) else {
            let message = match self.unquoted_braces(key) {
                Some(message) => message,
                None => "a key must be a text. Put it in quotes.".to_owned(),
            };
            self.findings.mistake(self.file, key.at, message);
            return None;
        };
        if let Some(line) = seen.insert(name, key.at.line) {
            let message = format!("duplicate key, as in line {line}. Keep one of the two.");
            self.findings.mistake(self.file, key.at, message);
            return None;
        }
        Some(name)
    }

    /// Reports an unknown key. One that may be a secret without its key is not repeated. Returns the known key that was
    /// probably meant.
    fn unknown(&mut self, table: &'static Table, key: &Node, value: &Node) -> Option<&'static str> {
        let name = text(key).unwrap_or_default();
        let list = table.key_list();
        if table.has_secrets && matches!(value.value, NodeValue::Null) {
            let message = format!("unknown key. The keys of {} are {list}.", table.noun());
            self.findings.mistake(self.file, key.at, message);
            return None;
        }
        let known: Vec<&'static str> = table.keys.iter().map(|key| key.name).collect();
        let hint = nearest(name, &known);
        let message = match (hint, owner(name)) {
            (Some(hint), _) => format!("unknown key `{name}`. Write `{hint}`."),
            (None, Some(owner)) => format!(
                "unknown key `{name}`: this is a key of `{owner}`. The keys of {} are {list}.",
                table.noun()
            ),
            (None, None) => {
                format!(
                    "unknown key `{name}`. The keys of {} are {list}.",
                    table.noun()
                )
            }
        };
        self.findings.mistake(self.file, key.at, message);
        hint
    }
}

/// Returns the name of the only table that has the key.
fn owner(name: &str) -> Option<&'static str> {
    let mut owners = tables::all()
        .into_iter()
        .filter(|table| table.key(name).is_some());
    let owner = owners.next()?;
    owners.next().is_none().then_some(owner.name)
}

/// Returns an example of a value.
fn placeholder(shape: &Shape) -> String {
    use super::scalar::Scalar;
    match shape.alternatives().first() {
        Some(Shape::Scalar(Scalar::Choice([first, ..]))) => (*first).to_owned(),
        Some(Shape::Scalar(Scalar::Count { .. })) => "N".to_owned(),
        _ => "…".to_owned(),
    }
}

//! Every sentence of docs/config.md that a file decides.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod destinations;
mod files;
mod mistakes;
mod options;
mod registries;
mod rules;
mod schema;
mod tables;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;

use crate::config::{Config, ConfigFiles, Defaults};
use crate::rule::{Naming, OptionOverrides, Rule, RuleDestination, Selection};

/// A file with every key.
const EVERYTHING: &str = include_str!("everything.yaml");

thread_local! {
    /// Keys that the readers looked up in this thread.
    static USED: RefCell<BTreeSet<(&'static str, String)>> = const { RefCell::new(BTreeSet::new()) };
}

/// Notes that a key was looked up.
pub(super) fn record_use(table: &'static str, key: &str) {
    USED.with_borrow_mut(|used| used.insert((table, key.to_owned())));
}

fn environment(name: &str) -> Option<String> {
    match name {
        "HOST" => Some("r.example".to_owned()),
        "SECRET" => Some("S3cret".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn defaults() -> Defaults {
    Defaults {
        registry: Some("d.io".to_owned()),
        namespace: Some("team/mirror".to_owned()),
    }
}

/// Writes files `name = text` to a directory and reads the first; paths in messages are the bare names.
fn read_files(files: &[(&str, &str)], flags: &OptionOverrides) -> Result<Config, String> {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let given = ConfigFiles {
        config: vec![directory.path().join(files[0].0).into()],
        ..ConfigFiles::default()
    };
    let prefix = format!("{}/", directory.path().display());
    Config::read(&given, &defaults(), &environment, flags).map_err(|error| {
        let text = error.to_string().replace(&prefix, "");
        assert!(!text.contains("S3cret"), "{text}");
        text
    })
}

fn read(text: &str) -> Config {
    read_files(&[("file.yaml", text)], &OptionOverrides::default())
        .unwrap_or_else(|problems| panic!("{problems}"))
}

/// Returns the mistakes of a file.
fn mistakes(text: &str) -> String {
    read_files(&[("file.yaml", text)], &OptionOverrides::default()).unwrap_err()
}

/// Returns the mistakes of a file whose rules are `rules`.
fn rule_mistakes(rules: &str) -> String {
    mistakes(&format!("version: 1\nrules:\n{rules}"))
}

/// Returns the warnings of a file: line, column and message.
fn warnings(config: &Config) -> Vec<String> {
    let shown = config.warnings.iter().map(|warning| {
        let place = warning
            .position
            .map(|(line, column)| format!("{line}:{column}: "));
        format!("{}{}", place.unwrap_or_default(), warning.message)
    });
    shown.collect()
}

/// Returns the rules of a file: `name: source -> destinations`.
fn rules(rules: &str) -> Vec<String> {
    outlines(&read(&format!("version: 1\nrules:\n{rules}")))
}

fn outlines(config: &Config) -> Vec<String> {
    let named = config.rules.iter().map(|rule| outline(rule));
    let patterns = config.patterns.iter().map(|pattern| {
        let from: Vec<String> = pattern.from.iter().map(ToString::to_string).collect();
        let to: Vec<String> = pattern
            .destinations
            .iter()
            .map(ToString::to_string)
            .collect();
        format!(
            "{}: {} {} -> {}",
            pattern.name,
            from.join(" "),
            selection(&pattern.select),
            to.join(" ")
        )
    });
    named.chain(patterns).collect()
}

fn outline(rule: &Rule) -> String {
    let destinations: Vec<String> = rule.destinations.iter().map(destination).collect();
    format!(
        "{}: {} {} -> {}",
        rule.name,
        rule.source.repository,
        selection(&rule.source.select),
        destinations.join(" ")
    )
}

fn selection(select: &Selection) -> String {
    match select {
        Selection::All => "all".to_owned(),
        Selection::Tags(tags) => {
            let tags: Vec<&str> = tags
                .iter()
                .map(image_syncer_registry::Tag::as_str)
                .collect();
            tags.join(",")
        }
        Selection::Matching(pattern) => format!("/{}/", pattern.as_str()),
        Selection::Digest { digest, .. } => format!("@{digest}"),
        Selection::Policy(policy) => format!("{{{policy}}}"),
    }
}

fn destination(destination: &RuleDestination) -> String {
    let naming = match &destination.naming {
        Naming::Keep => String::new(),
        Naming::Tags(tags) => {
            let tags: Vec<&str> = tags
                .iter()
                .map(image_syncer_registry::Tag::as_str)
                .collect();
            format!(":{}", tags.join(","))
        }
        Naming::Template(template) => format!(":{template}"),
        Naming::Untagged => "@".to_owned(),
    };
    format!("{}{naming}", destination.repository)
}

//! What files mean, without network.

use std::fmt::Write;

use registry::auth::Keychain;
use sync::config::Config;
use sync::rule::{Destination, Naming, PlatformFilter, Rule, Select, Source};

use crate::cli::Validate;
use crate::commands::problems::Problems;
use crate::commands::setup;
use crate::exit::Exit;
use crate::ui::{Printer, units, visible};

/// Reads the files and prints what they mean to stdout.
pub(super) fn execute(arguments: Validate, printer: &Printer) -> anyhow::Result<Exit> {
    let mut problems = Problems::default();
    let config = setup::config(arguments.files, &arguments.defaults, &mut problems);
    let platforms = problems.take(setup::platforms(&arguments.platforms));
    // Some mistakes show only when the credentials are put together: a service account, two names of one registry.
    problems.take(Keychain::new(config.credentials.clone(), None));
    for warning in problems.finish()? {
        printer.warning(&warning);
    }
    let meaning = meaning(&config, &platforms.unwrap_or_default());
    printer.out(&visible::block(&meaning));
    Ok(Exit::Done)
}

/// The rules in the order in which they were written, then the credentials, without their secrets.
fn meaning(config: &Config, platforms: &PlatformFilter) -> String {
    let mut text = String::new();
    for rule in &config.rules {
        describe(rule, &mut text);
    }
    if !platforms.is_empty() {
        let _ = writeln!(text, "of every image only {platforms}");
    }
    for entry in &config.credentials {
        let who = setup::identity(&entry.credential);
        let insecure = if entry.insecure { ", insecure" } else { "" };
        let _ = writeln!(text, "{}: {who}{insecure}", entry.prefix);
    }
    let _ = writeln!(
        text,
        "{}, {}: all right",
        units::count(config.rules.len() as u64, "rule"),
        units::count(config.credentials.len() as u64, "credential")
    );
    text
}

fn describe(rule: &Rule, text: &mut String) {
    let _ = write!(text, "{}: {}", rule.source.repository, chosen(&rule.source));
    if let Some(location) = &rule.location {
        let _ = write!(text, "  ({}:{})", location.file.display(), location.line);
    }
    text.push('\n');
    for destination in &rule.destinations {
        let _ = writeln!(
            text,
            "  → {}: {}",
            destination.repository,
            named(destination, &rule.source)
        );
    }
}

fn chosen(source: &Source) -> String {
    match &source.select {
        Select::All => "all tags".to_owned(),
        Select::Tags(tags) => joined("tag", tags),
        Select::Matching(pattern) => format!("tags in which /{}/ is found", pattern.as_str()),
        Select::Digest { digest, tag: None } => format!("{digest}"),
        Select::Digest {
            digest,
            tag: Some(tag),
        } => format!("{digest}, called {tag}"),
    }
}

fn named(destination: &Destination, source: &Source) -> String {
    match (&destination.naming, &source.select) {
        (Naming::Keep, Select::Digest { tag: None, .. }) | (Naming::Untagged, _) => {
            "by digest, untagged".to_owned()
        }
        (Naming::Keep, _) => "names kept".to_owned(),
        (Naming::Tags(tags), _) => format!("as {}", joined("tag", tags)),
    }
}

fn joined(noun: &str, items: &[impl ToString]) -> String {
    let list: Vec<String> = items.iter().map(ToString::to_string).collect();
    let s = if items.len() == 1 { "" } else { "s" };
    format!("{noun}{s} {}", list.join(", "))
}

//! The command `validate`.

use std::collections::HashSet;
use std::fmt::Write;

use image_syncer_registry::auth::{Keychain, KeychainEntry, LoginChoice};
use image_syncer_sync::config::Config;
use image_syncer_sync::rule::{
    Naming, PlatformFilter, Rule, RuleDestination, RuleSource, Selection,
};

use crate::cli::ValidateArgs;
use crate::commands::option_flags::OptionFlags;
use crate::commands::setup;
use crate::escape;
use crate::exit::Exit;
use crate::problems::Problems;
use crate::ui::{Printer, units};

/// Reads the files and prints their rules and logins to stdout.
pub(super) fn execute(
    arguments: ValidateArgs,
    mut problems: Problems,
    printer: &Printer,
) -> anyhow::Result<Exit> {
    let config = setup::config(
        arguments.files,
        &arguments.selection,
        &arguments.defaults,
        &OptionFlags::platforms(&arguments.platforms),
        &mut problems,
    );
    let platforms = problems.collect(setup::platforms(&arguments.platforms));
    // Some mistakes appear only when the credentials are combined: a service account, two names of one registry.
    let keychain = problems.collect(Keychain::new(config.credentials.clone(), None));
    problems.print(printer)?;
    let platforms = platforms.unwrap_or_default();
    let logins = keychain.map(|keychain| logins(&config, &keychain));
    let meaning = describe_rules(&config, &platforms, &logins.unwrap_or_default());
    printer.out(&escape::block(&meaning));
    Ok(Exit::Done)
}

/// Returns the rules in the order of the files, then the logins.
fn describe_rules(config: &Config, platforms: &PlatformFilter, logins: &[String]) -> String {
    let mut text = String::new();
    for rule in &config.rules {
        describe(rule, &mut text);
    }
    if !platforms.is_empty() {
        let _ = writeln!(text, "of every image only {platforms}");
    }
    for login in logins {
        let _ = writeln!(text, "{login}");
    }
    let _ = writeln!(
        text,
        "{}, {}: no mistakes",
        units::count(config.rules.len() as u64, "rule"),
        units::count(config.credentials.len() as u64, "credential")
    );
    text
}

/// Returns the login of each registry of the rules, without its secret, in the order of the rules.
fn logins(config: &Config, keychain: &Keychain) -> Vec<String> {
    let mut logins: Vec<String> = Vec::new();
    let mut seen = HashSet::new();
    for rule in &config.rules {
        let destinations = rule.destinations.iter();
        let destinations = destinations.map(|destination| &destination.repository);
        for repository in std::iter::once(&rule.source.repository).chain(destinations) {
            let Some(repository) = repository.in_registry() else {
                continue;
            };
            let entry = keychain.entry(&repository);
            let place = entry.map_or(repository.registry().as_str(), |entry| &entry.prefix);
            if seen.insert(place.to_owned()) {
                logins.push(login(place, entry));
            }
        }
    }
    logins
}

fn login(place: &str, entry: Option<&KeychainEntry>) -> String {
    let Some(entry) = entry else {
        let otherwise = setup::identity(&LoginChoice::Auto);
        return format!("login at {place}: no entry, so {otherwise}");
    };
    let who = setup::identity(&entry.login);
    let insecure = if entry.insecure { ", insecure" } else { "" };
    format!("login at {place}: {who}{insecure}  ({})", entry.origin)
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

fn chosen(source: &RuleSource) -> String {
    match &source.select {
        Selection::All => "all tags".to_owned(),
        Selection::Tags(tags) => joined("tag", tags),
        Selection::Matching(pattern) => format!("tags in which /{}/ is found", pattern.as_str()),
        Selection::Policy(policy) => format!("tags that the policy selects: {policy}"),
        Selection::Digest { digest, tag: None } => format!("{digest}"),
        Selection::Digest {
            digest,
            tag: Some(tag),
        } => format!("{digest}, called {tag}"),
    }
}

fn named(destination: &RuleDestination, source: &RuleSource) -> String {
    match (&destination.naming, &source.select) {
        (Naming::Keep, Selection::Digest { tag: None, .. }) | (Naming::Untagged, _) => {
            "by digest, untagged".to_owned()
        }
        (Naming::Keep, _) => "names kept".to_owned(),
        (Naming::Tags(tags), _) => format!("as {}", joined("tag", tags)),
        (Naming::Template(template), _) => format!("as {template}"),
    }
}

fn joined(noun: &str, items: &[impl ToString]) -> String {
    let list: Vec<String> = items.iter().map(ToString::to_string).collect();
    let s = if items.len() == 1 { "" } else { "s" };
    format!("{noun}{s} {}", list.join(", "))
}

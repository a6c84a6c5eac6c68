//! Descriptions of rules.

use std::fmt::Write as _;

use image_syncer_sync::rule::{
    CopyOptions, DestinationTemplate, Naming, OptionOverrides, PatternRule, PlatformFilter,
    RepositoryPattern, Rule, RuleDestination, RuleSource, Selection,
};

use super::options;

/// Appends the description of a rule to `text`. Options that are the built-in ones with `platforms` are left out.
pub(super) fn describe(rule: &Rule, platforms: &PlatformFilter, text: &mut String) {
    let source = &rule.source;
    let _ = write!(text, "{}: {}", source.repository, chosen(&source.select));
    let is_named = RuleSource::parse(&rule.name).is_ok_and(|named| named == *source);
    let name = (!is_named).then_some(&*rule.name);
    describe_place(name, rule.location.as_ref(), text);
    let base = built_in(platforms);
    describe_options("  with ", &rule.options, &base, text);
    for destination in &rule.destinations {
        let named = named(destination, source);
        let _ = write!(text, "  → {}: {named}", destination.repository);
        match &destination.options {
            Some(own) => describe_options(", with ", own, &rule.options, text),
            None => text.push('\n'),
        }
    }
}

/// Appends the description of a rule with patterns.
pub(super) fn describe_pattern(rule: &PatternRule, platforms: &PlatformFilter, text: &mut String) {
    let from: Vec<String> = rule.from.iter().map(ToString::to_string).collect();
    let from = from.join(", ");
    let except: Vec<String> = rule.except.iter().map(ToString::to_string).collect();
    let except = match &except[..] {
        [] => String::new(),
        except => format!(" except {}", except.join(", ")),
    };
    let own = rule.from.iter().map(RepositoryPattern::select);
    let own: Vec<&Selection> = own.filter(|select| **select != Selection::All).collect();
    let select = own.first().copied().unwrap_or(&rule.select);
    let _ = write!(text, "{from}{except}: {}", chosen(select));
    let name = (*rule.name != *from).then_some(&*rule.name);
    describe_place(name, rule.location.as_ref(), text);
    let base = built_in(platforms);
    describe_options("  with ", &rule.options, &base, text);
    for destination in &rule.destinations {
        let _ = write!(text, "  → {destination}: {}", template_naming(destination));
        match &destination.options {
            Some(own) => describe_options(", with ", own, &rule.options, text),
            None => text.push('\n'),
        }
    }
}

/// Returns the options of a rule without any of its own.
fn built_in(platforms: &PlatformFilter) -> CopyOptions {
    OptionOverrides::resolve([&OptionOverrides {
        platforms: (!platforms.is_empty()).then(|| platforms.clone().into()),
        ..OptionOverrides::default()
    }])
}

/// Appends the end of a line: the place of the rule, and its name if that is not its source.
fn describe_place(
    name: Option<&str>,
    location: Option<&image_syncer_sync::rule::Location>,
    text: &mut String,
) {
    let name = name.map(ToString::to_string);
    let place = location.map(ToString::to_string);
    let parts: Vec<String> = name.into_iter().chain(place).collect();
    match &parts[..] {
        [] => text.push('\n'),
        parts => {
            let _ = writeln!(text, "  ({})", parts.join(", "));
        }
    }
}

/// Appends a line, or the end of one, with the options that are not those of `base`.
fn describe_options(before: &str, options: &CopyOptions, base: &CopyOptions, text: &mut String) {
    let described = options::describe(options, base);
    if !described.is_empty() {
        let _ = writeln!(text, "{before}{described}");
    } else if before.starts_with(',') {
        text.push('\n');
    }
}

fn chosen(select: &Selection) -> String {
    match select {
        Selection::All => "all tags".to_owned(),
        Selection::Tags(tags) => joined("tag", tags),
        Selection::Matching(pattern) => format!("tags in which /{}/ is found", pattern.as_str()),
        Selection::Policy(policy) => format!("tags: {policy}"),
        Selection::Digest { digest, tag: None } => format!("{digest}"),
        Selection::Digest {
            digest,
            tag: Some(tag),
        } => format!("{digest}, called {tag}"),
    }
}

fn template_naming(destination: &DestinationTemplate) -> String {
    destination
        .tag()
        .map_or_else(|| "names kept".to_owned(), |tag| format!("as {tag}"))
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

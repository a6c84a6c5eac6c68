//! A listing as text.

use std::fmt::Write as _;

use super::gather::{DestinationListing, Gathered, RepositoryListing, RuleListing};
use crate::ui::plan::by_name;
use crate::ui::units;

/// Returns the listing; `tags` adds the selected tags of each repository.
pub(super) fn write(gathered: &Gathered, tags: bool) -> String {
    let mut text = String::new();
    for (position, rule) in gathered.rules.iter().enumerate() {
        if position > 0 {
            text.push('\n');
        }
        write_rule(&mut text, rule, tags);
    }
    text
}

fn write_rule(text: &mut String, rule: &RuleListing, tags: bool) {
    let found = rule.rule.is_pattern.then(|| {
        let number = rule.repositories.len() as u64;
        match number {
            1 => ": 1 repository".to_owned(),
            number => format!(": {} repositories", units::grouped(number)),
        }
    });
    // Writing to a string cannot fail.
    let _ = writeln!(text, "# {}{}", rule.rule, found.unwrap_or_default());
    for (name, repository) in &rule.repositories {
        write_repository(text, name, repository, tags);
    }
    if let Some(empty) = &rule.empty {
        let _ = writeln!(text, "nothing: {empty}");
    }
    if let Some(failure) = &rule.failure {
        let _ = writeln!(text, "failed: {failure}");
    }
}

fn write_repository(text: &mut String, name: &str, repository: &RepositoryListing, tags: bool) {
    let explanation = match (&repository.explanation, repository.images.len()) {
        (Some(explanation), _) => explanation.to_string(),
        (None, number) => units::count(number as u64, "tag"),
    };
    let _ = writeln!(text, "{name}: {explanation}");
    let mut images: Vec<&str> = repository.images.iter().map(String::as_str).collect();
    images.sort_by(|one, other| by_name(one, other));
    if tags && !images.is_empty() {
        let _ = writeln!(text, "  {}", images.join(", "));
    }
    for destination in &repository.destinations {
        let _ = writeln!(text, "  → {}", describe(destination, &images));
    }
    for (image, why) in &repository.skipped {
        let _ = writeln!(text, "  not now: {image}: {why}");
    }
    if let Some(empty) = &repository.empty {
        let _ = writeln!(text, "  nothing: {empty}");
    }
    if let Some(failure) = &repository.failure {
        let _ = writeln!(text, "  failed: {failure}");
    }
}

/// Returns the repository, with the names of the images there if they are others.
fn describe(destination: &DestinationListing, images: &[&str]) -> String {
    let repository = &destination.repository;
    if !destination.is_renamed() {
        return repository.clone();
    }
    let name = |image: &&str| {
        let name = destination.names.get(*image)?;
        Some(if name.is_empty() { "untagged" } else { name })
    };
    let names: Vec<&str> = images.iter().filter_map(name).collect();
    format!("{repository}: {}", names.join(", "))
}

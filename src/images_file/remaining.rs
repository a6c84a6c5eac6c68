//! Rules that are not finished.

use std::collections::HashMap;
use std::sync::Arc;

use image_syncer_registry::Tag;
use image_syncer_sync::report::{RuleSummary, Summary};
use image_syncer_sync::rule::{PatternRule, Rule, Selection};

/// Returns the rules that were not started, whose images were not all found, or whose images did not all end.
pub(super) fn unfinished<'a>(rules: &'a [Arc<Rule>], summary: &Summary) -> Vec<&'a Arc<Rule>> {
    let begun = summary.rules_by_id();
    let ended = |rule: &&Arc<Rule>| {
        let entry = begun.get(&rule.id);
        entry.is_some_and(|entry| entry.failure.is_none() && is_complete(entry))
    };
    rules.iter().filter(|rule| !ended(rule)).collect()
}

/// Returns the names of patterns that are not finished, or of which a repository could not be listed.
pub(super) fn unfinished_patterns(
    patterns: &[Arc<PatternRule>],
    summary: &Summary,
) -> Vec<Arc<str>> {
    let begun = summary.rules_by_id();
    let ended = |pattern: &&Arc<PatternRule>| {
        let entry = begun.get(&pattern.id);
        entry.is_some_and(|entry| {
            let missing = entry.failed_repositories + entry.interrupted_repositories;
            entry.failure.is_none() && missing == 0 && is_complete(entry)
        })
    };
    let left = patterns.iter().filter(|pattern| !ended(pattern));
    left.map(|pattern| Arc::clone(&pattern.name)).collect()
}

/// Rules that list the tags of their source, by source.
#[derive(Default)]
pub(super) struct Listings(HashMap<String, Vec<Arc<Rule>>>);

impl Listings {
    /// Adds `rule`, if it lists the tags of its source.
    pub(super) fn add(&mut self, rule: &Arc<Rule>) {
        if rule.source.select.is_listed() {
            let source = rule.source.repository.to_string();
            self.0.entry(source).or_default().push(Arc::clone(rule));
        }
    }

    /// Returns whether one of the rules copies `source` to `destination`.
    pub(super) fn contains(&self, source: &str, destination: &str) -> bool {
        let Some((repository, tag)) = source.rsplit_once(':') else {
            return false;
        };
        let (Some(rules), Ok(tag)) = (self.0.get(repository), Tag::parse(tag)) else {
            return false;
        };
        let matches = |rule: &&Arc<Rule>| match &rule.source.select {
            Selection::Matching(pattern) => pattern.matches(&tag),
            Selection::Policy(policy) => policy.matches_name(&tag),
            _ => true,
        };
        let mut rules = rules.iter().filter(matches);
        rules.any(|rule| {
            let mut places = rule.destinations.iter();
            places.any(|place| destination == format!("{}:{tag}", place.repository))
        })
    }
}

fn is_complete(rule: &RuleSummary) -> bool {
    let ended =
        rule.copied + rule.planned + rule.unchanged + rule.skipped + rule.failed + rule.interrupted;
    rule.discovered.is_some_and(|found| found <= ended)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use image_syncer_sync::rule::RuleError;

    fn rule(source: &str, destinations: &[&str]) -> Rule {
        let none = |_: &_| Err(RuleError("no default".to_owned()));
        Rule::parse(source, destinations, &none).unwrap()
    }

    #[test]
    fn a_listed_rule_replaces_its_images() {
        let mut listings = Listings::default();
        for (source, to) in [
            ("a.example/x:/^v/", "b.example/y"),
            ("a.example/x:w1", "b.example/y"),
            ("a.example/z", "b.example/y"),
        ] {
            listings.add(&Arc::new(rule(source, &[to])));
        }
        for (source, destination, covered) in [
            ("a.example/x:v1", "b.example/y:v1", true),
            ("a.example/x:v1", "b.example/y:v2", false),
            ("a.example/x:v1", "b.example/x:v1", false),
            ("a.example/x:w1", "b.example/y:w1", false),
            ("a.example/z:w1", "b.example/y:w1", true),
            ("a.example/x", "b.example/y", false),
        ] {
            assert_eq!(
                listings.contains(source, destination),
                covered,
                "{source} {destination}"
            );
        }
    }

    #[test]
    fn rules_that_were_not_started_or_not_ended_are_unfinished() {
        let rules = ["a", "b", "c", "d"].map(|name| Arc::new(rule(name, &["b.example/y"])));
        let mut summary = Summary::default();
        for (rule, discovered) in rules.iter().zip([None, Some(1), Some(1)]) {
            let report = image_syncer_sync::report::Report::new();
            image_syncer_sync::Listener::event(
                &report,
                &image_syncer_sync::Event::RuleStarted {
                    rule: Arc::new((&**rule).into()),
                },
            );
            let mut entry = report.summary().by_rule.remove(0);
            entry.discovered = discovered;
            summary.by_rule.push(entry);
        }
        summary.by_rule.last_mut().unwrap().failed = 1;
        let names = unfinished(&rules, &summary).into_iter();
        let names: Vec<&str> = names.map(|rule| &*rule.name).collect();
        assert_eq!(names, ["a", "b", "d"]);
    }
}

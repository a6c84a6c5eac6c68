//! Rules, as they are written down to be carried out again.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;

use sync::report::{RuleSummary, Summary};
use sync::rule::{Destination, Naming, Rule, Select};

/// The rule's source as a user would write it, each tag once for each name that it gets.
pub(super) fn source(rule: &Rule) -> String {
    match &rule.source.select {
        Select::Tags(tags) => format!("{}:{}", rule.source.repository, list(tags)),
        Select::All | Select::Matching(_) | Select::Digest { .. } => rule.name.to_string(),
    }
}

/// One of its destinations as a user would write it.
pub(super) fn destination(rule: &Rule, destination: &Destination) -> String {
    let repository = &destination.repository;
    match (&destination.naming, &rule.source.select) {
        (Naming::Tags(tags), _) => format!("{repository}:{}", list(tags)),
        (Naming::Untagged, Select::Digest { digest, .. }) => format!("{repository}@{digest}"),
        (Naming::Keep | Naming::Untagged, _) => repository.to_string(),
    }
}

fn list(tags: &[impl Display]) -> String {
    let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
    tags.join(",")
}

/// Those of `rules` that were not told of to their end: that were not begun, whose images were not all found, or not all
/// of whose images ended. Of those that failed, the run has told.
pub(super) fn unfinished<'a>(rules: &'a [Arc<Rule>], summary: &Summary) -> Vec<&'a Rule> {
    let begun = summary.by_rule.iter();
    let begun: HashMap<usize, &RuleSummary> = begun
        .map(|entry| (Arc::as_ptr(&entry.rule).addr(), entry))
        .collect();
    let ended = |rule: &&Arc<Rule>| {
        let entry = begun.get(&Arc::as_ptr(rule).addr());
        entry.is_some_and(|entry| entry.failure.is_some() || is_complete(entry))
    };
    let rules = rules.iter().filter(|rule| !ended(rule));
    rules.map(Arc::as_ref).collect()
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
    use sync::rule::RuleError;

    fn rule(source: &str, destinations: &[&str]) -> Rule {
        let none = |_: &_| Err(RuleError("no default".to_owned()));
        Rule::parse(source, destinations, &none).unwrap()
    }

    #[test]
    fn a_rule_that_is_read_again_means_the_same() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let by_digest = format!("a.example/x:v1@{digest}");
        let untagged = format!("b.example/y@{digest}");
        for (from, to) in [
            ("nginx", &["b.example/y", "c.example/z"][..]),
            ("a.example/x:v1,v2", &["b.example/y:a,b", "c.example/z"]),
            ("a.example/x:v1,v1", &["b.example/y:a,b"]),
            ("a.example/x:v1,v1", &["b.example/y:a,a"]),
            ("a.example/x:/^v[0-9]/", &["b.example/y"]),
            (&by_digest, &[&untagged, "b.example/y:v2", "b.example/y"]),
        ] {
            let first = rule(from, to);
            let again: Vec<String> = first
                .destinations
                .iter()
                .map(|to| destination(&first, to))
                .collect();
            let again: Vec<&str> = again.iter().map(String::as_str).collect();
            let again = rule(&source(&first), &again);
            assert_eq!(again.source, first.source, "{from}");
            assert_eq!(again.destinations, first.destinations, "{from}");
        }
    }

    #[test]
    fn what_was_not_begun_or_told_of_to_its_end_is_unfinished() {
        let rules = ["a", "b", "c", "d"].map(|name| Arc::new(rule(name, &["b.example/y"])));
        let mut summary = Summary::default();
        for (rule, discovered) in rules.iter().zip([None, Some(1), Some(1)]) {
            let report = sync::report::Report::new();
            sync::Listener::event(
                &report,
                &sync::Event::RuleStarted {
                    rule: Arc::clone(rule),
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

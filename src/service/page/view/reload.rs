//! Result of a reload of the files.

use std::sync::Arc;

use crate::service::rule_book::{RuleBook, ServiceRule};

/// Result of a reload of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReloadView {
    /// The files are in force.
    InForce {
        /// Number of rules.
        rules: usize,
        /// Names of rules that did not exist before.
        added: Vec<Arc<str>>,
        /// Names of rules that do not exist any more.
        removed: Vec<Arc<str>>,
        /// Names of rules with other sources, destinations or times.
        changed: Vec<Arc<str>>,
    },
    /// The files have mistakes, one a line, and the rules that were read before stay in force.
    Mistakes(Vec<String>),
}

impl ReloadView {
    /// Compares the rules before and after a reload.
    pub(crate) fn new(before: &RuleBook, after: &RuleBook) -> Self {
        let missing_in = |book: &RuleBook, rules: &[Arc<ServiceRule>]| {
            let missing = rules.iter().filter(|rule| book.get(&rule.name).is_none());
            missing.map(|rule| Arc::clone(&rule.name)).collect()
        };
        let changed = after.rules().iter().filter(|rule| {
            before
                .get(&rule.name)
                .is_some_and(|old| !is_same(old, rule))
        });
        Self::InForce {
            rules: after.rules().len(),
            added: missing_in(before, after.rules()),
            removed: missing_in(after, before.rules()),
            changed: changed.map(|rule| Arc::clone(&rule.name)).collect(),
        }
    }

    /// Splits the text of all mistakes.
    pub(crate) fn from_mistakes(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        Self::Mistakes(lines.map(str::to_owned).collect())
    }
}

fn is_same(a: &ServiceRule, b: &ServiceRule) -> bool {
    a.sources() == b.sources() && a.destinations() == b.destinations() && a.schedule == b.schedule
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::rules;

    #[test]
    fn rules_that_come_go_and_change_are_named() {
        let before = rules(&[
            r#"{name: same, from: "a.example/**"}"#,
            r#"{name: changed, from: "b.example/**", schedule: {every: 1h}}"#,
            r#"{name: gone, from: "c.example/**"}"#,
        ]);
        let after = rules(&[
            r#"{name: same, from: "a.example/**"}"#,
            r#"{name: changed, from: "b.example/**", schedule: {every: 2h}}"#,
            r#"{name: new, from: "d.example/**"}"#,
        ]);
        assert_eq!(
            ReloadView::new(&before, &after),
            ReloadView::InForce {
                rules: 3,
                added: vec!["new".into()],
                removed: vec!["gone".into()],
                changed: vec!["changed".into()],
            }
        );
    }

    #[test]
    fn each_mistake_is_a_line() {
        let view = ReloadView::from_mistakes("a.yaml:1: no\n\nb.yaml:2: no\n");
        let lines = vec!["a.yaml:1: no".to_owned(), "b.yaml:2: no".to_owned()];
        assert_eq!(view, ReloadView::Mistakes(lines));
    }
}

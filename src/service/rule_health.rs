//! Good and failing rules, from their runs: the one answer for the page, the API and notifications.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use crate::lock::lock;
use crate::service::observer::RunObserver;
use crate::service::rule_book::RuleBook;
use crate::service::run::{Cause, Run, RunPurpose, RunState, Scope};

/// Maximum number of parts of a rule that are known to fail. With more, the whole rule does.
const MAX_PARTS: usize = 16;

/// Change of the health of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transition {
    /// It fails from now on.
    Failing,
    /// Everything that failed has been copied.
    Recovered,
}

/// Health of all rules. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct RuleHealths(Arc<Mutex<HashMap<Arc<str>, RuleHealth>>>);

/// Health of a rule.
#[derive(Debug, Default)]
struct RuleHealth {
    /// Parts that failed, and have not been copied since.
    parts: Vec<Scope>,
    /// End of the run that failed first.
    since: Option<Timestamp>,
}

impl RuleHealths {
    /// Restores the health of rules from their last runs, in any order.
    pub(super) fn restore(&self, last: &[Run]) {
        let mut last: Vec<&Run> = last.iter().collect();
        last.sort_by_key(|run| run.id);
        for run in last {
            self.record(run);
        }
    }

    /// Records a run. Returns the change of its rule's health, if it ends one.
    pub(super) fn record(&self, run: &Run) -> Option<Transition> {
        if run.purpose != RunPurpose::Sync || !run.state.is_over() {
            return None;
        }
        let mut rules = lock(&self.0);
        rules.entry(Arc::clone(&run.rule)).or_default().add(run)
    }

    /// Returns the time since which a rule fails; `None` for a good one.
    pub(crate) fn failing_since(&self, rule: &str) -> Option<Timestamp> {
        lock(&self.0).get(rule)?.since
    }
}

impl RunObserver for RuleHealths {
    fn changed(&self, run: &Run) {
        self.record(run);
    }

    fn rules(&self, rules: &Arc<RuleBook>) {
        lock(&self.0).retain(|name, _| rules.get(name).is_some());
    }
}

impl RuleHealth {
    /// Adds a run that ended. Returns the transition that it causes.
    fn add(&mut self, run: &Run) -> Option<Transition> {
        let was_failing = !self.parts.is_empty();
        match run.state {
            // A person who names a part sees how it ends, and may have mistyped it.
            RunState::Failed if run.cause == Cause::Api && !run.scope.is_whole() => None,
            RunState::Failed => {
                self.parts.retain(|part| !run.scope.includes(part));
                if self.parts.len() >= MAX_PARTS {
                    self.parts = vec![Scope::default()];
                } else {
                    self.parts.push(run.scope.clone());
                }
                self.since = self.since.or(run.ended);
                (!was_failing).then_some(Transition::Failing)
            }
            RunState::Succeeded => {
                self.parts.retain(|part| !run.scope.includes(part));
                if self.parts.is_empty() {
                    self.since = None;
                }
                (was_failing && self.parts.is_empty()).then_some(Transition::Recovered)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::service::notify::tests::run;

    /// Returns the transitions of runs, each with its state, repository and tags.
    fn transitions(runs: &[(RunState, &str, &[&str])]) -> String {
        let mut health = RuleHealth::default();
        let mut transitions = Vec::new();
        for (state, repository, tags) in runs {
            let mut run = run("app", *state);
            run.scope.repository = (!repository.is_empty()).then(|| (*repository).to_owned());
            run.scope.tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
            transitions.push(match health.add(&run) {
                Some(Transition::Failing) => 'F',
                Some(Transition::Recovered) => 'R',
                _ => '-',
            });
        }
        transitions.into_iter().collect()
    }

    use RunState::{Cancelled, Failed, Interrupted, Succeeded};

    #[test]
    fn only_transitions_are_events() {
        let whole = |state| (state, "", &[][..]);
        for (states, expected) in [
            (&[Failed][..], "F"),
            (&[Succeeded], "-"),
            (
                &[Succeeded, Failed, Failed, Succeeded, Succeeded, Failed],
                "-F-R-F",
            ),
            (
                &[
                    Failed,
                    Cancelled,
                    Interrupted,
                    Failed,
                    Interrupted,
                    Succeeded,
                ],
                "F----R",
            ),
        ] {
            let runs: Vec<_> = states.iter().map(|state| whole(*state)).collect();
            assert_eq!(transitions(&runs), expected, "{states:?}");
        }
    }

    #[test]
    fn a_part_that_failed_must_succeed_itself() {
        for (runs, expected) in [
            // Another tag says nothing about the one that failed.
            (
                &[
                    (Failed, "a/x", &["1"][..]),
                    (Succeeded, "a/x", &["2"]),
                    (Succeeded, "a/x", &["1", "2"]),
                ][..],
                "F-R",
            ),
            (
                &[
                    (Failed, "a/x", &["1"]),
                    (Succeeded, "a/y", &[]),
                    (Succeeded, "a/x", &[]),
                ],
                "F-R",
            ),
            (&[(Failed, "a/x", &["1"]), (Succeeded, "", &[])], "FR"),
            (
                &[
                    (Failed, "", &[]),
                    (Succeeded, "a/x", &[]),
                    (Succeeded, "", &[]),
                ],
                "F-R",
            ),
            (
                &[
                    (Failed, "a/x", &["1"]),
                    (Failed, "a/x", &["2"]),
                    (Succeeded, "a/x", &["1"]),
                    (Succeeded, "a/x", &["2"]),
                ],
                "F--R",
            ),
            (&[(Failed, "", &["1"]), (Succeeded, "", &["1"])], "FR"),
        ] {
            assert_eq!(transitions(runs), expected, "{runs:?}");
        }
    }

    #[test]
    fn a_part_that_a_person_named_may_only_recover_a_rule() {
        let mut health = RuleHealth::default();
        let mut part = run("app", Failed);
        part.scope.tags = vec!["v1.typo".into()];
        part.cause = Cause::Api;
        assert_eq!(health.add(&part), None);
        part.cause = Cause::Hook;
        assert_eq!(health.add(&part), Some(Transition::Failing));
        part.cause = Cause::Api;
        assert_eq!(health.add(&part), None);
        part.state = Succeeded;
        assert_eq!(health.add(&part), Some(Transition::Recovered));
        let mut whole = run("app", Failed);
        whole.cause = Cause::Api;
        assert_eq!(health.add(&whole), Some(Transition::Failing));
    }

    #[test]
    fn a_rule_fails_since_its_first_failure_until_what_failed_is_copied() {
        let healths = RuleHealths::default();
        let minute = |minute: i64| Timestamp::from_second(60 * minute).unwrap();
        let mut part = run("app", Failed);
        part.scope.tags = vec!["1".to_owned()];
        part.cause = Cause::Hook;
        part.ended = Some(minute(1));
        healths.record(&part);
        part.ended = Some(minute(2));
        healths.record(&part);
        // Another tag.
        let mut other = part.clone();
        other.scope.tags = vec!["2".to_owned()];
        other.state = Succeeded;
        healths.record(&other);
        // A comparison copies nothing.
        let mut check = run("app", Succeeded);
        check.purpose = RunPurpose::Check;
        healths.record(&check);
        assert_eq!(healths.failing_since("app"), Some(minute(1)));
        assert_eq!(healths.failing_since("other"), None);
        let restored = RuleHealths::default();
        restored.restore(&[part]);
        assert_eq!(restored.failing_since("app"), Some(minute(2)));
        healths.record(&run("app", Succeeded));
        assert_eq!(healths.failing_since("app"), None);
    }

    #[test]
    fn the_number_of_parts_is_bounded() {
        let mut health = RuleHealth::default();
        let mut part = run("app", Failed);
        for tag in 0..100 {
            part.scope.tags = vec![tag.to_string()];
            health.add(&part);
            assert!(health.parts.len() <= MAX_PARTS);
        }
        let whole = run("app", Succeeded);
        assert_eq!(health.add(&whole), Some(Transition::Recovered));
    }
}

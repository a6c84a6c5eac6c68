//! Good and failing rules, from their runs.

use crate::service::notify::event::EventKind;
use crate::service::run::{Cause, Run, RunState, Scope};

/// Maximum number of parts of a rule that are known to fail. With more, the whole rule does.
const MAX_PARTS: usize = 16;

/// Health of a rule: the parts that failed, and have not been copied since.
#[derive(Debug, Default)]
pub(super) struct RuleHealth(Vec<Scope>);

impl RuleHealth {
    /// Adds a run that ended. Returns the transition that it causes.
    pub(super) fn add(&mut self, run: &Run) -> Option<EventKind> {
        let was_failing = !self.0.is_empty();
        match run.state {
            // A person who names a part sees how it ends, and may have mistyped it.
            RunState::Failed if run.cause == Cause::Api && !run.scope.is_whole() => None,
            RunState::Failed => {
                self.0.retain(|part| !run.scope.includes(part));
                if self.0.len() >= MAX_PARTS {
                    self.0 = vec![Scope::default()];
                } else {
                    self.0.push(run.scope.clone());
                }
                (!was_failing).then_some(EventKind::RuleFailing)
            }
            RunState::Succeeded => {
                self.0.retain(|part| !run.scope.includes(part));
                (was_failing && self.0.is_empty()).then_some(EventKind::RuleRecovered)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
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
                Some(EventKind::RuleFailing) => 'F',
                Some(EventKind::RuleRecovered) => 'R',
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
        assert_eq!(health.add(&part), Some(EventKind::RuleFailing));
        part.cause = Cause::Api;
        assert_eq!(health.add(&part), None);
        part.state = Succeeded;
        assert_eq!(health.add(&part), Some(EventKind::RuleRecovered));
        let mut whole = run("app", Failed);
        whole.cause = Cause::Api;
        assert_eq!(health.add(&whole), Some(EventKind::RuleFailing));
    }

    #[test]
    fn the_number_of_parts_is_bounded() {
        let mut health = RuleHealth::default();
        let mut part = run("app", Failed);
        for tag in 0..100 {
            part.scope.tags = vec![tag.to_string()];
            health.add(&part);
            assert!(health.0.len() <= MAX_PARTS);
        }
        let whole = run("app", Succeeded);
        assert_eq!(health.add(&whole), Some(EventKind::RuleRecovered));
    }
}

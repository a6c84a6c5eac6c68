//! Runs that are requested again, since the end of a process interrupted them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::service::run::{Run, RunPurpose, RunState};
use crate::service::runs::{RunRequest, Runs};

impl Runs {
    /// Requests the runs again that the end of an earlier process interrupted, according to the last runs of all rules.
    /// Runs that replicas share go on without this process.
    pub(crate) fn repeat(&self, last: Vec<Run>) {
        if self.0.replicas.get().is_some() {
            return;
        }
        for request in interrupted(last) {
            // The files may have changed.
            let _ = self.request(request);
        }
    }
}

/// Returns requests for what was interrupted and not copied since, according to the last runs of rules, in any order.
fn interrupted(mut last: Vec<Run>) -> Vec<RunRequest> {
    last.sort_by_key(|run| run.id);
    let mut open: BTreeMap<Arc<str>, Vec<Run>> = BTreeMap::new();
    for run in last {
        if run.purpose != RunPurpose::Sync || !run.state.is_over() {
            continue;
        }
        let of_rule = open.entry(Arc::clone(&run.rule)).or_default();
        of_rule.retain(|earlier| !covers(&run, earlier));
        if run.state == RunState::Interrupted {
            of_rule.push(run);
        }
    }
    let runs = open.into_values().flatten();
    let requests = runs.map(|run| RunRequest {
        rule: run.rule,
        cause: run.cause,
        purpose: run.purpose,
        scope: run.scope,
    });
    requests.collect()
}

/// Returns true if a later run stands for an earlier one: it did the same and more, however it ended.
fn covers(later: &Run, earlier: &Run) -> bool {
    let is_thorough = (later.scope.force || !earlier.scope.force)
        && (later.scope.verify || !earlier.scope.verify);
    is_thorough && later.scope.includes(&earlier.scope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::run::{Cause, RunCounts, RunId, Scope};

    fn run(number: i64, state: RunState, cause: Cause, repository: &str, tags: &[&str]) -> Run {
        Run {
            id: RunId::from_number(number).unwrap_or_else(|| unreachable!("it is small")),
            rule: "app".into(),
            cause,
            purpose: RunPurpose::Sync,
            scope: Scope {
                repository: (!repository.is_empty()).then(|| repository.to_owned()),
                tags: tags.iter().map(ToString::to_string).collect(),
                ..Scope::default()
            },
            state,
            requested: jiff::Timestamp::UNIX_EPOCH,
            started: None,
            ended: None,
            counts: RunCounts::default(),
            failure: None,
        }
    }

    fn texts(runs: Vec<Run>) -> Vec<String> {
        let requests = interrupted(runs).into_iter();
        let text = |request: RunRequest| {
            let repository = request.scope.repository.unwrap_or_default();
            format!(
                "{} {repository}:{}",
                request.cause,
                request.scope.tags.join(",")
            )
        };
        requests.map(text).collect()
    }

    #[test]
    fn what_was_interrupted_is_requested_once_with_its_scope() {
        use RunState::{Cancelled, Failed, Interrupted, Running, Succeeded};
        let hook = |number, state, tag| run(number, state, Cause::Hook, "r.example/a", &[tag]);
        let api = |number, state| run(number, state, Cause::Api, "r.example/b", &[]);
        let whole = |number, state| run(number, state, Cause::Schedule, "", &[]);
        for (runs, expected) in [
            (
                vec![hook(1, Interrupted, "v1")],
                vec!["hook r.example/a:v1"],
            ),
            (
                vec![hook(1, Succeeded, "v1"), hook(2, Running, "v1")],
                vec![],
            ),
            // Killed twice.
            (
                vec![
                    hook(2, Interrupted, "v1"),
                    hook(1, Interrupted, "v1"),
                    api(3, Interrupted),
                ],
                vec!["hook r.example/a:v1", "api r.example/b:"],
            ),
            // Another tag says nothing about it.
            (
                vec![hook(1, Interrupted, "v1"), hook(2, Succeeded, "v2")],
                vec!["hook r.example/a:v1"],
            ),
            (
                vec![hook(1, Interrupted, "v1"), hook(2, Failed, "v1")],
                vec![],
            ),
            (
                vec![hook(1, Interrupted, "v1"), whole(2, Succeeded)],
                vec![],
            ),
            (
                vec![api(1, Interrupted), whole(2, Interrupted)],
                vec!["schedule :"],
            ),
            (vec![api(1, Interrupted), api(2, Cancelled)], vec![]),
        ] {
            assert_eq!(texts(runs.clone()), expected, "{runs:?}");
        }
        let mut forced = api(1, Interrupted);
        forced.scope.force = true;
        assert_eq!(texts(vec![forced, api(2, Succeeded)]), ["api r.example/b:"]);
    }
}

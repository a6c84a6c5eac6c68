//! Progress of a rule with a pattern: the list, and the searches of its repositories.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::event::{Event, Listener};
use crate::failure::Failure;
use crate::id::RuleId;
use crate::lock::lock;
use crate::report::PatternTally;
use crate::rule::{IfEmpty, PatternRule};

/// Progress of a pattern. Reports the end of the rule when its list and the searches of all of its repositories have
/// ended.
pub(crate) struct PatternProgress {
    rule: RuleId,
    if_empty: IfEmpty,
    listener: Arc<dyn Listener>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Number of searches that have not ended.
    searching: usize,
    /// Results of the searches that ended.
    tally: PatternTally,
    /// True once the list has ended.
    listed: bool,
    /// True after the failure of the rule was reported.
    failed: bool,
}

impl PatternProgress {
    /// Returns the progress of `pattern` before its start.
    pub(super) fn new(pattern: &PatternRule, listener: Arc<dyn Listener>) -> Self {
        Self {
            rule: pattern.id,
            if_empty: pattern.if_empty,
            listener,
            state: Mutex::default(),
        }
    }

    /// Records the start of a search.
    pub(super) fn begin_repository(&self) {
        lock(&self.state).searching += 1;
    }

    /// Records that another process searches a repository, or tags of one.
    pub(super) fn pass_over(&self) {
        lock(&self.state).tally.is_part = true;
    }

    /// Records the end of the search in `repository`: the number of its images and the reason for none, or the failure.
    /// The success is not reported unless `leads`, since another process reports the same repository.
    pub(crate) fn end_repository(
        &self,
        repository: &str,
        result: Result<(u64, Option<String>), Failure>,
        leads: bool,
    ) {
        let found = result.as_ref().ok().map(|(images, _)| *images);
        let (rule, repository) = (self.rule, repository.into());
        let event = match result {
            Ok((images, empty)) => leads.then_some(Event::RepositoryDiscovered {
                rule,
                repository,
                images,
                empty,
            }),
            Err(failure) => Some(Event::RepositoryFailed {
                rule,
                repository,
                failure,
            }),
        };
        if let Some(event) = event {
            self.listener.event(&event);
        }
        let mut state = lock(&self.state);
        state.tally.add(found);
        state.searching = state.searching.saturating_sub(1);
        self.report_end(state);
    }

    /// Records the end of the list: the reason if it has no selected repository, or the failure.
    pub(super) fn end_listing(&self, result: Result<Option<String>, Failure>) {
        let mut state = lock(&self.state);
        state.listed = true;
        match result {
            Ok(reason) => {
                state.tally.empty = reason;
                self.report_end(state);
            }
            Err(failure) => {
                state.failed = true;
                drop(state);
                let rule = self.rule;
                self.listener.event(&Event::RuleFailed { rule, failure });
            }
        }
    }

    /// Reports the end of the rule, if everything has ended.
    fn report_end(&self, mut state: MutexGuard<'_, State>) {
        if !state.listed || state.searching > 0 || state.failed {
            return;
        }
        let tally = std::mem::take(&mut state.tally);
        drop(state);
        self.listener.event(&tally.end(self.rule, self.if_empty));
    }
}

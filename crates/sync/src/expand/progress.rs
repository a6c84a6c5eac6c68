//! Progress of a rule with a pattern: the list, and the searches of its repositories.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::event::{Event, Listener};
use crate::failure::Failure;
use crate::id::RuleId;
use crate::lock::lock;
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
    /// Number of images, and of repositories whose search ended.
    images: u64,
    repositories: u64,
    /// True once the list has ended.
    listed: bool,
    /// Reason for a list without a selected repository.
    empty: Option<String>,
    /// True after the failure of the rule was reported.
    failed: bool,
    /// True after the failure of a repository.
    any_failed: bool,
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

    /// Records the end of the search in `repository`: the number of its images and the reason for none, or the failure.
    pub(crate) fn end_repository(
        &self,
        repository: &str,
        result: Result<(u64, Option<String>), Failure>,
    ) {
        let images = result.as_ref().map_or(0, |(images, _)| *images);
        let has_failed = result.is_err();
        let (rule, repository) = (self.rule, repository.into());
        self.listener.event(&match result {
            Ok((images, empty)) => Event::RepositoryDiscovered {
                rule,
                repository,
                images,
                empty,
            },
            Err(failure) => Event::RepositoryFailed {
                rule,
                repository,
                failure,
            },
        });
        let mut state = lock(&self.state);
        state.images += images;
        state.repositories += 1;
        state.any_failed |= has_failed;
        state.searching = state.searching.saturating_sub(1);
        self.report_end(state);
    }

    /// Records the end of the list: the reason if it has no selected repository, or the failure.
    pub(super) fn end_listing(&self, result: Result<Option<String>, Failure>) {
        let mut state = lock(&self.state);
        state.listed = true;
        match result {
            Ok(reason) => {
                state.empty = reason;
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
        let (rule, images) = (self.rule, state.images);
        let nothing = images == 0 && !state.any_failed;
        let empty = state.empty.take().or_else(|| {
            nothing.then(|| match state.repositories {
                1 => "its only repository has no image to copy".to_owned(),
                many => format!("none of its {many} repositories has an image to copy"),
            })
        });
        drop(state);
        self.listener.event(&match self.if_empty.judge(empty) {
            Ok(empty) => Event::RuleDiscovered {
                rule,
                images,
                empty,
            },
            Err(failure) => Event::RuleFailed { rule, failure },
        });
    }
}

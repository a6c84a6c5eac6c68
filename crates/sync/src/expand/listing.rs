//! List of the repositories of one registry, which patterns share.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::event::{Event, Listener};
use crate::failure::Failure;
use crate::rule::PatternRule;
use crate::store::{RepositoryScope, Stores};
use crate::{Endpoint, Repository};

/// A list that is read by a task of its own. Dropping it and all of its readers cancels the task.
pub(super) struct RepositoryListing {
    state: watch::Receiver<ListingState>,
    task: Arc<AbortOnDropHandle<()>>,
}

/// Reader of a list, from its beginning.
pub(super) struct ListingReader {
    state: watch::Receiver<ListingState>,
    /// Number of repositories that were returned.
    position: usize,
    _task: Arc<AbortOnDropHandle<()>>,
}

/// Progress of a list.
#[derive(Default)]
struct ListingState {
    /// Repositories that a pattern matches. Others are only counted.
    found: Vec<Repository>,
    /// Number of all repositories.
    listed: u64,
    /// Number of repositories that the registry announced.
    total: Option<u64>,
    /// Result, after the end.
    end: Option<Result<(), Failure>>,
}

/// Task that reads a list to its end.
pub(super) struct ListingTask {
    pub(super) stores: Arc<dyn Stores>,
    pub(super) listener: Arc<dyn Listener>,
    pub(super) endpoint: Endpoint,
    /// Path components that all repositories begin with; empty for all of the endpoint.
    pub(super) prefix: String,
    /// Patterns that need the list.
    pub(super) patterns: Vec<Arc<PatternRule>>,
    pub(super) cancel: CancellationToken,
}

impl RepositoryListing {
    /// Starts the list, once one of `slots` is free.
    pub(super) fn start(task: ListingTask, slots: Arc<Semaphore>) -> Self {
        let (sender, state) = watch::channel(ListingState::default());
        let run = async move {
            // The semaphore is never closed; if it were, there would be no limit.
            let _slot = slots.acquire_owned().await;
            let end = AssertUnwindSafe(task.read(&sender)).catch_unwind().await;
            let end = end.unwrap_or_else(|panic| Err(Failure::panicked(&*panic)));
            sender.send_modify(|state| state.end = Some(end));
        };
        Self {
            state,
            task: Arc::new(AbortOnDropHandle::new(tokio::spawn(run.in_current_span()))),
        }
    }

    /// Returns a reader.
    pub(super) fn read(&self) -> ListingReader {
        ListingReader {
            state: self.state.clone(),
            position: 0,
            _task: Arc::clone(&self.task),
        }
    }
}

impl ListingReader {
    /// Returns the next repository that one of the list's patterns matches; `None` at the end. Must not be called again
    /// after a failure.
    pub(super) async fn next(&mut self) -> Result<Option<Repository>, Failure> {
        loop {
            {
                let state = self.state.borrow_and_update();
                if let Some(repository) = state.found.get(self.position) {
                    self.position += 1;
                    return Ok(Some(repository.clone()));
                }
                if let Some(end) = &state.end {
                    return end.clone().map(|()| None);
                }
            }
            let gone = "the reading of a list of repositories ended before the list";
            let changed = self.state.changed().await;
            changed.map_err(|_| Failure::internal(gone))?;
        }
    }

    /// Returns the number of all repositories in the list so far.
    pub(super) fn listed(&self) -> u64 {
        self.state.borrow().listed
    }
}

impl ListingTask {
    async fn read(&self, state: &watch::Sender<ListingState>) -> Result<(), Failure> {
        self.report(state, false);
        let read = self.cancel.run_until_cancelled(self.pages(state)).await;
        self.report(state, true);
        read.unwrap_or_else(|| Err(Failure::interrupted()))
    }

    async fn pages(&self, state: &watch::Sender<ListingState>) -> Result<(), Failure> {
        let mut pages = self
            .stores
            .repositories(&self.endpoint, &self.scope())
            .await?;
        while let Some(page) = pages.next().await? {
            let listed = page.repositories.len() as u64;
            let mut found = page.repositories;
            found.retain(|repository| self.is_needed(repository));
            state.send_modify(|state| {
                state.listed += listed;
                state.total = page.total.or(state.total);
                state.found.extend(found);
            });
            self.report(state, false);
        }
        Ok(())
    }

    /// Returns the part of the list that a pattern may match.
    fn scope(&self) -> RepositoryScope {
        let (patterns, endpoint) = (self.patterns.clone(), self.endpoint.clone());
        RepositoryScope::below(&*self.prefix).with_namespaces(move |first| {
            let mut sources = patterns.iter().flat_map(|rule| &rule.from);
            sources.any(|from| *from.endpoint() == endpoint && from.may_match_below(first))
        })
    }

    fn is_needed(&self, repository: &Repository) -> bool {
        self.patterns.iter().any(|rule| rule.selects(repository))
    }

    fn report(&self, state: &watch::Sender<ListingState>, ended: bool) {
        let endpoint = self.endpoint.name();
        let place = match &*self.prefix {
            "" => endpoint.into(),
            prefix => format!("{endpoint}/{prefix}").into(),
        };
        self.listener.event(&Event::RepositoriesListed {
            place,
            listed: state.borrow().listed,
            total: state.borrow().total,
            ended,
        });
    }
}

//! Several repositories in one token, where the token server gives such tokens (docs/protocol.md#scopes).
//!
//! The first token of a credential is asked for at once and for one repository. Whoever wants one while a request is
//! under way waits for its end, and then shares a request with others that waited. What comes of it is remembered in
//! a [`MultiScopeSupport`] for the host: a first batch goes alone, and nothing more is put together where it failed, or where the
//! token turned out to be good for its first repository only.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::auth::credential::Credential;
use crate::auth::multi_scope::MultiScopeSupport;
use crate::auth::scopes::Scopes;
use crate::auth::token_cache::Token;
use crate::error::{Error, ErrorKind};

/// The longest that anybody waits to share a request. A token server that hangs for one repository must not hold up
/// the others.
const PATIENCE: Duration = Duration::from_secs(3);
/// The longest list of scopes that is put together, in bytes: it travels in a URL.
const MAX_TEXT: usize = 2048;
/// The longest token for several repositories, in bytes: it travels in a header of every request, and servers take
/// 8 KiB of them.
const MAX_TOKEN: usize = 6 * 1024;
/// Credentials whose lines are kept while nobody stands in them.
const MAX_LINES: usize = 64;

/// The lines of one registry, one for each credential: different ones never share a token.
#[derive(Debug, Default)]
pub(super) struct TokenQueues {
    /// What the token server was found to do.
    pub(super) habit: Arc<MultiScopeSupport>,
    lines: Mutex<HashMap<Credential, Arc<TokenQueue>>>,
}

/// Those who want a token under one credential.
#[derive(Debug, Default)]
pub(super) struct TokenQueue {
    habit: Arc<MultiScopeSupport>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// Requests that have no answer yet.
    under_way: usize,
    waiting: Vec<WaitingRequest>,
}

#[derive(Debug)]
struct WaitingRequest {
    id: u64,
    wanted: Scopes,
    /// A request came to its end since it waits.
    ripe: bool,
    /// It asks for itself alone.
    alone: bool,
    /// It is part of a request that is under way.
    taken: bool,
    outcome: Option<Result<Arc<Token>, Error>>,
}

/// A place in a line; given up when dropped.
#[derive(Debug)]
pub(super) struct QueuePosition<'a> {
    line: &'a TokenQueue,
    id: u64,
    deadline: Instant,
}

/// What is next for somebody in a line.
pub(super) enum QueueStep<'a> {
    /// Another's request brought this.
    Over(Result<Arc<Token>, Error>),
    /// To make a request.
    Ask(ScopeBatch<'a>),
}

/// A request that is made for one or several of a line. If it is dropped, the others wait on.
#[derive(Debug)]
pub(super) struct ScopeBatch<'a> {
    line: &'a TokenQueue,
    /// Whoever makes it, first, and those who share it.
    ids: Vec<u64>,
    wanted: Scopes,
    ended: bool,
}

impl TokenQueues {
    /// The line for `credential`.
    pub(super) fn line(&self, credential: &Credential) -> Arc<TokenQueue> {
        let mut lines = self.lock();
        if lines.len() >= MAX_LINES && !lines.contains_key(credential) {
            lines.retain(|_, line| Arc::strong_count(line) > 1);
        }
        let line = lines.entry(credential.clone()).or_insert_with(|| {
            Arc::new(TokenQueue {
                habit: self.habit.clone(),
                ..TokenQueue::default()
            })
        });
        line.clone()
    }
    /// Lets everybody who waits look at the habit again.
    pub(super) fn wake(&self) {
        for line in self.lock().values() {
            line.changed.notify_waiters();
        }
    }
    fn lock(&self) -> MutexGuard<'_, HashMap<Credential, Arc<TokenQueue>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenQueue {
    /// Takes a place at the end.
    pub(super) fn join(&self, wanted: &Scopes) -> QueuePosition<'_> {
        let alone = self.habit.is_requested_alone(wanted);
        let mut state = self.state();
        let id = state.next;
        state.next = state.next.wrapping_add(1);
        state.waiting.push(WaitingRequest {
            id,
            wanted: wanted.clone(),
            ripe: false,
            alone,
            taken: false,
            outcome: None,
        });
        QueuePosition {
            line: self,
            id,
            deadline: Instant::now() + PATIENCE,
        }
    }
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> QueuePosition<'a> {
    /// Waits until there is something to do or to be had.
    pub(super) async fn next(&self) -> QueueStep<'a> {
        loop {
            let mut changed = pin!(self.line.changed.notified());
            // Before the look at the state, so that no change falls between the two.
            changed.as_mut().enable();
            if let Some(next) = self.step(false) {
                return next;
            }
            if timeout_at(self.deadline, changed).await.is_err()
                && let Some(next) = self.step(true)
            {
                return next;
            }
        }
    }
    /// What there is to do or to be had now; `impatient` where it was waited for long enough.
    fn step(&self, impatient: bool) -> Option<QueueStep<'a>> {
        let line = self.line;
        let mut state = line.state();
        let idle = state.under_way == 0;
        let own = state.waiting.iter_mut().find(|own| own.id == self.id)?;
        if let Some(outcome) = own.outcome.take() {
            return Some(QueueStep::Over(outcome));
        }
        let habit = &line.habit;
        let alone = impatient || own.alone || habit.is_single();
        let turn = idle || (own.ripe && habit.is_proven());
        if (own.taken && !impatient) || !(alone || (turn && !habit.awaits_proof())) {
            return None;
        }
        own.taken = true;
        let mut batch = ScopeBatch {
            line,
            ids: vec![self.id],
            wanted: own.wanted.clone(),
            ended: false,
        };
        if !alone {
            state.share(&mut batch, habit.most());
        }
        state.under_way += 1;
        Some(QueueStep::Ask(batch))
    }
}

impl State {
    /// Lets those who wait share a request, for at most so many repositories.
    fn share(&mut self, batch: &mut ScopeBatch<'_>, most: usize) {
        for other in &mut self.waiting {
            if other.taken || other.alone || other.outcome.is_some() {
                continue;
            }
            let mut all = batch.wanted.clone();
            all.merge(&other.wanted);
            if all.repositories() <= most && all.text_len() <= MAX_TEXT {
                other.taken = true;
                batch.ids.push(other.id);
                batch.wanted = all;
            }
        }
    }
}

impl Drop for QueuePosition<'_> {
    fn drop(&mut self) {
        self.line
            .state()
            .waiting
            .retain(|other| other.id != self.id);
    }
}

impl ScopeBatch<'_> {
    /// What is asked for.
    pub(super) fn scopes(&self) -> &Scopes {
        &self.wanted
    }
    /// Takes in what came of the request; `None` where whoever made it goes back to the line.
    pub(super) fn end(
        mut self,
        outcome: Result<Token, Error>,
    ) -> Option<Result<Arc<Token>, Error>> {
        self.ended = true;
        let habit = &self.line.habit;
        let shared = self.ids.len() > 1;
        let outcome = outcome.map(|token| Arc::new(if shared { token.shared() } else { token }));
        if !shared {
            habit.record_token(outcome.as_deref().ok());
            self.release(AfterRefusal::InTurn, |_| None);
            return Some(outcome);
        }
        match outcome {
            Ok(token) if token.header().len() > MAX_TOKEN => {
                habit.too_long(self.wanted.repositories());
                self.release(AfterRefusal::InTurn, |_| None);
                self.rejoin(false);
                None
            }
            Ok(token) => {
                let good = |wanted: &Scopes| token.is_for(wanted);
                habit.granted(&token, &self.wanted);
                self.release(AfterRefusal::Alone, |wanted| {
                    good(wanted).then(|| Ok(token.clone()))
                });
                if !self.own_scopes().as_ref().is_none_or(good) {
                    self.rejoin(true);
                    return None;
                }
                Some(Ok(token))
            }
            // The same for every one of them.
            Err(error) if !is_refusal(&error) => {
                self.release(AfterRefusal::Alone, |_| Some(Err(error.clone())));
                Some(Err(error))
            }
            Err(_) => {
                habit.failed();
                self.release(AfterRefusal::Alone, |_| None);
                self.rejoin(true);
                None
            }
        }
    }
    /// What the one wants who made the request.
    fn own_scopes(&self) -> Option<Scopes> {
        let state = self.line.state();
        let id = self.ids.first();
        let own = state.waiting.iter().find(|own| Some(&own.id) == id);
        own.map(|own| own.wanted.clone())
    }
    /// Sends the one who made the request back to the line.
    fn rejoin(&self, alone: bool) {
        let mut state = self.line.state();
        let id = self.ids.first();
        if let Some(own) = state.waiting.iter_mut().find(|own| Some(&own.id) == id) {
            own.taken = false;
            own.alone |= alone;
        }
    }
    /// Gives the others their outcome; `without` says what those do for whom there is none.
    fn release(
        &self,
        without: AfterRefusal,
        outcome: impl Fn(&Scopes) -> Option<Result<Arc<Token>, Error>>,
    ) {
        let mut state = self.line.state();
        state.under_way = state.under_way.saturating_sub(1);
        for waiting in &mut state.waiting {
            waiting.ripe = true;
            let other = self.ids.iter().skip(1).any(|id| *id == waiting.id);
            if other && waiting.taken {
                waiting.taken = false;
                waiting.outcome = outcome(&waiting.wanted);
                waiting.alone |= waiting.outcome.is_none() && without == AfterRefusal::Alone;
            }
        }
        drop(state);
        self.line.changed.notify_waiters();
    }
}

/// What those do next whom a request brought nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AfterRefusal {
    /// They ask for themselves.
    Alone,
    /// They wait on, for another request to share.
    InTurn,
}

impl Drop for ScopeBatch<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.release(AfterRefusal::InTurn, |_| None);
        }
    }
}

/// Whether the token server refuses what was asked, rather than to be asked.
pub(super) fn is_refusal(error: &Error) -> bool {
    error.kind() != ErrorKind::RateLimited
        && error
            .status()
            .is_some_and(|status| StatusCode::is_client_error(&status))
}

#[cfg(test)]
mod tests;

//! Tokens for several repositories, if the token server grants them (docs/protocol.md#scopes).
//!
//! The first token of a credential is requested at once, for one repository. Requests that arrive while a token request
//! is in flight wait for its end and then share one. A [`MultiScopeSupport`] remembers the outcome for the host: the
//! first shared request goes alone, and sharing ends if it fails or if the token turns out to be valid for its first
//! repository only.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::auth::credential::Credential;
use crate::auth::multi_scope::MultiScopeSupport;
use crate::auth::scopes::Scopes;
use crate::auth::token_cache::Token;
use crate::error::{Error, ErrorKind};
use crate::lock::lock;

/// Maximum time to wait for a shared request. A token server that hangs for one repository must not delay the others.
const PATIENCE: Duration = Duration::from_secs(3);
/// Maximum length of the combined scopes in bytes, because they are sent in a URL.
const MAX_TEXT: usize = 2048;
/// Maximum length of a shared token in bytes. It is sent in a header of every request, and servers accept 8 KiB of
/// headers.
const MAX_TOKEN: usize = 6 * 1024;
/// Maximum number of credentials whose idle queues are kept.
const MAX_LINES: usize = 64;

/// Token queues of one registry, one per credential. Different credentials never share a token.
#[derive(Debug, Default)]
pub(super) struct TokenQueues {
    /// Support for shared tokens.
    pub(super) habit: Arc<MultiScopeSupport>,
    lines: Mutex<HashMap<Credential, Arc<TokenQueue>>>,
}

/// Requests that wait for a token with one credential.
#[derive(Debug, Default)]
pub(super) struct TokenQueue {
    habit: Arc<MultiScopeSupport>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// Token requests in flight.
    under_way: usize,
    waiting: Vec<WaitingRequest>,
}

#[derive(Debug)]
struct WaitingRequest {
    id: u64,
    wanted: Scopes,
    /// A token request ended after this one was queued.
    ripe: bool,
    /// It does not share a token request.
    alone: bool,
    /// It is part of a token request in flight.
    taken: bool,
    outcome: Option<Result<Arc<Token>, Error>>,
}

/// Position in a queue, removed on drop.
#[derive(Debug)]
pub(super) struct QueuePosition<'a> {
    line: &'a TokenQueue,
    id: u64,
    deadline: Instant,
}

/// Next step of a queued request.
pub(super) enum QueueStep<'a> {
    /// Result of a token request that another one sent.
    Over(Result<Arc<Token>, Error>),
    /// Send a token request.
    Ask(ScopeBatch<'a>),
}

/// A token request for one or several queued requests. If it is dropped, the others keep waiting.
#[derive(Debug)]
pub(super) struct ScopeBatch<'a> {
    line: &'a TokenQueue,
    /// The sender first, then the requests that share it.
    ids: Vec<u64>,
    wanted: Scopes,
    ended: bool,
}

impl TokenQueues {
    /// Returns the queue for `credential`.
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
    /// Wakes all waiting requests after the support changed.
    pub(super) fn wake(&self) {
        for line in self.lock().values() {
            line.changed.notify_waiters();
        }
    }
    fn lock(&self) -> MutexGuard<'_, HashMap<Credential, Arc<TokenQueue>>> {
        lock(&self.lines)
    }
}

impl TokenQueue {
    /// Appends a request to the queue.
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
        lock(&self.state)
    }
}

impl<'a> QueuePosition<'a> {
    /// Waits for the next step.
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
    /// Returns the next step, if there is one. `impatient` is true after the maximum wait.
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
    /// Adds waiting requests to a batch, up to `most` repositories.
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
    /// Returns the requested scopes.
    pub(super) fn scopes(&self) -> &Scopes {
        &self.wanted
    }
    /// Ends the batch with the outcome of its token request. Returns `None` if the sender goes back to the queue.
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
    /// Returns the scopes of the sender.
    fn own_scopes(&self) -> Option<Scopes> {
        let state = self.line.state();
        let id = self.ids.first();
        let own = state.waiting.iter().find(|own| Some(&own.id) == id);
        own.map(|own| own.wanted.clone())
    }
    /// Returns the sender to the queue.
    fn rejoin(&self, alone: bool) {
        let mut state = self.line.state();
        let id = self.ids.first();
        if let Some(own) = state.waiting.iter_mut().find(|own| Some(&own.id) == id) {
            own.taken = false;
            own.alone |= alone;
        }
    }
    /// Distributes the outcome. `without` is the next step of requests without an outcome.
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

/// Next step of requests for which a token request had no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AfterRefusal {
    /// They send a token request of their own.
    Alone,
    /// They wait for another shared request.
    InTurn,
}

impl Drop for ScopeBatch<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.release(AfterRefusal::InTurn, |_| None);
        }
    }
}

/// Returns whether the token server refuses the scopes, rather than the rate of requests.
pub(super) fn is_refusal(error: &Error) -> bool {
    error.kind() != ErrorKind::RateLimited
        && error
            .status()
            .is_some_and(|status| StatusCode::is_client_error(&status))
}

#[cfg(test)]
mod tests;

//! Tokens for several repositories, if the token server grants them (docs/protocol.md#scopes).
//!
//! The first token of a credential is requested at once, for one repository. Requests that arrive while a token request
//! is in flight wait for its end and then share one. A [`MultiScopeSupport`] remembers the outcome for the host: the
//! first shared request goes alone, and sharing ends if it fails or if the token turns out to be valid for its first
//! repository only. That shows when a token that does not name its scopes is used for another repository, by one request
//! at first.

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
    pub(super) multi_scope: Arc<MultiScopeSupport>,
    queues: Mutex<HashMap<Credential, Arc<TokenQueue>>>,
}

/// Requests that wait for a token with one credential.
#[derive(Debug, Default)]
pub(super) struct TokenQueue {
    multi_scope: Arc<MultiScopeSupport>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// Token requests in flight.
    in_flight: usize,
    waiting: Vec<WaitingRequest>,
}

#[derive(Debug)]
struct WaitingRequest {
    id: u64,
    wanted: Scopes,
    /// A token request ended after this one was queued.
    may_share: bool,
    /// It does not share a token request.
    is_alone: bool,
    /// It is part of a token request in flight.
    is_sent: bool,
    outcome: Option<Result<Arc<Token>, Error>>,
}

/// Position in a queue, removed on drop.
#[derive(Debug)]
pub(super) struct QueuePosition<'a> {
    queue: &'a TokenQueue,
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
    queue: &'a TokenQueue,
    /// The sender first, then the requests that share it.
    ids: Vec<u64>,
    wanted: Scopes,
    ended: bool,
}

impl TokenQueues {
    /// Returns the queue for `credential`.
    pub(super) fn queue(&self, credential: &Credential) -> Arc<TokenQueue> {
        let mut queues = self.lock();
        if queues.len() >= MAX_LINES && !queues.contains_key(credential) {
            queues.retain(|_, queue| Arc::strong_count(queue) > 1);
        }
        let queue = queues.entry(credential.clone()).or_insert_with(|| {
            Arc::new(TokenQueue {
                multi_scope: self.multi_scope.clone(),
                ..TokenQueue::default()
            })
        });
        queue.clone()
    }
    /// Wakes all waiting requests after the support changed.
    pub(super) fn wake(&self) {
        self.multi_scope.wake();
        for queue in self.lock().values() {
            queue.changed.notify_waiters();
        }
    }
    fn lock(&self) -> MutexGuard<'_, HashMap<Credential, Arc<TokenQueue>>> {
        lock(&self.queues)
    }
}

impl TokenQueue {
    /// Appends a request to the queue.
    pub(super) fn join(&self, wanted: &Scopes) -> QueuePosition<'_> {
        let is_alone = self.multi_scope.is_requested_alone(wanted);
        let mut state = self.state();
        let id = state.next;
        state.next = state.next.wrapping_add(1);
        state.waiting.push(WaitingRequest {
            id,
            wanted: wanted.clone(),
            may_share: false,
            is_alone,
            is_sent: false,
            outcome: None,
        });
        QueuePosition {
            queue: self,
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
            let mut changed = pin!(self.queue.changed.notified());
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
        let queue = self.queue;
        let mut state = queue.state();
        let idle = state.in_flight == 0;
        let own = state.waiting.iter_mut().find(|own| own.id == self.id)?;
        if let Some(outcome) = own.outcome.take() {
            return Some(QueueStep::Over(outcome));
        }
        let multi_scope = &queue.multi_scope;
        let is_alone = impatient || own.is_alone || multi_scope.is_single();
        let turn = idle || (own.may_share && multi_scope.is_granting());
        if (own.is_sent && !impatient) || !(is_alone || turn) {
            return None;
        }
        own.is_sent = true;
        let mut batch = ScopeBatch {
            queue,
            ids: vec![self.id],
            wanted: own.wanted.clone(),
            ended: false,
        };
        if !is_alone {
            state.share(&mut batch, multi_scope.most());
        }
        state.in_flight += 1;
        Some(QueueStep::Ask(batch))
    }
}

impl State {
    /// Adds waiting requests to a batch, up to `most` repositories.
    fn share(&mut self, batch: &mut ScopeBatch<'_>, most: usize) {
        for other in &mut self.waiting {
            if other.is_sent || other.is_alone || other.outcome.is_some() {
                continue;
            }
            let mut all = batch.wanted.clone();
            all.merge(&other.wanted);
            if all.repositories() <= most && all.text_len() <= MAX_TEXT {
                other.is_sent = true;
                batch.ids.push(other.id);
                batch.wanted = all;
            }
        }
    }
}

impl Drop for QueuePosition<'_> {
    fn drop(&mut self) {
        self.queue
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
        let multi_scope = &self.queue.multi_scope;
        let shared = self.ids.len() > 1;
        let outcome = outcome.map(|token| Arc::new(if shared { token.shared() } else { token }));
        if !shared {
            multi_scope.record_token(outcome.as_deref().ok());
            self.release(AfterRefusal::InTurn, |_| None);
            return Some(outcome);
        }
        match outcome {
            Ok(token) if token.header().len() > MAX_TOKEN => {
                multi_scope.too_long(self.wanted.repositories());
                self.release(AfterRefusal::InTurn, |_| None);
                self.rejoin(false);
                None
            }
            Ok(token) => {
                let good = |wanted: &Scopes| token.is_for(wanted);
                multi_scope.granted(&token, &self.wanted);
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
                multi_scope.failed();
                self.release(AfterRefusal::Alone, |_| None);
                self.rejoin(true);
                None
            }
        }
    }
    /// Returns the scopes of the sender.
    fn own_scopes(&self) -> Option<Scopes> {
        let state = self.queue.state();
        let id = self.ids.first();
        let own = state.waiting.iter().find(|own| Some(&own.id) == id);
        own.map(|own| own.wanted.clone())
    }
    /// Returns the sender to the queue.
    fn rejoin(&self, is_alone: bool) {
        let mut state = self.queue.state();
        let id = self.ids.first();
        if let Some(own) = state.waiting.iter_mut().find(|own| Some(&own.id) == id) {
            own.is_sent = false;
            own.is_alone |= is_alone;
        }
    }
    /// Distributes the outcome. `without` is the next step of requests without an outcome.
    fn release(
        &self,
        without: AfterRefusal,
        outcome: impl Fn(&Scopes) -> Option<Result<Arc<Token>, Error>>,
    ) {
        let mut state = self.queue.state();
        state.in_flight = state.in_flight.saturating_sub(1);
        for waiting in &mut state.waiting {
            waiting.may_share = true;
            let other = self.ids.iter().skip(1).any(|id| *id == waiting.id);
            if other && waiting.is_sent {
                waiting.is_sent = false;
                waiting.outcome = outcome(&waiting.wanted);
                waiting.is_alone |= waiting.outcome.is_none() && without == AfterRefusal::Alone;
            }
        }
        drop(state);
        self.queue.changed.notify_waiters();
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

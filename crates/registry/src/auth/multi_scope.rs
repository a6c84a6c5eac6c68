//! Support of a token server for tokens with several scopes.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::auth::scopes::Scopes;
use crate::auth::token_cache::Token;
use crate::lock::lock;

/// Maximum number of repositories in one token. Each makes the token longer.
const MOST: usize = 10;
/// Maximum number of repositories in the first shared token if tokens are not readable, or if the first one was refused:
/// a server that grants no shared tokens refuses it, and all that wait for it then start again.
const MOST_AT_FIRST: usize = 2;
/// Maximum number of attempts to find out what a shared token grants.
const TRIALS: u32 = 2;
/// Maximum number of requests whose shared token is in doubt at a time.
const MAX_SUSPECTS: usize = 256;
/// Maximum time that a request waits for the one that proves what shared tokens grant.
const PATIENCE: Duration = Duration::from_secs(3);

/// Observed support for tokens with several scopes. It is learnt only from requests that are sent anyway.
#[derive(Debug)]
pub(super) struct MultiScopeSupport {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    stage: Stage,
    proof: Proof,
    /// A request that may prove what a shared token grants is in flight.
    is_proving: bool,
    /// Tokens name their scopes. `None` before the first token.
    readable: Option<bool>,
    /// A token was refused before the first one was granted.
    denied: bool,
    most: usize,
    trials: u32,
    /// Scopes that were refused with a shared token and are requested alone.
    suspects: HashSet<Scopes>,
}

/// Tokens that are requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It is unknown whether the server grants shared tokens.
    Unknown,
    /// The server grants shared tokens.
    Several,
    /// The server does not.
    Single,
}

/// Validity of shared tokens that do not name their scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    /// None was accepted for another repository than its first.
    Missing,
    /// One was.
    Given,
    /// They are valid for their first repository alone.
    Refuted,
}

/// Decision on a request with a token.
pub(super) enum ProofAdmission {
    /// Send it. The guard is held until the answer was recorded.
    Go(Option<ProofGuard>),
    /// The token is not valid for it.
    Refused,
}

/// A request that may prove what shared tokens grant. The others wait for its end.
#[derive(Debug)]
pub(super) struct ProofGuard(Arc<MultiScopeSupport>);

impl Default for MultiScopeSupport {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                stage: Stage::Unknown,
                proof: Proof::Missing,
                is_proving: false,
                readable: None,
                denied: false,
                most: MOST,
                trials: 0,
                suspects: HashSet::new(),
            }),
            changed: Notify::new(),
        }
    }
}

impl MultiScopeSupport {
    /// Returns the maximum number of repositories in the next token.
    pub(super) fn most(&self) -> usize {
        let state = self.state();
        match (state.stage, state.readable) {
            (Stage::Several, _) | (Stage::Unknown, Some(true)) => state.most,
            (Stage::Unknown, Some(false)) => MOST_AT_FIRST,
            // After the first request for several, whether it succeeds or fails, no request waits for others one by one.
            (Stage::Unknown, None) if state.denied => MOST_AT_FIRST,
            (Stage::Unknown, None) | (Stage::Single, _) => 1,
        }
    }
    /// Returns whether every token is requested alone.
    pub(super) fn is_single(&self) -> bool {
        self.state().stage == Stage::Single
    }
    /// Returns whether the server grants shared tokens.
    pub(super) fn is_granting(&self) -> bool {
        self.state().stage == Stage::Several
    }
    /// Returns whether shared tokens are known to work.
    pub(super) fn is_proven(&self) -> bool {
        self.state().proof == Proof::Given
    }
    /// Waits until `token` may be sent where `wanted` is needed. A registry may issue tokens that do not name their
    /// scopes, and that are valid for the first one alone. So one request proves what a shared token grants, while those
    /// for the other repositories wait.
    pub(super) async fn admit(self: &Arc<Self>, token: &Token, wanted: &Scopes) -> ProofAdmission {
        if !token.is_shared()
            || token.is_readable()
            || token.granted().head() == wanted.head()
            || token.recorded_use(wanted) == Some(true)
        {
            return ProofAdmission::Go(None);
        }
        // Boxed: it is rare, and the future of every request would have room for it.
        Box::pin(self.admit_shared()).await
    }
    async fn admit_shared(self: &Arc<Self>) -> ProofAdmission {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut changed = pin!(self.changed.notified());
            // Before the look at the state, so that no change falls between the two.
            changed.as_mut().enable();
            {
                let mut state = self.state();
                match state.proof {
                    Proof::Given => return ProofAdmission::Go(None),
                    Proof::Refuted => return ProofAdmission::Refused,
                    Proof::Missing if !state.is_proving && state.suspects.is_empty() => {
                        state.is_proving = true;
                        return ProofAdmission::Go(Some(ProofGuard(Arc::clone(self))));
                    }
                    Proof::Missing => {}
                }
            }
            if timeout_at(deadline, changed).await.is_err() {
                // A request that never ends must not delay those to come.
                self.state().suspects.clear();
                return ProofAdmission::Go(None);
            }
        }
    }
    /// Wakes all requests that wait for a proof.
    pub(super) fn wake(&self) {
        self.changed.notify_waiters();
    }
    /// Records the result of a request for one repository.
    pub(super) fn record_token(&self, token: Option<&Token>) {
        let mut state = self.state();
        match token {
            Some(token) => {
                state.readable = Some(state.readable.unwrap_or(true) && token.is_readable());
            }
            None => state.denied = true,
        }
    }
    /// Records a token that was requested with `wanted`, for several repositories.
    pub(super) fn granted(&self, token: &Token, wanted: &Scopes) {
        let mut state = self.state();
        if state.stage != Stage::Unknown {
            return;
        }
        state.trials += 1;
        if !token.is_readable() {
            state.stage = Stage::Several;
            return;
        }
        let granted = token.granted();
        match granted.repositories() {
            0 if state.trials >= TRIALS => state.stage = Stage::Single,
            0 => {}
            1 if granted.head() == wanted.head() => state.stage = Stage::Single,
            _ => (state.stage, state.proof) = (Stage::Several, Proof::Given),
        }
    }
    /// Records that a request for several repositories was refused.
    pub(super) fn failed(&self) {
        self.state().stage = Stage::Single;
    }
    /// Records that a token for so many repositories was too long.
    pub(super) fn too_long(&self, repositories: usize) {
        let mut state = self.state();
        state.most = state.most.min(repositories / 2);
        if state.most < 2 {
            state.stage = Stage::Single;
        }
    }
    /// Records that the registry accepted a token where `wanted` was needed. Returns whether that changes the state.
    pub(super) fn accepted(&self, token: &Token, wanted: &Scopes) -> bool {
        let mut state = self.state();
        if token.is_shared() {
            let is_proof = state.proof == Proof::Missing && token.granted().head() != wanted.head();
            if is_proof {
                state.proof = Proof::Given;
            }
            return is_proof;
        }
        if state.suspects.is_empty() || !state.suspects.remove(wanted) {
            return false;
        }
        // The right was there, and the token for several did not have it.
        state.give_up();
        true
    }
    /// Records that the registry refused a shared token where `wanted` was needed.
    pub(super) fn suspect_batches(&self, wanted: &Scopes) {
        let mut state = self.state();
        if state.suspects.len() < MAX_SUSPECTS {
            state.suspects.insert(wanted.clone());
        } else {
            state.give_up();
        }
    }
    /// Returns whether `wanted` is requested alone.
    pub(super) fn is_requested_alone(&self, wanted: &Scopes) -> bool {
        let state = self.state();
        !state.suspects.is_empty() && state.suspects.contains(wanted)
    }
    /// Records that a token for `wanted` alone was refused as well, which says nothing about shared tokens. Returns
    /// whether that changes the state.
    pub(super) fn clear_suspicion(&self, wanted: &Scopes) -> bool {
        let mut state = self.state();
        let was_suspect = state.suspects.remove(wanted);
        if was_suspect && state.proof == Proof::Missing {
            if state.trials >= TRIALS {
                state.give_up();
            }
            state.trials += 1;
        }
        was_suspect
    }
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Ends the use of shared tokens, except for requests with which they were accepted.
    fn give_up(&mut self) {
        self.stage = Stage::Single;
        if self.proof == Proof::Missing {
            self.proof = Proof::Refuted;
        }
    }
}

impl Drop for ProofGuard {
    fn drop(&mut self) {
        self.0.state().is_proving = false;
        self.0.wake();
    }
}

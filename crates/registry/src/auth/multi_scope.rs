//! Support of a token server for tokens with several scopes.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard};

use crate::auth::scopes::Scopes;
use crate::auth::token_cache::Token;
use crate::lock::lock;

/// Maximum number of repositories in one token. Each makes the token longer.
const MOST: usize = 10;
/// Maximum number of repositories in the first shared token if tokens are not readable: then only a refused request
/// shows what the token grants.
const MOST_UNREAD: usize = 2;
/// Maximum number of attempts to find out what a shared token grants.
const TRIALS: u32 = 2;
/// Maximum number of requests whose shared token is in doubt at a time.
const MAX_SUSPECTS: usize = 256;

/// Observed support for tokens with several scopes. It is learnt only from requests that are sent anyway.
#[derive(Debug)]
pub(super) struct MultiScopeSupport(Mutex<State>);

#[derive(Debug)]
struct State {
    stage: Stage,
    /// Tokens name their scopes. `None` before the first token.
    readable: Option<bool>,
    /// A token was refused before the first one was granted.
    denied: bool,
    most: usize,
    trials: u32,
    /// Scopes that were refused with a shared token and are requested alone.
    suspects: HashSet<Scopes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Unknown.
    Unknown,
    /// A shared token was granted and has not been used for another repository than its first.
    Unproven,
    /// The server grants shared tokens.
    Several,
    /// The server does not.
    Single,
}

impl Default for MultiScopeSupport {
    fn default() -> Self {
        Self(Mutex::new(State {
            stage: Stage::Unknown,
            readable: None,
            denied: false,
            most: MOST,
            trials: 0,
            suspects: HashSet::new(),
        }))
    }
}

impl MultiScopeSupport {
    /// Returns the maximum number of repositories in the next token.
    pub(super) fn most(&self) -> usize {
        let state = self.state();
        match (state.stage, state.readable) {
            (Stage::Several, _) | (Stage::Unknown, Some(true)) => state.most,
            (Stage::Unknown, Some(false)) => MOST_UNREAD,
            // After the first request for several, whether it succeeds or fails, no request waits for others one by one.
            (Stage::Unknown, None) if state.denied => MOST_UNREAD,
            (Stage::Unknown, None) | (Stage::Unproven | Stage::Single, _) => 1,
        }
    }
    /// Returns whether every token is requested alone.
    pub(super) fn is_single(&self) -> bool {
        self.state().stage == Stage::Single
    }
    /// Returns whether shared tokens are known to work.
    pub(super) fn is_proven(&self) -> bool {
        self.state().stage == Stage::Several
    }
    /// Returns whether the next answer of the registry shows what shared tokens grant.
    pub(super) fn awaits_proof(&self) -> bool {
        self.state().stage == Stage::Unproven
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
            state.stage = Stage::Unproven;
            return;
        }
        let granted = token.granted();
        match granted.repositories() {
            0 => state.give_up_some_time(),
            1 if granted.head() == wanted.head() => state.stage = Stage::Single,
            _ => state.stage = Stage::Several,
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
            let proof = state.stage == Stage::Unproven && token.granted().head() != wanted.head();
            if proof {
                state.stage = Stage::Several;
            }
            return proof;
        }
        if state.suspects.is_empty() || !state.suspects.remove(wanted) {
            return false;
        }
        // The right was there, and the token for several did not have it.
        state.stage = Stage::Single;
        true
    }
    /// Records that the registry refused a shared token where `wanted` was needed.
    pub(super) fn suspect_batches(&self, wanted: &Scopes) {
        let mut state = self.state();
        if state.suspects.len() < MAX_SUSPECTS {
            state.suspects.insert(wanted.clone());
        } else {
            state.stage = Stage::Single;
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
        if was_suspect && state.stage == Stage::Unproven {
            state.stage = Stage::Unknown;
            state.give_up_some_time();
        }
        was_suspect
    }
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

impl State {
    fn give_up_some_time(&mut self) {
        if self.trials >= TRIALS {
            self.stage = Stage::Single;
        }
    }
}

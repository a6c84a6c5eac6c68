//! What a token server was found to do with several scopes.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::auth::scopes::Scopes;
use crate::auth::token_cache::Token;

/// The most repositories in one token. Tokens grow with each.
const MOST: usize = 10;
/// The most in the first token for several where tokens cannot be read: a request that is sent away tells what it is
/// good for.
const MOST_UNREAD: usize = 2;
/// How often it is tried in vain to find out what a token for several is good for.
const TRIALS: u32 = 2;
/// The most requests whose token for several is doubted at a time.
const MAX_SUSPECTS: usize = 256;

/// What a token server was found to do with several scopes. All of it is learnt from requests that are made anyway.
#[derive(Debug)]
pub(super) struct MultiScopeSupport(Mutex<State>);

#[derive(Debug)]
struct State {
    stage: Stage,
    /// Whether its tokens tell what they are good for; `None` before the first.
    readable: Option<bool>,
    /// Whether a token was refused before the first was given.
    denied: bool,
    most: usize,
    trials: u32,
    /// What was refused with a token for several, and is asked for alone.
    suspects: HashSet<Scopes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing is known.
    Unknown,
    /// A token for several was given, and has not been shown for another repository than its first.
    Unproven,
    /// It gives tokens for several.
    Several,
    /// It does not.
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
    /// The most repositories in the next token.
    pub(super) fn most(&self) -> usize {
        let state = self.state();
        match (state.stage, state.readable) {
            (Stage::Several, _) | (Stage::Unknown, Some(true)) => state.most,
            (Stage::Unknown, Some(false)) => MOST_UNREAD,
            // Whatever comes of the first request for several, nobody waits for others one by one.
            (Stage::Unknown, None) if state.denied => MOST_UNREAD,
            (Stage::Unknown, None) | (Stage::Unproven | Stage::Single, _) => 1,
        }
    }
    /// Whether every token is asked for alone.
    pub(super) fn is_single(&self) -> bool {
        self.state().stage == Stage::Single
    }
    /// Whether tokens for several were found to be good.
    pub(super) fn is_proven(&self) -> bool {
        self.state().stage == Stage::Several
    }
    /// Whether the next answer of the registry tells what tokens for several are good for.
    pub(super) fn awaits_proof(&self) -> bool {
        self.state().stage == Stage::Unproven
    }
    /// A token for one came, or none did.
    pub(super) fn record_token(&self, token: Option<&Token>) {
        let mut state = self.state();
        match token {
            Some(token) => {
                state.readable = Some(state.readable.unwrap_or(true) && token.is_readable());
            }
            None => state.denied = true,
        }
    }
    /// A token that was asked for with `wanted`, several repositories, came.
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
    /// A request for several was refused.
    pub(super) fn failed(&self) {
        self.state().stage = Stage::Single;
    }
    /// A token for so many repositories was too long.
    pub(super) fn too_long(&self, repositories: usize) {
        let mut state = self.state();
        state.most = state.most.min(repositories / 2);
        if state.most < 2 {
            state.stage = Stage::Single;
        }
    }
    /// A token for several, or for one, was let in where `wanted` was needed; whether that is news.
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
    /// A token for several was refused where `wanted` was needed.
    pub(super) fn suspect_batches(&self, wanted: &Scopes) {
        let mut state = self.state();
        if state.suspects.len() < MAX_SUSPECTS {
            state.suspects.insert(wanted.clone());
        } else {
            state.stage = Stage::Single;
        }
    }
    /// Whether `wanted` is asked for alone.
    pub(super) fn is_requested_alone(&self, wanted: &Scopes) -> bool {
        let state = self.state();
        !state.suspects.is_empty() && state.suspects.contains(wanted)
    }
    /// A token for `wanted` alone was refused as well: it says nothing of those for several. Whether that is news.
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn give_up_some_time(&mut self) {
        if self.trials >= TRIALS {
            self.stage = Stage::Single;
        }
    }
}

//! State that all listeners of a registry share.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use super::rate_limit::RateLimit;
use crate::auth::{Auth, Signer, TokenPlace, Tokens};
use crate::fault::Plan;
use crate::lock::lock;
use crate::log::Log;
use crate::profile::Profile;
use crate::state::{State, Uploads};

/// Slowness.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Conditions {
    pub(crate) latency: Duration,
    /// Bytes per second and connection, in each direction.
    pub(crate) bandwidth: Option<u64>,
}

/// Addresses of the listeners, as `http://host:port`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bases {
    pub(crate) registry: String,
    pub(crate) token: String,
    pub(crate) storage: String,
}

#[derive(Default)]
pub(crate) struct Logs {
    pub(crate) registry: Arc<Log>,
    pub(crate) token: Arc<Log>,
    pub(crate) storage: Arc<Log>,
}

pub(crate) struct Shared {
    pub(crate) profile: RwLock<Arc<Profile>>,
    pub(crate) auth: RwLock<Arc<Auth>>,
    pub(crate) tokens: Tokens,
    pub(crate) signer: Option<Signer>,
    pub(crate) state: State,
    pub(crate) faults: Plan,
    pub(crate) conditions: Mutex<Conditions>,
    pub(crate) problems: Mutex<Vec<String>>,
    pub(crate) logs: Logs,
    pub(crate) bases: OnceLock<Bases>,
    pub(crate) uploads: Uploads,
    pub(crate) rate_limit: Option<RateLimit>,
}

impl Shared {
    pub(crate) fn profile(&self) -> Arc<Profile> {
        Arc::clone(&self.profile.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn auth(&self) -> Arc<Auth> {
        Arc::clone(&self.auth.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn conditions(&self) -> Conditions {
        *lock(&self.conditions)
    }

    /// Records something that a correct client never does.
    pub(crate) fn problem(&self, text: String) {
        lock(&self.problems).push(text);
    }

    pub(crate) fn bases(&self) -> Bases {
        self.bases.get().cloned().unwrap_or_default()
    }

    /// URL in challenges.
    pub(crate) fn realm(&self) -> String {
        let bases = self.bases();
        match &*self.auth() {
            Auth::Bearer(_, rules) => match rules.place {
                TokenPlace::OtherPort => bases.token + "/token",
                TokenPlace::SamePort(path) => bases.registry + path,
            },
            _ => String::new(),
        }
    }

    /// Returns true if token requests arrive at the registry's own port at this path.
    pub(crate) fn is_token_path(&self, path: &str) -> bool {
        match &*self.auth() {
            Auth::Bearer(_, rules) => match rules.place {
                TokenPlace::SamePort(own) => own == path,
                TokenPlace::OtherPort => false,
            },
            _ => false,
        }
    }
}

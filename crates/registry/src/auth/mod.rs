//! From challenges and credentials to `Authorization` headers (protocol.md section 4).
//!
//! An [`Authenticator`] serves one registry. It remembers the challenge that the registry gave, keeps tokens by
//! credential and scope set, asks for each token once however many tasks want it, and refreshes them before they
//! run out. Credentials come from a [`Keychain`].

mod challenge;
mod docker_files;
mod google;
mod helper;
mod keychain;
mod realm;
mod scope;
mod secret;
mod token;

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};

use crate::error::Error;
use crate::reference::Registry;
use crate::transport::{Endpoint, RetryPolicy, Transport};

pub use docker_files::DockerFiles;
pub use keychain::{Access, Credential, Entry, Keychain};
pub use scope::{Action, ScopeSet};
pub use secret::Secret;

/// Authorizes requests to one registry.
pub struct Authenticator {
    #[allow(dead_code)]
    registry: Registry,
    #[allow(dead_code)]
    transport: Arc<Transport>,
    #[allow(dead_code)]
    retry: RetryPolicy,
}

/// What to do after a 401.
#[derive(Debug)]
pub enum Verdict {
    /// Send the request again, with what [`Authenticator::authorize`] now gives.
    Again,
    /// The credential does not suffice; a clause that says why and what to do ("the registry wants a login and none
    /// is given: add an entry for quay.io to the auth file").
    Final(String),
}

impl Authenticator {
    /// An authenticator for `registry`.
    pub fn new(registry: Registry, transport: Arc<Transport>, retry: RetryPolicy) -> Self {
        Self {
            registry,
            transport,
            retry,
        }
    }
    /// The header to send with a request that needs `scopes` under `credential`: `None` before the first challenge
    /// and for registries that want none. Gets a token if the challenge is known and no cached one suffices.
    pub async fn authorize(
        &self,
        _endpoint: &Endpoint,
        _credential: &Credential,
        _scopes: &ScopeSet,
    ) -> Result<Option<HeaderValue>, Error> {
        todo!()
    }
    /// Says that a request with `used` as its header was answered 401 with `headers`. Learns the challenge (asking
    /// `GET /v2/` when the answer holds none) and decides: a challenge that is news, or a token that may have run
    /// out, is worth one more try; a refused fresh token is final.
    pub async fn refused(
        &self,
        _endpoint: &Endpoint,
        _credential: &Credential,
        _scopes: &ScopeSet,
        _used: Option<&HeaderValue>,
        _headers: &HeaderMap,
    ) -> Result<Verdict, Error> {
        todo!()
    }
}

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

/// How often one request is sent again on a [`Verdict::Again`]: for the first challenge, for a token that ran out,
/// and for scopes that only the challenge names. A registry that wants more than that will never be content.
pub const MAX_AGAIN: u32 = 3;

/// Authorizes requests to one registry.
pub struct Authenticator {
    #[allow(dead_code)]
    registry: Registry,
    #[allow(dead_code)]
    transport: Arc<Transport>,
    #[allow(dead_code)]
    retry: RetryPolicy,
    #[allow(dead_code)]
    trusted: Arc<[String]>,
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
            trusted: Arc::default(),
        }
    }
    /// Lets the token servers that the user named see credentials too: hosts, or hosts with ports
    /// ([`Keychain::trusted_realms`]).
    #[must_use]
    pub fn trusting(mut self, realms: Arc<[String]>) -> Self {
        self.trusted = realms;
        self
    }
    /// The header to send with a request that needs `scopes` as `access` says: `None` before the first
    /// challenge and for registries that want none. Gets a token if the challenge is known and no cached one suffices.
    pub async fn authorize(
        &self,
        _endpoint: &Endpoint,
        _access: &Access,
        _scopes: &ScopeSet,
    ) -> Result<Option<HeaderValue>, Error> {
        todo!()
    }
    /// Says that a request with `used` as its header was answered 401 with `headers`. Learns the challenge (asking
    /// `GET /v2/` when the answer holds none) and decides: a challenge that is news, or a token that may have run
    /// out, is worth one more try; a refused fresh token is final. The headers must be the registry's own: an answer
    /// that came from elsewhere after a redirect is no challenge. A caller lets one request have at most
    /// [`MAX_AGAIN`] further tries.
    pub async fn refused(
        &self,
        _endpoint: &Endpoint,
        _access: &Access,
        _scopes: &ScopeSet,
        _used: Option<&HeaderValue>,
        _headers: &HeaderMap,
    ) -> Result<Verdict, Error> {
        todo!()
    }
    /// Says that a request with `used` as its header was let in (any answer but a 401). A token that was once let in
    /// and is refused later has run out, and is worth a fresh one; one that never was is refused for good.
    pub fn accepted(
        &self,
        _endpoint: &Endpoint,
        _access: &Access,
        _scopes: &ScopeSet,
        _used: Option<&HeaderValue>,
    ) {
        todo!()
    }
}

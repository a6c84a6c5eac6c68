//! `Authorization` of one request.

use std::sync::Arc;

use http::HeaderValue;

use crate::auth::multi_scope::ProofGuard;
use crate::auth::scopes::Scopes;
use crate::auth::token_cache::Token;

/// Value of `Authorization` for one request, which is held until the answer was recorded.
#[derive(Debug)]
pub struct Authorization {
    header: HeaderValue,
    pub(super) token: Option<UsedToken>,
}

/// A token in the header of a request.
#[derive(Debug)]
pub(super) struct UsedToken {
    pub(super) token: Arc<Token>,
    /// Scopes that the request needs it for.
    pub(super) wanted: Scopes,
    /// Held while no other request may prove what the token grants.
    pub(super) _proof: Option<ProofGuard>,
}

impl Authorization {
    /// Creates the authorization with a login.
    pub(super) fn login(header: HeaderValue) -> Self {
        Self {
            header,
            token: None,
        }
    }
    /// Returns the value of `Authorization`.
    pub fn header(&self) -> &HeaderValue {
        &self.header
    }
}

impl From<UsedToken> for Authorization {
    fn from(used: UsedToken) -> Self {
        Self {
            header: used.token.header().clone(),
            token: Some(used),
        }
    }
}

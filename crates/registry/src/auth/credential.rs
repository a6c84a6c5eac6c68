//! Credentials for registries.

use crate::auth::secret::Secret;

/// A credential that is presented to a registry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Credential {
    /// No credential.
    Anonymous,
    /// User and password.
    Basic {
        /// User name.
        username: String,
        /// Password.
        password: Secret,
    },
    /// Identity (refresh) token, exchanged for access tokens by POST.
    Identity(Secret),
    /// Registry token, sent unchanged as Bearer token.
    Bearer(Secret),
    /// Google service account (decoded JSON), exchanged for access tokens (user `_oauth2_`).
    GoogleServiceAccount(Secret),
}

impl Credential {
    /// Returns a name that distinguishes accounts, empty without a credential.
    pub(crate) fn user(&self) -> &str {
        match self {
            Self::Anonymous => "",
            Self::Basic { username, .. } => username,
            Self::Identity(_) => "the identity token's account",
            Self::Bearer(_) => "the registry token's account",
            Self::GoogleServiceAccount(_) => "the service account",
        }
    }
}

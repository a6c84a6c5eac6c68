//! Who we are to a registry.

use crate::auth::secret::Secret;

/// What a registry is told about who we are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Credential {
    /// Nothing.
    Anonymous,
    /// User and password.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
    /// An identity (refresh) token: exchanged for tokens by POST.
    Identity(Secret),
    /// A registry token: sent as Bearer as it is.
    Bearer(Secret),
    /// A Google service account (JSON, decoded), exchanged for access tokens (user `_oauth2_`).
    GoogleServiceAccount(Secret),
}

impl Credential {
    /// What tells accounts apart; empty for nobody.
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

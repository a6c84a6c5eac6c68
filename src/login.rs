//! Logins as text for people.

use std::fmt;
use std::path::PathBuf;

use image_syncer_registry::auth::{Credential, LoginChoice};

/// Identity of a login, without its secret. As text it is English.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(into = "String")]
pub(crate) struct LoginIdentity {
    /// Kind of the login, and the user.
    pub(crate) who: LoginKind,
    /// File with the secret, if it is in one of its own.
    pub(crate) secret_file: Option<PathBuf>,
}

/// Kind of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LoginKind {
    /// Login of docker or podman if they have one, else anonymous access.
    Auto,
    /// Login of docker or podman.
    Docker,
    /// Login of a credential helper with this name.
    Helper(String),
    /// Anonymous access.
    Anonymous,
    /// User with a password.
    User(String),
    /// Identity token.
    IdentityToken,
    /// Registry token.
    RegistryToken,
    /// Service account of Google.
    GoogleServiceAccount,
}

/// Returns the identity of a login.
pub(crate) fn identity(login: &LoginChoice) -> LoginIdentity {
    let who = match login {
        LoginChoice::Docker => LoginKind::Docker,
        LoginChoice::Helper(name) => LoginKind::Helper(name.clone()),
        LoginChoice::Anonymous => LoginKind::Anonymous,
        login => match login.credential() {
            Credential::Anonymous => LoginKind::Auto,
            Credential::Basic { username, .. } => LoginKind::User(username),
            Credential::Identity(_) => LoginKind::IdentityToken,
            Credential::Bearer(_) => LoginKind::RegistryToken,
            Credential::GoogleServiceAccount(_) => LoginKind::GoogleServiceAccount,
        },
    };
    LoginIdentity {
        who,
        secret_file: login.secret_file().map(|file| file.path().to_owned()),
    }
}

impl fmt::Display for LoginIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.who {
            LoginKind::Auto => {
                f.write_str("the login of docker or podman, if there is one, else anonymous")
            }
            LoginKind::Docker => f.write_str("the login of docker or podman"),
            LoginKind::Helper(name) => write!(f, "the login of docker-credential-{name}"),
            LoginKind::Anonymous => f.write_str("anonymous"),
            LoginKind::User(name) => write!(f, "as {name}"),
            LoginKind::IdentityToken => f.write_str("by identity token"),
            LoginKind::RegistryToken => f.write_str("by registry token"),
            LoginKind::GoogleServiceAccount => f.write_str("as a Google service account"),
        }?;
        match &self.secret_file {
            Some(file) => write!(f, ", with the secret in {}", file.display()),
            None => Ok(()),
        }
    }
}

impl From<LoginIdentity> for String {
    fn from(identity: LoginIdentity) -> Self {
        identity.to_string()
    }
}

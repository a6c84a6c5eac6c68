//! Messages for refused requests: what happened, with which login, and what to do.

use http::StatusCode;

use crate::auth::credential::Credential;
use crate::auth::keychain::Access;
use crate::auth::scopes::Scopes;
use crate::auth::token::TokenLogin;
use crate::error::{Cause, Error, ErrorKind};
use crate::reference::Registry;

/// Maximum number of characters of a realm in a message.
const MAX_SHOWN: usize = 200;

/// Reason why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthRefusal {
    /// Cause of the failure.
    pub cause: Cause,
    /// Clause with reason and remedy ("no login is given for quay.io (no entry): add an entry for …").
    pub clause: String,
}

/// Describes the login and its origin: `user "u" (from auth.yaml)`.
pub(crate) fn describe_login(access: &Access) -> String {
    let origin = &access.origin;
    match &access.credential {
        Credential::Anonymous => format!("nobody ({origin})"),
        Credential::Basic { username, .. } => format!("user \"{username}\" (from {origin})"),
        Credential::Identity(_) => format!("the holder of the identity token (from {origin})"),
        Credential::Bearer(_) => format!("the holder of the registry token (from {origin})"),
        Credential::GoogleServiceAccount(_) => format!("the service account (from {origin})"),
    }
}

/// Refusal without a login, or with one that was withheld from the token server.
pub(crate) fn no_login(
    registry: &Registry,
    access: &Access,
    kept_from: Option<&str>,
) -> AuthRefusal {
    match kept_from.filter(|_| access.credential != Credential::Anonymous) {
        Some(host) => AuthRefusal {
            cause: Cause::LoginWithheld,
            clause: withheld(registry, host, access),
        },
        None => AuthRefusal {
            cause: Cause::NoLogin,
            clause: format!(
                "no login is given for {registry} ({}): add an entry for {registry} to the auth file or use docker \
                 login",
                access.origin
            ),
        },
    }
}

/// Message for a token server that does not receive the login.
pub(super) fn withheld(registry: &Registry, host: &str, access: &Access) -> String {
    format!(
        "its token server {host} does not belong to {registry}, so it does not get the login of {}: to send it \
         there, add --trust-realm {host}",
        describe_login(access)
    )
}

/// Message for a public registry whose token server has a private address.
pub(super) fn private_realm(host: &str) -> String {
    format!(
        "its token server {host} is at a private address, which is not used for a public registry: to allow it, add \
         --allow-private {host}"
    )
}

/// Message for a registry with verified https whose token server uses plain http.
pub(super) fn http_realm(registry: &Registry, host: &str) -> String {
    format!(
        "it names a token server on plain http ({host}), which is not asked: the registry's own address is probably \
         configured wrong at its end; to go there all the same, mark {registry} as insecure"
    )
}

/// Message for a realm that is not a URL.
pub(super) fn bad_realm(realm: &str) -> String {
    let shown: String = realm
        .chars()
        .take(MAX_SHOWN)
        .flat_map(char::escape_default)
        .collect();
    format!("the token server that it names, \"{shown}\", is no URL of http or https")
}

/// Refusal of user and password, or of a token.
pub(super) fn login_refused(access: &Access) -> AuthRefusal {
    let clause = match &access.credential {
        Credential::Bearer(_) | Credential::Identity(_) => {
            format!(
                "the login of {} was refused, and may have run out: log in again",
                describe_login(access)
            )
        }
        _ => format!(
            "the login of {} was refused: check user name and password",
            describe_login(access)
        ),
    };
    AuthRefusal {
        cause: Cause::LoginRefused,
        clause,
    }
}

/// Refusal of an identity token by a registry that supports only Basic.
pub(super) fn not_a_password(registry: &Registry, access: &Access) -> AuthRefusal {
    AuthRefusal {
        cause: Cause::LoginRefused,
        clause: format!(
            "{registry} wants user and password, and {} gives an identity token only: log in with user and password",
            access.origin
        ),
    }
}

/// Refusal of a valid token that grants too little.
pub(super) fn too_few_rights(
    registry: &Registry,
    access: &Access,
    wanted: &Scopes,
    withheld: Option<&str>,
) -> AuthRefusal {
    if withheld.is_some() || access.credential == Credential::Anonymous {
        return no_login(registry, access, withheld);
    }
    let or_missing = if wanted.repositories() == 0 {
        ""
    } else {
        ", or the repository does not exist"
    };
    AuthRefusal {
        cause: lacking(wanted),
        clause: format!(
            "{} lacks the right {wanted}{or_missing}: grant the right, or use another login",
            describe_login(access)
        ),
    }
}

/// Returns the cause for scopes that are not granted.
fn lacking(wanted: &Scopes) -> Cause {
    if wanted.writes() {
        Cause::NoPushRight
    } else {
        Cause::NoPullRight
    }
}

/// Refusal by a 401 without a usable challenge.
pub(super) fn no_challenge() -> AuthRefusal {
    AuthRefusal {
        cause: Cause::NoLogin,
        clause: "it answered 401 without saying which login it wants (no WWW-Authenticate that can be used)"
            .to_owned(),
    }
}

/// Returns whether a token server refuses the login, and not the request: by its status or by an error code of the
/// distribution project.
fn is_about_login(login: &TokenLogin, status: StatusCode, code: Option<&str>) -> bool {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => true,
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
            if matches!(login, TokenLogin::Identity(_)) =>
        {
            true
        }
        _ => matches!(code, Some("UNAUTHORIZED" | "DENIED")),
    }
}

/// A token server that answers something else than a token or a refused login.
fn no_token_server(registry: &Registry, host: &str) -> AuthRefusal {
    AuthRefusal {
        cause: Cause::TokenServer,
        clause: format!("{registry} names {host} as its token server"),
    }
}

/// Explains the refusal of a token server and names the remedy. Other errors are returned unchanged.
pub(super) fn explain(
    error: Error,
    registry: &Registry,
    access: &Access,
    login: &TokenLogin,
    wanted: &Scopes,
    withheld: Option<&str>,
) -> Error {
    let Some(status) = error.status().filter(StatusCode::is_client_error) else {
        return error;
    };
    if !matches!(
        error.kind(),
        ErrorKind::Unauthorized | ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::Rejected
    ) {
        return error;
    }
    // What a server says of the request says nothing of the login.
    if matches!(error.cause(), Cause::HttpsOnly | Cause::ProxyLogin) {
        return error;
    }
    let kind = if status == StatusCode::FORBIDDEN {
        ErrorKind::Denied
    } else {
        ErrorKind::Unauthorized
    };
    let AuthRefusal { cause, clause } = if is_about_login(login, status, error.code()) {
        refusal(registry, access, login, status, wanted, withheld)
    } else {
        no_token_server(registry, error.host())
    };
    let mut explained = Error::new(
        kind,
        error.action(),
        error.host(),
        format!("{}; {clause}", error.message()),
    )
    .with_cause(cause)
    .with_status(status)
    .with_tries(error.tries());
    if let Some(code) = error.code() {
        explained = explained.with_code(code);
    }
    explained
}

/// Returns the reason why a token server refuses `login`, and the remedy.
fn refusal(
    registry: &Registry,
    access: &Access,
    login: &TokenLogin,
    status: StatusCode,
    wanted: &Scopes,
    withheld: Option<&str>,
) -> AuthRefusal {
    match (login, status) {
        (TokenLogin::Nobody, _) => no_login(registry, access, withheld),
        (TokenLogin::Identity(_), StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) => {
            AuthRefusal {
                cause: Cause::LoginRefused,
                clause: format!(
                    "it takes no identity tokens, and {} gives nothing else: log in with user and password",
                    access.origin
                ),
            }
        }
        (TokenLogin::Identity(_), _) | (TokenLogin::Password { .. }, StatusCode::UNAUTHORIZED) => {
            login_refused(access)
        }
        (TokenLogin::Password { .. }, _) => AuthRefusal {
            cause: lacking(wanted),
            clause: format!(
                "{} lacks the right for this, or the repository does not exist: grant the right, or use another login",
                describe_login(access)
            ),
        },
    }
}

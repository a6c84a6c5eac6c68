//! Authentication of callers, and their permissions.

mod check;
mod jwt;
mod rights;
mod scope;
mod server;
mod tokens;
mod vendors;

pub(crate) use check::{Caller, check};
pub(crate) use jwt::{ISSUER, Signer};
pub use rights::{Access, Grant};
pub(crate) use scope::{Scope, needed};
pub(crate) use server::{Office, answer as answer_token};
pub use tokens::Claims;
pub(crate) use tokens::Tokens;

use std::time::Duration;

/// The authentication that a registry demands.
#[derive(Clone, Debug, Default)]
pub enum Auth {
    /// None: everything is open.
    #[default]
    Anonymous,
    /// User name and password with every request.
    Basic(Access),
    /// A token from a token server.
    Bearer(Access, TokenRules),
}

/// Address of the token server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenPlace {
    /// On another port, which is another host to a client.
    OtherPort,
    /// On the registry's own port at this path, such as `/v2/auth`.
    SamePort(&'static str),
}

/// Name of the token in the server's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenField {
    /// `token`.
    Token,
    /// `access_token`.
    AccessToken,
    /// Both, equal.
    Both,
}

/// Answer to a token request with a scope of which nothing can be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The answer grants the rest; the missing permission shows at the registry.
    LeftOut,
    /// The request fails with this status (GHCR).
    Fails(u16),
    /// The request fails with this status if it has other scopes as well (Docker Hub).
    FailsAmongOthers(u16),
}

/// Form of challenges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChallengeRules {
    /// True if `service` is named.
    pub service: bool,
    /// True if `scope` is named.
    pub scope: bool,
    /// More challenges before the Bearer one, such as `Negotiate` or `Basic realm="x"`.
    pub before: Vec<String>,
    /// More challenges after it.
    pub behind: Vec<String>,
    /// True if all challenges share one header line; otherwise each has its own.
    pub one_line: bool,
    /// True if a token that is expired, unknown or insufficient is answered with `Basic realm="harbor"` instead
    /// (Harbor).
    pub basic_for_bad_tokens: bool,
    /// True if a 401 has no challenge except at the ping (old gcr.io).
    pub only_on_ping: bool,
}

/// Behaviour of the token server.
#[derive(Clone, Debug)]
pub struct TokenRules {
    /// Value of `service` in challenges.
    pub service: String,
    /// Address.
    pub place: TokenPlace,
    /// Lifetime of tokens.
    pub lifetime: Duration,
    /// True if answers declare the lifetime in `expires_in`.
    pub says_lifetime: bool,
    /// True if answers have `issued_at`.
    pub issued_at: bool,
    /// Name of the token in answers.
    pub field: TokenField,
    /// True if `refresh_token` is returned on request.
    pub refresh_tokens: bool,
    /// Status with which POST (`OAuth2`) is refused (Google 404, Artifactory 401, Azure 400, others 405).
    pub refuses_post: Option<u16>,
    /// True if only the first scope of a request is read.
    pub first_scope_only: bool,
    /// Status with which a request with several scopes fails.
    pub refuses_several: Option<u16>,
    /// True if tokens are JWTs of the distribution project's form, which contain the granted rights; otherwise they are
    /// opaque.
    pub readable: bool,
    /// True if answers name the granted rights in `scope`.
    pub says_scope: bool,
    /// Answer to a request with a scope of which nothing can be granted.
    pub denied: Denied,
    /// True if only pull is requested of a repository that does not exist, and cannot be granted (Docker Hub).
    pub denies_unknown: bool,
    /// True if the registry accepts user name and password as well (Harbor, Gitea).
    pub basic_too: bool,
    /// Known actions. A scope with another one fails with 400 (Quay knows `pull`, `push`, `*`).
    pub actions: Option<Vec<&'static str>>,
    /// Bytes of padding in each token: real ones are JWTs of one to several KiB.
    pub padding: usize,
    /// Form of challenges.
    pub challenge: ChallengeRules,
}

impl Default for TokenRules {
    fn default() -> Self {
        Self {
            service: "testkit".to_owned(),
            place: TokenPlace::OtherPort,
            lifetime: Duration::from_secs(300),
            says_lifetime: true,
            issued_at: true,
            field: TokenField::Both,
            refresh_tokens: true,
            refuses_post: None,
            first_scope_only: false,
            refuses_several: None,
            readable: false,
            says_scope: false,
            denied: Denied::LeftOut,
            denies_unknown: false,
            basic_too: false,
            actions: None,
            padding: 0,
            challenge: ChallengeRules {
                service: true,
                scope: true,
                before: Vec::new(),
                behind: Vec::new(),
                one_line: false,
                basic_for_bad_tokens: false,
                only_on_ping: false,
            },
        }
    }
}

impl Auth {
    /// Returns Basic with one user who may do everything.
    pub fn basic(user: &str, password: &str) -> Self {
        Self::Basic(Access::new().user(user, password))
    }

    /// Returns Bearer with one user who may do everything; anonymous callers may do nothing.
    pub fn bearer(user: &str, password: &str) -> Self {
        Self::Bearer(Access::new().user(user, password), TokenRules::default())
    }

    /// Returns Bearer with tokens for every caller, for everything.
    pub fn bearer_anonymous() -> Self {
        let access = Access::new().anonymous(Grant::all());
        Self::Bearer(access, TokenRules::default())
    }

    /// Returns the same with other rules for the token server.
    pub fn rules(self, change: impl FnOnce(&mut TokenRules)) -> Self {
        match self {
            Self::Bearer(access, mut rules) => {
                change(&mut rules);
                Self::Bearer(access, rules)
            }
            other => other,
        }
    }
}

//! Who may do what, and how callers show who they are.

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

/// How callers show who they are.
#[derive(Clone, Debug, Default)]
pub enum Auth {
    /// Not at all: everything is open.
    #[default]
    Anonymous,
    /// User name and password with every request.
    Basic(Access),
    /// A token from a token server.
    Bearer(Access, TokenRules),
}

/// Where the token server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenPlace {
    /// On another port, thus another host to a client.
    OtherPort,
    /// On the registry's own port at this path, such as `/v2/auth`.
    SamePort(&'static str),
}

/// The name of the token in the server's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenField {
    /// `token`.
    Token,
    /// `access_token`.
    AccessToken,
    /// Both, equal.
    Both,
}

/// What becomes of a request for a token with a scope of which nothing can be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The answer grants the rest: a missing permission shows at the registry.
    LeftOut,
    /// The request fails with this status (GHCR).
    Fails(u16),
    /// The request fails with this status if it has other scopes as well (Docker Hub).
    FailsAmongOthers(u16),
}

/// How challenges look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChallengeRules {
    /// `service` is named.
    pub service: bool,
    /// `scope` is named.
    pub scope: bool,
    /// Further challenges before the Bearer one, such as `Negotiate` or `Basic realm="x"`.
    pub before: Vec<String>,
    /// Further challenges behind it.
    pub behind: Vec<String>,
    /// All challenges share one header line; else each has its own.
    pub one_line: bool,
    /// A token that expired, is unknown or does not suffice is answered with `Basic realm="harbor"` instead (Harbor).
    pub basic_for_bad_tokens: bool,
    /// A 401 to anything but the ping has no challenge at all (old gcr.io).
    pub only_on_ping: bool,
}

/// How the token server behaves.
#[derive(Clone, Debug)]
pub struct TokenRules {
    /// Value of `service` in challenges.
    pub service: String,
    /// Where it listens.
    pub place: TokenPlace,
    /// How long tokens last.
    pub lifetime: Duration,
    /// Whether answers say so in `expires_in`.
    pub says_lifetime: bool,
    /// Whether answers have `issued_at`.
    pub issued_at: bool,
    /// The name of the token in answers.
    pub field: TokenField,
    /// Whether `refresh_token` is given when it is asked for.
    pub refresh_tokens: bool,
    /// POST (`OAuth2`) is refused with this status (Google 404, Artifactory 401, Azure 400, others 405).
    pub refuses_post: Option<u16>,
    /// Only the first scope of a request is looked at.
    pub first_scope_only: bool,
    /// A request with several scopes fails with this status.
    pub refuses_several: Option<u16>,
    /// Tokens are JWTs of the distribution project's form, which tell what they are good for; else they tell nothing.
    pub readable: bool,
    /// Whether answers name what was granted in `scope`.
    pub says_scope: bool,
    /// What becomes of a request with a scope of which nothing can be granted.
    pub denied: Denied,
    /// A scope that asks for no more than pull of a repository that does not exist cannot be granted (Docker Hub).
    pub denies_unknown: bool,
    /// The registry takes user name and password as well (Harbor, Gitea).
    pub basic_too: bool,
    /// A scope with an action that is not in this list fails with 400 (Quay knows `pull`, `push`, `*`).
    pub actions: Option<Vec<&'static str>>,
    /// Bytes of padding in each token: real ones are JWTs of one to several KiB.
    pub padding: usize,
    /// How challenges look.
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
    /// Basic with one user who may do everything.
    pub fn basic(user: &str, password: &str) -> Self {
        Self::Basic(Access::new().user(user, password))
    }

    /// Bearer with one user who may do everything; nobody else may do anything.
    pub fn bearer(user: &str, password: &str) -> Self {
        Self::Bearer(Access::new().user(user, password), TokenRules::default())
    }

    /// Bearer with tokens for anybody who asks, for everything.
    pub fn bearer_anonymous() -> Self {
        let access = Access::new().anonymous(Grant::all());
        Self::Bearer(access, TokenRules::default())
    }

    /// The same with other rules for the token server.
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

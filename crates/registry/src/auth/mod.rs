//! Builds `Authorization` headers from challenges and credentials (docs/protocol.md#challenges).
//!
//! An [`Authenticator`] serves one registry. It remembers the registry's challenge and caches tokens by credential and
//! scopes. Concurrent requests share one token request, for several repositories at once if the token server supports
//! that. Tokens are renewed before they expire. Credentials come from a [`Keychain`].
//!
//! The way of a request: [`Authenticator::wait_for_challenge`] lets it go, one alone until it is known what the registry wants and
//! whether it takes the login;
//! [`Authenticator::authorize`] gives its header, nothing at first. A 401 goes to [`Authenticator::refused`], which
//! reads the challenge and says whether another try is worth while; any other answer goes to
//! [`Authenticator::accepted`] and [`ProbeGuard::record_success`].

mod authenticator;
mod authenticators;
mod base_answer;
mod challenge;
mod challenge_probe;
mod credential;
mod docker_config;
mod docker_files;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod google;
mod grant;
mod helper;
mod keychain;
mod known_scheme;
mod logins;
mod multi_scope;
mod realm;
mod refusal;
mod scope;
mod scope_batch;
mod scopes;
mod secret;
mod token;
mod token_cache;
mod token_requests;
mod unauthorized;

pub use authenticator::Authenticator;
pub(crate) use authenticators::Authenticators;
pub(crate) use base_answer::{has_registry_signs, is_no_registry, is_telling};
pub(crate) use challenge::is_present as challenge_in;
pub use challenge_probe::ProbeGuard;
pub use credential::Credential;
pub use docker_files::DockerFiles;
pub use keychain::{Access, Keychain, KeychainEntry};
pub use known_scheme::LoginScheme;
pub use refusal::AuthRefusal;
pub(crate) use refusal::no_login;
pub use scope::{Action, ScopeSet};
pub use secret::Secret;
pub use unauthorized::{MAX_AGAIN, UnauthorizedAction};

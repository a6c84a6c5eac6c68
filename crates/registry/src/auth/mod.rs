//! Credentials, and the `Authorization` headers that are made of them (docs/protocol.md#challenges).
//!
//! A [`Keychain`] has the [`Credential`] of each registry: from entries that the caller gives, or from the files of docker
//! and podman ([`DockerFiles`]). Tokens are requested, shared and renewed by the client. Everything else here is for the
//! client and its tests: it is hidden, and may change at any time.

// An `Authenticator` serves one registry. It remembers the registry's challenge and caches tokens by credential and
// scopes. Concurrent requests share one token request, for several repositories at once if the token server supports
// that. Tokens are renewed before they expire.
//
// The way of a request: `wait_for_challenge` lets it go, one alone until it is known what the registry requires and
// whether it accepts the login; `authorize` gives its header, nothing at first. A 401 goes to `refused`, which reads the
// challenge and decides whether another try is worth while; any other answer goes to `accepted` and `record_success`.
mod authenticator;
mod authenticators;
mod authorization;
mod base_answer;
mod challenge;
mod challenge_probe;
mod credential;
mod docker_config;
mod docker_files;
mod entry;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod google;
mod grant;
mod helper;
mod keychain;
mod known_scheme;
mod login_choice;
mod logins;
mod multi_scope;
mod realm;
mod refusal;
mod scope;
mod scope_batch;
mod scopes;
mod secret;
mod secret_file;
mod token;
mod token_cache;
mod token_requests;
mod unauthorized;

#[doc(hidden)]
pub use authenticator::Authenticator;
pub(crate) use authenticators::Authenticators;
pub use authorization::Authorization;
pub(crate) use base_answer::{has_registry_signs, is_no_registry, is_telling};
pub(crate) use challenge::is_present as challenge_in;
#[doc(hidden)]
pub use challenge_probe::ProbeGuard;
pub use credential::Credential;
pub use docker_files::DockerFiles;
pub use entry::KeychainEntry;
pub(crate) use entry::covered;
pub(crate) use google::is_google;
pub use keychain::{Access, Keychain};
pub use known_scheme::LoginScheme;
pub use login_choice::{FileLogin, LoginChoice};
#[doc(hidden)]
pub use refusal::AuthRefusal;
pub(crate) use refusal::{describe_login, no_login};
#[doc(hidden)]
pub use scope::{Action, ScopeSet};
pub use secret::Secret;
pub use secret_file::{SecretFile, SecretSource};
pub(crate) use token::{basic, bearer};
#[doc(hidden)]
pub use unauthorized::{MAX_AGAIN, UnauthorizedAction};

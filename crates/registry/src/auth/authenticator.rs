//! `Authorization` headers for the requests to one registry.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use http::{HeaderValue, Method};

use crate::auth::authorization::{Authorization, UsedToken};
use crate::auth::base_answer::BaseAnswer;
use crate::auth::challenge_probe::{ChallengeProbe, ProbeGuard};
use crate::auth::credential::Credential;
use crate::auth::google::{ACCESS_TOKEN_USER, ServiceAccounts};
use crate::auth::keychain::Access;
use crate::auth::known_scheme::{AuthScheme, KnownScheme, LoginScheme};
use crate::auth::logins::{LoginAdmission, Logins};
use crate::auth::scope::ScopeSet;
use crate::auth::scope_batch::TokenQueues;
use crate::auth::token::TokenSource;
use crate::auth::token::{TokenLogin, basic, bearer};
use crate::auth::token_cache::TokenCache;
use crate::error::{Cause, Error};
use crate::keyed_once::SingleFlight;
use crate::lock::lock;
use crate::reference::Registry;
use crate::transport::{Endpoint, RetryPolicy, Transport};

/// Authorizes requests to one registry.
pub struct Authenticator {
    pub(super) registry: Registry,
    pub(super) transport: Arc<Transport>,
    pub(super) retry: RetryPolicy,
    pub(super) trusted: Arc<[String]>,
    accounts: ServiceAccounts,
    /// State for verified and for unverified connections. Facts from an unverified connection are never used for a
    /// verified one, because anybody on the way can forge them.
    verified: AuthState,
    unverified: AuthState,
}

/// State of a registry for one kind of connection, verified or unverified.
#[derive(Default)]
pub(super) struct AuthState {
    memory: Mutex<KnownScheme>,
    /// Lets one request find out the challenge while the others wait.
    pub(super) probe: Arc<ChallengeProbe>,
    /// Logins that were accepted or refused by the registry and by its token server.
    pub(super) logins: Logins,
    pub(super) token_logins: Logins,
    /// True if a read request without a login was refused. A read request that succeeds then proves its login.
    pub(super) guards_reading: AtomicBool,
    pub(super) tokens: TokenCache,
    /// Queues of requests that wait for a token.
    pub(super) queues: TokenQueues,
    /// Challenge of `GET /v2/`, requested if another answer contains none.
    pub(super) ping: SingleFlight<BaseAnswer>,
    /// Token server that does not receive the credential because it belongs to another domain.
    pub(super) withheld: Mutex<Option<String>>,
}

impl AuthState {
    /// Returns whether requests with `credential` carry the login itself instead of a token.
    fn sends_login(&self, credential: &Credential) -> bool {
        match (self.memory().login_scheme(), credential) {
            (None, _) | (_, Credential::Anonymous | Credential::Identity(_)) => false,
            (Some(_), Credential::Bearer(_)) | (Some(LoginScheme::Basic), _) => true,
            (Some(LoginScheme::Token), _) => false,
        }
    }
    pub(super) fn memory(&self) -> MutexGuard<'_, KnownScheme> {
        lock(&self.memory)
    }
    /// Returns the token server that the credential was withheld from.
    pub(super) fn withheld(&self) -> Option<String> {
        lock(&self.withheld).clone()
    }
}

impl Authenticator {
    /// Creates an authenticator for `registry`.
    pub fn new(registry: Registry, transport: Arc<Transport>, retry: RetryPolicy) -> Self {
        Self {
            registry,
            transport,
            retry,
            trusted: Arc::default(),
            accounts: ServiceAccounts::default(),
            verified: AuthState::default(),
            unverified: AuthState::default(),
        }
    }
    /// Allows the token servers that the user named to receive credentials, as `host` or `host:port`
    /// ([`Keychain::trusted_realms`](crate::auth::Keychain::trusted_realms)).
    #[must_use]
    pub fn trusting(mut self, realms: Arc<[String]>) -> Self {
        self.trusted = realms;
        self
    }
    /// Returns the kind of login that the registry asks for, as far as a challenge said so.
    pub(crate) fn login_scheme(&self, endpoint: &Endpoint) -> Option<LoginScheme> {
        self.state(endpoint).memory().login_scheme()
    }
    /// Returns the service that tokens of the registry are for, as far as a challenge said so.
    pub(crate) fn token_service(&self, endpoint: &Endpoint) -> Option<String> {
        match self.state(endpoint).memory().scheme()? {
            AuthScheme::Basic => None,
            AuthScheme::Bearer { service, .. } => service,
        }
    }
    /// Forgets which logins were refused, so that each is tried once more.
    pub(crate) fn forget_refusals(&self) {
        for state in [&self.verified, &self.unverified] {
            state.logins.forget_refusals();
            state.token_logins.forget_refusals();
        }
    }
    pub(super) fn state(&self, endpoint: &Endpoint) -> &AuthState {
        if endpoint.exceptions.is_unverified() {
            &self.unverified
        } else {
            &self.verified
        }
    }
    /// Waits for the turn of a request with `method`: nothing once it is known what the registry wants of such
    /// requests, and that it accepts the login. Until then one asks, and the others wait for its answer, for a few
    /// seconds at most. Hold the turn until the answer was made known, by [`ProbeGuard::record_success`] or
    /// [`Authenticator::refused`].
    ///
    /// # Errors
    /// The error of an earlier request with the same login, where the registry refuses it.
    pub async fn wait_for_challenge(
        &self,
        endpoint: &Endpoint,
        access: &Access,
        method: &Method,
    ) -> Result<ProbeGuard, Error> {
        let state = self.state(endpoint);
        let mut turn = state.probe.acquire(method).await;
        if state.sends_login(&access.credential) {
            let gate = state.logins.gate(&access.credential, is_write(method));
            loop {
                match gate.admit().await {
                    LoginAdmission::Go(guard) => {
                        turn.login = guard;
                        break;
                    }
                    LoginAdmission::Refused(error) => return Err(error),
                    LoginAdmission::Check(guard) => {
                        // Boxed: it is rare, and the future of every request would have room for it.
                        let check = Box::pin(self.check_login(endpoint, access));
                        gate.checked(check.await);
                        drop(guard);
                    }
                }
            }
        }
        Ok(turn)
    }
    /// Returns the authorization of a request that needs `scopes`, or `None` before the first challenge and for
    /// registries that require none. Requests a token if the challenge is known and the cache has no suitable one.
    ///
    /// # Errors
    /// If no token can be had: [`Unauthorized`](crate::ErrorKind::Unauthorized) or
    /// [`Denied`](crate::ErrorKind::Denied) if the token server refuses the login,
    /// [`Refused`](crate::ErrorKind::Refused) if it is not safe to request one, else the transport's error.
    pub async fn authorize(
        &self,
        endpoint: &Endpoint,
        access: &Access,
        scopes: &ScopeSet,
    ) -> Result<Option<Authorization>, Error> {
        let scheme = {
            let mut memory = self.state(endpoint).memory();
            memory.needs(scopes);
            memory.scheme()
        };
        match (scheme, &access.credential) {
            (None, _) => Ok(None),
            // Docker's registry token is sent unchanged, for every scope.
            (Some(_), Credential::Bearer(token)) => {
                Ok(bearer(token.reveal()).map(Authorization::login))
            }
            (Some(AuthScheme::Basic), _) => match self.login(endpoint, access).await? {
                TokenLogin::Password { username, password } => {
                    Ok(basic(&username, &password).map(Authorization::login))
                }
                TokenLogin::Nobody | TokenLogin::Identity(_) => Ok(None),
            },
            (Some(AuthScheme::Bearer { realm, service }), _) => {
                let source = TokenSource { realm, service };
                let used = self.usable_token(endpoint, access, scopes, &source).await?;
                Ok(Some(used.into()))
            }
        }
    }
    /// Returns whether the current token for `scopes` grants all of them. Some servers leave out the scopes that they
    /// deny, and some receive a second request with fewer scopes after they refused all.
    pub fn grants(&self, endpoint: &Endpoint, access: &Access, scopes: &ScopeSet) -> bool {
        let state = self.state(endpoint);
        let (wanted, is_narrowed) = {
            let memory = state.memory();
            (memory.scopes_for(scopes), memory.leaves_out_sources(scopes))
        };
        if is_narrowed {
            return false;
        }
        let token = state.tokens.find(&access.credential, &wanted);
        token.is_none_or(|token| token.grants(&wanted))
    }
    /// Records that a request that was authorized by `used` was accepted (any answer except 401). A token that was
    /// accepted before and is refused later has expired and is renewed. A token that was never accepted is refused
    /// permanently.
    pub fn accepted(
        &self,
        endpoint: &Endpoint,
        access: &Access,
        scopes: &ScopeSet,
        method: &Method,
        used: Option<&Authorization>,
    ) {
        let state = self.state(endpoint);
        let writes = is_write(method);
        let credential = shown(access, used.map(Authorization::header));
        state
            .logins
            .gate(credential, writes)
            .record_accepted(scopes.head());
        let Some(used) = used else {
            return;
        };
        // A login that is needed to read is checked when it reads.
        if !writes && state.guards_reading.load(Ordering::Relaxed) && state.sends_login(credential)
        {
            let gate = state.logins.gate(credential, true);
            if !gate.is_proven() {
                gate.accepted();
            }
        }
        if let Some(UsedToken { token, wanted, .. }) = &used.token {
            token.record_use(wanted, true);
            if state.queues.multi_scope.accepted(token, wanted) {
                state.queues.wake();
            }
        }
    }
    /// Records a request with `used` as its header that was refused permanently because of its login, with its `error`.
    pub fn login_failed(
        &self,
        endpoint: &Endpoint,
        access: &Access,
        method: &Method,
        used: Option<&HeaderValue>,
        error: &Error,
    ) {
        let state = self.state(endpoint);
        if used.is_some()
            && state.sends_login(&access.credential)
            && error.cause() == Cause::LoginRefused
        {
            let gate = state.logins.gate(&access.credential, is_write(method));
            gate.refused(error);
        }
    }
    /// Returns the login for a token server or for Basic authentication.
    pub(super) async fn login(
        &self,
        endpoint: &Endpoint,
        access: &Access,
    ) -> Result<TokenLogin, Error> {
        Ok(match &access.credential {
            Credential::Anonymous | Credential::Bearer(_) => TokenLogin::Nobody,
            Credential::Basic { username, password } => TokenLogin::Password {
                username: username.clone(),
                password: password.clone(),
            },
            Credential::Identity(token) => TokenLogin::Identity(token.clone()),
            Credential::GoogleServiceAccount(json) => {
                let token = self
                    .accounts
                    .token(json, endpoint, &self.transport, self.retry, &access.origin)
                    .await?;
                TokenLogin::Password {
                    username: ACCESS_TOKEN_USER.to_owned(),
                    password: token,
                }
            }
        })
    }
    /// Returns the service accounts with their cached access tokens.
    pub(super) fn accounts(&self) -> &ServiceAccounts {
        &self.accounts
    }
}

/// Returns the credential that a request with `used` as its header presents.
pub(super) fn shown<'a>(access: &'a Access, used: Option<&HeaderValue>) -> &'a Credential {
    match used {
        Some(_) => &access.credential,
        None => &Credential::Anonymous,
    }
}

/// Returns whether requests with `method` write.
pub(super) fn is_write(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD)
}

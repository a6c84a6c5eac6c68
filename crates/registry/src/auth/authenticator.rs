//! `Authorization` headers for the requests to one registry.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{BoxFuture, FutureExt as _};
use http::{HeaderValue, Method};
use url::Url;

use crate::auth::base_answer::BaseAnswer;
use crate::auth::challenge_probe::{ChallengeProbe, ProbeGuard};
use crate::auth::credential::Credential;
use crate::auth::google::{ACCESS_TOKEN_USER, ServiceAccounts};
use crate::auth::keychain::Access;
use crate::auth::known_scheme::{AuthScheme, KnownScheme};
use crate::auth::logins::{Admission, Logins};
use crate::auth::realm::{self, RealmTrust};
use crate::auth::refusal;
use crate::auth::scope::ScopeSet;
use crate::auth::scope_batch::{self, QueueStep, TokenQueues};
use crate::auth::scopes::Scopes;
use crate::auth::single_flight::SingleFlight;
use crate::auth::token::{TokenLogin, TokenServer, authority, basic, bearer};
use crate::auth::token_cache::{Token, TokenCache};
use crate::cause::Cause;
use crate::error::{Error, ErrorKind};
use crate::reference::Registry;
use crate::transport::{Endpoint, RetryPolicy, Transport};

/// Authorizes requests to one registry.
pub struct Authenticator {
    pub(super) registry: Registry,
    pub(super) transport: Arc<Transport>,
    pub(super) retry: RetryPolicy,
    trusted: Arc<[String]>,
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
    pub(super) door: Arc<ChallengeProbe>,
    /// Logins that were accepted or refused by the registry and by its token server.
    pub(super) logins: Logins,
    pub(super) token_logins: Logins,
    /// True if a read request without a login was refused. A read request that succeeds then proves its login.
    pub(super) guards_reading: AtomicBool,
    pub(super) tokens: TokenCache,
    /// Queues of requests that wait for a token.
    pub(super) lines: TokenQueues,
    /// Challenge of `GET /v2/`, requested if another answer contains none.
    pub(super) ping: SingleFlight<BaseAnswer>,
    /// Token server that does not receive the credential because it belongs to another domain.
    withheld: Mutex<Option<String>>,
}

impl AuthState {
    /// Returns whether requests with `credential` carry the login itself instead of a token.
    fn sends_login(&self, credential: &Credential) -> bool {
        match (self.memory().scheme(), credential) {
            (None, _) | (_, Credential::Anonymous | Credential::Identity(_)) => false,
            (Some(_), Credential::Bearer(_)) | (Some(AuthScheme::Basic), _) => true,
            (Some(AuthScheme::Bearer { .. }), _) => false,
        }
    }
    pub(super) fn memory(&self) -> MutexGuard<'_, KnownScheme> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Returns the token server that the credential was withheld from.
    pub(super) fn withheld(&self) -> Option<String> {
        self.withheld
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
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
    pub(super) fn side(&self, endpoint: &Endpoint) -> &AuthState {
        if endpoint.insecure {
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
        let side = self.side(endpoint);
        let mut turn = side.door.acquire(method).await;
        if side.sends_login(&access.credential) {
            let gate = side.logins.gate(&access.credential, is_write(method));
            loop {
                match gate.admit().await {
                    Admission::Go(guard) => {
                        turn.login = guard;
                        break;
                    }
                    Admission::Refused(error) => return Err(error),
                    Admission::Check(guard) => {
                        gate.checked(self.check_login(endpoint, access).await);
                        drop(guard);
                    }
                }
            }
        }
        Ok(turn)
    }
    /// Returns the `Authorization` header of a request that needs `scopes`, or `None` before the first challenge and
    /// for registries that require none. Requests a token if the challenge is known and the cache has no suitable one.
    ///
    /// # Errors
    /// When no token is to be had: [`ErrorKind::Unauthorized`] or [`ErrorKind::Denied`] where the token server
    /// refuses the login, [`ErrorKind::Refused`] where it is not safe to ask, else as the transport says.
    pub async fn authorize(
        &self,
        endpoint: &Endpoint,
        access: &Access,
        scopes: &ScopeSet,
    ) -> Result<Option<HeaderValue>, Error> {
        let scheme = {
            let mut memory = self.side(endpoint).memory();
            memory.needs(scopes);
            memory.scheme()
        };
        match (scheme, &access.credential) {
            (None, _) => Ok(None),
            // What docker calls a registry token goes out as it is, whatever is asked for.
            (Some(_), Credential::Bearer(token)) => Ok(bearer(token.reveal())),
            (Some(AuthScheme::Basic), _) => match self.login(endpoint, access).await? {
                TokenLogin::Password { username, password } => Ok(basic(&username, &password)),
                TokenLogin::Nobody | TokenLogin::Identity(_) => Ok(None),
            },
            (Some(AuthScheme::Bearer { realm, service }), _) => {
                let source = TokenSource { realm, service };
                let token = self.token(endpoint, access, scopes, &source).await?;
                Ok(Some(token.header().clone()))
            }
        }
    }
    /// Returns whether the current token for `scopes` grants all of them. Some servers leave out the scopes that they
    /// deny, and some receive a second request with fewer scopes after they refused all.
    pub fn grants(&self, endpoint: &Endpoint, access: &Access, scopes: &ScopeSet) -> bool {
        let side = self.side(endpoint);
        let wanted = side.memory().scopes_for(scopes);
        let token = side.tokens.find(&access.credential, &wanted);
        token.is_none_or(|token| token.grants(&wanted))
    }
    /// Records that a request with `used` as its header was accepted (any answer except 401). A token that was accepted
    /// before and is refused later has expired and is renewed. A token that was never accepted is refused for good.
    pub fn accepted(
        &self,
        endpoint: &Endpoint,
        access: &Access,
        scopes: &ScopeSet,
        method: &Method,
        used: Option<&HeaderValue>,
    ) {
        let side = self.side(endpoint);
        let writes = is_write(method);
        let credential = shown(access, used);
        side.logins
            .gate(credential, writes)
            .record_accepted(scopes.head());
        let Some(used) = used else {
            return;
        };
        // A login that is needed to read is checked when it reads.
        if !writes && side.guards_reading.load(Ordering::Relaxed) && side.sends_login(credential) {
            let gate = side.logins.gate(credential, true);
            if !gate.is_proven() {
                gate.accepted();
            }
        }
        let wanted = side.memory().scopes_for(scopes);
        let shown = side.tokens.accepted(&access.credential, &wanted, used);
        if shown.is_some_and(|token| side.lines.habit.accepted(&token, &wanted)) {
            side.lines.wake();
        }
    }
    /// Records a request with `used` as its header that was refused for good because of its login, with its `error`.
    pub fn login_failed(
        &self,
        endpoint: &Endpoint,
        access: &Access,
        method: &Method,
        used: Option<&HeaderValue>,
        error: &Error,
    ) {
        let side = self.side(endpoint);
        if used.is_some()
            && side.sends_login(&access.credential)
            && error.cause() == Cause::LoginRefused
        {
            let gate = side.logins.gate(&access.credential, is_write(method));
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
    /// Returns a token for `scopes`, from the cache or from its server. A read request asks for write access as well if
    /// the repository is written to, so that one token serves both. If the server refuses that, the next request asks
    /// for read access only.
    async fn token(
        &self,
        endpoint: &Endpoint,
        access: &Access,
        scopes: &ScopeSet,
        source: &TokenSource,
    ) -> Result<Arc<Token>, Error> {
        let side = self.side(endpoint);
        loop {
            let wanted = side.memory().scopes_for(scopes);
            if let Some(token) = side.tokens.find(&access.credential, &wanted) {
                return Ok(token);
            }
            let slot = side.tokens.slot(&access.credential, &wanted);
            let fetch = self.fetch(endpoint, access, scopes, &wanted, source);
            let outcome = slot
                .flight
                .get(|token| token.is_usable(&wanted), fetch)
                .await;
            match outcome {
                Err(error)
                    if scope_batch::is_refusal(&error)
                        && side.memory().narrow_after_refusal(scopes, &wanted) => {}
                outcome => return outcome,
            }
        }
    }
    /// Asks for a token, and where repositories to mount from are among the scopes and it is refused, for one
    /// without them: some servers refuse all for the sake of one (docs/protocol.md#scopes).
    fn fetch<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        access: &'a Access,
        scopes: &'a ScopeSet,
        wanted: &'a Scopes,
        source: &'a TokenSource,
    ) -> BoxFuture<'a, Result<Arc<Token>, Error>> {
        async move {
            match self.in_line(endpoint, access, wanted, source).await {
                Err(error)
                    if scopes.repositories().len() > 1 && scope_batch::is_refusal(&error) =>
                {
                    self.token(endpoint, access, &scopes.without_sources(), source)
                        .await
                }
                outcome => outcome,
            }
        }
        .boxed()
    }
    /// Gets a token, with a request of its own or with one that it shares with other waiting requests.
    async fn in_line(
        &self,
        endpoint: &Endpoint,
        access: &Access,
        wanted: &Scopes,
        source: &TokenSource,
    ) -> Result<Arc<Token>, Error> {
        let line = self.side(endpoint).lines.line(&access.credential);
        let place = line.join(wanted);
        // Whoever shared the request is told of their own part of it.
        let own = |error: Error| error.with_action(wanted.action());
        loop {
            match place.next().await {
                QueueStep::Over(outcome) => return outcome.map_err(own),
                QueueStep::Ask(batch) => {
                    let outcome = self
                        .request_token(endpoint, access, batch.scopes(), source)
                        .await;
                    if let Some(outcome) = batch.end(outcome) {
                        return outcome.map_err(own);
                    }
                }
            }
        }
    }
    /// Sends one token request, with the login if the token server may receive it.
    async fn request_token(
        &self,
        endpoint: &Endpoint,
        access: &Access,
        wanted: &Scopes,
        source: &TokenSource,
    ) -> Result<Token, Error> {
        let action = wanted.action();
        let base = self.transport.base_url(endpoint, &action).await?;
        let refuse =
            |kind, message| Error::new(kind, action.as_str(), self.registry.as_str(), message);
        let realm = realm::resolve_realm(&base, &source.realm)
            .ok_or_else(|| refuse(ErrorKind::Protocol, refusal::bad_realm(&source.realm)))?;
        let private = self.transport.private_hosts();
        let trusted =
            realm::check_realm(&base, endpoint.insecure, &realm, &self.trusted, private).await;
        let login = match trusted {
            RealmTrust::NotInside => {
                let why = refusal::private_realm(&authority(&realm));
                return Err(refuse(ErrorKind::Refused, why).with_cause(Cause::PrivateAddress));
            }
            RealmTrust::NotOverHttp => {
                let why = refusal::http_realm(&self.registry, &authority(&realm));
                return Err(refuse(ErrorKind::Refused, why).with_cause(Cause::Downgrade));
            }
            RealmTrust::WithCredential => self.login(endpoint, access).await?,
            RealmTrust::Anonymously => {
                self.withhold(endpoint, access, &realm);
                TokenLogin::Nobody
            }
        };
        let server = TokenServer {
            transport: &self.transport,
            retry: self.retry,
            endpoint,
            realm,
            service: source.service.as_deref(),
        };
        let explain = |error| {
            let withheld = self.side(endpoint).withheld();
            let withheld = withheld.as_deref();
            refusal::explain(error, &self.registry, access, &login, wanted, withheld)
        };
        let asked_as = match &login {
            TokenLogin::Nobody => &Credential::Anonymous,
            TokenLogin::Password { .. } | TokenLogin::Identity(_) => &access.credential,
        };
        let side = self.side(endpoint);
        let gate = side.token_logins.gate(asked_as, wanted.writes());
        let _guard = loop {
            if *asked_as == Credential::Anonymous {
                break None;
            }
            match gate.admit().await {
                Admission::Go(guard) => break guard,
                Admission::Refused(error) => return Err(error.shared_with(&action)),
                Admission::Check(guard) => {
                    gate.checked(server.check(&login).await);
                    drop(guard);
                }
            }
        };
        let outcome = server.token(&login, wanted, gate.is_proven()).await;
        let outcome = outcome.map_err(explain);
        match &outcome {
            // Whatever the token is for, the login is the right one.
            Ok(_) => {
                for writes in [false, true] {
                    side.token_logins.gate(asked_as, writes).accepted();
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::Denied) => {
                gate.refused(error);
            }
            Err(_) => {}
        }
        outcome
    }
    /// Warns once that the login is withheld from a token server.
    fn withhold(&self, endpoint: &Endpoint, access: &Access, realm: &Url) {
        if access.credential == Credential::Anonymous {
            return;
        }
        let host = authority(realm);
        let side = self.side(endpoint);
        let mut withheld = side.withheld.lock().unwrap_or_else(PoisonError::into_inner);
        if withheld.as_ref() != Some(&host) {
            let text = refusal::withheld(&self.registry, &host, access);
            self.transport
                .observer()
                .warning(self.registry.as_str(), &text);
            *withheld = Some(host);
        }
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

/// Realm and service of a token server, as the challenge names them.
struct TokenSource {
    realm: String,
    service: Option<String>,
}

//! The header for a request.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{BoxFuture, FutureExt as _};
use http::{HeaderValue, Method};
use url::Url;

use crate::auth::challenge::Challenge;
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
    /// What is known of the registry as it is reached verified, and unverified: what anybody on the way may have
    /// said is not believed where certificates are checked.
    verified: AuthState,
    unverified: AuthState,
}

/// What is known of a registry, reached one way.
#[derive(Default)]
pub(super) struct AuthState {
    memory: Mutex<KnownScheme>,
    /// Whether it is known what the registry wants, and who finds out.
    pub(super) door: ChallengeProbe,
    /// The logins at the registry, and at its token server.
    pub(super) logins: Logins,
    pub(super) token_logins: Logins,
    /// A request to read was refused without a login: one that is let in proves its login.
    pub(super) guards_reading: AtomicBool,
    pub(super) tokens: TokenCache,
    /// Those who wait for tokens.
    pub(super) lines: TokenQueues,
    /// The challenge of `GET /v2/`, asked for when another answer holds none.
    pub(super) ping: SingleFlight<Option<Challenge>>,
    /// The token server that may not see credentials, if there is one.
    withheld: Mutex<Option<String>>,
}

impl AuthState {
    /// Tells if requests under `credential` carry the login itself, and no token that was given for it.
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
    /// The token server that a credential was not sent to.
    pub(super) fn withheld(&self) -> Option<String> {
        self.withheld
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Authenticator {
    /// An authenticator for `registry`.
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
    /// Lets the token servers that the user named see credentials too: hosts, or hosts with ports
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
    ) -> Result<ProbeGuard<'_>, Error> {
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
    /// The header to send with a request that needs `scopes` as `access` says: `None` before the first challenge
    /// and for registries that want none. Gets a token if the challenge is known and no cached one suffices.
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
    /// Whether the token that requests for `scopes` are sent with was given for all of them, as far as its server
    /// says: some leave out what they do not grant, and some are asked for less when they refuse all.
    pub fn grants(&self, endpoint: &Endpoint, access: &Access, scopes: &ScopeSet) -> bool {
        let side = self.side(endpoint);
        let wanted = side.memory().scopes_for(scopes);
        let token = side.tokens.find(&access.credential, &wanted);
        token.is_none_or(|token| token.grants(&wanted))
    }
    /// Says that a request with `used` as its header was let in (any answer but a 401). A token that was once let in
    /// and is refused later has run out, and is worth a fresh one; one that never was is refused for good.
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
    /// Takes in how a request with `used` as its header ended that was refused: `error` says that it was the login.
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
    /// What stands in for the credential at a token server, or with Basic.
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
    /// The service accounts whose access tokens are kept.
    pub(super) fn accounts(&self) -> &ServiceAccounts {
        &self.accounts
    }
    /// A token for `scopes`, from the cache or from its source. Where the right to write is refused to a request that
    /// only reads, for which it was asked so that one token does for both, it is asked for without.
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
    /// Gets a token by a request of its own or by one that is shared with others who want one at the same time.
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
    /// One token request, under the login if the token server may see it.
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
    /// Says, once, that a login is kept from a token server.
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

/// The credential that a request with `used` as its header shows.
pub(super) fn shown<'a>(access: &'a Access, used: Option<&HeaderValue>) -> &'a Credential {
    match used {
        Some(_) => &access.credential,
        None => &Credential::Anonymous,
    }
}

/// Tells if a request with `method` writes.
pub(super) fn is_write(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD)
}

/// Where tokens come from.
struct TokenSource {
    realm: String,
    service: Option<String>,
}

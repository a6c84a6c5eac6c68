//! Token requests of an authenticator: cache, queue, realm, login.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt as _};
use url::Url;

use crate::auth::authenticator::Authenticator;
use crate::auth::authorization::UsedToken;
use crate::auth::credential::Credential;
use crate::auth::keychain::Access;
use crate::auth::logins::{LoginAdmission, LoginGate, LoginGuard};
use crate::auth::multi_scope::ProofAdmission;
use crate::auth::realm::{self, RealmTrust};
use crate::auth::refusal;
use crate::auth::scope::ScopeSet;
use crate::auth::scope_batch::{self, QueueStep};
use crate::auth::scopes::Scopes;
use crate::auth::token::{TokenLogin, TokenServer, TokenSource};
use crate::auth::token_cache::Token;
use crate::error::{Cause, Error, ErrorKind};
use crate::lock::lock;
use crate::transport::{Endpoint, authority};

impl Authenticator {
    /// Returns a token that may be sent with a request for `scopes`. A shared token that turned out to be valid for its
    /// first repository alone is replaced by another one.
    pub(super) async fn usable_token(
        &self,
        endpoint: &Endpoint,
        access: &Access,
        scopes: &ScopeSet,
        source: &TokenSource,
    ) -> Result<UsedToken, Error> {
        let multi_scope = &self.state(endpoint).queues.multi_scope;
        loop {
            let (token, wanted) = self.token(endpoint, access, scopes, source).await?;
            match multi_scope.admit(&token, &wanted).await {
                ProofAdmission::Go(proof) => {
                    return Ok(UsedToken {
                        token,
                        wanted,
                        _proof: proof,
                    });
                }
                ProofAdmission::Refused => token.record_use(&wanted, false),
            }
        }
    }
    /// Returns a token for `scopes` with the scopes that it was requested for, from the cache or from its server. A read request asks for write access as well if
    /// the repository is written to, so that one token serves both. If the server refuses that, the next request asks
    /// for read access only.
    async fn token(
        &self,
        endpoint: &Endpoint,
        access: &Access,
        scopes: &ScopeSet,
        source: &TokenSource,
    ) -> Result<(Arc<Token>, Scopes), Error> {
        let state = self.state(endpoint);
        loop {
            let wanted = state.memory().scopes_for(scopes);
            if let Some(token) = state.tokens.find(&access.credential, &wanted) {
                return Ok((token, wanted));
            }
            let slot = state.tokens.slot(&access.credential, &wanted);
            let fetch = self.fetch(endpoint, access, scopes, &wanted, source);
            let outcome = slot
                .flight
                .get(|token| token.is_usable(&wanted), fetch)
                .await;
            match outcome {
                Err(error)
                    if scope_batch::is_refusal(&error)
                        && state.memory().narrow_after_refusal(scopes, &wanted) => {}
                outcome => return Ok((outcome?, wanted)),
            }
        }
    }
    /// Requests a token. If it is refused and the scopes include repositories to mount from, requests one without them:
    /// some servers refuse all scopes because of one (docs/protocol.md#scopes). That is remembered for the registry.
    fn fetch<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        access: &'a Access,
        scopes: &'a ScopeSet,
        wanted: &'a Scopes,
        source: &'a TokenSource,
    ) -> BoxFuture<'a, Result<Arc<Token>, Error>> {
        async move {
            let state = self.state(endpoint);
            let has_sources = wanted.repositories() > 1 && scopes.repositories().len() > 1;
            let outcome = self
                .queued_token(endpoint, access, (scopes, wanted), source)
                .await;
            match outcome {
                Some(Err(error)) if has_sources && scope_batch::is_refusal(&error) => {
                    let narrow = scopes.without_sources();
                    let (token, _) = self.token(endpoint, access, &narrow, source).await?;
                    state.memory().refuse_sources(scopes);
                    Ok(token)
                }
                Some(outcome) => {
                    if has_sources && outcome.as_ref().is_ok_and(|token| token.grants(wanted)) {
                        state.memory().grant_sources();
                    }
                    outcome
                }
                None => {
                    let (token, _) = self.token(endpoint, access, scopes, source).await?;
                    Ok(token)
                }
            }
        }
        .boxed()
    }
    /// Gets a token, with a request of its own or with one that it shares with other waiting requests. Returns `None`
    /// if fewer scopes are requested by now, because the server refused the sources of other mounts meanwhile.
    async fn queued_token(
        &self,
        endpoint: &Endpoint,
        access: &Access,
        (scopes, wanted): (&ScopeSet, &Scopes),
        source: &TokenSource,
    ) -> Option<Result<Arc<Token>, Error>> {
        let state = self.state(endpoint);
        let queue = state.queues.queue(&access.credential);
        let position = queue.join(wanted);
        // Each request that shared it receives its own part of the outcome.
        let own = |error: Error| error.with_action(wanted.action());
        loop {
            match position.next().await {
                QueueStep::Over(outcome) => return Some(outcome.map_err(own)),
                QueueStep::Ask(batch) => {
                    if wanted.repositories() > 1 && state.memory().leaves_out_sources(scopes) {
                        return None;
                    }
                    let outcome = self
                        .request_token(endpoint, access, batch.scopes(), source)
                        .await;
                    if let Some(outcome) = batch.end(outcome) {
                        return Some(outcome.map_err(own));
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
        let (realm, login) = self.realm(endpoint, access, source, &action).await?;
        let server = TokenServer {
            transport: &self.transport,
            retry: self.retry,
            endpoint,
            realm,
            service: source.service.as_deref(),
        };
        let state = self.state(endpoint);
        let shown = match &login {
            TokenLogin::Nobody => &Credential::Anonymous,
            TokenLogin::Password { .. } | TokenLogin::Identity(_) => &access.credential,
        };
        let gate = state.token_logins.gate(shown, wanted.writes());
        let _guard = if *shown == Credential::Anonymous {
            None
        } else {
            let admitted = admit(&gate, &server, &login).await;
            admitted.map_err(|error| error.shared_with(&action))?
        };
        let outcome = server.token(&login, wanted, gate.is_proven()).await;
        let outcome = outcome.map_err(|error| {
            let withheld = state.withheld();
            let withheld = withheld.as_deref();
            refusal::explain(error, &self.registry, access, &login, wanted, withheld)
        });
        match &outcome {
            // The login is the right one for every scope of the token.
            Ok(_) => {
                for writes in [false, true] {
                    state.token_logins.gate(shown, writes).accepted();
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::Denied) => {
                gate.refused(error);
            }
            Err(_) => {}
        }
        outcome
    }
    /// Returns the address of the token server, and the login that it may receive.
    async fn realm(
        &self,
        endpoint: &Endpoint,
        access: &Access,
        source: &TokenSource,
        action: &str,
    ) -> Result<(Url, TokenLogin), Error> {
        let base = self.transport.base_url(endpoint, action).await?;
        let refuse = |kind, message| Error::new(kind, action, self.registry.as_str(), message);
        let realm = realm::resolve_realm(&base, &source.realm).ok_or_else(|| {
            refuse(ErrorKind::Protocol, refusal::bad_realm(&source.realm))
                .with_cause(Cause::TokenServer)
        })?;
        let private = self.transport.private_hosts(&self.registry);
        let trusted =
            realm::check_realm(&base, endpoint.exceptions, &realm, &self.trusted, &private).await;
        let login = match trusted {
            RealmTrust::NotInside => {
                let why = refusal::private_realm(authority(&realm));
                return Err(refuse(ErrorKind::Refused, why).with_cause(Cause::PrivateAddress));
            }
            RealmTrust::NotOverHttp => {
                let why = refusal::http_realm(&self.registry, authority(&realm));
                return Err(refuse(ErrorKind::Refused, why).with_cause(Cause::Downgrade));
            }
            RealmTrust::WithCredential => self.login(endpoint, access).await?,
            RealmTrust::Anonymously => {
                self.withhold(endpoint, access, &realm);
                TokenLogin::Nobody
            }
        };
        Ok((realm, login))
    }
    /// Warns once that the login is withheld from a token server.
    fn withhold(&self, endpoint: &Endpoint, access: &Access, realm: &Url) {
        if access.credential == Credential::Anonymous {
            return;
        }
        let host = authority(realm);
        let state = self.state(endpoint);
        let mut withheld = lock(&state.withheld);
        if withheld.as_deref() != Some(host) {
            let text = refusal::withheld(&self.registry, host, access);
            self.transport
                .observer()
                .warning(self.registry.as_str(), &text);
            *withheld = Some(host.to_owned());
        }
    }
}

/// Waits until `login` may be sent, and checks it alone where that is due.
async fn admit(
    gate: &Arc<LoginGate>,
    server: &TokenServer<'_>,
    login: &TokenLogin,
) -> Result<Option<LoginGuard>, Error> {
    loop {
        match gate.admit().await {
            LoginAdmission::Go(guard) => return Ok(guard),
            LoginAdmission::Refused(error) => return Err(error),
            LoginAdmission::Check(guard) => {
                gate.checked(server.check(login).await);
                drop(guard);
            }
        }
    }
}

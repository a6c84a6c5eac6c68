//! Handling of 401 answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::auth::authenticator::{AuthState, Authenticator, is_write, shown};
use crate::auth::base_answer::BaseAnswer;
use crate::auth::challenge::{self, Challenge};
use crate::auth::credential::Credential;
use crate::auth::keychain::Access;
use crate::auth::known_scheme::AuthScheme;
use crate::auth::logins::Checked;
use crate::auth::refusal::{self, AuthRefusal};
use crate::auth::scope::ScopeSet;
use crate::error::{Error, ErrorKind, Retryable};
use crate::transport::{AnswerLimit, Attempts, Call, Endpoint, Lane, RequestBody, Response};

/// Maximum number of times that one request is sent again after a [`UnauthorizedAction::Again`]: for the first
/// challenge, for a token that expired or was shared, and for scopes that only the challenge names.
pub const MAX_AGAIN: u32 = 3;

/// Action after a 401.
#[derive(Debug)]
pub enum UnauthorizedAction {
    /// Send the request again with a new header of [`Authenticator::authorize`].
    Again,
    /// The credential is refused.
    Final(AuthRefusal),
    /// The credential is refused, but the host accepted it before: the refusal may be transient.
    Passing {
        /// Reason of the refusal.
        refusal: AuthRefusal,
        /// True if the same repository accepted the credential before.
        is_known: bool,
    },
}

impl Authenticator {
    /// Decides what follows a request with `used` as its header that was answered 401 with `headers`. Learns the
    /// challenge, from `GET /v2/` if the answer has none. A new challenge, or a token that may have expired, is worth
    /// one more attempt; a fresh token that is refused is final. The headers must come from the registry itself and not
    /// from a host that it redirected to. A caller sends one request at most [`MAX_AGAIN`] more times.
    ///
    /// # Errors
    /// If `GET /v2/` had to be asked and failed.
    pub async fn refused(
        &self,
        endpoint: &Endpoint,
        access: &Access,
        scopes: &ScopeSet,
        sent: (&Method, Option<&HeaderValue>),
        headers: &HeaderMap,
    ) -> Result<UnauthorizedAction, Error> {
        let (method, used) = sent;
        let state = self.state(endpoint);
        let parsed = self
            .parse_unauthorized(endpoint, access, scopes, sent, headers)
            .await?;
        // Nobody will learn more than this one did.
        state.probe.open();
        let scheme = state.memory().scheme();
        let verdict = match (scheme, &access.credential, used) {
            (None, ..) => UnauthorizedAction::Final(refusal::no_challenge()),
            (_, Credential::Bearer(_), Some(_)) => {
                UnauthorizedAction::Final(refusal::login_refused(access))
            }
            (Some(AuthScheme::Bearer { .. }), ..) => self.judge_token(state, &parsed),
            (Some(AuthScheme::Basic), ..) => self.judge_basic(&parsed),
        };
        let gate = state.logins.gate(shown(access, used), is_write(method));
        Ok(match verdict {
            UnauthorizedAction::Final(refusal)
                if gate.is_proven() && !state.lacks_right(&parsed) =>
            {
                let is_known = gate.knows(scopes.head());
                UnauthorizedAction::Passing { refusal, is_known }
            }
            verdict => verdict,
        })
    }
    /// Learns from the headers of a 401.
    async fn parse_unauthorized<'a>(
        &self,
        endpoint: &Endpoint,
        access: &'a Access,
        scopes: &'a ScopeSet,
        (method, used): (&Method, Option<&'a HeaderValue>),
        headers: &HeaderMap,
    ) -> Result<ParsedUnauthorized<'a>, Error> {
        let state = self.state(endpoint);
        let challenge = challenge::best(headers);
        let mut has_news = match &challenge {
            Some(challenge) => state.learn_scheme(challenge),
            None if state.memory().scheme().is_none() => {
                let asked = self.ask_for_challenge(endpoint).await?;
                asked.is_some_and(|challenge| state.learn_scheme(&challenge))
            }
            None => false,
        };
        let (mut insufficient, mut invalid) = (false, false);
        if let Some(Challenge::Bearer(bearer)) = &challenge {
            let mut memory = state.memory();
            let before = memory.scopes_for(scopes);
            memory.learn_scopes(scopes, bearer);
            has_news |= memory.scopes_for(scopes) != before;
            insufficient = bearer.insufficient;
            invalid = bearer.invalid;
        }
        if used.is_none() && !is_write(method) {
            state.guards_reading.store(true, Ordering::Relaxed);
        }
        Ok(ParsedUnauthorized {
            access,
            scopes,
            used,
            has_news,
            insufficient,
            invalid,
        })
    }
    /// Returns whether the registry may require the login of `access` although it has never sent a challenge: `/v2/`
    /// was not requested yet, or has one.
    pub fn may_ask_for_login(&self, endpoint: &Endpoint, access: &Access) -> bool {
        let state = self.state(endpoint);
        access.credential != Credential::Anonymous
            && (state.memory().scheme().is_some()
                || state.ping.peek().is_none_or(|it| it.challenge.is_some()))
    }
    /// Learns the challenge of `GET /v2/`, which is requested once. A failure leaves it unknown.
    pub async fn learn_challenge(&self, endpoint: &Endpoint) {
        let state = self.state(endpoint);
        if state.memory().scheme().is_none()
            && let Ok(Some(challenge)) = self.ask_for_challenge(endpoint).await
        {
            state.learn_scheme(&challenge);
            state.probe.open();
        }
    }
    /// Requests a token for `scopes`, which requests will need soon, if a login is configured. Sends `GET /v2/` first if
    /// no request has learned the challenge: its 401 replaces that of the first request. Preparations that start
    /// together share tokens. A failure is left to the request that needs the token.
    pub async fn prepare(&self, endpoint: &Endpoint, access: &Access, scopes: &ScopeSet) {
        if access.credential == Credential::Anonymous {
            return;
        }
        let state = self.state(endpoint);
        let turn = state.probe.acquire(&Method::HEAD).await;
        if turn.is_first() {
            self.learn_challenge(endpoint).await;
        }
        drop(turn);
        let _ = self.authorize(endpoint, access, scopes).await;
    }
    /// Checks the login alone, as `docker login` does: `GET /v2/` with it.
    pub(super) async fn check_login(&self, endpoint: &Endpoint, access: &Access) -> Checked {
        let authorization = self.authorize(endpoint, access, &ScopeSet::default()).await;
        let Ok(Some(authorization)) = authorization else {
            return Checked::Unclear;
        };
        let action: Arc<str> = "check the login".into();
        let header = Some(authorization.header().clone());
        let Ok(response) = self.request_base(endpoint, &action, 1, header).await else {
            return Checked::Unclear;
        };
        let status = response.status;
        response.body.drain().await;
        match status {
            StatusCode::UNAUTHORIZED => Checked::Refused,
            // It says something of the login where nobody is let in without.
            status if status.is_success() => match self.ask_for_challenge(endpoint).await {
                Ok(Some(_)) => Checked::Accepted,
                _ => Checked::Unclear,
            },
            _ => Checked::Unclear,
        }
    }
    /// Decides on a refused token.
    fn judge_token(
        &self,
        state: &AuthState,
        refusal: &ParsedUnauthorized<'_>,
    ) -> UnauthorizedAction {
        let ParsedUnauthorized {
            access,
            scopes,
            used,
            ..
        } = *refusal;
        let Some(used) = used else {
            return UnauthorizedAction::Again;
        };
        let wanted = state.memory().scopes_for(scopes);
        // Nobody has renewed the token yet if it is the one that would be sent again.
        let current = state
            .tokens
            .find(&access.credential, &wanted)
            .filter(|token| token.header() == used);
        let Some(current) = current else {
            return UnauthorizedAction::Again;
        };
        let ran_out = current.may_have_run_out(&wanted, refusal.insufficient);
        let multi_scope = &state.queues.multi_scope;
        // Not every registry can tell a bad token from one with too few rights.
        let is_bad = ran_out || (refusal.invalid && multi_scope.is_proven());
        if current.is_shared() && !is_bad {
            // The others may be let in with it all the same.
            current.record_use(&wanted, false);
            multi_scope.suspect_batches(&wanted);
            return UnauthorizedAction::Again;
        }
        // With the scopes that the challenge named, another token will be asked for.
        if refusal.has_news || refusal.invalid || ran_out {
            current.discard();
            return UnauthorizedAction::Again;
        }
        if multi_scope.clear_suspicion(&wanted) {
            state.queues.wake();
        }
        UnauthorizedAction::Final(refusal::too_few_rights(
            &self.registry,
            access,
            &wanted,
            state.withheld().as_deref(),
        ))
    }
    /// Decides on a refused Basic login.
    fn judge_basic(&self, refusal: &ParsedUnauthorized<'_>) -> UnauthorizedAction {
        let ParsedUnauthorized { access, used, .. } = *refusal;
        match (&access.credential, used) {
            (Credential::Anonymous, _) => {
                UnauthorizedAction::Final(refusal::no_login(&self.registry, access, None))
            }
            (Credential::Identity(_), _) => {
                UnauthorizedAction::Final(refusal::not_a_password(&self.registry, access))
            }
            (_, None) => UnauthorizedAction::Again,
            (Credential::GoogleServiceAccount(json), Some(used))
                if self.accounts().renew(json, used) =>
            {
                UnauthorizedAction::Again
            }
            _ => UnauthorizedAction::Final(refusal::login_refused(access)),
        }
    }
    /// Returns the challenge of `GET /v2/`, which is requested once.
    async fn ask_for_challenge(&self, endpoint: &Endpoint) -> Result<Option<Challenge>, Error> {
        Ok(self.base_answer(endpoint).await?.challenge)
    }
    /// Returns the status of the answer to `GET /v2/`, asked once, if that answer cannot come from a registry.
    pub(crate) async fn non_registry_status(&self, endpoint: &Endpoint) -> Option<StatusCode> {
        if self.state(endpoint).memory().scheme().is_some() {
            return None;
        }
        let answer = self.base_answer(endpoint).await.ok()?;
        answer.is_no_registry.then_some(answer.status)
    }
    async fn base_answer(&self, endpoint: &Endpoint) -> Result<BaseAnswer, Error> {
        let ask = async {
            let action: Arc<str> = "ask which login is wanted".into();
            let mut attempts = Attempts::new(&self.transport, endpoint, self.retry);
            let mut tries = 1;
            loop {
                // Boxed: it is rare, and the future of every request would have room for it.
                match Box::pin(self.ping(endpoint, &action, tries)).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => tries = attempts.after(error).await?,
                }
            }
        };
        self.state(endpoint).ping.get(|_| true, ask).await
    }
    async fn ping(
        &self,
        endpoint: &Endpoint,
        action: &Arc<str>,
        tries: u32,
    ) -> Result<BaseAnswer, Error> {
        let response = self.request_base(endpoint, action, tries, None).await?;
        let answer = BaseAnswer::new(response.status, &response.headers);
        if response.status == StatusCode::UNAUTHORIZED {
            response.body.drain().await;
            return Ok(answer);
        }
        let error = Error::from_response(action, self.registry.as_str(), response).await;
        match error.retryable() {
            Retryable::No => Ok(answer),
            Retryable::Yes | Retryable::After(_) => Err(error),
        }
    }
    /// Sends `GET /v2/`.
    async fn request_base(
        &self,
        endpoint: &Endpoint,
        action: &Arc<str>,
        tries: u32,
        header: Option<HeaderValue>,
    ) -> Result<Response, Error> {
        let base = self.transport.base_url(endpoint, action).await?;
        let url = base.join("v2/").map_err(|_| {
            Error::new(
                ErrorKind::Protocol,
                &**action,
                self.registry.as_str(),
                "its address makes no URL",
            )
        })?;
        let call = Call {
            action: action.clone(),
            endpoint: endpoint.clone(),
            method: Method::GET,
            url,
            headers: header
                .map(|value| (AUTHORIZATION, value))
                .into_iter()
                .collect(),
            body: RequestBody::Empty,
            lane: Lane::Calls,
            public_only: false,
            answer: AnswerLimit::Normal,
            // A challenge from elsewhere is none of the registry's.
            follow_redirects: false,
            weight: 0,
            tries,
            guard: None,
        };
        self.transport.send(call).await
    }
}

impl AuthState {
    /// Returns whether a refusal is certainly about a missing right.
    fn lacks_right(&self, refusal: &ParsedUnauthorized<'_>) -> bool {
        let wanted = self.memory().scopes_for(refusal.scopes);
        let token = self.tokens.find(&refusal.access.credential, &wanted);
        refusal.insufficient || token.is_some_and(|token| !token.grants(&wanted))
    }
    /// Records the scheme of a challenge. Returns whether it is new.
    fn learn_scheme(&self, challenge: &Challenge) -> bool {
        let mut memory = self.memory();
        let before = memory.scheme();
        memory.learn_scheme(challenge);
        memory.scheme() != before
    }
}

/// A parsed 401 answer.
#[derive(Clone, Copy)]
struct ParsedUnauthorized<'a> {
    access: &'a Access,
    scopes: &'a ScopeSet,
    used: Option<&'a HeaderValue>,
    /// The challenge contains something new.
    has_news: bool,
    /// The challenge calls the token valid but insufficient.
    insufficient: bool,
    /// The challenge calls the token invalid. Another one may be accepted: keys change, servers restart.
    invalid: bool,
}

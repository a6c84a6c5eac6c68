//! What follows a 401.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::auth::authenticator::{AuthState, Authenticator, is_write, shown};
use crate::auth::challenge::{self, Challenge};
use crate::auth::credential::Credential;
use crate::auth::keychain::Access;
use crate::auth::known_scheme::AuthScheme;
use crate::auth::logins::Checked;
use crate::auth::refusal::{self, AuthRefusal};
use crate::auth::scope::ScopeSet;
use crate::error::{Error, ErrorKind, Retryable};
use crate::transport::{AnswerLimit, Attempts, Call, Endpoint, Lane, RequestBody, Response};

/// How often one request is sent again on a [`UnauthorizedAction::Again`]: for the first challenge, for a token that ran out or was
/// to do for several repositories, and for scopes that only the challenge names. A registry that wants more than that
/// will never be content.
pub const MAX_AGAIN: u32 = 3;

/// What to do after a 401.
#[derive(Debug)]
pub enum UnauthorizedAction {
    /// Send the request again, with what [`Authenticator::authorize`] now gives.
    Again,
    /// The credential does not suffice.
    Final(AuthRefusal),
    /// The same, from a host that let the same credential in before: it may pass.
    Passing {
        /// The reason.
        refusal: AuthRefusal,
        /// Set where the same repository let the credential in before.
        is_known: bool,
    },
}

impl Authenticator {
    /// Says that a request with `used` as its header was answered 401 with `headers`. Learns the challenge (asking
    /// `GET /v2/` when the answer holds none) and decides: a challenge that is news, or a token that may have run
    /// out, is worth one more try; a refused fresh token is final. The headers must be the registry's own: an answer
    /// that came from elsewhere after a redirect is no challenge. A caller lets one request have at most
    /// [`MAX_AGAIN`] further tries.
    ///
    /// # Errors
    /// When `GET /v2/` had to be asked and failed.
    pub async fn refused(
        &self,
        endpoint: &Endpoint,
        access: &Access,
        scopes: &ScopeSet,
        sent: (&Method, Option<&HeaderValue>),
        headers: &HeaderMap,
    ) -> Result<UnauthorizedAction, Error> {
        let (method, used) = sent;
        let side = self.side(endpoint);
        let challenge = challenge::best(headers);
        let is_new_scheme = match &challenge {
            Some(challenge) => side.learn_scheme(challenge),
            None if side.memory().scheme().is_none() => {
                let asked = self.ask_for_challenge(endpoint).await?;
                asked.is_some_and(|challenge| side.learn_scheme(&challenge))
            }
            None => false,
        };
        // Nobody will learn more than this one did.
        side.door.open();
        let mut has_news = is_new_scheme;
        let (mut insufficient, mut invalid) = (false, false);
        if let Some(Challenge::Bearer(bearer)) = &challenge {
            let mut memory = side.memory();
            let before = memory.scopes_for(scopes);
            memory.learn_scopes(scopes, bearer);
            has_news |= memory.scopes_for(scopes) != before;
            insufficient = bearer.insufficient;
            invalid = bearer.invalid;
        }
        let understood = ParsedUnauthorized {
            access,
            scopes,
            used,
            has_news,
            insufficient,
            invalid,
        };
        if used.is_none() && !is_write(method) {
            side.guards_reading.store(true, Ordering::Relaxed);
        }
        let scheme = side.memory().scheme();
        let verdict = match (scheme, &access.credential, used) {
            (None, ..) => UnauthorizedAction::Final(refusal::no_challenge()),
            (_, Credential::Bearer(_), Some(_)) => {
                UnauthorizedAction::Final(refusal::login_refused(access))
            }
            (Some(AuthScheme::Bearer { .. }), ..) => self.judge_token(side, &understood),
            (Some(AuthScheme::Basic), ..) => self.judge_basic(&understood),
        };
        let gate = side.logins.gate(shown(access, used), is_write(method));
        Ok(match verdict {
            UnauthorizedAction::Final(refusal)
                if gate.is_proven() && !side.lacks_right(&understood) =>
            {
                let is_known = gate.knows(scopes.head());
                UnauthorizedAction::Passing { refusal, is_known }
            }
            verdict => verdict,
        })
    }
    /// Tells if the registry may want the login of `access` although it has never asked for it: it was not asked at
    /// `/v2/` yet, or asks there.
    pub fn may_ask_for_login(&self, endpoint: &Endpoint, access: &Access) -> bool {
        let side = self.side(endpoint);
        access.credential != Credential::Anonymous
            && (side.memory().scheme().is_some() || side.ping.peek().is_none_or(|it| it.is_some()))
    }
    /// Learns from `GET /v2/`, asked once, which login is wanted. A failure leaves that open.
    pub async fn learn_challenge(&self, endpoint: &Endpoint) {
        let side = self.side(endpoint);
        if side.memory().scheme().is_none()
            && let Ok(Some(challenge)) = self.ask_for_challenge(endpoint).await
        {
            side.learn_scheme(&challenge);
            side.door.open();
        }
    }
    /// Checks the login alone, as `docker login` does: `GET /v2/` with it.
    pub(super) async fn check_login(&self, endpoint: &Endpoint, access: &Access) -> Checked {
        let header = self.authorize(endpoint, access, &ScopeSet::default()).await;
        let Ok(Some(header)) = header else {
            return Checked::Unclear;
        };
        let action: Arc<str> = "check the login".into();
        let Ok(response) = self.request_base(endpoint, &action, 1, Some(header)).await else {
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
    /// The registry hands out tokens.
    fn judge_token(
        &self,
        side: &AuthState,
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
        let wanted = side.memory().scopes_for(scopes);
        // Nobody has renewed the token yet if it is the one that would be sent again.
        let current = side
            .tokens
            .find(&access.credential, &wanted)
            .filter(|token| token.header() == used);
        let Some(current) = current else {
            return UnauthorizedAction::Again;
        };
        let ran_out = current.may_have_run_out(&wanted, refusal.insufficient);
        let habit = &side.lines.habit;
        // Not every registry can tell a bad token from one with too few rights.
        let is_bad = ran_out || (refusal.invalid && habit.is_proven());
        if current.is_shared() && !is_bad {
            // The others may be let in with it all the same.
            current.record_use(&wanted, false);
            habit.suspect_batches(&wanted);
            return UnauthorizedAction::Again;
        }
        // With the scopes that the challenge named, another token will be asked for.
        if refusal.has_news || refusal.invalid || ran_out {
            current.discard();
            return UnauthorizedAction::Again;
        }
        if habit.clear_suspicion(&wanted) {
            side.lines.wake();
        }
        UnauthorizedAction::Final(refusal::too_few_rights(
            &self.registry,
            access,
            &wanted,
            side.withheld().as_deref(),
        ))
    }
    /// The registry takes user and password.
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
    /// What `GET /v2/` is answered with, asked once.
    async fn ask_for_challenge(&self, endpoint: &Endpoint) -> Result<Option<Challenge>, Error> {
        let ask = async {
            let action: Arc<str> = "ask which login is wanted".into();
            let mut attempts = Attempts::new(&self.transport, endpoint, self.retry);
            let mut tries = 1;
            loop {
                match self.ping(endpoint, &action, tries).await {
                    Ok(challenge) => return Ok(challenge),
                    Err(error) => tries = attempts.after(error).await?,
                }
            }
        };
        self.side(endpoint).ping.get(|_| true, ask).await
    }
    async fn ping(
        &self,
        endpoint: &Endpoint,
        action: &Arc<str>,
        tries: u32,
    ) -> Result<Option<Challenge>, Error> {
        let response = self.request_base(endpoint, action, tries, None).await?;
        if response.status == StatusCode::UNAUTHORIZED {
            let challenge = challenge::best(&response.headers);
            response.body.drain().await;
            return Ok(challenge);
        }
        let error = Error::from_response(action, self.registry.as_str(), response).await;
        match error.retryable() {
            Retryable::No => Ok(None),
            Retryable::Yes | Retryable::After(_) => Err(error),
        }
    }
    /// The answer to `GET /v2/`.
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
        };
        self.transport.send(call).await
    }
}

impl AuthState {
    /// Tells if a refusal is about a right for certain.
    fn lacks_right(&self, refusal: &ParsedUnauthorized<'_>) -> bool {
        let wanted = self.memory().scopes_for(refusal.scopes);
        let token = self.tokens.find(&refusal.access.credential, &wanted);
        refusal.insufficient || token.is_some_and(|token| !token.grants(&wanted))
    }
    /// Takes in a challenge's scheme; whether that changed what is known.
    fn learn_scheme(&self, challenge: &Challenge) -> bool {
        let mut memory = self.memory();
        let before = memory.scheme();
        memory.learn_scheme(challenge);
        memory.scheme() != before
    }
}

/// A 401, as far as it has been understood.
#[derive(Clone, Copy)]
struct ParsedUnauthorized<'a> {
    access: &'a Access,
    scopes: &'a ScopeSet,
    used: Option<&'a HeaderValue>,
    /// Whether the challenge told something that was not known.
    has_news: bool,
    /// Whether it says that the token is a good one with too few rights.
    insufficient: bool,
    /// Whether it says that the token is no good one, which another may be: keys are changed, servers restart.
    invalid: bool,
}

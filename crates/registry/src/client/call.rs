//! Pipeline of all requests of the client: credential, base URL, token, one try, the answer to a 401, and the retries
//! of requests that can be repeated.
//!
//! Retries follow the policy of [`Attempts`], except these, which are bounded on their own because they change the
//! request: a 401 is answered with another header at most [`MAX_AGAIN`] times; a login is renewed once; an answer that
//! may hide a login is requested once more with it; redirects are followed [`MAX_HOPS`] times.

use std::time::Duration;

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use url::Url;

use crate::auth::{MAX_AGAIN, ProbeGuard, UnauthorizedAction};
use crate::cause::Cause;
use crate::client::Client;
use crate::client::checked_url::CheckedUrl;
use crate::client::redirect_targets::TargetRequest;
use crate::client::repository_context::RepositoryContext;
use crate::client::request::RequestSpec;
use crate::error::{Error, ErrorKind};
use crate::transport::{Attempts, PauseReason, RequestBody, ReservedPermit, Response};

/// Maximum number of redirects of one POST or PUT. Registries need none, a wrong base URL needs one.
const MAX_HOPS: u32 = 5;

/// Authorization of one request.
pub(super) struct RequestAuth {
    /// Value of `Authorization`; `None` for other hosts and for registries that require none.
    pub(super) header: Option<HeaderValue>,
    /// The request as it is sent to a registry that this one redirected to.
    target: Option<Box<TargetRequest>>,
    /// Held until the answer is known; requests that wait for the first challenge wait for it. `None` for other hosts.
    turn: Option<ProbeGuard>,
}

/// Permission to send a request, or a refusal.
enum Admission {
    Pass(RequestAuth),
    /// An earlier request was refused for good, so this one would be as well.
    Refused(Error),
}

/// Outcome of one try.
#[allow(
    clippy::large_enum_variant,
    reason = "one for each request, taken apart at once"
)]
pub(super) enum CallOutcome {
    /// Any answer except a 401 of the registry itself.
    Answer(Response),
    /// A final 401 of the registry itself, after its token server (if it has one) had granted a token.
    Refused(Error),
}

/// Outcome of one request.
#[allow(
    clippy::large_enum_variant,
    reason = "one for each request, taken apart at once"
)]
enum AttemptOutcome {
    /// Any answer except a 401 of the registry itself.
    Answer(Response),
    /// The request is sent again, with another header.
    Again,
    /// The login is refused for good.
    Refused(Error),
}

/// Progress of one call over redirects and 401 answers.
#[derive(Default)]
struct CallState {
    /// The transport follows redirects.
    follows: bool,
    /// 401 answers so far.
    again: u32,
    hops: u32,
    /// The challenge of `/v2/` was requested because the answer may be hidden.
    is_shown: bool,
}

/// An answer with its whole body.
pub(super) struct BufferedResponse {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) url: Url,
    pub(super) bytes: Bytes,
}

impl Client {
    /// Returns a new counter of tries.
    pub(super) fn attempts(&self, visit: &RepositoryContext) -> Attempts {
        Attempts::new(&self.inner.transport, &visit.endpoint, self.inner.retry)
            .with_repository(&visit.repository)
    }

    /// Returns the base URL of the registry.
    pub(super) async fn base(&self, visit: &RepositoryContext, action: &str) -> Result<Url, Error> {
        self.inner.transport.base_url(&visit.endpoint, action).await
    }

    /// Sends `ask` until an answer `fits` or the error is final.
    pub(super) async fn answer(
        &self,
        ask: &RequestSpec,
        fits: impl Fn(StatusCode) -> bool,
    ) -> Result<Response, Error> {
        match self.outcome(ask, fits).await? {
            CallOutcome::Answer(response) => Ok(response),
            CallOutcome::Refused(error) => Err(error),
        }
    }

    /// Like [`Client::answer`], for callers that handle a 401 of the registry themselves.
    pub(super) async fn outcome(
        &self,
        ask: &RequestSpec,
        fits: impl Fn(StatusCode) -> bool,
    ) -> Result<CallOutcome, Error> {
        let mut visit = self.repository_context(&ask.repository).await?;
        let mut attempts = self.attempts(&visit);
        loop {
            match self.fitting(&mut visit, ask, &fits).await {
                Ok(outcome) => return Ok(outcome),
                Err(error) if ask.once => return Err(error),
                Err(error) => visit.tries = attempts.after(error).await?,
            }
        }
    }

    /// Like [`Client::answer`], and reads at most `limit` bytes of the body within the same tries.
    pub(super) async fn buffered(
        &self,
        ask: &RequestSpec,
        limit: u64,
        fits: impl Fn(StatusCode) -> bool,
    ) -> Result<BufferedResponse, Error> {
        let mut visit = self.repository_context(&ask.repository).await?;
        let mut attempts = self.attempts(&visit);
        loop {
            let read = async {
                let response = match self.fitting(&mut visit, ask, &fits).await? {
                    CallOutcome::Answer(response) => response,
                    CallOutcome::Refused(error) => return Err(error),
                };
                Ok(BufferedResponse {
                    status: response.status,
                    headers: response.headers,
                    url: response.url,
                    bytes: response.body.bytes(limit).await?,
                })
            };
            match read.await {
                Ok(whole) => return Ok(whole),
                Err(error) if ask.once => return Err(error),
                Err(error) => visit.tries = attempts.after(error).await?,
            }
        }
    }

    async fn fitting(
        &self,
        visit: &mut RepositoryContext,
        ask: &RequestSpec,
        fits: impl Fn(StatusCode) -> bool,
    ) -> Result<CallOutcome, Error> {
        match self.once(visit, ask).await? {
            CallOutcome::Answer(response) if !fits(response.status) => {
                Err(ask.failure(response).await)
            }
            outcome => Ok(outcome),
        }
    }

    /// Makes one try, including further requests after a 401 or a redirect.
    pub(super) async fn once(
        &self,
        visit: &mut RepositoryContext,
        ask: &RequestSpec,
    ) -> Result<CallOutcome, Error> {
        self.once_at(visit, ask, None).await
    }

    /// Like [`Client::once`], with the permit `place` for its first request.
    pub(super) async fn once_at(
        &self,
        visit: &mut RepositoryContext,
        ask: &RequestSpec,
        mut place: Option<ReservedPermit>,
    ) -> Result<CallOutcome, Error> {
        let base = self.base(visit, &ask.action).await?;
        let mut address = ask.address(&base)?;
        let mut target = self.target_request(visit, ask, &mut address).await?;
        let mut state = CallState {
            follows: ask.follows() && self.inner.targets.is_empty(),
            ..CallState::default()
        };
        loop {
            let attempt = match &mut target {
                Some(TargetRequest {
                    client,
                    context,
                    ask,
                }) => client.attempt(context, ask, &address, &mut state, &mut place),
                None => self.attempt(visit, ask, &address, &mut state, &mut place),
            };
            let response = match attempt.await? {
                AttemptOutcome::Again => continue,
                AttemptOutcome::Refused(error) => return Ok(CallOutcome::Refused(error)),
                AttemptOutcome::Answer(response) => response,
            };
            let is_unauthorized = response.status == StatusCode::UNAUTHORIZED;
            if is_unauthorized
                && let Some(mut next) = Box::pin(self.learn_target(visit, ask, &response)).await?
            {
                address = CheckedUrl {
                    url: response.url.clone(),
                    home: true,
                };
                let context = target.as_ref().map_or(&*visit, |target| &target.context);
                // A challenge from an unverified connection is not believed for a verified one.
                if next.context.endpoint.insecure == context.endpoint.insecure {
                    if let Some(refusal) = next.refused(None, response, 1).await? {
                        return Ok(CallOutcome::Refused(refusal));
                    }
                    state.again = 1;
                } else {
                    response.body.drain().await;
                }
                target = Some(next);
            } else if let Some(next) = self.redirect(visit, &base, ask, &response).await? {
                response.body.drain().await;
                address = next;
                target = self.target_request(visit, ask, &mut address).await?;
            } else {
                return Ok(CallOutcome::Answer(response));
            }
            state.hops += 1;
            if state.hops > MAX_HOPS {
                let message = format!("the registry redirects more than {MAX_HOPS} times");
                return Err(ask.error(ErrorKind::Refused, message));
            }
        }
    }

    /// Sends a request once, and decides on a 401 of the registry itself.
    async fn attempt(
        &self,
        visit: &mut RepositoryContext,
        ask: &RequestSpec,
        address: &CheckedUrl,
        state: &mut CallState,
        place: &mut Option<ReservedPermit>,
    ) -> Result<AttemptOutcome, Error> {
        let pass = match self.pass(visit, ask, address).await {
            Ok(Admission::Pass(pass)) => pass,
            Ok(Admission::Refused(_)) if self.renew(visit).await? => {
                return Ok(AttemptOutcome::Again);
            }
            Ok(Admission::Refused(error)) => return Ok(AttemptOutcome::Refused(error)),
            // The token server's refusal.
            Err(error) if error.cause() == Cause::LoginRefused && self.renew(visit).await? => {
                return Ok(AttemptOutcome::Again);
            }
            Err(error) => return Err(error),
        };
        let used = pass.header.as_ref();
        let mut call = ask.call(visit, address, used, ask.replayed());
        call.follow_redirects = state.follows;
        let transport = &self.inner.transport;
        let response = match place.take() {
            Some(place) => transport.send_reserved(call, place).await?,
            None if ask.counted => {
                let user = visit.access.credential.user();
                transport.send_counted(call, user).await?
            }
            None => transport.send(call).await?,
        };
        if !self.is_authorized(visit, ask, address, &pass, &response) {
            state.again += 1;
            let refusal = self
                .refused(visit, ask, used, response, state.again)
                .await?;
            return Ok(refusal.map_or(AttemptOutcome::Again, AttemptOutcome::Refused));
        }
        if !state.is_shown && self.may_be_hidden(visit, address, used, &response) {
            state.is_shown = true;
            // Drained first: it holds a permit of the host that is requested next.
            response.body.drain().await;
            self.inner.auth.learn_challenge(&visit.endpoint).await;
            return Ok(AttemptOutcome::Again);
        }
        Ok(AttemptOutcome::Answer(response))
    }

    /// Returns whether an answer to a request without a login may hide something: some registries ask for a login only
    /// at `/v2/`, and answer 404 or 403 elsewhere.
    fn may_be_hidden(
        &self,
        visit: &RepositoryContext,
        address: &CheckedUrl,
        used: Option<&HeaderValue>,
        response: &Response,
    ) -> bool {
        used.is_none()
            && address.home
            && matches!(
                response.status,
                StatusCode::NOT_FOUND | StatusCode::FORBIDDEN
            )
            && self
                .inner
                .auth
                .may_ask_for_login(&visit.endpoint, &visit.access)
    }

    /// Returns the target of a redirect that the transport has not followed.
    async fn redirect(
        &self,
        visit: &RepositoryContext,
        base: &Url,
        ask: &RequestSpec,
        response: &Response,
    ) -> Result<Option<CheckedUrl>, Error> {
        let reads = matches!(ask.method, Method::GET | Method::HEAD);
        let moved = match response.status.as_u16() {
            301..=303 => reads,
            307 | 308 => true,
            _ => false,
        };
        // The transport has followed the redirects of a request that reads, unless they may lead to a target.
        if !moved || (reads && self.inner.targets.is_empty()) {
            return Ok(None);
        }
        let Some(location) = response.headers.get(LOCATION) else {
            return Ok(None);
        };
        let text = location
            .to_str()
            .map_err(|_| ask.error(ErrorKind::Protocol, "the redirect's location is not text"))?;
        let next = self
            .address(visit, base, &response.url, text)
            .await
            .map_err(|astray| ask.forbidden_redirect(astray))?;
        let is_followed = !reads || ask.follows() || self.inner.targets.find(&next.url).is_some();
        Ok(is_followed.then_some(next))
    }

    /// Waits until the host is ready for `ask`. With `going_on`, the caller holds a permit of a source that others in
    /// the queue may wait for, so it does not join the queue.
    pub(super) async fn reserve(
        &self,
        visit: &RepositoryContext,
        ask: &RequestSpec,
        going_on: bool,
    ) -> Result<ReservedPermit, Error> {
        let base = self.base(visit, &ask.action).await?;
        let url = ask.address(&base)?.url;
        let transport = &self.inner.transport;
        let (endpoint, lane) = (&visit.endpoint, ask.lane);
        if going_on {
            return transport
                .reserve_on(endpoint, &url, lane, &ask.action)
                .await;
        }
        transport
            .reserve(endpoint, &url, lane, ask.weight, &ask.action)
            .await
    }

    /// Returns a permit of the host for `ask`, if one is free at once.
    pub(super) async fn try_reserve(
        &self,
        visit: &RepositoryContext,
        ask: &RequestSpec,
    ) -> Option<ReservedPermit> {
        let base = self.base(visit, &ask.action).await.ok()?;
        let url = ask.address(&base).ok()?.url;
        let transport = &self.inner.transport;
        transport.try_reserve(&visit.endpoint, &url, ask.lane)
    }

    /// Pauses the host for `delay`, unless that exceeds the maximum wait.
    pub(super) fn pause_host(&self, visit: &RepositoryContext, delay: Duration, why: PauseReason) {
        if delay <= self.inner.retry.max_retry_after {
            self.inner.transport.pause(&visit.endpoint, delay, why);
        }
    }

    /// Sends `ask` with a permit and a body that can be produced only once. The caller handles a 401 with
    /// [`Client::refused`].
    pub(super) async fn send_once(
        &self,
        visit: &RepositoryContext,
        ask: &RequestSpec,
        reserved: ReservedPermit,
        pass: &RequestAuth,
        body: RequestBody,
    ) -> Result<Response, Error> {
        let base = self.base(visit, &ask.action).await?;
        let mut address = ask.address(&base)?;
        let (client, visit, ask) = match &pass.target {
            Some(target) => {
                address.home = true;
                (&target.client, &target.context, &target.ask)
            }
            None => (self, visit, ask),
        };
        let call = ask.call(visit, &address, pass.header.as_ref(), body);
        let response = self.inner.transport.send_reserved(call, reserved).await?;
        client.is_authorized(visit, ask, &address, pass, &response);
        Ok(response)
    }

    /// Returns the authorization of a request. Waits for a token, and for another request that learns the challenge.
    pub(super) async fn pass_for(
        &self,
        visit: &RepositoryContext,
        ask: &RequestSpec,
    ) -> Result<RequestAuth, Error> {
        let base = self.base(visit, &ask.action).await?;
        let mut address = ask.address(&base)?;
        let target = self.target_request(visit, ask, &mut address).await?;
        let admission = match &target {
            Some(target) => {
                let TargetRequest {
                    client,
                    context,
                    ask,
                } = target;
                Box::pin(client.pass(context, ask, &address)).await?
            }
            None => self.pass(visit, ask, &address).await?,
        };
        match admission {
            Admission::Pass(pass) => Ok(RequestAuth {
                target: target.map(Box::new),
                ..pass
            }),
            Admission::Refused(error) => Err(error),
        }
    }

    /// Returns whether the token covers all scopes of `ask`, as far as the token server says.
    pub(super) async fn may(&self, ask: &RequestSpec) -> Result<bool, Error> {
        let visit = self.repository_context(&ask.repository).await?;
        let auth = &self.inner.auth;
        Ok(auth.grants(&visit.endpoint, &visit.access, &ask.scopes))
    }

    async fn pass(
        &self,
        visit: &RepositoryContext,
        ask: &RequestSpec,
        address: &CheckedUrl,
    ) -> Result<Admission, Error> {
        let auth = &self.inner.auth;
        if !address.home {
            return Ok(Admission::Pass(RequestAuth {
                header: None,
                target: None,
                turn: None,
            }));
        }
        let turn = match auth
            .wait_for_challenge(&visit.endpoint, &visit.access, &ask.method)
            .await
        {
            Ok(turn) => turn,
            Err(error) => {
                let error = error.shared_with(&ask.action);
                return Ok(Admission::Refused(error.with_repository(&ask.repository)));
            }
        };
        Ok(Admission::Pass(RequestAuth {
            header: auth
                .authorize(&visit.endpoint, &visit.access, &ask.scopes)
                .await
                .map_err(|error| error.with_repository(&ask.repository))?,
            target: None,
            turn: Some(turn),
        }))
    }

    /// Returns `false` for a 401 of the registry itself, and reports other answers to the authenticator. An answer from
    /// storage elsewhere says nothing about the token, and neither does a gateway that cannot reach the registry.
    fn is_authorized(
        &self,
        visit: &RepositoryContext,
        ask: &RequestSpec,
        address: &CheckedUrl,
        pass: &RequestAuth,
        response: &Response,
    ) -> bool {
        if !address.home {
            return true;
        }
        let own = response.url.origin() == address.url.origin();
        if own && response.status == StatusCode::UNAUTHORIZED {
            return false;
        }
        if !is_transient_answer(response.status) {
            let used = pass.header.as_ref();
            self.inner.auth.accepted(
                &visit.endpoint,
                &visit.access,
                &ask.scopes,
                &ask.method,
                used,
            );
            if let Some(turn) = &pass.turn {
                turn.record_success();
            }
        }
        true
    }

    /// Handles the `again`th 401 of a request. Returns `None` if the request is worth sending again, and the error
    /// otherwise.
    pub(super) async fn refused(
        &self,
        visit: &mut RepositoryContext,
        ask: &RequestSpec,
        used: Option<&HeaderValue>,
        response: Response,
        again: u32,
    ) -> Result<Option<Error>, Error> {
        let headers = response.headers.clone();
        // Read first: the answer holds a permit of the host that the authenticator may send a request to.
        let told = ask.failure(response).await;
        let auth = &self.inner.auth;
        let (endpoint, sent) = (&visit.endpoint, (&ask.method, used));
        let verdict = auth
            .refused(endpoint, &visit.access, &ask.scopes, sent, &headers)
            .await?;
        let (refusal, passes) = match verdict {
            UnauthorizedAction::Again if again <= MAX_AGAIN => return Ok(None),
            // The answer does not say that the login is the reason.
            UnauthorizedAction::Again => return Ok(Some(told.with_cause(Cause::Other))),
            UnauthorizedAction::Final(refusal) => (refusal, false),
            UnauthorizedAction::Passing { refusal, is_known } => {
                let passes = told.may_pass(visit.tries + again - 1, self.inner.retry, is_known);
                (refusal, passes)
            }
        };
        // Harbor checks the project before rights; Alibaba Cloud refuses types as if rights were missing.
        let is_about_more = matches!(
            told.cause(),
            Cause::ProjectMissing | Cause::MediaTypeRefused
        );
        let error = if is_about_more {
            told
        } else {
            told.with_clause(&refusal.clause).with_cause(refusal.cause)
        };
        auth.login_failed(endpoint, &visit.access, &ask.method, used, &error);
        if passes {
            return Err(error.passing());
        }
        if self.renew(visit).await? {
            return Ok(None);
        }
        Ok(Some(error))
    }

    /// Requests a newer credential once, in place of one that was refused for good.
    async fn renew(&self, visit: &mut RepositoryContext) -> Result<bool, Error> {
        if visit.renewed {
            return Ok(false);
        }
        visit.renewed = true;
        let newer = self
            .inner
            .keychain
            .renewed(&visit.repository, &visit.access)
            .await?;
        Ok(match newer {
            Some(access) => {
                visit.access = access;
                true
            }
            None => false,
        })
    }
}

/// Returns whether an answer is not about the request, so that the server may not have checked the credential.
fn is_transient_answer(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502..)
}

//! The pipeline that every request of this room goes through: credential, base URL, token, one try, the answer to a
//! 401, and, for what can be sent again as it is, the retries.

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

/// The most redirects of one POST or PUT that are followed; registries need none, a misplaced base URL needs one.
const MAX_HOPS: u32 = 5;

/// What lets a request in.
pub(super) struct RequestAuth {
    /// The `Authorization`, `None` for addresses elsewhere and where none is wanted.
    pub(super) header: Option<HeaderValue>,
    /// The request as it is sent to a registry that this one redirected to.
    target: Option<Box<TargetRequest>>,
    /// Held until the answer is known, for those who wait for it; none for addresses elsewhere.
    turn: Option<ProbeGuard>,
}

/// The leave to send a request, or a refusal.
enum Admission {
    Pass(RequestAuth),
    /// An earlier request was refused for good, and this one would be as well.
    Refused(Error),
}

/// What one try came to.
#[allow(
    clippy::large_enum_variant,
    reason = "one for each request, taken apart at once"
)]
pub(super) enum CallOutcome {
    /// An answer, whatever its status, but for the registry's own 401.
    Answer(Response),
    /// The registry itself refused what the token server, if there is one, had granted: 401, for good.
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

/// An answer that was read to its end.
pub(super) struct BufferedResponse {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) url: Url,
    pub(super) bytes: Bytes,
}

impl Client {
    /// A fresh count of tries.
    pub(super) fn attempts(&self, visit: &RepositoryContext) -> Attempts {
        Attempts::new(&self.inner.transport, &visit.endpoint, self.inner.retry)
            .with_repository(&visit.repository)
    }

    /// The registry's base URL.
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

    /// Like [`Client::answer`], for those to whom the registry's own 401 tells something.
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

    /// Like [`Client::answer`], with at most `limit` bytes of the body read within the same tries.
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

    /// One try, with what a 401 or a redirect of a POST or PUT makes of it.
    pub(super) async fn once(
        &self,
        visit: &mut RepositoryContext,
        ask: &RequestSpec,
    ) -> Result<CallOutcome, Error> {
        self.once_at(visit, ask, None).await
    }

    /// [`Client::once`], the first request of it in `place`, if there is one.
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
            // Drained first: it holds a permit of the host that is asked next.
            response.body.drain().await;
            self.inner.auth.learn_challenge(&visit.endpoint).await;
            return Ok(AttemptOutcome::Again);
        }
        Ok(AttemptOutcome::Answer(response))
    }

    /// Tells if an answer to a request without a login may hide what a login shows: some registries ask for one at
    /// `/v2/` alone, and answer 404 or 403 elsewhere.
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

    /// Where a 307 or 308 to a request with a method that the transport does not follow leads.
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

    /// Waits until the host is ready for `ask`; where `going_on`, the caller holds a place of a source, which those
    /// in the line may be waiting for, and does not wait for one here.
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

    /// A place at the host for `ask`, if one is free at once.
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

    /// Leaves the host alone for `delay`, unless that is longer than anything is waited for.
    pub(super) fn pause_host(&self, visit: &RepositoryContext, delay: Duration, why: PauseReason) {
        if delay <= self.inner.retry.max_retry_after {
            self.inner.transport.pause(&visit.endpoint, delay, why);
        }
    }

    /// Sends `ask` with a body that can be produced once, with a permit that is held already; the caller deals with
    /// a 401 by [`Client::refused`].
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

    /// What lets a request in. Waits while another one finds out what the registry wants, and for a token.
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

    /// Whether what lets `ask` in was given for all that it needs, as far as the token server says.
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

    /// Whether the answer is more than the registry's own 401; tells the authenticator where it is. What storage
    /// elsewhere answers says nothing about our token, and neither does what a gateway says for a registry that it
    /// does not reach.
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

    /// Deals with the `again`th 401 to a request: `None` where it is worth sending again, else the error that it is.
    pub(super) async fn refused(
        &self,
        visit: &mut RepositoryContext,
        ask: &RequestSpec,
        used: Option<&HeaderValue>,
        response: Response,
        again: u32,
    ) -> Result<Option<Error>, Error> {
        let headers = response.headers.clone();
        // Read first: the answer holds a permit of the host that the authenticator may want to ask.
        let told = ask.failure(response).await;
        let auth = &self.inner.auth;
        let (endpoint, sent) = (&visit.endpoint, (&ask.method, used));
        let verdict = auth
            .refused(endpoint, &visit.access, &ask.scopes, sent, &headers)
            .await?;
        let (refusal, passes) = match verdict {
            UnauthorizedAction::Again if again <= MAX_AGAIN => return Ok(None),
            // Nobody said that it was the login.
            UnauthorizedAction::Again => return Ok(Some(told.with_cause(Cause::Other))),
            UnauthorizedAction::Final(refusal) => (refusal, false),
            UnauthorizedAction::Passing { refusal, is_known } => {
                let passes = told.may_pass(visit.tries + again - 1, self.inner.retry, is_known);
                (refusal, passes)
            }
        };
        // Harbor looks for the project before it looks at rights; Alibaba Cloud refuses types as if they were rights.
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

    /// Asks once for a newer credential in place of one that was refused for good.
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

/// Whether an answer is about anything but the request: nobody may have looked at who asks.
fn is_transient_answer(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502..)
}

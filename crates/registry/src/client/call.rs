//! Pipeline of all requests of the client: credential, base URL, token, one try, the answer to a 401, and the retries
//! of requests that can be repeated.
//!
//! Retries follow the policy of [`Attempts`], except these, which are bounded on their own because they change the
//! request: a 401 is answered with another header at most [`MAX_AGAIN`](crate::auth::MAX_AGAIN) times; a login is renewed once; an answer that
//! may hide a login is requested once more with it; redirects are followed [`MAX_HOPS`] times.

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use crate::client::Client;
use crate::client::authorization::Admission;
use crate::client::call_outcome::CallOutcome;
use crate::client::checked_url::CheckedUrl;
use crate::client::redirect_targets::TargetRequest;
use crate::client::request::RequestSpec;
use crate::client::request_context::RequestContext;
use crate::error::{Cause, Error, ErrorKind, Retryable};
use crate::transport::{Attempts, ReservedPermit, Response};

/// Maximum number of redirects of one POST or PUT. Registries need none, a wrong base URL needs one.
const MAX_HOPS: u32 = 5;

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
    /// The login is refused permanently.
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
    /// A host of the public internet led to the present address or to an earlier one.
    led_by_public: bool,
    /// The challenge of `/v2/` was requested because the answer may be hidden.
    is_shown: bool,
}

impl CallState {
    /// Counts a redirect.
    fn count_hop(&mut self, request: &RequestSpec) -> Result<(), Error> {
        self.hops += 1;
        if self.hops > MAX_HOPS {
            let message = format!("the registry redirects more than {MAX_HOPS} times");
            return Err(request.error(ErrorKind::Refused, message));
        }
        Ok(())
    }
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
    pub(super) fn attempts(&self, context: &RequestContext) -> Attempts {
        Attempts::new(&self.inner.transport, &context.endpoint, self.inner.retry)
            .with_resource(&context.resource)
    }

    /// Returns the base URL of the registry.
    pub(super) async fn base(&self, context: &RequestContext, action: &str) -> Result<Url, Error> {
        self.inner
            .transport
            .base_url(&context.endpoint, action)
            .await
    }

    /// Sends `request` until an answer `fits` or the error is final.
    pub(super) async fn answer(
        &self,
        request: &RequestSpec,
        fits: impl Fn(StatusCode) -> bool,
    ) -> Result<Response, Error> {
        match self.outcome(request, fits).await? {
            CallOutcome::Answer(response) => Ok(response),
            CallOutcome::Refused(error) => Err(error),
        }
    }

    /// Like [`Client::answer`], for callers that handle a 401 of the registry themselves.
    pub(super) async fn outcome(
        &self,
        request: &RequestSpec,
        fits: impl Fn(StatusCode) -> bool,
    ) -> Result<CallOutcome, Error> {
        match self.tried(request, fits).await {
            Ok(CallOutcome::Refused(error)) => {
                Ok(CallOutcome::Refused(self.with_reason(request, error).await))
            }
            Err(error) => Err(self.with_reason(request, error).await),
            answered => answered,
        }
    }

    async fn tried(
        &self,
        request: &RequestSpec,
        fits: impl Fn(StatusCode) -> bool,
    ) -> Result<CallOutcome, Error> {
        let mut context = self.request_context(&request.resource).await?;
        let mut attempts = self.attempts(&context);
        loop {
            match self.fitting(&mut context, request, &fits).await {
                Ok(outcome) => return Ok(outcome),
                Err(error) if request.once => return Err(error),
                Err(error) => context.tries = attempts.after(error).await?,
            }
        }
    }

    /// Like [`Client::answer`], and reads at most `limit` bytes of the body within the same tries.
    pub(super) async fn buffered(
        &self,
        request: &RequestSpec,
        limit: u64,
        fits: impl Fn(StatusCode) -> bool,
    ) -> Result<BufferedResponse, Error> {
        let mut context = self.request_context(&request.resource).await?;
        let mut attempts = self.attempts(&context);
        loop {
            let read = async {
                let response = match self.fitting(&mut context, request, &fits).await? {
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
                Err(error) if request.once => return Err(error),
                Err(error) => context.tries = attempts.after(error).await?,
            }
        }
    }

    async fn fitting(
        &self,
        context: &mut RequestContext,
        request: &RequestSpec,
        fits: impl Fn(StatusCode) -> bool,
    ) -> Result<CallOutcome, Error> {
        match self.once(context, request).await? {
            CallOutcome::Answer(response) if !fits(response.status) => {
                Err(request.failure(response).await)
            }
            outcome => Ok(outcome),
        }
    }

    /// Makes one try, including further requests after a 401 or a redirect.
    pub(super) async fn once(
        &self,
        context: &mut RequestContext,
        request: &RequestSpec,
    ) -> Result<CallOutcome, Error> {
        // Boxed: the futures of callers nest this one, and the compiler limits their depth.
        Box::pin(self.once_at(context, request, None)).await
    }

    /// Like [`Client::once`], with the permit `place` for its first request.
    pub(super) async fn once_at(
        &self,
        context: &mut RequestContext,
        request: &RequestSpec,
        mut place: Option<ReservedPermit>,
    ) -> Result<CallOutcome, Error> {
        let base = self.base(context, &request.action).await?;
        let mut address = request.address(&base)?;
        let mut target = self.target_request(context, request, &mut address).await?;
        let mut state = CallState {
            follows: request.follows() && self.inner.targets.is_empty(),
            ..CallState::default()
        };
        loop {
            let attempt = match target.as_deref_mut() {
                Some(TargetRequest {
                    client,
                    context,
                    request,
                }) => client.attempt(context, request, &address, &mut state, &mut place),
                None => self.attempt(context, request, &address, &mut state, &mut place),
            };
            let response = match attempt.await? {
                AttemptOutcome::Again => continue,
                AttemptOutcome::Refused(error) => return Ok(CallOutcome::Refused(error)),
                AttemptOutcome::Answer(response) => response,
            };
            let is_unauthorized = response.status == StatusCode::UNAUTHORIZED;
            if is_unauthorized
                && let Some(mut next) =
                    Box::pin(self.learn_target(context, request, &response)).await?
            {
                address = CheckedUrl::at_registry(response.url.clone());
                let context = target.as_ref().map_or(&*context, |target| &target.context);
                // A challenge from an unverified connection is not believed for a verified one.
                if next.context.endpoint.exceptions == context.endpoint.exceptions {
                    if let Some(refusal) = next.refused(None, response, 1).await? {
                        return Ok(CallOutcome::Refused(refusal));
                    }
                    state.again = 1;
                } else {
                    response.body.drain().await;
                }
                target = Some(next);
            } else if let Some(next) = self.redirect(context, &base, request, &response).await? {
                state.led_by_public |= !self.inner.transport.is_url_inside(&response.url);
                response.body.drain().await;
                address = CheckedUrl {
                    public_only: state.led_by_public && !next.home,
                    ..next
                };
                target = self.target_request(context, request, &mut address).await?;
            } else {
                return Ok(CallOutcome::Answer(response));
            }
            state.count_hop(request)?;
        }
    }

    /// Sends a request once, and decides on a 401 of the registry itself.
    async fn attempt(
        &self,
        context: &mut RequestContext,
        request: &RequestSpec,
        address: &CheckedUrl,
        state: &mut CallState,
        place: &mut Option<ReservedPermit>,
    ) -> Result<AttemptOutcome, Error> {
        let pass = match self.pass(context, request, address).await {
            Ok(Admission::Pass(pass)) => pass,
            Ok(Admission::Refused(_)) if self.renew(context).await? => {
                return Ok(AttemptOutcome::Again);
            }
            Ok(Admission::Refused(error)) => return Ok(AttemptOutcome::Refused(error)),
            // The token server's refusal.
            Err(error) if error.cause() == Cause::LoginRefused && self.renew(context).await? => {
                return Ok(AttemptOutcome::Again);
            }
            Err(error) => return Err(error),
        };
        let used = pass.header();
        let mut call = request.call(context, address, used, request.replayed());
        call.follow_redirects = state.follows;
        let transport = &self.inner.transport;
        let response = match place.take() {
            Some(place) => transport.send_reserved(call, place).await?,
            None if request.counted => {
                let user = context.access.credential.user();
                transport.send_counted(call, user).await?
            }
            None => transport.send(call).await?,
        };
        if !self.is_authorized(context, request, address, &pass, &response) {
            state.again += 1;
            let refused = self.refused(context, request, used, response, state.again);
            let refusal = Box::pin(refused).await?;
            return Ok(refusal.map_or(AttemptOutcome::Again, AttemptOutcome::Refused));
        }
        if !state.is_shown && self.may_be_hidden(context, address, used, &response) {
            state.is_shown = true;
            // Drained first: it holds a permit of the host that is requested next.
            response.body.drain().await;
            Box::pin(self.inner.auth.learn_challenge(&context.endpoint)).await;
            return Ok(AttemptOutcome::Again);
        }
        Ok(AttemptOutcome::Answer(response))
    }

    /// Returns the target of a redirect that the transport has not followed.
    async fn redirect(
        &self,
        context: &RequestContext,
        base: &Url,
        request: &RequestSpec,
        response: &Response,
    ) -> Result<Option<CheckedUrl>, Error> {
        let reads = matches!(request.method, Method::GET | Method::HEAD);
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
        let text = location.to_str().map_err(|_| {
            request.error(ErrorKind::Protocol, "the redirect's location is not text")
        })?;
        let next = self
            .address(context, base, &response.url, text)
            .await
            .map_err(|astray| request.forbidden_redirect(astray))?;
        let is_followed =
            !reads || request.follows() || self.inner.targets.find(&next.url).is_some();
        Ok(is_followed.then_some(next))
    }
}

/// Returns whether the registry may have carried out a request despite `error`.
pub(super) fn may_have_arrived(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Broken | ErrorKind::Stalled => true,
        // A server that names a time has not processed the request.
        ErrorKind::Server => !matches!(error.retryable(), Retryable::After(_)),
        _ => false,
    }
}

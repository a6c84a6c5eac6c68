//! One try of a call: permit, pause, exchange, redirects.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, StatusCode, Version};
use tokio::time::Instant;
use url::Url;

use crate::error::{Cause, Error, ErrorKind};
use crate::reference::Registry;
use crate::transport::body::{BodyGuard, ResponseBody};
use crate::transport::context::{ErrorContext, authority, is_host_of};
use crate::transport::exchange::{Exchanged, content_length};
use crate::transport::limits::{Permit, ResponseHead, Throttle, Urgency, declares_quota};
use crate::transport::request_body::{self, RequestBody};
use crate::transport::request_plan::{Hop, RequestPlan};
use crate::transport::shutdown_deadline::{DeadlineExceeded, OVER};
use crate::transport::{
    AnswerLimit, Call, Endpoint, ForbiddenRedirect, Lane, Response, Transport, Trust, redirect,
};

/// Longest pause that a reserved request waits for: its source is open, and its token may expire.
const SHORT_PAUSE: Duration = Duration::from_secs(2);

/// Permission for one call at one host, released when dropped.
#[derive(Debug)]
pub struct ReservedPermit {
    permit: Permit,
    /// Time from which the registry's limits allow the call. `None`: no registry had refused anything by then.
    admitted: Option<Instant>,
}

impl Transport {
    /// Makes one try: waits for the host's permit and for the end of its pause, sends, follows redirects.
    ///
    /// Every status is an `Ok`. The permit is held until the body is read or dropped, so a caller must read,
    /// [drain](ResponseBody::drain) or drop it before other calls. If the producer of the request's body stopped, the
    /// error is [`ErrorKind::Cancelled`], and the producer knows the reason.
    #[doc(hidden)]
    pub async fn send(&self, call: Call) -> Result<Response, Error> {
        let turn = Urgency::InLine(call.weight);
        let reserved = self
            .admit(&call.endpoint, &call.url, call.lane, turn, &call.action)
            .await?;
        self.send_reserved(call, reserved).await
    }

    /// Waits for the host's permit and for the end of its pause, for a call to `url` that is sent next. For callers
    /// that must first know that the host is ready: they get a token that must not expire, or open the source of a
    /// body. `weight` is that of the [`Call`].
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`] if the pause is longer than the run: see [`Transport::set_shutdown_deadline`].
    #[doc(hidden)]
    pub async fn reserve(
        &self,
        endpoint: &Endpoint,
        url: &Url,
        lane: Lane,
        weight: u64,
        action: &Arc<str>,
    ) -> Result<ReservedPermit, Error> {
        self.admit(endpoint, url, lane, Urgency::InLine(weight), action)
            .await
    }

    /// Reserves a permit like [`Transport::reserve`], for a caller that already holds a permit in another lane. Others
    /// may hold all permits here and wait for that one, so this one is granted even beyond the limit.
    ///
    /// # Errors
    /// As for [`Transport::reserve`].
    #[doc(hidden)]
    pub async fn reserve_on(
        &self,
        endpoint: &Endpoint,
        url: &Url,
        lane: Lane,
        action: &Arc<str>,
    ) -> Result<ReservedPermit, Error> {
        self.admit(endpoint, url, lane, Urgency::AtOnce, action)
            .await
    }

    async fn admit(
        &self,
        endpoint: &Endpoint,
        url: &Url,
        lane: Lane,
        turn: Urgency,
        action: &Arc<str>,
    ) -> Result<ReservedPermit, Error> {
        let permit = self
            .limits
            .acquire(&endpoint.registry, authority(url), lane, turn)
            .await;
        match self.wait_for_limits(&endpoint.registry).await {
            Ok(()) => Ok(self.reserved(permit)),
            Err(DeadlineExceeded) => Err(self.cancelled(endpoint, url, action)),
        }
    }

    fn reserved(&self, permit: Permit) -> ReservedPermit {
        let admitted = self.rates.has_refusals().then(Instant::now);
        ReservedPermit { permit, admitted }
    }

    fn cancelled(&self, endpoint: &Endpoint, url: &Url, action: &Arc<str>) -> Error {
        ErrorContext::new(action, endpoint, url, self.redactor.clone())
            .error(ErrorKind::Cancelled, OVER)
    }

    /// Waits until `registry` is not paused, and its limits allow another request.
    async fn wait_for_limits(&self, registry: &Registry) -> Result<(), DeadlineExceeded> {
        loop {
            self.pauses.resumed(registry, &self.shutdown).await?;
            let turn = self.rates.admit(registry);
            if turn.is_now() {
                return Ok(());
            }
            turn.wait(&self.shutdown).await?;
            // After a pause, all that waited for their turns in the meantime would start at once.
            if !self.pauses.is_paused(registry) {
                return Ok(());
            }
        }
    }

    /// Returns a permit for a call to `url`, if one is free now and the host is not paused: for calls that only make
    /// something faster.
    #[doc(hidden)]
    pub fn try_reserve(
        &self,
        endpoint: &Endpoint,
        url: &Url,
        lane: Lane,
    ) -> Option<ReservedPermit> {
        let registry = &endpoint.registry;
        if self.pauses.is_paused(registry) || self.rates.is_paced(registry) {
            return None;
        }
        let permit = self.limits.try_acquire(registry, authority(url), lane)?;
        // With a limit of the user's, optional calls would only delay the others.
        let limited = self.rates.limits_requests(registry) || self.rates.bytes(registry).is_some();
        (!limited).then(|| self.reserved(permit))
    }

    /// Makes one try like [`Transport::send`], with a permit for the same host and lane.
    #[doc(hidden)]
    pub async fn send_reserved(
        &self,
        call: Call,
        reserved: ReservedPermit,
    ) -> Result<Response, Error> {
        let ReservedPermit { permit, admitted } = reserved;
        let registry = &call.endpoint.registry;
        // After a pause, all that reserved before it would start at once.
        if self.rates.was_paused_since(registry, admitted)
            && !self.pauses.is_paused_beyond(registry, SHORT_PAUSE)
        {
            let waited = Box::pin(self.wait_for_limits(registry)).await;
            waited.map_err(|DeadlineExceeded| {
                self.cancelled(&call.endpoint, &call.url, &call.action)
            })?;
        }
        // Boxed, so that a future that waits for a permit stays small.
        Box::pin(self.follow_redirects(call, permit)).await
    }

    async fn follow_redirects(&self, call: Call, mut permit: Permit) -> Result<Response, Error> {
        let (plan, mut hop, body) = self.prepare(call)?;
        let mut body = request_body::drained_if_empty(body)
            .await
            .map_err(|aborted| hop.context.error(ErrorKind::Cancelled, aborted.to_string()))?;
        for hops in 0..=redirect::MAX_HOPS {
            let is_unverified = plan.endpoint.exceptions.is_unverified();
            let host = (hop.context.shared_host(), is_unverified);
            let waits = matches!(body, RequestBody::Empty);
            let contact = self.wait_for_host(host, waits, &plan.action).await?;
            let start = Instant::now();
            let body = std::mem::replace(&mut body, RequestBody::Empty);
            let exchanged = self.exchange(&plan, &hop, body).await;
            contact.ended(exchanged.as_ref().err());
            if let Ok(answered) = &exchanged {
                self.record_refusal(&plan, &hop, answered);
            }
            // Only the latencies of HEADs without redirects are comparable.
            let alike = hops == 0 && plan.method == Method::HEAD;
            self.record_outcome(
                &plan,
                &mut permit,
                &exchanged,
                alike.then(|| start.elapsed()),
            );
            let (answer, abort_guard) = exchanged?;
            let (status, own) = (answer.status(), answer.headers());
            let Some(target) = self.redirection(&plan, &hop, status, own).await? else {
                let throttle = self.rates.bytes(&plan.endpoint.registry).map(Throttle::new);
                let watch = (answer.version() == Version::HTTP_2)
                    .then(|| self.http2.watch(authority(&hop.url).to_owned(), plan.tries));
                let guard = BodyGuard::new(
                    hop.context,
                    self.options.timeouts.stall,
                    permit,
                    abort_guard,
                );
                let registry = plan.endpoint.registry.as_str();
                let guard = guard
                    .with_throttle(throttle)
                    .with_http2(watch)
                    .with_counters(self.observer().byte_counters(registry));
                return Ok(respond(&plan, hop.url, answer, guard));
            };
            answer.into_body().drain().await;
            let turn = self.rates.request(&plan.endpoint.registry);
            let waited = turn.wait(&self.shutdown).await;
            waited.map_err(|DeadlineExceeded| hop.context.error(ErrorKind::Cancelled, OVER))?;
            let led_by_public = hop.led_by_public || !self.network.is_inside(&hop.url);
            hop = hop.onward(target, led_by_public);
        }
        Err(hop.context.error(
            ErrorKind::Refused,
            format!("more than {} redirects", redirect::MAX_HOPS),
        ))
    }

    fn prepare(&self, call: Call) -> Result<(RequestPlan, Hop, RequestBody), Error> {
        let redactor = self.redactor.clone();
        let context = ErrorContext::new(&call.action, &call.endpoint, &call.url, redactor);
        if call.url.scheme() != "https" && !call.endpoint.exceptions.plain_http {
            return Err(context
                .error(
                    ErrorKind::Refused,
                    "plain http is used only for registries that are marked insecure",
                )
                .with_cause(Cause::Downgrade));
        }
        let trust = if call.endpoint.exceptions.any_certificate {
            Trust::Anything
        } else {
            Trust::Verified
        };
        let timeouts = &self.options.timeouts;
        let plan = RequestPlan {
            action: call.action,
            endpoint: call.endpoint,
            method: call.method,
            trust,
            lane: call.lane,
            answer: match call.answer {
                AnswerLimit::Normal => timeouts.stall,
                AnswerLimit::Closing => timeouts.closing,
            },
            follow: call.follow_redirects,
            tries: call.tries,
            public_only: call.public_only,
            guard: call.guard,
        };
        let mut headers = call.headers;
        if !headers.contains_key(USER_AGENT)
            && let Some(agent) = &self.user_agent
        {
            headers.insert(USER_AGENT, agent.clone());
        }
        // Digests and lengths are those of the stored bytes.
        headers
            .entry(ACCEPT_ENCODING)
            .or_insert(HeaderValue::from_static("identity"));
        // Proxies answer 411 to a POST without the length of its empty body.
        let empty = matches!(
            call.body,
            RequestBody::Empty | RequestBody::Stream { length: 0, .. }
        );
        if empty && matches!(plan.method, Method::POST | Method::PUT | Method::PATCH) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let hop = Hop {
            context,
            url: call.url,
            headers,
            led_by_public: call.public_only,
        };
        Ok((plan, hop, call.body))
    }

    /// Records a 429 of the registry itself, which may teach the rate that it can take.
    fn record_refusal(&self, plan: &RequestPlan, hop: &Hop, exchanged: &Exchanged) {
        let (answer, _) = exchanged;
        let registry = &plan.endpoint.registry;
        if answer.status() != StatusCode::TOO_MANY_REQUESTS
            || !is_host_of(registry, &hop.url)
            || declares_quota(answer.headers())
        {
            return;
        }
        let accepted = || self.limits.restart_count(registry, authority(&hop.url));
        self.rates.record_refusal(registry, accepted);
    }

    /// Adjusts the window after a request, and reports if it became narrower.
    fn record_outcome(
        &self,
        plan: &RequestPlan,
        permit: &mut Permit,
        exchanged: &Result<Exchanged, Error>,
        latency: Option<Duration>,
    ) {
        let narrowed = match exchanged {
            Ok((answer, _)) => permit.record_answer(ResponseHead {
                status: answer.status(),
                version: answer.version(),
                latency,
            }),
            Err(error) => permit.failed(error.kind()),
        };
        if let Some(size) = narrowed {
            let host = plan.endpoint.registry.as_str();
            self.observer().narrowed(host, plan.lane, size);
        }
    }

    /// Returns the allowed target of a redirect, or `None` if the answer is not a redirect.
    async fn redirection(
        &self,
        plan: &RequestPlan,
        hop: &Hop,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<Option<Url>, Error> {
        if !plan.follow {
            return Ok(None);
        }
        let target = redirect::target(&plan.method, status, headers, &hop.url)
            .map_err(|why| hop.context.error(ErrorKind::Protocol, why))?;
        let Some(target) = target else {
            return Ok(None);
        };
        self.may_lead(&plan.endpoint, &hop.url, &target)
            .await
            .map_err(|ForbiddenRedirect { cause, why }| {
                let message = format!("it redirects {why}");
                hop.context
                    .error(ErrorKind::Refused, message)
                    .with_cause(cause)
            })?;
        Ok(Some(target))
    }
}

fn respond(
    plan: &RequestPlan,
    url: Url,
    answer: http::Response<ResponseBody>,
    guard: BodyGuard,
) -> Response {
    let (parts, body) = answer.into_parts();
    let expected = content_length(&plan.method, parts.status, &parts.headers);
    Response {
        status: parts.status,
        headers: parts.headers,
        url,
        body: body.guarded(guard, expected),
    }
}

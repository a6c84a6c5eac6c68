//! One try: permit, pause, exchange, redirects.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, StatusCode, Version};
use tokio::time::Instant;
use url::Url;

use crate::cause::Cause;
use crate::error::{Error, ErrorKind};
use crate::reference::Registry;
use crate::transport::body::{self, BodyGuard, RequestBody, ResponseBody};
use crate::transport::context::{RequestContext, authority};
use crate::transport::exchange::{Exchanged, content_length};
use crate::transport::limits::{Permit, ResponseHead, Throttle, Urgency};
use crate::transport::shutdown_deadline::DeadlineExceeded;
use crate::transport::{
    AnswerLimit, Astray, Call, Endpoint, Lane, Response, Transport, Trust, redirect,
};

/// Leave to make one call at one host; given back when dropped.
#[derive(Debug)]
pub struct ReservedPermit(Permit);

/// Why a wait ended early.
pub(super) const OVER: &str = "the run ends before it may be asked again";

/// What stays the same over the hops of a call.
pub(super) struct RequestPlan {
    pub(super) action: Arc<str>,
    pub(super) endpoint: Endpoint,
    pub(super) method: Method,
    pub(super) trust: Trust,
    pub(super) lane: Lane,
    pub(super) answer: Duration,
    follow: bool,
    pub(super) tries: u32,
    pub(super) public_only: bool,
}

/// One exchange of a trip.
pub(super) struct Hop {
    pub(super) place: RequestContext,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    /// A host of the public internet led here.
    pub(super) led_by_public: bool,
}

impl Transport {
    /// Makes one try: waits for the host's permit and for the end of its pause, sends, follows redirects.
    ///
    /// Any status is an `Ok`. The permit is held until the body is read or dropped, so a caller that goes on to make
    /// other calls first reads, [drains](ResponseBody::drain) or drops it. Where the producer of the request's body
    /// gave up, the error is [`ErrorKind::Cancelled`], and the producer knows why.
    pub async fn send(&self, call: Call) -> Result<Response, Error> {
        let turn = Urgency::InLine(call.weight);
        let reserved = self
            .admit(&call.endpoint, &call.url, call.lane, turn, &call.action)
            .await?;
        self.send_reserved(call, reserved).await
    }

    /// Waits for the host's permit and for the end of its pause, for a call to `url` that is sent next: for those
    /// who must not do what comes before it (get a token that will not have run out, open the source of a body) until
    /// the host is ready for them. `weight` is that of the [`Call`].
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`] where the pause is longer than the run: see [`Transport::set_shutdown_deadline`].
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

    /// [`Transport::reserve`] for those who go on with what has a place in another lane: others may hold all places
    /// here and wait for that one, so a permit is given even where none is left.
    ///
    /// # Errors
    /// As for [`Transport::reserve`].
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
        let permit = self.limits.acquire(authority(url), lane, turn).await;
        match self.wait_for_limits(&endpoint.registry).await {
            Ok(()) => Ok(ReservedPermit(permit)),
            Err(DeadlineExceeded) => {
                Err(
                    RequestContext::new(action, endpoint, url, self.redactor.clone())
                        .error(ErrorKind::Cancelled, OVER),
                )
            }
        }
    }

    /// Waits until nothing pauses `registry` and the user's limit allows one request more.
    async fn wait_for_limits(&self, registry: &Registry) -> Result<(), DeadlineExceeded> {
        loop {
            self.pauses.resumed(registry, &self.patience).await?;
            let Some(turn) = self.rates.request(registry) else {
                return Ok(());
            };
            if turn <= Instant::now() {
                return Ok(());
            }
            self.patience.until(turn).await?;
            // After a pause all that waited for their turns meanwhile would go at once.
            if !self.pauses.is_paused(registry) {
                return Ok(());
            }
        }
    }

    /// A permit for a call to `url`, where the host has one that is free at once and is not paused: for calls that
    /// make something faster and are done without otherwise.
    pub fn try_reserve(
        &self,
        endpoint: &Endpoint,
        url: &Url,
        lane: Lane,
    ) -> Option<ReservedPermit> {
        let registry = &endpoint.registry;
        if self.pauses.is_paused(registry) {
            return None;
        }
        let permit = self.limits.try_acquire(authority(url), lane)?;
        // Where there is a limit, what can be done without would only be in the way of the rest.
        let limited = self.rates.limits_requests(registry) || self.rates.bytes(registry).is_some();
        (!limited).then_some(ReservedPermit(permit))
    }

    /// [`Transport::send`] with a permit that is held already, for the same host and lane.
    pub async fn send_reserved(
        &self,
        call: Call,
        reserved: ReservedPermit,
    ) -> Result<Response, Error> {
        // On the heap: who waits for a place need not carry the room for the rest.
        Box::pin(self.follow_redirects(call, reserved.0)).await
    }

    async fn follow_redirects(&self, call: Call, mut permit: Permit) -> Result<Response, Error> {
        let (trip, mut hop, body) = self.prepare(call)?;
        let mut body = body::if_any(body)
            .await
            .map_err(|aborted| hop.place.error(ErrorKind::Cancelled, aborted.to_string()))?;
        for hops in 0..=redirect::MAX_HOPS {
            let host = (hop.place.host().to_owned(), trip.endpoint.insecure);
            let waits = matches!(body, RequestBody::Empty);
            let contact = self.wait_for_host(host, waits, &trip.action).await?;
            let start = Instant::now();
            let body = std::mem::replace(&mut body, RequestBody::Empty);
            let exchanged = self.exchange(&trip, &hop, body).await;
            contact.ended(exchanged.as_ref().err());
            // Of all requests, HEADs that lead nowhere else are alike.
            let alike = hops == 0 && trip.method == Method::HEAD;
            self.record_outcome(
                &trip,
                &mut permit,
                &exchanged,
                alike.then(|| start.elapsed()),
            );
            let (answer, leash) = exchanged?;
            let (status, own) = (answer.status(), answer.headers());
            let Some(target) = self.redirection(&trip, &hop, status, own).await? else {
                let throttle = self.rates.bytes(&trip.endpoint.registry).map(Throttle::new);
                let watch = (answer.version() == Version::HTTP_2)
                    .then(|| self.http2.watch(authority(&hop.url), trip.tries));
                let guard = BodyGuard::new(hop.place, self.options.timeouts.stall, permit, leash);
                let guard = guard.with_throttle(throttle).with_http2(watch);
                return Ok(respond(&trip, hop.url, answer, guard));
            };
            answer.into_body().drain().await;
            if let Some(turn) = self.rates.request(&trip.endpoint.registry) {
                let waited = self.patience.until(turn).await;
                waited.map_err(|DeadlineExceeded| hop.place.error(ErrorKind::Cancelled, OVER))?;
            }
            let led_by_public = hop.led_by_public || !self.network.is_inside(&hop.url);
            hop = hop.onward(target, led_by_public);
        }
        Err(hop.place.error(
            ErrorKind::Refused,
            format!("more than {} redirects", redirect::MAX_HOPS),
        ))
    }

    fn prepare(&self, call: Call) -> Result<(RequestPlan, Hop, RequestBody), Error> {
        let redactor = self.redactor.clone();
        let place = RequestContext::new(&call.action, &call.endpoint, &call.url, redactor);
        if call.url.scheme() != "https" && !call.endpoint.insecure {
            return Err(place
                .error(
                    ErrorKind::Refused,
                    "plain http is used only for registries that are marked insecure",
                )
                .with_cause(Cause::Downgrade));
        }
        let trust = if call.endpoint.insecure {
            Trust::Anything
        } else {
            Trust::Verified
        };
        let timeouts = &self.options.timeouts;
        let trip = RequestPlan {
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
        };
        let mut headers = call.headers;
        if !headers.contains_key(USER_AGENT)
            && let Ok(agent) = HeaderValue::from_str(&self.options.user_agent)
        {
            headers.insert(USER_AGENT, agent);
        }
        // Digests and lengths are those of the stored bytes.
        headers
            .entry(ACCEPT_ENCODING)
            .or_insert(HeaderValue::from_static("identity"));
        // Proxies answer 411 to a POST that does not say that its body is empty.
        let empty = matches!(
            call.body,
            RequestBody::Empty | RequestBody::Stream { length: 0, .. }
        );
        if empty && matches!(trip.method, Method::POST | Method::PUT | Method::PATCH) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let hop = Hop {
            place,
            url: call.url,
            headers,
            led_by_public: call.public_only,
        };
        Ok((trip, hop, call.body))
    }

    /// Tells the window what became of a request, and the observer where that narrowed it.
    fn record_outcome(
        &self,
        trip: &RequestPlan,
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
            let host = trip.endpoint.registry.as_str();
            self.observer().narrowed(host, trip.lane, size);
        }
    }

    /// Where the answer redirects to, if it may.
    async fn redirection(
        &self,
        trip: &RequestPlan,
        hop: &Hop,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<Option<Url>, Error> {
        if !trip.follow {
            return Ok(None);
        }
        let target = redirect::target(&trip.method, status, headers, &hop.url)
            .map_err(|why| hop.place.error(ErrorKind::Protocol, why))?;
        let Some(target) = target else {
            return Ok(None);
        };
        self.may_lead(&trip.endpoint, &hop.url, &target)
            .await
            .map_err(|Astray { cause, why }| {
                let message = format!("it redirects {why}");
                hop.place
                    .error(ErrorKind::Refused, message)
                    .with_cause(cause)
            })?;
        Ok(Some(target))
    }
}

impl Hop {
    /// The next request after a redirect, with what may leave the origin.
    fn onward(mut self, target: Url, led_by_public: bool) -> Self {
        if !redirect::same_origin(&self.url, &target) {
            redirect::strip_private_headers(&mut self.headers);
        }
        Self {
            place: self.place.redirected_to(&target),
            url: target,
            headers: self.headers,
            led_by_public,
        }
    }
}

fn respond(
    trip: &RequestPlan,
    url: Url,
    answer: http::Response<ResponseBody>,
    guard: BodyGuard,
) -> Response {
    let (parts, body) = answer.into_parts();
    let expected = content_length(&trip.method, parts.status, &parts.headers);
    Response {
        status: parts.status,
        headers: parts.headers,
        url,
        body: body.guarded(guard, expected),
    }
}

//! One try: permit, pause, exchange, redirects.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, StatusCode};
use tokio::time::Instant;
use url::Url;

use crate::cause::Cause;
use crate::error::{Error, ErrorKind};
use crate::reference::Registry;
use crate::text;
use crate::transport::body::{self, BodyGuard, RequestBody, ResponseBody};
use crate::transport::body_progress::{BodyAbortGuard, BodyProgress};
use crate::transport::context::{RequestContext, authority, is_host_of};
use crate::transport::limits::{Permit, ResponseHead, Throttle, Urgency};
use crate::transport::observer::RequestRecord;
use crate::transport::shutdown_deadline::DeadlineExceeded;
use crate::transport::{
    AnswerLimit, Astray, Call, Endpoint, Lane, Reach, Response, Route, Transport, Trust, redirect,
    request_id,
};

/// Leave to make one call at one host; given back when dropped.
#[derive(Debug)]
pub struct ReservedPermit(Permit);

/// Why a wait ended early.
pub(super) const OVER: &str = "the run ends before it may be asked again";

/// The most characters of a URL that are told.
const LONGEST_URL: usize = 1_024;

/// What stays the same over the hops of a call.
struct RequestPlan {
    action: Arc<str>,
    endpoint: Endpoint,
    method: Method,
    trust: Trust,
    lane: Lane,
    answer: Duration,
    follow: bool,
    tries: u32,
    public_only: bool,
}

/// One exchange of a trip.
struct Hop {
    place: RequestContext,
    url: Url,
    headers: HeaderMap,
    body: RequestBody,
    /// A host of the public internet led here.
    led_by_public: bool,
}

/// What is told of an exchange when the head of its answer is there, or none comes.
struct ExchangeReport<'a> {
    url: &'a Url,
    sent: u64,
    answer: Option<&'a http::Response<ResponseBody>>,
    elapsed: Duration,
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
        let (trip, mut hop) = self.prepare(call)?;
        hop.body = body::if_any(hop.body)
            .await
            .map_err(|aborted| hop.place.error(ErrorKind::Cancelled, aborted.to_string()))?;
        for hops in 0..=redirect::MAX_HOPS {
            let host = (hop.place.host().to_owned(), trip.endpoint.insecure);
            let waits = matches!(hop.body, RequestBody::Empty);
            let contact = self.wait_for_host(host, waits, &trip.action).await?;
            let start = Instant::now();
            let (place, url, headers) = (hop.place.clone(), hop.url.clone(), hop.headers.clone());
            let led_by_public = hop.led_by_public;
            let exchanged = self.exchange(&trip, hop).await;
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
            let Some(target) = self.redirection(&trip, &place, &url, status, own).await? else {
                let throttle = self.rates.bytes(&trip.endpoint.registry).map(Throttle::new);
                let guard = BodyGuard::new(place, self.options.timeouts.stall, permit, leash);
                let guard = guard.throttled(throttle);
                return Ok(respond(&trip, url, answer, guard));
            };
            answer.into_body().drain().await;
            if let Some(turn) = self.rates.request(&trip.endpoint.registry) {
                let waited = self.patience.until(turn).await;
                waited.map_err(|DeadlineExceeded| place.error(ErrorKind::Cancelled, OVER))?;
            }
            hop = Hop::onward(&place, &url, headers, target);
            hop.led_by_public = led_by_public || !self.network.is_inside(&url);
        }
        Err(hop.place.error(
            ErrorKind::Refused,
            format!("more than {} redirects", redirect::MAX_HOPS),
        ))
    }

    fn prepare(&self, call: Call) -> Result<(RequestPlan, Hop), Error> {
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
            body: call.body,
            led_by_public: call.public_only,
        };
        Ok((trip, hop))
    }

    /// Tells the window what became of a request, and the observer where that narrowed it.
    fn record_outcome(
        &self,
        trip: &RequestPlan,
        permit: &mut Permit,
        exchanged: &Result<(http::Response<ResponseBody>, BodyAbortGuard), Error>,
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

    /// One request and the head of its answer, under the stall watchdog.
    async fn exchange(
        &self,
        trip: &RequestPlan,
        hop: Hop,
    ) -> Result<(http::Response<ResponseBody>, BodyAbortGuard), Error> {
        let bucket = self.rates.bytes(&trip.endpoint.registry);
        if let (Some(bucket), RequestBody::Bytes(bytes)) = (&bucket, &hop.body) {
            let turn = bucket.take(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            self.patience
                .until(turn)
                .await
                .map_err(|DeadlineExceeded| hop.place.error(ErrorKind::Cancelled, OVER))?;
        }
        let route = self.route(trip, &hop)?;
        self.redactor
            .remember_request(&hop.url, &hop.headers, &hop.body);
        let (body, sending) = BodyProgress::wrap(hop.body, bucket.map(Throttle::new));
        let leash = sending.abort_guard();
        let request = http::Request::builder()
            .method(&trip.method)
            .uri(hop.url.as_str())
            .body(body);
        let mut request = request.map_err(|_| {
            hop.place
                .error(ErrorKind::Protocol, "the URL cannot be requested")
        })?;
        *request.headers_mut() = hop.headers;
        let start = Instant::now();
        let outcome = tokio::select! {
            biased;
            answer = self.service.call(request, route) => {
                answer.map_err(|error| {
                    let cause = error.cause();
                    hop.place.error(error.kind.into(), error.message).with_cause(cause)
                })
            }
            stall = sending.stalled(self.options.timeouts.stall, trip.answer) => {
                Err(hop.place.error(ErrorKind::Stalled, stall.to_string()))
            }
        };
        let told = ExchangeReport {
            url: &hop.url,
            sent: sending.sent(),
            answer: outcome.as_ref().ok(),
            elapsed: start.elapsed(),
        };
        self.report(trip, &told);
        outcome.map(|answer| (answer, leash))
    }

    /// The connections that a request may use.
    fn route(&self, trip: &RequestPlan, hop: &Hop) -> Result<Route, Error> {
        let registry = &trip.endpoint.registry;
        let is_own = is_host_of(registry, &hop.url);
        let reach = if is_own && !trip.public_only {
            Reach::Own
        } else if hop.led_by_public || !self.is_inside(registry) {
            Reach::Public
        } else {
            Reach::Anywhere
        };
        let certificates = self.certificates.find(registry, is_own).map_err(|why| {
            let error = hop.place.error(ErrorKind::Tls, why);
            error.with_cause(Cause::ClientCertificate)
        })?;
        Ok(Route {
            trust: trip.trust,
            lane: trip.lane,
            certificates,
            reach,
        })
    }

    fn report(&self, trip: &RequestPlan, told: &ExchangeReport<'_>) {
        let ExchangeReport { url, answer, .. } = *told;
        let host = authority(url);
        // A path may repeat a secret, too, and is as long as whoever led here likes.
        let shown = format!("{}://{host}{}", url.scheme(), url.path());
        let shown = text::clean(&self.redactor.redact(&shown), LONGEST_URL);
        let (status, headers) = answer
            .map(|answer| (answer.status(), answer.headers()))
            .unzip();
        let request_id = headers.and_then(|headers| request_id::find(headers, &self.redactor));
        self.observer().request(&RequestRecord {
            action: &trip.action,
            registry: trip.endpoint.registry.as_str(),
            host: &self.redactor.redact(&host),
            method: &trip.method,
            url: &shown,
            status,
            elapsed: told.elapsed,
            tries: trip.tries,
            request_id: request_id.as_deref(),
            sent: told.sent,
            length: status
                .zip(headers)
                .and_then(|(status, headers)| content_length(&trip.method, status, headers)),
        });
        if let Some(answer) = answer {
            self.pauses
                .record_answer(&trip.endpoint.registry, answer.status());
            let host = trip.endpoint.registry.as_str();
            for warning in self.warnings.news(host, answer.headers()) {
                self.observer()
                    .warning(host, &self.redactor.redact(&warning));
            }
        }
    }

    /// Where the answer redirects to, if it may.
    async fn redirection(
        &self,
        trip: &RequestPlan,
        place: &RequestContext,
        url: &Url,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<Option<Url>, Error> {
        if !trip.follow {
            return Ok(None);
        }
        let target = redirect::target(&trip.method, status, headers, url)
            .map_err(|why| place.error(ErrorKind::Protocol, why))?;
        let Some(target) = target else {
            return Ok(None);
        };
        self.may_lead(&trip.endpoint, url, &target)
            .await
            .map_err(|Astray { cause, why }| {
                let message = format!("it redirects {why}");
                place.error(ErrorKind::Refused, message).with_cause(cause)
            })?;
        Ok(Some(target))
    }
}

impl Hop {
    /// The next request after a redirect, with what may leave the origin.
    fn onward(place: &RequestContext, from: &Url, mut headers: HeaderMap, target: Url) -> Self {
        if !redirect::same_origin(from, &target) {
            redirect::strip_private_headers(&mut headers);
        }
        Self {
            place: place.redirected_to(&target),
            url: target,
            headers,
            body: RequestBody::Empty,
            led_by_public: false,
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

/// How many bytes an answer's body will have, where it says so.
fn content_length(method: &Method, status: StatusCode, headers: &HeaderMap) -> Option<u64> {
    if *method == Method::HEAD
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    {
        return None;
    }
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

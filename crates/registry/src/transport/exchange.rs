//! One request and the head of its answer, by HTTP/2 where the host speaks it.

use std::time::Duration;

use http::header::CONTENT_LENGTH;
use http::{Method, StatusCode, Version};
use tokio::time::Instant;
use url::Url;

use crate::error::{Cause, Error, ErrorKind};
use crate::transport::body_progress::{BodyAbortGuard, BodyProgress, Stall};
use crate::transport::context::{ErrorContext, authority, is_host_of};
use crate::transport::limits::Throttle;
use crate::transport::observer::RequestRecord;
use crate::transport::request_guard::guarded_body;
use crate::transport::request_plan::{Hop, RequestPlan};
use crate::transport::shutdown_deadline::{DeadlineExceeded, OVER};
use crate::transport::{
    HttpError, HttpErrorKind, Lane, Reach, RequestBody, ResponseBody, Route, Transport,
};

/// The head of an answer, and the guard of the request's body.
pub(super) type Exchanged = (http::Response<ResponseBody>, BodyAbortGuard);

/// The failure of one exchange.
enum ExchangeError {
    Http(HttpError),
    Stalled(Stall),
    /// The URL cannot be requested.
    InvalidUrl,
    /// The permission to send ended, for this reason.
    Withheld(String),
}

/// Facts that are reported of an exchange when the head of its answer is there, or none comes.
struct ExchangeReport<'a> {
    url: &'a Url,
    sent: u64,
    answer: Option<&'a http::Response<ResponseBody>>,
    elapsed: Duration,
}

impl ExchangeError {
    /// Returns the error of HTTP, if there is one.
    fn http(&self) -> Option<&HttpError> {
        match self {
            Self::Http(error) => Some(error),
            Self::Stalled(_) | Self::InvalidUrl | Self::Withheld(_) => None,
        }
    }
    fn into_error(self, context: &ErrorContext) -> Error {
        match self {
            Self::Http(error) => {
                let cause = error.cause();
                let kind = error.kind.into();
                context.error(kind, error.message).with_cause(cause)
            }
            Self::Stalled(stall) => context.error(ErrorKind::Stalled, stall.to_string()),
            Self::InvalidUrl => context.error(ErrorKind::Protocol, "the URL cannot be requested"),
            Self::Withheld(why) => context.error(ErrorKind::Cancelled, why),
        }
    }
}

impl Transport {
    /// Makes one request under the stall watchdog, and a second one by HTTP/1.1 where HTTP/2 does not work.
    pub(super) async fn exchange(
        &self,
        plan: &RequestPlan,
        hop: &Hop,
        body: RequestBody,
    ) -> Result<Exchanged, Error> {
        let bucket = self.rates.bytes(&plan.endpoint.registry);
        if let (Some(bucket), RequestBody::Bytes(bytes)) = (&bucket, &body) {
            let turn = bucket.take(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            turn.wait(&self.shutdown)
                .await
                .map_err(|DeadlineExceeded| hop.context.error(ErrorKind::Cancelled, OVER))?;
        }
        let mut route = self.route(plan, hop)?;
        self.redactor
            .remember_request(&hop.url, &hop.headers, &body);
        let is_http2_possible = route.lane == Lane::Calls && hop.url.scheme() == "https";
        let spare = body.replay().filter(|_| is_http2_possible && route.http2);
        let mut outcome = self.exchange_by(route, plan, hop, body).await;
        let host = authority(&hop.url);
        if let (Err(error), Some(body)) = (&outcome, spare)
            && self.http2.is_needed(host, error.http(), plan.tries)
        {
            let turn = self.rates.request(&plan.endpoint.registry);
            let waited = turn.wait(&self.shutdown).await;
            waited.map_err(|DeadlineExceeded| hop.context.error(ErrorKind::Cancelled, OVER))?;
            tracing::debug!(host, "HTTP/2 does not work, HTTP/1.1 is tried");
            route.http2 = false;
            outcome = self.exchange_by(route, plan, hop, body).await;
        }
        if let Ok((answer, _)) = &outcome
            && is_http2_possible
            && (!route.http2 || answer.version() == Version::HTTP_2)
        {
            self.http2.record_answer(host, route.http2);
        }
        outcome.map_err(|error| error.into_error(&hop.context))
    }

    /// Makes one request on `route`, unless its guard refuses. A body is checked once more when the connection is ready.
    async fn exchange_by(
        &self,
        route: Route,
        plan: &RequestPlan,
        hop: &Hop,
        body: RequestBody,
    ) -> Result<Exchanged, ExchangeError> {
        if let Some(why) = plan.refusal() {
            return Err(ExchangeError::Withheld(why));
        }
        let throttle = match &body {
            RequestBody::Stream { .. } => self.rates.bytes(&plan.endpoint.registry),
            RequestBody::Empty | RequestBody::Bytes(_) => None,
        };
        let body = match &plan.guard {
            Some(guard) => guarded_body(body, guard),
            None => body,
        };
        let counters = match &body {
            RequestBody::Empty => None,
            _ => self
                .observer()
                .byte_counters(plan.endpoint.registry.as_str()),
        };
        let (body, sending) = BodyProgress::wrap(body, throttle.map(Throttle::new), counters);
        let guard = sending.abort_guard();
        let request = http::Request::builder()
            .method(&plan.method)
            .uri(hop.url.as_str())
            .body(body);
        let mut request = request.map_err(|_| ExchangeError::InvalidUrl)?;
        *request.headers_mut() = hop.headers.clone();
        let start = Instant::now();
        let outcome = tokio::select! {
            biased;
            answer = self.service.call(request, route) => answer.map_err(|error| failed(plan, error)),
            stall = sending.stalled(self.options.timeouts.stall, plan.answer) => {
                Err(ExchangeError::Stalled(stall))
            }
        };
        let report = ExchangeReport {
            url: &hop.url,
            sent: sending.sent(),
            answer: outcome.as_ref().ok(),
            elapsed: start.elapsed(),
        };
        self.report(plan, &report);
        outcome.map(|answer| (answer, guard))
    }

    /// Returns the connections that a request may use.
    fn route(&self, plan: &RequestPlan, hop: &Hop) -> Result<Route, Error> {
        let registry = &plan.endpoint.registry;
        let is_own = is_host_of(registry, &hop.url);
        let allowed = self.network.set(registry);
        let reach = if is_own && !plan.public_only {
            Reach::Own(allowed)
        } else if hop.led_by_public || !self.is_inside(registry) {
            Reach::Public(allowed)
        } else {
            Reach::Anywhere
        };
        let certificates = self.certificates.find(registry, is_own).map_err(|why| {
            let error = hop.context.error(ErrorKind::Tls, why);
            error.with_cause(Cause::ClientCertificate)
        })?;
        let is_small = plan.lane == Lane::Calls;
        Ok(Route {
            trust: plan.trust,
            lane: plan.lane,
            http2: is_small && self.http2.is_offered(authority(&hop.url), plan.tries),
            certificates,
            reach,
            proxy: self.proxies.choose(registry, &hop.url),
        })
    }

    fn report(&self, plan: &RequestPlan, report: &ExchangeReport<'_>) {
        let ExchangeReport { url, answer, .. } = *report;
        let length = |answer: &http::Response<_>| {
            content_length(&plan.method, answer.status(), answer.headers())
        };
        self.observer().request(&RequestRecord {
            action: &plan.action,
            registry: plan.endpoint.registry.as_str(),
            method: &plan.method,
            status: answer.map(http::Response::status),
            elapsed: report.elapsed,
            tries: plan.tries,
            sent: report.sent,
            length: answer.and_then(length),
            url,
            headers: answer.map(http::Response::headers),
            redactor: &self.redactor,
        });
        if let Some(answer) = answer {
            self.pauses
                .record_answer(&plan.endpoint.registry, answer.status());
            let host = plan.endpoint.registry.as_str();
            for warning in self.warnings.news(host, answer.headers()) {
                self.observer()
                    .warning(host, &self.redactor.redact(&warning));
            }
        }
    }
}

/// Returns the error of an exchange. A body that its guard withheld fails like one whose producer stopped.
fn failed(plan: &RequestPlan, error: HttpError) -> ExchangeError {
    let is_withheld = error.kind == HttpErrorKind::RequestBody;
    match plan.refusal().filter(|_| is_withheld) {
        Some(why) => ExchangeError::Withheld(why),
        None => ExchangeError::Http(error),
    }
}

/// Returns the number of bytes that the body of an answer has, where the answer declares it.
pub(super) fn content_length(
    method: &Method,
    status: StatusCode,
    headers: &http::HeaderMap,
) -> Option<u64> {
    if *method == Method::HEAD
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    {
        return None;
    }
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

//! Properties of all answers: security headers, and one form of errors.

use std::panic::AssertUnwindSafe;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    TRANSFER_ENCODING, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;

use crate::service::http::Reporter;
use crate::service::http::access::accepts_pages;
use crate::service::http::problem::{MEDIA_TYPE, Problem};
use crate::service::page;

/// Maximum size of a text that becomes the detail of an error, in bytes.
const MAX_DETAIL: usize = 4 * 1024;

const SECURITY: [(HeaderName, &str); 6] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    // With `no-referrer`, forms of the page would have no origin either.
    (REFERRER_POLICY, "same-origin"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
];

/// Headers that every answer gets.
#[derive(Clone)]
pub(super) struct Completion {
    /// True if there are pages.
    pub(super) has_page: bool,
    /// Prints defects.
    pub(super) reporter: Reporter,
}

/// Completes the answer: security headers, errors as `application/problem+json`, or as pages for browsers if there are
/// pages, and an answer to a panic.
pub(super) async fn complete(
    State(completion): State<Completion>,
    request: Request,
    next: Next,
) -> Response {
    let is_api = request.uri().path().starts_with("/api/");
    let is_for_browser = completion.has_page && !is_api && accepts_pages(request.headers());
    let browser = is_for_browser.then(|| (request.headers().clone(), request.uri().clone()));
    // A proxy in front may see the end of such a request elsewhere, so the connection has no further one.
    let is_ambiguous = request.headers().contains_key(TRANSFER_ENCODING);
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let answer = answer.unwrap_or_else(|panic| {
        let failure = image_syncer_sync::Failure::panicked(&*panic);
        let text = format!("a request failed: {}", failure.reason);
        completion.reporter.warn(&text);
        let detail = "the service failed: a defect. Its log has the reason.";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
    });
    let mut answer = match browser {
        Some((headers, uri)) if is_error(&answer) && !has_type(&answer, "text/html") => {
            page::error_page(&headers, &uri, answer.status())
        }
        _ => as_problem(answer).await,
    };
    let headers = answer.headers_mut();
    for (name, value) in SECURITY {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let cached = headers.entry(CACHE_CONTROL);
    cached.or_insert(HeaderValue::from_static("no-store"));
    if is_ambiguous {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

/// Turns an error of another form into a problem. Pages have their own.
async fn as_problem(answer: Response) -> Response {
    let status = answer.status();
    if !is_error(&answer) || has_type(&answer, MEDIA_TYPE) || has_type(&answer, "text/html") {
        return answer;
    }
    let (parts, body) = answer.into_parts();
    let detail = match status {
        StatusCode::NOT_FOUND => "there is no such route. See /api/v1/openapi.json.".to_owned(),
        // The names of the methods are in the header Allow, which is set later.
        StatusCode::METHOD_NOT_ALLOWED => "the route has no such method".to_owned(),
        _ => {
            let text = to_bytes(body, MAX_DETAIL).await.unwrap_or_default();
            String::from_utf8_lossy(&text).into_owned()
        }
    };
    let mut problem = Problem::new(status, detail).into_response();
    for (name, value) in &parts.headers {
        if !matches!(name.as_str(), "content-type" | "content-length") {
            problem.headers_mut().insert(name, value.clone());
        }
    }
    problem
}

fn is_error(answer: &Response) -> bool {
    answer.status().is_client_error() || answer.status().is_server_error()
}

fn has_type(answer: &Response, media_type: &str) -> bool {
    let value = answer.headers().get(CONTENT_TYPE);
    let text = value.and_then(|value| value.to_str().ok());
    text.is_some_and(|text| text.starts_with(media_type))
}

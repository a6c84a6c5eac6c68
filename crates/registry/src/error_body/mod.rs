//! Converts error answers to errors (docs/protocol.md#errors).

use std::time::{Duration, SystemTime};

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::digest::Digest;
use crate::error::{self, Error, ErrorAnswer, ErrorKind};
use crate::text;
use crate::timestamp;
use crate::transport::{Response, SecretRedactor};

/// Maximum number of bytes of an error body.
const BODY_LIMIT: u64 = 64 * 1024;
/// Maximum number of characters of one text in a message.
const SHOWN: usize = 300;
/// Maximum number of characters of all texts in a message.
const SHOWN_IN_ALL: usize = 500;
/// Maximum number of errors of a list in a message.
const SHOWN_ERRORS: usize = 3;
/// Maximum number of missing digests; a manifest names fewer.
const MISSING_LIMIT: usize = 4_096;

mod json;
#[cfg(test)]
mod tests;

/// Parsed body of an error answer.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    /// First error code of the registry.
    code: Option<String>,
    /// Clause for a message.
    clause: Option<String>,
    missing: Vec<Digest>,
    /// Message of the first error, or the whole text.
    message: Option<String>,
    /// Details of the first error.
    detail: Option<String>,
    /// Error number of the system that a storage driver passed on.
    errno: Option<i64>,
}

impl Said {
    /// Removes secrets that the body contains in another form, such as escaped in JSON.
    fn redacted(self, redactor: &SecretRedactor) -> Self {
        let hide = |text: Option<String>| text.map(|text| redactor.redact(&text).into_owned());
        Self {
            code: hide(self.code),
            clause: hide(self.clause),
            message: hide(self.message),
            detail: hide(self.detail),
            ..self
        }
    }
}

impl Error {
    /// Creates an error from `response`, with `action` and `host`. Reads at most 64 KiB of its body.
    #[doc(hidden)]
    pub async fn from_response(action: &str, host: &str, response: Response) -> Self {
        Self::from_answer_of("the registry", action, host, response).await
    }
    /// Creates an error from an answer of `whom`: "the token server".
    pub(crate) async fn from_answer_of(
        whom: &str,
        action: &str,
        host: &str,
        response: Response,
    ) -> Self {
        let Response {
            status,
            headers,
            body,
            ..
        } = response;
        let redirected = body.redirected().map(|place| {
            (
                place.host().to_owned(),
                place.redirected_from().unwrap_or(host).to_owned(),
            )
        });
        // A body that cannot be read, or is too long, says nothing; the status does.
        let redactor = body.redactor();
        let bytes = body.bytes(BODY_LIMIT).await.unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let said = read(status, &headers, &redactor.redact(&text)).redacted(&redactor);
        let kind = kind(status, said.code.as_deref());
        let cause = error::from_answer(&ErrorAnswer {
            status: status.as_u16(),
            code: said.code.as_deref(),
            message: said.message.as_deref().unwrap_or_default(),
            detail: said.detail.as_deref().unwrap_or_default(),
            errno: said.errno,
        });
        let clause = said
            .clause
            .map(|clause| format!(" ({clause})"))
            .unwrap_or_default();
        let answered = format!("answered {}{clause}", status_text(status));
        let message = match &redirected {
            Some((_, from)) => format!("the host {answered}, redirected from {from}"),
            None => format!("{whom} {answered}"),
        };
        let host = redirected.as_ref().map_or(host, |(host, _)| host);
        let mut error = Self::new(kind, action, host, message)
            .with_status(status)
            .with_missing(said.missing);
        if let Some(code) = said.code {
            error = error.with_code(code);
        }
        if let Some(cause) = cause {
            error = error.with_cause(cause);
        }
        error.with_retry_headers(&headers)
    }

    /// Adds the delay and the end of a limit, if the headers of the answer name them.
    fn with_retry_headers(mut self, headers: &HeaderMap) -> Self {
        let now = SystemTime::now();
        let delay = retry_after(headers, now);
        if let Some(delay) = delay {
            self = self.with_retry_after(delay);
        }
        let until = delay.and_then(|delay| now.checked_add(delay));
        match until.or_else(|| timestamp::reset(headers, now)) {
            Some(until) => self.with_until(until),
            None => self,
        }
    }
}

/// Entry point for fuzzing; see [`crate::fuzzing`].
#[cfg(any(test, feature = "fuzzing"))]
#[allow(
    clippy::missing_panics_doc,
    reason = "to panic where a promise is broken is what it is for"
)]
pub fn fuzz(data: &[u8]) {
    let status = StatusCode::BAD_REQUEST;
    let said = read(status, &HeaderMap::new(), &String::from_utf8_lossy(data));
    assert!(said.missing.len() <= MISSING_LIMIT);
    let texts = said.code.iter().chain(&said.clause);
    for text in texts.chain(&said.message).chain(&said.detail) {
        assert!(text.chars().count() <= SHOWN_IN_ALL.max(2 * SHOWN + 2));
        crate::fuzzing::assert_is_short(text);
    }
}

fn status_text(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

/// Returns the kind by status first, code second.
fn kind(status: StatusCode, code: Option<&str>) -> ErrorKind {
    let code = code.unwrap_or_default();
    match status.as_u16() {
        401 => ErrorKind::Unauthorized,
        403 => ErrorKind::Denied,
        429 => ErrorKind::RateLimited,
        // No server of ours, or none that will ever do it.
        501 | 505 => ErrorKind::Rejected,
        // 499 is nginx's, for a client that went away.
        // Some registries say with 500 what would be the same at the next try.
        500 => match code {
            "MANIFEST_BLOB_UNKNOWN" | "BLOB_UNKNOWN" => ErrorKind::MissingContent,
            "DENIED" => ErrorKind::Denied,
            "MANIFEST_INVALID"
            | "MANIFEST_UNVERIFIED"
            | "NAME_INVALID"
            | "TAG_INVALID"
            | "UNSUPPORTED" => ErrorKind::Rejected,
            _ => ErrorKind::Server,
        },
        408 | 425 | 499 | 501..=599 => ErrorKind::Server,
        400..=498 => match code {
            "BLOB_UPLOAD_UNKNOWN" | "BLOB_UPLOAD_INVALID" | "RANGE_INVALID" => {
                ErrorKind::UploadLost
            }
            "MANIFEST_BLOB_UNKNOWN" => ErrorKind::MissingContent,
            "BLOB_UNKNOWN" if status != StatusCode::NOT_FOUND => ErrorKind::MissingContent,
            "TOOMANYREQUESTS" => ErrorKind::RateLimited,
            _ if matches!(status.as_u16(), 404 | 410) => ErrorKind::NotFound,
            _ => ErrorKind::Rejected,
        },
        _ => ErrorKind::Protocol,
    }
}

/// Parses `Retry-After`, in seconds or as a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    Some(until.duration_since(now).unwrap_or_default())
}

/// Parses the body of an answer with `status`, in any form.
fn read(status: StatusCode, headers: &HeaderMap, body: &str) -> Said {
    let mut said = if let Ok(value) = serde_json::from_str::<Value>(body) {
        json::read(&value)
    } else {
        plain(status, headers, body.trim())
    };
    // The status is in the message already.
    said.clause = said
        .clause
        .filter(|clause| !clause.is_empty() && !is_status(status, clause));
    said
}

/// Parses a page, a document of an object store, or plain text.
fn plain(status: StatusCode, headers: &HeaderMap, body: &str) -> Said {
    let is_html = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("text/html"))
        || body.starts_with("<!")
        || body
            .get(..5)
            .is_some_and(|start| start.eq_ignore_ascii_case("<html"));
    let (message, clause) = if body.is_empty() {
        (None, None)
    } else if is_html {
        let title = title(body);
        // Servers have words of their own for a status: 413 is `Request Entity Too Large` to nginx.
        let is_news = |title: &&String| {
            !title.is_empty() && !title.starts_with(status.as_str()) && !is_status(status, title)
        };
        let clause = match title.as_ref().filter(is_news) {
            Some(title) => format!("an HTML page, \"{title}\", so this may be a proxy's answer"),
            None => "an HTML page, so this may be a proxy's answer".to_owned(),
        };
        let bare = |title: String| title.trim_start_matches(is_number).to_owned();
        (title.map(bare), Some(clause))
    } else {
        let message = text::clean(body, SHOWN);
        let clause = if body.starts_with('<') {
            xml(body)
        } else {
            Some(message.clone())
        };
        (Some(message), clause)
    };
    Said {
        clause,
        message,
        ..Said::default()
    }
}

/// Returns whether `text` only repeats `status`.
fn is_status(status: StatusCode, text: &str) -> bool {
    let words = text.strip_prefix(status.as_str()).unwrap_or(text);
    let reason = status.canonical_reason().unwrap_or_default();
    words
        .trim()
        .trim_end_matches('.')
        .eq_ignore_ascii_case(reason)
}

fn is_number(c: char) -> bool {
    c.is_ascii_digit() || c == ' '
}

/// Returns the title of a page.
fn title(body: &str) -> Option<String> {
    // As many bytes as the body, so that places in one are places in the other.
    let lower = body.to_ascii_lowercase();
    let start = lower.find("<title>")? + "<title>".len();
    let length = lower.get(start..)?.find("</title>")?;
    Some(text::clean(body.get(start..start + length)?, SHOWN))
}

/// Returns `<Code>` and `<Message>` of an object store. Other elements may contain keys and signatures.
fn xml(body: &str) -> Option<String> {
    let element = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>"))?;
        let (inner, _) = rest.split_once(&format!("</{name}>"))?;
        Some(text::clean(inner, SHOWN))
    };
    match (element("Code"), element("Message")) {
        (Some(code), Some(message)) => Some(format!("{code}: {message}")),
        (code, message) => code.or(message),
    }
}

//! From an answer that is not a success to an error (docs/protocol.md#errors).

use std::time::{Duration, SystemTime};

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::cause;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind};
use crate::moment;
use crate::text;
use crate::transport::{Response, SecretRedactor};

/// How much of an error's body is read.
const BODY_LIMIT: u64 = 64 * 1024;
/// How much of what it says is shown.
const SHOWN: usize = 300;
/// How many errors of a list are shown.
const SHOWN_ERRORS: usize = 3;
/// How many missing digests are believed; a manifest names fewer.
const MISSING_LIMIT: usize = 4_096;

#[cfg(test)]
mod tests;

/// What the body of an answer says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    /// The first code of the registry's own.
    code: Option<String>,
    /// For a person.
    clause: Option<String>,
    missing: Vec<Digest>,
    /// What it says of its first error, where there is one, and else what it says.
    message: Option<String>,
    /// What it says of it besides.
    detail: Option<String>,
    /// The system's error that a storage driver handed on.
    errno: Option<i64>,
}

impl Said {
    /// Without secrets that stood in the body in another form: escaped, as JSON does.
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
    /// The error that `response`, which is no success, stands for: what was being done (`action`) at `host`, what it
    /// answered, and whether that is final. Reads at most 64 KiB of its body.
    pub async fn from_response(action: &str, host: &str, response: Response) -> Self {
        Self::from_answer_of("the registry", action, host, response).await
    }
    /// The same for an answer of `whom`: "the token server".
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
        let said = read(&headers, &redactor.redact(&text)).redacted(&redactor);
        let kind = kind(status, said.code.as_deref());
        let cause = cause::of_answer(&cause::Answer {
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
        let now = SystemTime::now();
        let delay = retry_after(&headers, now);
        if let Some(delay) = delay {
            error = error.with_retry_after(delay);
        }
        let until = delay.and_then(|delay| now.checked_add(delay));
        match until.or_else(|| moment::reset(&headers, now)) {
            Some(until) => error.with_until(until),
            None => error,
        }
    }
}

/// An entry for fuzzing; see [`crate::fuzzing`].
#[cfg(any(test, feature = "fuzzing"))]
#[allow(
    clippy::missing_panics_doc,
    reason = "to panic where a promise is broken is what it is for"
)]
pub fn fuzz(data: &[u8]) {
    let said = read(&HeaderMap::new(), &String::from_utf8_lossy(data));
    assert!(said.missing.len() <= MISSING_LIMIT);
    let texts = said.code.iter().chain(&said.clause);
    for text in texts.chain(&said.message).chain(&said.detail) {
        assert!(text.chars().count() <= 2 * SHOWN + 2);
        crate::fuzzing::assert_is_short(text);
    }
}

fn status_text(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

/// Status first, code second.
fn kind(status: StatusCode, code: Option<&str>) -> ErrorKind {
    let code = code.unwrap_or_default();
    match status.as_u16() {
        401 => ErrorKind::Unauthorized,
        403 => ErrorKind::Denied,
        429 => ErrorKind::RateLimited,
        // No server of ours, or none that will ever do it.
        501 | 505 => ErrorKind::Rejected,
        // 499 is nginx's, for a client that went away.
        408 | 425 | 499 | 500..=599 => ErrorKind::Server,
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

/// `Retry-After` in seconds or as a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    Some(until.duration_since(now).unwrap_or_default())
}

/// What the body says, whatever its form.
fn read(headers: &HeaderMap, body: &str) -> Said {
    if let Ok(value) = serde_json::from_str::<Value>(body) {
        return json(&value);
    }
    let body = body.trim();
    let is_html = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("text/html"))
        || body.starts_with("<!")
        || body
            .get(..5)
            .is_some_and(|start| start.eq_ignore_ascii_case("<html"));
    let message = if is_html {
        title(body)
    } else {
        Some(text::clean(body, SHOWN))
    };
    let clause = if body.is_empty() {
        None
    } else if is_html {
        Some("an HTML page, so this may be a proxy's answer".to_owned())
    } else if body.starts_with('<') {
        xml(body)
    } else {
        Some(text::clean(body, SHOWN))
    };
    Said {
        clause: clause.filter(|clause| !clause.is_empty()),
        message,
        ..Said::default()
    }
}

/// The title of a page, without the status that servers put before it.
fn title(body: &str) -> Option<String> {
    let (_, rest) = body.split_once("<title>")?;
    let (title, _) = rest.split_once("</title>")?;
    let title = text::clean(title, SHOWN);
    Some(
        title
            .trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ')
            .to_owned(),
    )
}

/// `<Code>` and `<Message>` of an object store; what else it says may hold keys and signatures.
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

/// `{"errors": [{"code", "message", "detail"}]}`, and what some send instead.
fn json(value: &Value) -> Said {
    let Some(errors) = value.get("errors").and_then(Value::as_array) else {
        let message = other_json(value);
        return Said {
            clause: message.clone(),
            message,
            ..Said::default()
        };
    };
    let field = |error: &Value, name: &str| {
        error
            .get(name)
            .and_then(Value::as_str)
            .map(|text| text::clean(text, SHOWN))
            .filter(|text| !text.is_empty())
    };
    let mut said = Said::default();
    let mut clauses: Vec<String> = Vec::new();
    for error in errors {
        let code = field(error, "code");
        let (message, detail) = (field(error, "message"), field(error, "detail"));
        if said.code.is_none() && said.message.is_none() {
            said.message.clone_from(&message);
            said.detail.clone_from(&detail);
            said.errno = errno(error);
        }
        let message = match (code.as_deref(), message) {
            // `docker-registry` says `unknown error` of a disk that is full, Nexus `blob upload invalid` of a tag that
            // cannot be moved, and the rest here.
            (Some("UNKNOWN" | "BLOB_UPLOAD_INVALID"), Some(message)) => {
                match (detail, errno(error)) {
                    (Some(detail), _) => Some(format!("{message}: {detail}")),
                    (None, Some(number)) => Some(format!("{message}: {}", of_system(number))),
                    (None, None) => Some(message),
                }
            }
            (_, message) => message,
        };
        let clause = match (&code, message) {
            (Some(code), Some(message)) => Some(format!("{code}: {message}")),
            (code, message) => code.clone().or(message),
        };
        if let Some(clause) = clause.filter(|clause| !clauses.contains(clause))
            && clauses.len() < SHOWN_ERRORS
        {
            clauses.push(clause);
        }
        if let Some("MANIFEST_BLOB_UNKNOWN" | "BLOB_UNKNOWN") = code.as_deref()
            && let Some(detail) = error.get("detail")
        {
            digests(detail, &mut said.missing);
        }
        said.code = said.code.or(code);
    }
    let clause = text::clean(&clauses.join("; "), SHOWN);
    said.clause = Some(clause).filter(|clause| !clause.is_empty());
    said
}

/// The number of a system's error in what a driver of distribution's adds:
/// `{"DriverName": "filesystem", "Enclosed": {"Op": "write", "Path": "…", "Err": 28}}`.
fn errno(error: &Value) -> Option<i64> {
    let detail = error.get("detail")?;
    detail.get("DriverName")?;
    detail.get("Enclosed")?.get("Err")?.as_i64()
}

/// What Linux means by that number, of those that storage meets.
fn of_system(number: i64) -> String {
    match number {
        13 => "its storage says permission denied".to_owned(),
        27 => "its storage says file too large".to_owned(),
        28 => "its storage says no space left on device".to_owned(),
        30 => "its storage says read-only file system".to_owned(),
        122 => "its storage says disk quota exceeded".to_owned(),
        number => format!("its storage says error {number}"),
    }
}

/// `{"details": "…"}`, `{"error": "…"}`, `{"message": "…"}`.
fn other_json(value: &Value) -> Option<String> {
    ["details", "message", "error", "error_description"]
        .iter()
        .find_map(|name| value.get(name).and_then(Value::as_str))
        .map(|text| text::clean(text, SHOWN))
        .filter(|text| !text.is_empty())
}

/// All digests in `detail`, wherever it keeps them: registries differ in its shape.
fn digests(detail: &Value, found: &mut Vec<Digest>) {
    // The parser bounds how deep a document nests, so this recursion is bounded too.
    match detail {
        Value::String(text) => {
            for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == ':')) {
                if let Ok(digest) = Digest::parse(word)
                    && found.len() < MISSING_LIMIT
                    && !found.contains(&digest)
                {
                    found.push(digest);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| digests(item, found)),
        Value::Object(fields) => fields.values().for_each(|item| digests(item, found)),
        _ => {}
    }
}

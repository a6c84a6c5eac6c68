//! The actions of faults.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::Gate;

/// Ways to cut a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// A TCP reset.
    Reset,
    /// An orderly end of the stream: everything sent before still arrives. (With TLS, without `close_notify`.)
    Close,
}

/// The effect of a [`Fault`](super::Fault) on a request.
///
/// Cuts at a byte are exact over HTTP/1.1. Over HTTP/2 they cut the whole connection, and bytes that flow control held
/// back at that moment are lost as well.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Action {
    /// Sends this answer instead of the registry's; nothing is stored.
    Answer(Answer),
    /// Cuts the connection before any answer, and does nothing. The body of the request is not read.
    CutBeforeAnswer(Cut),
    /// Carries out the request, then cuts the connection before the first byte of the answer.
    LoseReply(Cut),
    /// Cuts the connection after `after` bytes of the request's body were read.
    CutRequest {
        /// Number of bytes of the body that are read.
        after: u64,
        /// Kind of cut.
        how: Cut,
    },
    /// Cuts the connection after `after` bytes of the answer's body were sent.
    CutResponse {
        /// Number of bytes of the body that are sent.
        after: u64,
        /// Kind of cut.
        how: Cut,
    },
    /// Reads no further byte of the request's body, and sends no answer, until the client disconnects.
    StallRequest {
        /// Number of bytes of the body that are read.
        after: u64,
    },
    /// Reads the body, but sends no answer until the client disconnects; does nothing.
    StallBeforeAnswer,
    /// Sends no further byte of the answer's body until the client disconnects.
    StallResponse {
        /// Number of bytes of the body that are sent.
        after: u64,
    },
    /// Flips one bit of the answer's body.
    Corrupt {
        /// Offset of the byte in this answer's body.
        offset: u64,
    },
    /// Declares this many bytes in `Content-Length`, whatever the body has. If the body is shorter, the connection ends
    /// early; if it is longer, the rest is not sent.
    WrongLength(u64),
    /// Removes the answer's headers of these names.
    WithoutHeaders(Vec<&'static str>),
    /// Sets the answer's headers of these names to these values.
    WithHeaders(Vec<(&'static str, String)>),
    /// Answers 200 with a page of HTML, as captive portals and wrongly routed proxies do.
    Html,
    /// Lets all granted bearer tokens expire before the request is handled.
    ExpireTokens,
    /// Lets the bearer token of the request expire before the request is handled.
    ExpireItsToken,
    /// Collects every blob that no manifest names, before the request is handled.
    CollectGarbage,
    /// Waits before the request is handled.
    Delay(Duration),
    /// Waits until the gate is opened before the request is handled.
    Hold(Gate),
}

impl Action {
    /// Returns an answer with this status and an empty body, sent after the whole request was read.
    pub fn status(status: u16) -> Self {
        Self::Answer(Answer::new(status))
    }

    /// Returns 429 `TOOMANYREQUESTS` with `Retry-After` in seconds.
    pub fn too_many_requests(seconds: u64) -> Self {
        Self::Answer(
            Answer::new(429)
                .error("TOOMANYREQUESTS", "too many requests")
                .retry_after(seconds),
        )
    }

    /// Returns an answer with this status and one error in the specification's format.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::Answer(Answer::new(status).error(code, message))
    }
}

impl From<Answer> for Action {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

/// An answer that replaces the registry's.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<RetryAfter>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
    pub(crate) early: bool,
}

/// The value of `Retry-After`.
#[derive(Clone, Copy, Debug)]
pub enum RetryAfter {
    /// A number of seconds.
    Seconds(u64),
    /// An HTTP date, this long after the time of the answer.
    Date(Duration),
}

impl RetryAfter {
    pub(crate) fn text(self) -> String {
        match self {
            Self::Seconds(seconds) => seconds.to_string(),
            Self::Date(after) => httpdate::fmt_http_date(SystemTime::now() + after),
        }
    }
}

impl Answer {
    /// Returns this status with an empty body.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            retry_after: None,
            headers: Vec::new(),
            content_type: "text/plain; charset=utf-8",
            body: Bytes::new(),
            early: false,
        }
    }

    /// Adds `Retry-After` in seconds.
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(RetryAfter::Seconds(seconds));
        self
    }

    /// Adds `Retry-After` as an HTTP date, this long after the time of the answer.
    pub fn retry_after_date(mut self, after: Duration) -> Self {
        self.retry_after = Some(RetryAfter::Date(after));
        self
    }

    /// Sets a header field.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.content_type = content_type;
        self.body = body.into();
        self
    }

    /// Sets the body to one error in the specification's format.
    pub fn error(self, code: &str, message: &str) -> Self {
        let body = serde_json::json!({"errors": [{"code": code, "message": message}]});
        self.body("application/json", body.to_string())
    }

    /// Sends the answer as soon as the head of the request was read. Otherwise the whole body is read first, so that
    /// the client certainly gets the answer.
    pub fn early(mut self) -> Self {
        self.early = true;
        self
    }
}

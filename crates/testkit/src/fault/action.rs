//! What goes wrong.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::Gate;

/// How a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// A TCP reset.
    Reset,
    /// An orderly end of the stream: everything sent before still arrives. (Under TLS without `close_notify`.)
    Close,
}

/// What goes wrong with a request that a [`Fault`](super::Fault) fires for.
///
/// Cuts at a byte are exact over HTTP/1.1. Over HTTP/2 they cut the whole connection, and what flow control held
/// back at that moment is lost as well.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Action {
    /// This answer instead of the registry's; nothing is stored.
    Answer(Answer),
    /// The connection is cut before any answer, and nothing is done. The body of the request is not read.
    CutBeforeAnswer(Cut),
    /// The registry does what was asked, then cuts the connection before the first byte of the answer.
    LoseReply(Cut),
    /// The connection is cut when `after` bytes of the request's body were taken.
    CutRequest {
        /// Bytes of the body that are taken.
        after: u64,
        /// How it ends.
        how: Cut,
    },
    /// The connection is cut when `after` bytes of the answer's body were sent.
    CutResponse {
        /// Bytes of the body that are sent.
        after: u64,
        /// How it ends.
        how: Cut,
    },
    /// No further byte of the request's body is taken, and no answer given, until the client goes away.
    StallRequest {
        /// Bytes of the body that are taken.
        after: u64,
    },
    /// No answer at all is given until the client goes away; nothing is done. The body is read.
    StallBeforeAnswer,
    /// No further byte of the answer's body is sent until the client goes away.
    StallResponse {
        /// Bytes of the body that are sent.
        after: u64,
    },
    /// One bit of the answer's body is flipped.
    Corrupt {
        /// Offset of the byte within this answer's body.
        offset: u64,
    },
    /// `Content-Length` announces this many bytes, whatever the body has. Where the body is shorter the connection
    /// ends early; where it is longer the rest is left out.
    WrongLength(u64),
    /// The answer's headers of these names are taken away.
    WithoutHeaders(Vec<&'static str>),
    /// The answer's headers of these names are set to these values.
    WithHeaders(Vec<(&'static str, String)>),
    /// 200 with a page of HTML, as captive portals and wrongly routed proxies answer.
    Html,
    /// All bearer tokens that were granted so far expire before the request is looked at.
    ExpireTokens,
    /// The bearer token that the request shows expires before the request is looked at.
    ExpireItsToken,
    /// Every blob that no manifest names is collected before the request is looked at.
    CollectGarbage,
    /// The registry waits before it looks at the request.
    Delay(Duration),
    /// The registry waits until the gate is opened before it looks at the request.
    Hold(Gate),
}

impl Action {
    /// An answer with this status and an empty body, given when the whole request was read.
    pub fn status(status: u16) -> Self {
        Self::Answer(Answer::new(status))
    }

    /// 429 `TOOMANYREQUESTS` with `Retry-After` in seconds.
    pub fn too_many_requests(seconds: u64) -> Self {
        Self::Answer(
            Answer::new(429)
                .error("TOOMANYREQUESTS", "too many requests")
                .retry_after(seconds),
        )
    }

    /// An answer with this status and one error of the specification's form.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::Answer(Answer::new(status).error(code, message))
    }
}

impl From<Answer> for Action {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

/// An answer that is given instead of the registry's.
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
    /// An HTTP date, this long after the moment of the answer.
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
    /// This status with an empty body.
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

    /// Adds `Retry-After` as an HTTP date, this long from the moment of the answer.
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

    /// Sets the body to one error of the specification's form.
    pub fn error(self, code: &str, message: &str) -> Self {
        let body = serde_json::json!({"errors": [{"code": code, "message": message}]});
        self.body("application/json", body.to_string())
    }

    /// Answers as soon as the head of the request was read. Without this the whole body is read first, so that the
    /// client is sure to get the answer.
    pub fn early(mut self) -> Self {
        self.early = true;
        self
    }
}

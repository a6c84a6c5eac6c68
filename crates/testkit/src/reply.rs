//! Answers, before they become HTTP.

use std::ops::Range;

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use crate::blob::Blob;

/// Source of the bytes of an answer.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Bytes(Bytes),
    Blob(Blob, Range<u64>),
}

impl Content {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Blob(_, range) => range.end.saturating_sub(range.start),
        }
    }

    /// Returns at most `limit` bytes from `offset` on; none at the end.
    pub(crate) fn chunk(&self, offset: u64, limit: usize) -> Bytes {
        match self {
            Self::Bytes(bytes) => {
                let from = usize::try_from(offset)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                bytes.slice(from..bytes.len().min(from.saturating_add(limit)))
            }
            Self::Blob(blob, range) => {
                let left = range.end.saturating_sub(range.start + offset);
                let limit = usize::try_from(left).unwrap_or(usize::MAX).min(limit);
                blob.chunk(range.start + offset, limit).unwrap_or_default()
            }
        }
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Boxed, like the content, so that an answer that refuses is a small error.
    pub(crate) headers: Box<HeaderMap>,
    pub(crate) content: Box<Content>,
}

impl Reply {
    pub(crate) fn new(status: u16) -> Self {
        Self {
            status,
            headers: Box::default(),
            content: Box::new(Content::Bytes(Bytes::new())),
        }
    }

    /// Returns one error in the specification's format.
    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        Self::errors(status, &[json!({"code": code, "message": message})])
    }

    /// Returns one error with a detail.
    pub(crate) fn detailed(status: u16, code: &str, message: &str, detail: Value) -> Self {
        let mut error = json!({"code": code, "message": message});
        if let Some(map) = error.as_object_mut() {
            map.insert("detail".into(), detail);
        }
        Self::errors(status, &[error])
    }

    pub(crate) fn errors(status: u16, errors: &[Value]) -> Self {
        Self::new(status).json(&json!({"errors": errors}))
    }

    pub(crate) fn json(self, document: &Value) -> Self {
        self.bytes(
            "application/json; charset=utf-8",
            document.to_string() + "\n",
        )
    }

    pub(crate) fn bytes(mut self, content_type: &str, bytes: impl Into<Bytes>) -> Self {
        *self.content = Content::Bytes(bytes.into());
        self.with(header::CONTENT_TYPE, content_type)
    }

    pub(crate) fn blob(mut self, blob: Blob, from: u64, to: u64) -> Self {
        *self.content = Content::Blob(blob, from..to);
        self
    }

    /// Sets a header. A value that is not text is left out.
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Sets a header that has no constant.
    pub(crate) fn named(self, name: &'static str, value: &str) -> Self {
        self.with(HeaderName::from_static(name), value)
    }

    /// Adds another header of a name.
    pub(crate) fn add(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.append(name, value);
        }
        self
    }

    pub(crate) fn location(self, location: &str) -> Self {
        self.with(header::LOCATION, location)
    }
}

/// Returns 404 `NAME_UNKNOWN`.
pub(crate) fn name_unknown(name: &str) -> Reply {
    Reply::detailed(
        404,
        "NAME_UNKNOWN",
        "repository name not known to registry",
        json!({"name": name}),
    )
}

/// Returns 404 `BLOB_UNKNOWN`.
pub(crate) fn blob_unknown(digest: &str) -> Reply {
    Reply::detailed(
        404,
        "BLOB_UNKNOWN",
        "blob unknown to registry",
        json!(digest),
    )
}

/// Returns 404 `MANIFEST_UNKNOWN`.
pub(crate) fn manifest_unknown(name: &str, reference: &str) -> Reply {
    let detail = if reference.contains(':') {
        json!({"Name": name, "Revision": reference})
    } else {
        json!({"Tag": reference})
    };
    Reply::detailed(404, "MANIFEST_UNKNOWN", "manifest unknown", detail)
}

/// Returns 400 `DIGEST_INVALID`.
pub(crate) fn digest_invalid(detail: Value) -> Reply {
    Reply::detailed(
        400,
        "DIGEST_INVALID",
        "provided digest did not match uploaded content",
        detail,
    )
}

/// Returns 405 `UNSUPPORTED`.
pub(crate) fn unsupported(status: u16) -> Reply {
    Reply::error(status, "UNSUPPORTED", "The operation is unsupported.")
}

/// Returns 403 `DENIED`.
pub(crate) fn denied(message: &str) -> Reply {
    Reply::error(403, "DENIED", message)
}

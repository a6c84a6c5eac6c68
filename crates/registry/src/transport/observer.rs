//! How what happens on the wire reaches the outside.

use std::time::Duration;

use http::{Method, StatusCode};

use crate::error::{Error, ErrorKind};
use crate::transport::Lane;

/// Receives every request, retry and pause. Called from many tasks at once; must not block.
///
/// A request counts when it was tried: one that found no host counts as one that was answered. Operations that wait for
/// the same host while it cannot be reached share its tries: only the one that tries reports requests and retries.
pub trait Observer: Send + Sync + 'static {
    /// A request was answered, or failed.
    fn request(&self, _record: &RequestRecord<'_>) {}
    /// A failed try will be repeated after `delay`, on behalf of `registry`, whichever host it had led to; `error` is
    /// the sentence without secrets, and names that host.
    fn retry(&self, _registry: &str, _error: &str, _tries: u32, _delay: Duration) {}
    /// Nobody talks to `host` for `delay`.
    fn pause(&self, _host: &str, _delay: Duration, _why: PauseReason) {}
    /// At most `size` requests of a kind are made of `host` at a time from now on, since it answered 429 or 503, or let
    /// some connections in and not others. That the number rises again is not told.
    fn narrowed(&self, _host: &str, _lane: Lane, _size: usize) {}
    /// Something a person should know once ("the registry warns: …").
    fn warning(&self, _host: &str, _text: &str) {}
}

/// Why a host is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseReason {
    /// It answered 429: what it allows in a time was used up.
    RateLimit,
    /// It asked for it otherwise, or answered nothing but 503 for a while.
    Overload,
}

impl PauseReason {
    /// What made the host say so.
    pub(crate) fn from_error(error: &Error) -> Self {
        if error.kind() == ErrorKind::RateLimited {
            Self::RateLimit
        } else {
            Self::Overload
        }
    }
}

/// One request, for logs and counts.
#[derive(Debug)]
pub struct RequestRecord<'a> {
    /// What it was for (`fetch manifest library/nginx:v1`).
    pub action: &'a str,
    /// The registry that it was made for.
    pub registry: &'a str,
    /// The host that was asked, with its port where that is not the scheme's own: the registry, or where it led to.
    pub host: &'a str,
    /// The method.
    pub method: &'a Method,
    /// Scheme, host and path; the query is left out, as signed URLs keep secrets there.
    pub url: &'a str,
    /// The status, or `None` where no answer came.
    pub status: Option<StatusCode>,
    /// From the first byte sent to the head of the answer.
    pub elapsed: Duration,
    /// Which try of its operation it was part of, from 1.
    pub tries: u32,
    /// What the registry calls the request, for whoever asks its operators: printable and short, or `None` where it
    /// does not say.
    pub request_id: Option<&'a str>,
    /// How many bytes of a body were handed to the network.
    pub sent: u64,
    /// How many bytes the answer's body has, where it says so.
    pub length: Option<u64>,
}

/// An observer that hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {}

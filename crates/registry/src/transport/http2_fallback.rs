//! Hosts whose HTTP/2 does not work, which are reached by HTTP/1.1 for the rest of the run.
//!
//! A host may offer HTTP/2 in its TLS handshake and still fail every request: a proxy that ends each connection, a load
//! balancer that resets the streams of what lies behind it. A request that fails in that way is sent again by HTTP/1.1,
//! and an answer to it decides: the host is reached by HTTP/1.1 from then on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::lock::lock;
use crate::transport::{HttpError, HttpErrorKind};

/// Maximum number of hosts that are remembered; redirects may name any number of them.
const MAX_HOSTS: usize = 4096;
/// The try of an operation from which on a failure that may have other reasons leads to HTTP/1.1.
const PERSISTENT: u32 = 2;

/// The hosts of a run, by their HTTP/2.
#[derive(Clone, Default)]
pub(super) struct Http2Fallback(Arc<Mutex<HashMap<String, Http2State>>>);

/// A body by HTTP/2 whose failure is noted.
pub(super) struct Http2BodyWatch {
    hosts: Http2Fallback,
    host: String,
    tries: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Http2State {
    /// A request was answered by it.
    Works,
    /// The body of an answer broke. The next retry uses HTTP/1.1.
    Suspected,
    /// A request was answered by HTTP/1.1 after it failed by HTTP/2.
    Fails,
}

impl Http2Fallback {
    /// Returns whether HTTP/2 may be offered to `host` by a request of an operation's try with number `tries`.
    pub(super) fn is_offered(&self, host: &str, tries: u32) -> bool {
        match self.lock().get(host) {
            Some(Http2State::Fails) => false,
            Some(Http2State::Suspected) => tries < PERSISTENT,
            Some(Http2State::Works) | None => true,
        }
    }

    /// Returns whether a request that failed with `error`, or without an answer in time (`None`), is to be sent again by
    /// HTTP/1.1.
    pub(super) fn is_needed(&self, host: &str, error: Option<&HttpError>, tries: u32) -> bool {
        match error.map(|error| error.kind) {
            Some(HttpErrorKind::Http2Unusable) => true,
            Some(HttpErrorKind::Http2Broken) => tries >= PERSISTENT,
            // A host that has never answered may have nothing to say in HTTP/2.
            None => tries >= PERSISTENT && !self.lock().contains_key(host),
            Some(_) => false,
        }
    }

    /// Notes an answer: by HTTP/2, or by HTTP/1.1 instead of it.
    pub(super) fn record_answer(&self, host: &str, by_http2: bool) {
        let state = if by_http2 {
            Http2State::Works
        } else {
            Http2State::Fails
        };
        self.note(host, state);
    }

    /// Watches the body of an answer of `host` by HTTP/2, at an operation's try with number `tries`.
    pub(super) fn watch(&self, host: String, tries: u32) -> Http2BodyWatch {
        Http2BodyWatch {
            hosts: self.clone(),
            host,
            tries,
        }
    }

    fn note(&self, host: &str, state: Http2State) {
        let mut hosts = self.lock();
        let known = hosts.get(host).copied();
        // Answers to earlier requests by HTTP/2 may still arrive.
        let is_final = known == Some(Http2State::Fails) || known == Some(state);
        if !is_final && (known.is_some() || hosts.len() < MAX_HOSTS) {
            hosts.insert(host.to_owned(), state);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Http2State>> {
        lock(&self.0)
    }
}

impl Http2BodyWatch {
    /// Notes that the body broke.
    pub(super) fn body_broke(&self, error: &HttpError) {
        if self.hosts.is_needed(&self.host, Some(error), self.tries) {
            self.hosts.note(&self.host, Http2State::Suspected);
        }
    }
}

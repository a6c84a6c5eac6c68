//! A call that is being sent: its plan, and its present request.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use url::Url;

use crate::transport::context::ErrorContext;
use crate::transport::{Endpoint, Lane, RequestGuard, Trust, redirect};

/// Properties of a call that stay the same over all redirects.
pub(super) struct RequestPlan {
    pub(super) action: Arc<str>,
    pub(super) endpoint: Endpoint,
    pub(super) method: Method,
    pub(super) trust: Trust,
    pub(super) lane: Lane,
    pub(super) answer: Duration,
    pub(super) follow: bool,
    pub(super) tries: u32,
    pub(super) public_only: bool,
    pub(super) guard: Option<Arc<dyn RequestGuard>>,
}

impl RequestPlan {
    /// Returns the reason if the call must not be sent any more.
    pub(super) fn refusal(&self) -> Option<String> {
        self.guard.as_ref()?.refusal()
    }
}

/// One request of a call, before or after a redirect.
pub(super) struct Hop {
    pub(super) context: ErrorContext,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    /// True if a host of the public internet led here.
    pub(super) led_by_public: bool,
}

impl Hop {
    /// Returns the next request after a redirect, with the headers that may leave the origin.
    pub(super) fn onward(mut self, target: Url, led_by_public: bool) -> Self {
        if !redirect::same_origin(&self.url, &target) {
            redirect::strip_private_headers(&mut self.headers);
        }
        Self {
            context: self.context.redirected_to(&target),
            url: target,
            headers: self.headers,
            led_by_public,
        }
    }
}

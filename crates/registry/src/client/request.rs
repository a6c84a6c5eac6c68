//! Description of one request, as the families of endpoints build it.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use url::Url;

use crate::auth::{ScopeSet, has_registry_signs, is_telling};
use crate::client::checked_url::CheckedUrl;
use crate::client::request_context::RequestContext;
use crate::error::{self, Cause, Error, ErrorKind};
use crate::reference::Resource;
use crate::transport::{
    AnswerLimit, Call, ForbiddenRedirect, Lane, RequestBody, RequestGuard, Response, authority,
    is_host_of,
};

/// One request, which can be turned into a call any number of times.
#[derive(Clone, Debug)]
pub(super) struct RequestSpec {
    pub(super) action: Arc<str>,
    pub(super) resource: Resource,
    pub(super) scopes: ScopeSet,
    pub(super) method: Method,
    place: RequestTarget,
    headers: HeaderMap,
    body: Bytes,
    pub(super) lane: Lane,
    limit: AnswerLimit,
    follow: bool,
    pub(super) weight: u64,
    pub(super) counted: bool,
    pub(super) public_only: bool,
    /// True if the request is not retried after any outcome of its first try.
    pub(super) once: bool,
    guard: Option<Arc<dyn RequestGuard>>,
}

/// Address of a request.
#[derive(Clone, Debug)]
enum RequestTarget {
    /// Below the resource: `manifests/v1`.
    Api(String),
    /// An address from the registry.
    Given(CheckedUrl),
}

impl RequestSpec {
    /// Creates a request for a registry or a repository at `path` below it; `action` is the infinitive clause for errors.
    pub(super) fn new(
        method: Method,
        resource: impl Into<Resource>,
        scopes: ScopeSet,
        path: impl Into<String>,
        action: impl Into<Arc<str>>,
    ) -> Self {
        Self {
            action: action.into(),
            resource: resource.into(),
            scopes,
            // Only these can be repeated elsewhere without sending a body again.
            follow: matches!(method, Method::GET | Method::HEAD),
            method,
            place: RequestTarget::Api(path.into()),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            lane: Lane::Calls,
            limit: AnswerLimit::Normal,
            weight: 0,
            counted: false,
            public_only: false,
            once: false,
            guard: None,
        }
    }

    /// Replaces the path by an address from the registry.
    pub(super) fn at(mut self, address: CheckedUrl) -> Self {
        self.place = RequestTarget::Given(address);
        self
    }

    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(super) fn body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    pub(super) fn lane(mut self, lane: Lane) -> Self {
        self.lane = lane;
        self
    }

    pub(super) fn limit(mut self, limit: AnswerLimit) -> Self {
        self.limit = limit;
        self
    }

    pub(super) fn follow(mut self, follow: bool) -> Self {
        self.follow = follow;
        self
    }

    /// Returns whether redirects are followed.
    pub(super) fn follows(&self) -> bool {
        self.follow
    }

    /// Sets the number of bytes that will flow, by which waiting requests are ordered.
    pub(super) fn weight(mut self, bytes: u64) -> Self {
        self.weight = bytes;
        self
    }

    /// Marks a request for a manifest, which may count against a quota of the registry.
    pub(super) fn counted(mut self) -> Self {
        self.counted = true;
        self
    }

    /// Limits the request to a single try.
    pub(super) fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// Sets the permission that each try needs, also after a redirect.
    pub(super) fn guarded(mut self, guard: Option<Arc<dyn RequestGuard>>) -> Self {
        self.guard = guard;
        self
    }

    pub(super) fn scopes(mut self, scopes: ScopeSet) -> Self {
        self.scopes = scopes;
        self
    }

    pub(super) fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// Returns an error of this program about this request.
    pub(super) fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::new(
            kind,
            &*self.action,
            self.resource.registry().as_str(),
            message,
        )
        .with_resource(&self.resource)
    }

    /// Returns the error for an answer that leads to a forbidden address.
    pub(super) fn forbidden_redirect(
        &self,
        ForbiddenRedirect { cause, why }: ForbiddenRedirect,
    ) -> Error {
        self.error(ErrorKind::Refused, why).with_cause(cause)
    }

    /// Returns the error for an answer to this request.
    pub(super) async fn failure(&self, response: Response) -> Error {
        let registry = self.resource.registry();
        let host = if is_host_of(registry, &response.url) {
            registry.as_str()
        } else {
            authority(&response.url)
        };
        let host = host.to_owned();
        let lacks_signs = response.body.redirected().is_none()
            && is_telling(response.status)
            && self.lacks_registry_signs(&response.headers, &response.url);
        // Boxed: it is rare, and the future of every request would have room for it.
        let error = Box::pin(Error::from_response(&self.action, &host, response)).await;
        // A known cause comes from a registry, or from a server whose messages are known.
        let is_unknown = error.code().is_none() && error.cause() == error.kind().into();
        let error = if lacks_signs && is_unknown {
            error.without_registry_signs()
        } else {
            error
        };
        let cause = match error::from_request(&self.method, &error) {
            // A manifest names the blob.
            Cause::NotFound if self.is_for_blob() => Cause::ContentMissing,
            cause => cause,
        };
        let error = error.with_cause(cause).with_resource(&self.resource);
        if self.conflicts(&error) {
            error.with_conflict()
        } else {
            error
        }
    }

    /// Marks `error`, which says that a success with these `headers` is not understood, if the answer is a page of a
    /// server that may be no registry.
    pub(super) fn mark_if_no_registry(
        &self,
        error: Error,
        headers: &HeaderMap,
        url: &Url,
    ) -> Error {
        let content_type = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
        let is_page = content_type.is_some_and(|it| it.starts_with("text/html"));
        if is_page && self.lacks_registry_signs(headers, url) {
            error.without_registry_signs()
        } else {
            error
        }
    }

    /// Returns whether an answer from `url` has no sign of a registry, although it comes from the host that should be
    /// one. An answer to HEAD has no body that could show a sign.
    fn lacks_registry_signs(&self, headers: &HeaderMap, url: &Url) -> bool {
        let is_of_registry = match &self.place {
            RequestTarget::Given(address) => address.home,
            RequestTarget::Api(_) => true,
        };
        is_of_registry
            && self.method != Method::HEAD
            && is_host_of(self.resource.registry(), url)
            && !has_registry_signs(headers)
    }

    /// Returns whether `error` is a conflict with another request about which the registry says nothing else.
    fn conflicts(&self, error: &Error) -> bool {
        matches!(self.method, Method::POST | Method::PUT | Method::PATCH)
            && error.status() == Some(StatusCode::CONFLICT)
            && error.cause() == Cause::Rejected
    }

    /// Returns whether the request reads the content of a blob.
    fn is_for_blob(&self) -> bool {
        match &self.place {
            RequestTarget::Api(path) => self.method == Method::GET && path.starts_with("blobs/sha"),
            RequestTarget::Given(_) => false,
        }
    }

    pub(super) fn address(&self, base: &Url) -> Result<CheckedUrl, Error> {
        match &self.place {
            RequestTarget::Given(address) => Ok(address.clone()),
            RequestTarget::Api(path) => {
                // Without the formatter, which is slower: each request comes by.
                let path = match &self.resource {
                    Resource::Registry(_) => ["v2/", path].concat(),
                    Resource::Repository(repository) => {
                        ["v2/", repository.path(), "/", path].concat()
                    }
                };
                let url = base.join(&path).map_err(|error| {
                    self.error(ErrorKind::Protocol, format!("{path} makes no URL"))
                        .with_source(error)
                })?;
                Ok(CheckedUrl::at_registry(url))
            }
        }
    }

    pub(super) fn call(
        &self,
        context: &RequestContext,
        address: &CheckedUrl,
        used: Option<&HeaderValue>,
        body: RequestBody,
    ) -> Call {
        let mut headers = self.headers.clone();
        if let Some(value) = used {
            headers.insert(AUTHORIZATION, value.clone());
        }
        Call {
            action: Arc::clone(&self.action),
            endpoint: context.endpoint.clone(),
            method: self.method.clone(),
            url: address.url.clone(),
            headers,
            body,
            lane: self.lane,
            public_only: self.public_only || address.public_only,
            answer: self.limit,
            follow_redirects: self.follow,
            weight: self.weight,
            tries: context.tries,
            guard: self.guard.clone(),
        }
    }

    pub(super) fn replayed(&self) -> RequestBody {
        if self.body.is_empty() {
            RequestBody::Empty
        } else {
            RequestBody::Bytes(self.body.clone())
        }
    }
}

/// Encodes `text` as a value in a query: everything except unreserved characters is escaped (`:` as `%3A`, which some
/// proxies require).
pub(crate) fn in_query(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, RESERVED).to_string()
}

const RESERVED: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_values() {
        assert_eq!(in_query("sha256:ab"), "sha256%3Aab");
        assert_eq!(in_query("team/my_app-1.2~x"), "team%2Fmy_app-1.2~x");
    }
}

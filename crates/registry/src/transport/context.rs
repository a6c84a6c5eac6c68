//! The action and the host of a request, for error messages.

use std::sync::Arc;

use url::{Host, Position, Url};

use crate::error::{Error, ErrorKind};
use crate::reference::Registry;
use crate::transport::Endpoint;
use crate::transport::redact::SecretRedactor;

/// An action and its host.
#[derive(Clone, Debug)]
pub(crate) struct ErrorContext {
    action: Arc<str>,
    host: Arc<str>,
    redirected_from: Option<Arc<str>>,
    redactor: SecretRedactor,
}

impl ErrorContext {
    /// Returns the context of `action` at the host of `url`. If `url` leads to the registry itself, the host has the
    /// name that the user gave it.
    pub(super) fn new(
        action: &Arc<str>,
        endpoint: &Endpoint,
        url: &Url,
        redactor: SecretRedactor,
    ) -> Self {
        let host = if is_host_of(&endpoint.registry, url) {
            endpoint.registry.name()
        } else {
            Arc::from(authority(url))
        };
        Self {
            action: action.clone(),
            host,
            redirected_from: None,
            redactor,
        }
    }
    /// Returns the context of the same action at the target of a redirect.
    pub(super) fn redirected_to(&self, url: &Url) -> Self {
        let from = self.redirected_from.as_ref().unwrap_or(&self.host);
        let host = authority(url);
        Self {
            action: self.action.clone(),
            redirected_from: (*host != **from).then(|| from.clone()),
            host: Arc::from(host),
            redactor: self.redactor.clone(),
        }
    }
    /// Returns the host like [`ErrorContext::host`].
    pub(super) fn shared_host(&self) -> Arc<str> {
        self.host.clone()
    }
    /// The host, as the user wrote it, or as a redirect or a realm named it.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }
    /// The host that redirected here.
    pub(crate) fn redirected_from(&self) -> Option<&str> {
        self.redirected_from.as_deref()
    }
    /// Redactor of the secrets that were sent.
    pub(crate) fn redactor(&self) -> &SecretRedactor {
        &self.redactor
    }
    /// Returns an error of this action at this host.
    pub(super) fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        let mut message = message.into();
        if let Some(from) = &self.redirected_from {
            message.push_str(", redirected from ");
            message.push_str(from);
        }
        Error::new(kind, &*self.action, &*self.host, message)
    }
}

/// Returns host and port of `url`, without the port if it is the scheme's default.
pub(crate) fn authority(url: &Url) -> &str {
    match &url[Position::BeforeHost..Position::AfterPort] {
        "" => "an unknown host",
        authority => authority,
    }
}

/// Returns true if `url` leads to the host of `registry`. A registry without a port matches every port, since an
/// insecure one may answer on 443 or on 80.
pub(crate) fn is_host_of(registry: &Registry, url: &Url) -> bool {
    let name = registry.api_host();
    let other_port = registry
        .port()
        .is_some_and(|port| url.port_or_known_default() != Some(port));
    if other_port {
        return false;
    }
    match url.host() {
        Some(Host::Domain(domain)) => domain.eq_ignore_ascii_case(name),
        Some(Host::Ipv4(address)) => name.parse() == Ok(address),
        Some(Host::Ipv6(address)) => name.trim_matches(['[', ']']).parse() == Ok(address),
        None => false,
    }
}

//! What is being done where, for the sentences of errors.

use std::sync::Arc;

use url::{Host, Url};

use crate::error::{Error, ErrorKind};
use crate::reference::Registry;
use crate::transport::Endpoint;
use crate::transport::redact::SecretRedactor;

/// An action and the host that it is done at.
#[derive(Clone, Debug)]
pub(crate) struct RequestContext {
    action: Arc<str>,
    host: Arc<str>,
    redirected_from: Option<Arc<str>>,
    redactor: SecretRedactor,
}

impl RequestContext {
    /// `action` at the host of `url`, by the name that the user gave it where `url` leads to the registry itself.
    pub(super) fn new(
        action: &Arc<str>,
        endpoint: &Endpoint,
        url: &Url,
        redactor: SecretRedactor,
    ) -> Self {
        let host = if is_host_of(&endpoint.registry, url) {
            Arc::from(endpoint.registry.as_str())
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
    /// The same action at the host that a redirect led to.
    pub(super) fn redirected_to(&self, url: &Url) -> Self {
        let from = self.redirected_from.as_ref().unwrap_or(&self.host);
        let host = authority(url);
        Self {
            action: self.action.clone(),
            redirected_from: (host != **from).then(|| from.clone()),
            host: Arc::from(host),
            redactor: self.redactor.clone(),
        }
    }
    /// The host, as the user wrote it, or that a redirect or a realm led to.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }
    /// The host that sent us here.
    pub(crate) fn redirected_from(&self) -> Option<&str> {
        self.redirected_from.as_deref()
    }
    /// Redactor of what was sent.
    pub(crate) fn redactor(&self) -> &SecretRedactor {
        &self.redactor
    }
    /// An error here.
    pub(super) fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        let mut message = message.into();
        if let Some(from) = &self.redirected_from {
            message.push_str(", redirected from ");
            message.push_str(from);
        }
        Error::new(kind, &*self.action, &*self.host, message)
    }
}

/// Host and port of `url`, the port only where it is not the scheme's own.
pub(crate) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or("an unknown host");
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Whether `url` leads to the host of `registry`: on its port, or on any where it has none of its own, since an
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

//! The path from a call to its answer: scheme, TLS, proxies, redirects, limits per host, stalls.
//!
//! Create a [`Transport`] with [`TransportOptions`], and give it to [`Options`](crate::Options). An [`Observer`] receives
//! what happens on the wire. Everything else here is for the client and its tests: it is hidden, and may change at any
//! time.

// Each file has one concern. `Transport::send` makes one try; `retry` decides what follows a failed one. Tokens are
// unknown here: the caller sets the `Authorization` header, and this layer drops it when a request leaves the origin.
mod addresses;
mod body;
mod body_progress;
mod certificates;
mod certs_d;
mod classify;
mod connection;
mod connector;
mod context;
mod crypto;
mod destination_rules;
mod exchange;
mod http2_fallback;
mod hyper_service;
mod limits;
mod message;
mod network;
mod observer;
mod options;
mod prefix;
mod private_addresses;
mod proxies;
mod proxy;
mod proxy_setting;
mod pull;
mod redact;
mod redirect;
mod registry_limits;
mod request_body;
mod request_guard;
mod request_id;
mod request_plan;
mod retry;
mod scheme;
mod send;
mod shutdown_deadline;
mod stall;
mod tls;
mod tls_alerts;
mod tls_exceptions;
mod tls_settings;
mod unreachable;
mod uri;
mod warnings;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use url::Url;

use crate::auth::Secret;
use crate::error::{Cause, Error};
use crate::reference::Registry;

use certs_d::RegistryCertificates;
use http2_fallback::Http2Fallback;
use hyper_service::{Environment, HyperService};
use limits::{Limits, Pauses, Quotas, Rates};
use network::Network;
use proxies::Proxies;
#[doc(hidden)]
pub use proxies::ProxyChoice;
use scheme::SchemeCache;
use shutdown_deadline::ShutdownDeadline;
use unreachable::UnreachableHosts;
use warnings::ReportedWarnings;

#[doc(hidden)]
pub use body::{ResponseBody, ResponseStream};
#[doc(hidden)]
pub use certs_d::CertificateSet;
pub use certs_d::certificate_directories;
pub(crate) use context::{authority, is_host_of};
pub(crate) use destination_rules::ForbiddenRedirect;
pub use limits::{
    Draw, Grant, LimitUnit, LimitsUnavailable, PerRegistry, RemotePauses, SharedLimits,
    WindowBounds,
};
#[doc(hidden)]
pub use message::MessageAnswer;
#[doc(hidden)]
pub use network::{HostSet, Reach};
pub use network::{Resolver, SystemResolver};
pub use observer::{ByteCounters, Observer, PauseReason, RequestRecord, Silent};
pub use options::{Timeouts, TransportOptions};
pub(crate) use private_addresses::{leads_inside, names};
pub use proxy_setting::ProxySetting;
pub(crate) use redact::SecretRedactor;
pub use registry_limits::RegistryLimits;
#[doc(hidden)]
pub use request_body::{BodyAborted, RequestBody, RequestStream};
pub use request_guard::RequestGuard;
#[doc(hidden)]
pub use retry::Attempts;
pub use retry::RetryPolicy;
#[doc(hidden)]
pub use send::ReservedPermit;
#[doc(hidden)]
pub use tls_exceptions::TlsExceptions;
pub use tls_settings::TlsSettings;

/// The interface to the HTTP library: one request, one answer, no redirects, no retries.
#[doc(hidden)]
pub trait HttpService: Send + Sync + 'static {
    /// Makes the request. Resolves when the head of the answer has arrived.
    fn call(
        &self,
        request: http::Request<RequestBody>,
        route: Route,
    ) -> BoxFuture<'_, Result<http::Response<ResponseBody>, HttpError>>;

    /// Checks if something answers at `url`, a base URL, in the URL's scheme. Avoids a request that the registry would
    /// count, if possible.
    fn probe<'a>(&'a self, url: &'a Url, route: Route) -> BoxFuture<'a, Result<(), HttpError>> {
        Box::pin(request_base(self, url, route))
    }
}

/// Requests `/v2/` below `url`; any answer is a success.
async fn request_base<S: HttpService + ?Sized>(
    service: &S,
    url: &Url,
    route: Route,
) -> Result<(), HttpError> {
    let request = http::Request::get(format!("{url}v2/"))
        .body(RequestBody::Empty)
        .map_err(|_| {
            HttpError::new(
                HttpErrorKind::Connect,
                "its name is not a valid host name".to_owned(),
            )
        })?;
    match service.call(request, route).await {
        // TLS and HTTP/2 were negotiated, so the scheme is right.
        Err(error)
            if matches!(
                error.kind,
                HttpErrorKind::Http2Broken | HttpErrorKind::Http2Unusable
            ) =>
        {
            Ok(())
        }
        answer => answer.map(drop),
    }
}

/// The connections that a request may use. Requests with different routes share none.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// Verification of the peer's certificate.
    pub trust: Trust,
    /// Kind of traffic.
    pub lane: Lane,
    /// True if HTTP/2 is offered in the TLS handshake.
    pub http2: bool,
    /// Certificates of the registry that the request is made for.
    pub certificates: Option<CertificateSet>,
    /// Addresses that the request may be sent to.
    pub reach: Reach,
    /// Proxy.
    pub proxy: ProxyChoice,
}

/// Verification of a certificate.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trust {
    /// The certificate must be valid for the host and chain to a trusted root.
    Verified,
    /// Every certificate is accepted (`insecure: true`).
    Anything,
}

/// Kinds of calls, each with its own limits and connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Small requests: manifests, tags, tokens, the start of uploads. By HTTP/2 if the host speaks it.
    Calls,
    /// Bodies of blobs from a registry. By HTTP/1.1, with a connection each.
    Downloads,
    /// Bodies of blobs to a registry. By HTTP/1.1, with a connection each.
    Uploads,
}

/// The failure of a single exchange, independent of the HTTP library.
#[doc(hidden)]
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct HttpError {
    /// Kind of the failure, which decides what follows.
    pub kind: HttpErrorKind,
    /// A clause for messages ("connection refused"), without URLs and secrets.
    pub message: String,
    /// Cause, if it is more precise than that of the kind.
    pub cause: Option<Cause>,
}

impl HttpError {
    /// Returns an error of `kind` with a message.
    pub fn new(kind: HttpErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            cause: None,
        }
    }
    /// Sets a cause that is more precise than that of the kind.
    #[must_use]
    pub fn because(mut self, cause: Cause) -> Self {
        self.cause = Some(cause);
        self
    }
    /// Returns the cause.
    pub fn cause(&self) -> Cause {
        self.cause.unwrap_or(match self.kind {
            HttpErrorKind::Resolve => Cause::NameNotResolved,
            HttpErrorKind::Connect => Cause::Unreachable,
            HttpErrorKind::ConnectTimeout => Cause::TimedOut,
            HttpErrorKind::Certificate => Cause::CertificateRefused,
            HttpErrorKind::NotTls => Cause::PlainHttp,
            HttpErrorKind::Handshake => Cause::TlsRefused,
            HttpErrorKind::Broken | HttpErrorKind::Http2Broken | HttpErrorKind::Http2Unusable => {
                Cause::ConnectionBroken
            }
            HttpErrorKind::Forbidden => Cause::PrivateAddress,
            HttpErrorKind::RequestBody => Cause::Interrupted,
        })
    }
}

/// Kinds of failures of a single exchange.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpErrorKind {
    /// The name does not resolve.
    Resolve,
    /// No connection was established: refused, or failed at the proxy.
    Connect,
    /// The connection took too long to establish.
    ConnectTimeout,
    /// The certificate is not trusted.
    Certificate,
    /// The peer does not speak TLS on that port.
    NotTls,
    /// The peer speaks TLS, but no version or cipher that both sides accept.
    Handshake,
    /// The established connection broke.
    Broken,
    /// The established connection broke, and it spoke HTTP/2.
    Http2Broken,
    /// The host and this program disagree about HTTP/2, or the host demands HTTP/1.1.
    Http2Unusable,
    /// The host is at an address that may not be reached.
    Forbidden,
    /// The request's own body failed. The body's producer knows the reason.
    RequestBody,
}

/// A registry as the network sees it.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The registry.
    pub registry: Registry,
    /// Protection that its connections may do without (docs/files.md#credentials).
    pub exceptions: TlsExceptions,
}

/// A call: everything that a single try needs. The body can be read once, so each try needs a new call.
#[doc(hidden)]
pub struct Call {
    /// Action as an infinitive clause for errors and logs: `fetch manifest library/nginx:v1`.
    pub action: Arc<str>,
    /// The registry of the action, also for requests to its token server.
    pub endpoint: Endpoint,
    /// The method.
    pub method: Method,
    /// The URL.
    pub url: Url,
    /// The headers, with `Authorization`, which is dropped if a redirect leaves the origin.
    pub headers: HeaderMap,
    /// The body.
    pub body: RequestBody,
    /// Limits and connections.
    pub lane: Lane,
    /// Time limit for the head of the answer.
    pub answer: AnswerLimit,
    /// True if redirects are followed (only for GET and HEAD).
    pub follow_redirects: bool,
    /// True for an address that no registry vouches for: it must be public, wherever the registry is.
    pub public_only: bool,
    /// Number of bytes to transfer, if known. Among waiting calls the largest goes first.
    pub weight: u64,
    /// Number of the try within its operation, from 1: see [`Attempts::after`].
    pub tries: u32,
    /// Permission that may end while the call waits; `None` for a call that may be sent at any time.
    pub guard: Option<Arc<dyn RequestGuard>>,
}

/// Time limit for the head of an answer after the request was sent.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerLimit {
    /// [`Timeouts::stall`].
    Normal,
    /// [`Timeouts::closing`].
    Closing,
}

/// An answer. Its body holds the host's permit until it is read to the end or dropped.
#[doc(hidden)]
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// URL of the answer, after redirects. Relative locations resolve against it.
    pub url: Url,
    /// The body, watched for stalls; [`ResponseBody::bytes`] reads it completely, within a limit.
    pub body: ResponseBody,
}

fn network(options: &TransportOptions) -> Arc<Network> {
    let resolver = options.resolver.clone();
    Arc::new(Network::new(resolver, &options.private_hosts))
}

/// Sends calls. Shared by all clients of a run.
pub struct Transport {
    options: TransportOptions,
    user_agent: Option<HeaderValue>,
    certificates: Arc<RegistryCertificates>,
    proxies: Arc<Proxies>,
    network: Arc<Network>,
    service: Arc<dyn HttpService>,
    limits: Limits,
    pauses: Arc<Pauses>,
    rates: Rates,
    quotas: Quotas,
    shutdown: ShutdownDeadline,
    schemes: SchemeCache,
    hosts: UnreachableHosts,
    http2: Http2Fallback,
    redactor: SecretRedactor,
    warnings: ReportedWarnings,
}

impl Transport {
    /// Creates a transport over hyper. Proxies come from the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`,
    /// `NO_PROXY`, read as Go programs do). Trusted roots come from the system (`SSL_CERT_FILE` and `SSL_CERT_DIR` are
    /// respected), or are built in if the system has none.
    ///
    /// # Errors
    /// If one of [`TransportOptions::extra_certificates`] is not a certificate.
    pub fn new(options: TransportOptions) -> Result<Self, Error> {
        let proxies = Arc::new(Proxies::from_env(options.proxies.clone()));
        let directories = options.certificate_directories.clone();
        let certificates = RegistryCertificates::new(options.tls.clone(), directories);
        let certificates = Arc::new(certificates);
        let network = network(&options);
        let service = HyperService::new(
            &options,
            Environment {
                proxies: proxies.clone(),
                certificates: certificates.clone(),
                network: network.clone(),
            },
        )?;
        let transport = Self {
            certificates,
            proxies: proxies.clone(),
            network,
            ..Self::with_service(Arc::new(service), options)
        };
        let (headers, passwords) = proxies.logins();
        for header in headers.iter().filter_map(|value| value.to_str().ok()) {
            transport.redactor.learn_authorization(header);
        }
        for password in &passwords {
            transport.redactor.learn_password(password);
        }
        Ok(transport)
    }
    /// Creates a transport over another HTTP service.
    #[doc(hidden)]
    pub fn with_service(service: Arc<dyn HttpService>, options: TransportOptions) -> Self {
        let pauses = Arc::new(Pauses::default());
        if let Some(shared) = &options.shared_limits {
            shared.attach(RemotePauses::new(&pauses, &options.observer));
        }
        Self {
            limits: Limits::new(
                options.calls_per_host,
                options.transfers_per_host,
                options.max_transfers.clone(),
            ),
            pauses,
            quotas: Quotas::default(),
            rates: Rates::new(
                options.max_requests.clone(),
                options.max_rate.clone(),
                options.shared_limits.clone(),
            ),
            shutdown: ShutdownDeadline::default(),
            schemes: SchemeCache::new(service.clone()),
            hosts: UnreachableHosts::default(),
            http2: Http2Fallback::default(),
            redactor: SecretRedactor::default(),
            warnings: ReportedWarnings::default(),
            certificates: Arc::new(RegistryCertificates::new(
                PerRegistry::default(),
                Vec::new(),
            )),
            proxies: Arc::default(),
            network: network(&options),
            service,
            user_agent: HeaderValue::from_str(&options.user_agent).ok(),
            options,
        }
    }
    /// Sends no request to the host of `endpoint` for `delay`.
    #[doc(hidden)]
    pub fn pause(&self, endpoint: &Endpoint, delay: Duration, why: PauseReason) {
        if why == PauseReason::RateLimit {
            self.rates.record_pause(&endpoint.registry, delay);
        }
        if self.pauses.pause(&endpoint.registry, delay) {
            self.observer()
                .pause(endpoint.registry.as_str(), delay, why);
        }
        if let Some(shared) = &self.options.shared_limits {
            shared.pause(&endpoint.registry, delay, why);
        }
    }
    /// Returns `registry` as the network sees it, with the exceptions of its settings; all of them if `insecure`.
    #[doc(hidden)]
    pub fn endpoint(&self, registry: &Registry, insecure: bool) -> Endpoint {
        let settings = self.options.tls.for_registry(registry);
        Endpoint {
            registry: registry.clone(),
            exceptions: if insecure {
                TlsExceptions::ALL
            } else {
                settings.map(TlsSettings::exceptions).unwrap_or_default()
            },
        }
    }
    /// Removes `password` from the texts of servers, before it is sent in a form that is not recognised.
    pub(crate) fn learn_password(&self, password: &Secret) {
        self.redactor.learn_password(password.reveal());
    }
    /// Returns the hosts of a private network that `registry` may lead to.
    pub(crate) fn private_hosts(&self, registry: &Registry) -> Arc<[String]> {
        self.network.allowed(registry)
    }
    /// Receiver of requests, retries and pauses.
    pub fn observer(&self) -> &dyn Observer {
        &*self.options.observer
    }
}

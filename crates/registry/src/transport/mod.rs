//! From a call to an answer: scheme, TLS, proxies, redirects, limits per host, stalls.
//!
//! One concern a file. [`Transport::send`] makes one try; [`retry`] decides what follows a failed one. Nothing here
//! knows of tokens: the caller puts the `Authorization` header in, and this layer sees that it goes nowhere else.

mod addresses;
pub mod body;
mod body_progress;
mod certs_d;
mod classify;
mod connection;
mod connector;
mod context;
mod destination_rules;
mod exchange;
mod http2_fallback;
mod hyper_service;
mod limits;
mod network;
mod observer;
mod prefix;
mod private_addresses;
mod proxies;
mod proxy;
mod pull;
mod redact;
mod redirect;
mod request_id;
pub mod retry;
mod scheme;
mod send;
mod shutdown_deadline;
mod stall;
mod tls;
mod tls_alerts;
mod unreachable;
mod warnings;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use crate::cause::Cause;
use crate::error::Error;
use crate::reference::Registry;

use certs_d::CertificateFolders;
use http2_fallback::Http2Fallback;
use hyper_service::{Environment, HyperService};
use limits::{Limits, Pauses, Quotas, Rates};
use network::Network;
use proxies::Proxies;
use scheme::SchemeCache;
use shutdown_deadline::ShutdownDeadline;
use unreachable::UnreachableHosts;
use warnings::ReportedWarnings;

pub use body::{BodyAborted, RequestBody, RequestStream, ResponseBody, ResponseStream};
pub use certs_d::{CertificateSet, certificate_directories};
pub(crate) use context::{authority, is_host_of};
pub(crate) use destination_rules::Astray;
pub use limits::{PerRegistry, WindowBounds};
pub use network::{Reach, Resolver, SystemResolver};
pub use observer::{Observer, PauseReason, RequestRecord, Silent};
pub(crate) use private_addresses::{leads_inside, names};
pub(crate) use redact::SecretRedactor;
pub use retry::{Attempts, RetryPolicy};
pub use send::ReservedPermit;
pub use tls::prepare;

/// The seam to the HTTP library: one request, one answer, no redirects, no retries.
pub trait HttpService: Send + Sync + 'static {
    /// Makes the request; resolves when the answer's head has arrived.
    fn call(
        &self,
        request: http::Request<RequestBody>,
        route: Route,
    ) -> BoxFuture<'_, Result<http::Response<ResponseBody>, HttpError>>;

    /// Whether something answers at `url`, a base URL, in the URL's scheme. A service that can find out without a
    /// request that the registry would count should do so.
    fn probe<'a>(&'a self, url: &'a Url, route: Route) -> BoxFuture<'a, Result<(), HttpError>> {
        Box::pin(request_base(self, url, route))
    }
}

/// Asks for `/v2/` below `url`; any answer will do.
async fn request_base<S: HttpService + ?Sized>(
    service: &S,
    url: &Url,
    route: Route,
) -> Result<(), HttpError> {
    let request = http::Request::get(format!("{url}v2/"))
        .body(RequestBody::Empty)
        .map_err(|_| HttpError::new(HttpErrorKind::Connect, "its name is no host".to_owned()))?;
    match service.call(request, route).await {
        // TLS and HTTP/2 were agreed on, so the scheme is right.
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

/// Which connections a request may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// How the peer's certificate is judged.
    pub trust: Trust,
    /// What flows.
    pub lane: Lane,
    /// Offers HTTP/2 to a host in the TLS handshake.
    pub http2: bool,
    /// Certificates of the registry for whose sake the request is made.
    pub certificates: Option<CertificateSet>,
    /// The addresses that it may be sent to.
    pub reach: Reach,
}

/// How a certificate is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trust {
    /// It must be valid for the host and chain to a trusted root.
    Verified,
    /// Any will do (`insecure: true`).
    Anything,
}

/// The kinds of call that have limits and connections of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Small requests: manifests, tags, tokens, the opening of uploads. HTTP/2 where the host speaks it.
    Calls,
    /// Bodies of blobs from a registry. HTTP/1.1, a connection each.
    Downloads,
    /// Bodies of blobs to a registry. HTTP/1.1, a connection each.
    Uploads,
}

/// Why a single exchange failed, in the words of this crate and not of the HTTP library.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct HttpError {
    /// What to do about it.
    pub kind: HttpErrorKind,
    /// A clause for people ("connection refused"); no URL, no secret.
    pub message: String,
    /// What it is, where that is more than the kind says.
    pub cause: Option<Cause>,
}

impl HttpError {
    /// What happened, of `kind`.
    pub fn new(kind: HttpErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            cause: None,
        }
    }
    /// As what it is, where that is more than the kind says.
    #[must_use]
    pub fn because(mut self, cause: Cause) -> Self {
        self.cause = Some(cause);
        self
    }
    /// What it is.
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

/// Where a single exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpErrorKind {
    /// The name does not resolve.
    Resolve,
    /// Before a connection stood: refusal, proxy.
    Connect,
    /// The connection could not be made in time.
    ConnectTimeout,
    /// The certificate is not trusted.
    Certificate,
    /// The peer does not speak TLS on that port.
    NotTls,
    /// The peer speaks TLS, but none that both sides accept.
    Handshake,
    /// After the connection stood.
    Broken,
    /// After the connection stood, over HTTP/2.
    Http2Broken,
    /// The host and this program disagree about HTTP/2, or the host demands HTTP/1.1.
    Http2Unusable,
    /// The host is at an address that may not be reached.
    Forbidden,
    /// The request's own body failed; what happened is with the body's producer.
    RequestBody,
}

/// How long things may take. Nothing limits a whole transfer: progress is watched, not time.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// DNS, TCP and TLS together.
    pub connect: Duration,
    /// No byte in either direction for this long ends an attempt. A side that waits for the other is not stalled.
    pub stall: Duration,
    /// The answer to a closing blob PUT or a manifest PUT, during which a server may hash and copy.
    pub closing: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            stall: Duration::from_secs(60),
            closing: Duration::from_secs(600),
        }
    }
}

/// One registry as the network sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Which.
    pub registry: Registry,
    /// True if http, or https with any certificate, will do (docs/files.md#credentials).
    pub insecure: bool,
}

/// One call: everything that a single try needs. The body can be produced once; a new try takes a new call.
pub struct Call {
    /// What is being done, an infinitive clause for errors and logs: `fetch manifest library/nginx:v1`.
    pub action: Arc<str>,
    /// The registry that it is done at, or for whose sake (a token server).
    pub endpoint: Endpoint,
    /// The method.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// The headers, `Authorization` included, which is dropped when a redirect leaves the origin.
    pub headers: HeaderMap,
    /// The body.
    pub body: RequestBody,
    /// Which limits and connections.
    pub lane: Lane,
    /// How long the answer's head may take.
    pub answer: AnswerLimit,
    /// Whether redirects are followed (only for GET and HEAD).
    pub follow_redirects: bool,
    /// True for an address that no registry vouches for: it must be a public one, wherever the registry is.
    pub public_only: bool,
    /// How many bytes will flow, where it is known and matters: the largest of those that wait for a place goes first.
    pub weight: u64,
    /// Which try of its operation it is, from 1: see [`Attempts::after`].
    pub tries: u32,
}

/// How long to wait for the head of an answer once the request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerLimit {
    /// [`Timeouts::stall`].
    Normal,
    /// [`Timeouts::closing`].
    Closing,
}

/// An answer. Its body holds the host's permit until it is read to the end or dropped.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// Where the answer came from, after redirects; relative locations resolve against it.
    pub url: Url,
    /// The body, watched for stalls; [`ResponseBody::bytes`] reads it whole within a limit.
    pub body: ResponseBody,
}

/// What the transport may do; made once for a run.
#[derive(Clone)]
pub struct TransportOptions {
    /// Time limits.
    pub timeouts: Timeouts,
    /// Requests in flight per host: small calls. Over HTTP/1.1, where each has a connection of its own, never more than
    /// at the start.
    pub calls_per_host: WindowBounds,
    /// Blob bodies in flight per host and direction.
    pub transfers_per_host: WindowBounds,
    /// Requests a second that are made for the sake of a registry: redirects, tokens and storage that it leads to
    /// included. More than zero.
    pub max_requests: PerRegistry<f64>,
    /// Bytes a second that flow in bodies for the sake of a registry, in both directions together, wherever it leads.
    /// More than zero.
    pub max_rate: PerRegistry<u64>,
    /// Certificates that are trusted besides the system's: each the contents of a PEM file, with any number of
    /// certificates in it, or of a DER file.
    pub extra_certificates: Vec<Vec<u8>>,
    /// Directories with a folder of certificates for each registry, the first that has one counts: see
    /// [`certificate_directories`].
    pub certificate_directories: Vec<PathBuf>,
    /// Hosts of a private network, as `host` or `host:port`, that a public registry may lead to all the same: by
    /// redirect, upload location, next page or token realm.
    pub private_hosts: Vec<String>,
    /// Resolver of names.
    pub resolver: Arc<dyn Resolver>,
    /// The `User-Agent`.
    pub user_agent: String,
    /// Who is told of requests, retries and pauses.
    pub observer: Arc<dyn Observer>,
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self {
            timeouts: Timeouts::default(),
            calls_per_host: WindowBounds {
                start: 64,
                most: 256,
            },
            transfers_per_host: WindowBounds {
                start: 16,
                most: 32,
            },
            max_requests: PerRegistry::default(),
            max_rate: PerRegistry::default(),
            extra_certificates: Vec::new(),
            certificate_directories: Vec::new(),
            private_hosts: Vec::new(),
            resolver: Arc::new(SystemResolver),
            user_agent: concat!("image-syncer/", env!("CARGO_PKG_VERSION")).to_owned(),
            observer: Arc::new(Silent),
        }
    }
}

fn network(options: &TransportOptions) -> Arc<Network> {
    let resolver = options.resolver.clone();
    Arc::new(Network::new(resolver, options.private_hosts.clone()))
}

/// Sends calls; shared by all clients of a run.
pub struct Transport {
    options: TransportOptions,
    certificates: Arc<CertificateFolders>,
    network: Arc<Network>,
    service: Arc<dyn HttpService>,
    limits: Limits,
    pauses: Pauses,
    rates: Rates,
    quotas: Quotas,
    patience: ShutdownDeadline,
    schemes: SchemeCache,
    hosts: UnreachableHosts,
    http2: Http2Fallback,
    redactor: SecretRedactor,
    warnings: ReportedWarnings,
}

impl Transport {
    /// A transport over the HTTP library that this crate is built on. Proxies come from the environment
    /// (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, as Go programs read them); trusted roots from the system (`SSL_CERT_FILE` and
    /// `SSL_CERT_DIR` are honoured), or the built-in ones where the system has none.
    ///
    /// # Errors
    /// When one of [`TransportOptions::extra_certificates`] is not a certificate.
    pub fn new(options: TransportOptions) -> Result<Self, Error> {
        let proxies = Arc::new(Proxies::from_env());
        let directories = options.certificate_directories.clone();
        let certificates = Arc::new(CertificateFolders::new(directories));
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
    /// A transport over another HTTP service.
    pub fn with_service(service: Arc<dyn HttpService>, options: TransportOptions) -> Self {
        Self {
            limits: Limits::new(options.calls_per_host, options.transfers_per_host),
            pauses: Pauses::default(),
            quotas: Quotas::default(),
            rates: Rates::new(options.max_requests.clone(), options.max_rate.clone()),
            patience: ShutdownDeadline::default(),
            schemes: SchemeCache::new(service.clone()),
            hosts: UnreachableHosts::default(),
            http2: Http2Fallback::default(),
            redactor: SecretRedactor::default(),
            warnings: ReportedWarnings::default(),
            certificates: Arc::new(CertificateFolders::new(Vec::new())),
            network: network(&options),
            service,
            options,
        }
    }
    /// Lets nobody talk to the host of `endpoint` for `delay`.
    pub fn pause(&self, endpoint: &Endpoint, delay: Duration, why: PauseReason) {
        if self.pauses.pause(&endpoint.registry, delay) {
            self.observer()
                .pause(endpoint.registry.as_str(), delay, why);
        }
    }
    /// The hosts of a private network that a public registry may lead to.
    pub(crate) fn private_hosts(&self) -> &[String] {
        &self.options.private_hosts
    }
    /// Who is told of requests, retries and pauses.
    pub fn observer(&self) -> &dyn Observer {
        &*self.options.observer
    }
}

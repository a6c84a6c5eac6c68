//! The HTTP service over reqwest.
//!
//! One client for each way to judge certificates and each kind of connection: HTTP/2 where the host speaks it for
//! small calls, HTTP/1.1 with a connection each for blobs, since over HTTP/2 one window and one loss hold up all
//! streams. Clients are made when first needed, so that roots are read only for https that is verified.
//!
//! Proxies come from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` (or lower case), as curl reads them:
//! `http://`, `https://`, `socks4://`, `socks4a://`, `socks5://` and `socks5h://`. Loopback hosts get no exception
//! of their own: a proxy that must not be asked for them is told so by `NO_PROXY=localhost,127.0.0.1`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt};
use http::Uri;
use http_body::Body as _;
use hyper_util::client::proxy::matcher::Matcher;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

use crate::error::{Error, ErrorKind};
use crate::transport::body::{Outgoing, RequestBody, ResponseBody};
use crate::transport::tls::Tls;
use crate::transport::{
    HttpError, HttpErrorKind, HttpService, Lane, Route, Timeouts, TransportOptions, Trust, ask,
    classify,
};

/// Below what servers and load balancers keep idle connections open for (60 s and more).
const IDLE: Duration = Duration::from_secs(55);
/// Between probes of a connection on which nothing moves.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// HTTP/2 receive windows: a stream's, and a connection's, which all streams share.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// How long a peer may take to answer the first bytes of a TLS handshake before it is taken for one that waits for
/// an HTTP request.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// reqwest, with our certificates and our bodies.
pub(super) struct ReqwestService {
    tls: Tls,
    proxies: Matcher,
    timeouts: Timeouts,
    transfers_per_host: usize,
    clients: Mutex<HashMap<Profile, reqwest::Client>>,
}

/// What clients differ in.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Profile {
    trust: Trust,
    multiplexed: bool,
}

impl ReqwestService {
    pub(super) fn new(options: &TransportOptions) -> Result<Self, Error> {
        let tls = Tls::new(&options.extra_certificates)
            .map_err(|why| Error::new(ErrorKind::Tls, "set up TLS", "this machine", why))?;
        Ok(Self {
            tls,
            proxies: Matcher::from_system(),
            timeouts: options.timeouts,
            transfers_per_host: options.transfers_per_host,
            clients: Mutex::default(),
        })
    }
    fn client(&self, profile: Profile) -> Result<reqwest::Client, HttpError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&profile) {
            return Ok(client.clone());
        }
        let client = self.build(profile).map_err(|message| HttpError {
            kind: HttpErrorKind::Handshake,
            message,
        })?;
        clients.insert(profile, client.clone());
        Ok(client)
    }
    fn build(&self, profile: Profile) -> Result<reqwest::Client, String> {
        let alpn: &[&[u8]] = if profile.multiplexed {
            &[b"h2", b"http/1.1"]
        } else {
            &[b"http/1.1"]
        };
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls.config(profile.trust, alpn)?)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(self.timeouts.connect)
            .tcp_nodelay(true)
            .tcp_keepalive(KEEPALIVE)
            .tcp_user_timeout(self.timeouts.stall)
            .pool_idle_timeout(IDLE);
        let builder = if profile.multiplexed {
            builder
                .http2_initial_stream_window_size(STREAM_WINDOW)
                .http2_initial_connection_window_size(CONNECTION_WINDOW)
                .http2_keep_alive_interval(KEEPALIVE)
                .http2_keep_alive_timeout(self.timeouts.stall)
        } else {
            builder
                .http1_only()
                .pool_max_idle_per_host(self.transfers_per_host)
        };
        builder.build().map_err(|error| {
            format!(
                "the HTTP client cannot be set up: {}",
                classify::exchange(&error)
            )
        })
    }
    /// The proxy that is asked for `uri`, as host and port.
    fn proxy_of(&self, uri: &Uri) -> Option<Uri> {
        self.proxies
            .intercept(uri)
            .map(|intercept| intercept.uri().clone())
    }
    /// Plain http has no certificates to judge, so the client without roots does, unless the proxy has one.
    fn trust(route: Route, uri: &Uri, proxy: Option<&Uri>) -> Trust {
        let proxy_over_tls = proxy.is_some_and(|proxy| proxy.scheme_str() == Some("https"));
        if uri.scheme_str() == Some("http") && !proxy_over_tls {
            Trust::Anything
        } else {
            route.trust
        }
    }
    async fn exchange(
        &self,
        request: http::Request<RequestBody>,
        route: Route,
    ) -> Result<http::Response<ResponseBody>, HttpError> {
        let proxy = self.proxy_of(request.uri());
        let client = self.client(Profile {
            trust: Self::trust(route, request.uri(), proxy.as_ref()),
            multiplexed: route.lane == Lane::Calls,
        })?;
        let request = reqwest::Request::try_from(request.map(outgoing)).map_err(|_| HttpError {
            kind: HttpErrorKind::Broken,
            message: "the URL cannot be requested".to_owned(),
        })?;
        let response = client
            .execute(request)
            .await
            .map_err(|error| through(proxy.as_ref(), classify::exchange(&error)))?;
        let (parts, body) = http::Response::<reqwest::Body>::from(response).into_parts();
        Ok(http::Response::from_parts(parts, incoming(body)))
    }
    /// Connects, and makes the TLS handshake for https; no request is made that a registry would count.
    async fn connect(&self, url: &Url) -> Result<(), HttpError> {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(443);
        let stream = tokio::time::timeout(
            self.timeouts.connect,
            TcpStream::connect((host.trim_matches(['[', ']']), port)),
        )
        .await
        .map_err(|_| HttpError {
            kind: HttpErrorKind::ConnectTimeout,
            message: "no connection in time".to_owned(),
        })?
        .map_err(|error| match error.raw_os_error() {
            Some(_) => HttpError {
                kind: HttpErrorKind::Connect,
                message: classify::io(&error),
            },
            None => HttpError {
                kind: HttpErrorKind::Resolve,
                message: classify::resolution(&error),
            },
        })?;
        if url.scheme() == "https" {
            self.handshake(host, stream).await?;
        }
        Ok(())
    }
    async fn handshake(&self, host: &str, stream: TcpStream) -> Result<(), HttpError> {
        let silent = |message: &str| HttpError {
            kind: HttpErrorKind::Broken,
            message: message.to_owned(),
        };
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(|_| silent("the host's name cannot stand in a certificate"))?;
        let config = self
            .tls
            .config(Trust::Anything, &[b"h2", b"http/1.1"])
            .map_err(|message| silent(&message))?;
        let connector = TlsConnector::from(Arc::new(config));
        let limit = HANDSHAKE.min(self.timeouts.connect);
        match tokio::time::timeout(limit, connector.connect(name, stream)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(
                match error.get_ref().and_then(|inner| inner.downcast_ref()) {
                    Some(tls) => classify::tls(tls),
                    None => silent("it closed the connection during the TLS handshake"),
                },
            ),
            Err(_) => Err(silent("it does not answer a TLS handshake")),
        }
    }
}

impl HttpService for ReqwestService {
    fn call(
        &self,
        request: http::Request<RequestBody>,
        route: Route,
    ) -> BoxFuture<'_, Result<http::Response<ResponseBody>, HttpError>> {
        Box::pin(self.exchange(request, route))
    }

    fn probe<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<(), HttpError>> {
        let proxied = Uri::try_from(url.as_str()).is_ok_and(|uri| self.proxy_of(&uri).is_some());
        if proxied {
            // What lies behind a proxy cannot be seen from here.
            Box::pin(ask(self, url))
        } else {
            Box::pin(self.connect(url))
        }
    }
}

/// A body for reqwest: with its exact length, and its bytes untouched.
fn outgoing(body: RequestBody) -> reqwest::Body {
    match body {
        RequestBody::Empty => reqwest::Body::default(),
        RequestBody::Bytes(bytes) => reqwest::Body::from(bytes),
        RequestBody::Stream { length, stream } => {
            reqwest::Body::wrap(Outgoing::new(length, stream))
        }
    }
}

fn incoming(body: reqwest::Body) -> ResponseBody {
    if body.is_end_stream() {
        return ResponseBody::empty();
    }
    ResponseBody::from_stream(Box::pin(data(body)))
}

/// The data of `body`; trailers mean nothing to us.
fn data(body: reqwest::Body) -> impl Stream<Item = Result<bytes::Bytes, HttpError>> + Send {
    http_body_util::BodyStream::new(body).filter_map(|frame| {
        std::future::ready(match frame {
            Ok(frame) => frame.into_data().ok().map(Ok),
            Err(error) => Some(Err(classify::exchange(&error))),
        })
    })
}

/// Says that a proxy stood between, where a connection failed.
fn through(proxy: Option<&Uri>, mut error: HttpError) -> HttpError {
    let connecting = matches!(
        error.kind,
        HttpErrorKind::Resolve | HttpErrorKind::Connect | HttpErrorKind::ConnectTimeout
    );
    if connecting && let Some(authority) = proxy.and_then(Uri::authority) {
        error.message = format!("{} (through the proxy {authority})", error.message);
    }
    error
}

//! The HTTP service over hyper.
//!
//! This uses hyper and not reqwest, to bound the memory of a stream: by default, hyper reads and queues up to 400 KiB
//! at each of the four places where a blob waits, which reqwest cannot change. Thirty-two streams from a fast source to
//! a slow destination took 72 MB, and take 32 MB with the bounds below, at the same CPU time (November 2026).
//!
//! There is one client for each way to verify certificates and each lane: HTTP/2 for small calls if the host speaks it,
//! HTTP/1.1 with a connection each for blobs, since over HTTP/2 one window and one lost packet delay all streams.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt};
use http::Uri;
use http::header::PROXY_AUTHORIZATION;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyStream;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::Connected;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use url::Url;

use crate::error::{Error, ErrorKind};
use crate::lock::lock;
use crate::transport::body::ResponseBody;
use crate::transport::certs_d::RegistryCertificates;
use crate::transport::connector::{Connector, in_time};
use crate::transport::network::Network;
use crate::transport::proxies::{Proxies, ProxyChoice};
use crate::transport::request_body::{BodyAborted, RequestBody};
use crate::transport::tls::{Alpn, Profile, TlsConfigs};
use crate::transport::tls_alerts::Alerts;
use crate::transport::{
    HttpError, HttpErrorKind, HttpService, Lane, Route, Timeouts, TransportOptions, classify,
    request_base,
};

/// Idle time of a pooled connection. Servers and load balancers close them after 60 s or more.
const IDLE: Duration = Duration::from_secs(55);
/// Interval between pings on an HTTP/2 connection with open streams.
const PING: Duration = Duration::from_secs(30);
/// HTTP/2 receive windows of a stream, and of a connection with all its streams.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// Maximum number of bytes that are read at once and may wait there. Smaller costs CPU, larger costs memory.
const READ: usize = 128 * 1024;
/// Maximum number of bytes that may wait to be written. Available bytes are written immediately in any case.
const WRITE: usize = 64 * 1024;
/// Time for a peer's first bytes in a TLS handshake. After that it is assumed to wait for an HTTP request.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// The HTTP service over hyper, with our connections and bodies.
pub(super) struct HyperService {
    tls: Arc<TlsConfigs>,
    proxies: Arc<Proxies>,
    network: Arc<Network>,
    alerts: Alerts,
    timeouts: Timeouts,
    idle_calls: usize,
    idle_transfers: usize,
    clients: Mutex<HashMap<Route, Client<Connector, Outgoing>>>,
}

/// Dependencies of connections besides the options.
pub(super) struct Environment {
    pub(super) proxies: Arc<Proxies>,
    pub(super) certificates: Arc<RegistryCertificates>,
    pub(super) network: Arc<Network>,
}

impl HyperService {
    pub(super) fn new(options: &TransportOptions, environment: Environment) -> Result<Self, Error> {
        let tls = TlsConfigs::new(&options.extra_certificates, environment.certificates)
            .map_err(|why| Error::new(ErrorKind::Tls, "set up TLS", "this machine", why))?;
        Ok(Self {
            tls: Arc::new(tls),
            proxies: environment.proxies,
            network: environment.network,
            alerts: Alerts::default(),
            timeouts: options.timeouts,
            idle_calls: options.calls_per_host.start,
            idle_transfers: options.transfers_per_host.most,
            clients: Mutex::default(),
        })
    }
    fn connector(&self, route: Route) -> Connector {
        Connector {
            proxies: self.proxies.clone(),
            proxy: route.proxy,
            tls: self.tls.clone(),
            profile: Profile {
                trust: route.trust,
                alpn: if route.http2 {
                    Alpn::Http2
                } else {
                    Alpn::Http1
                },
                certificates: route.certificates,
            },
            reach: route.reach,
            network: self.network.clone(),
            alerts: self.alerts.clone(),
            timeouts: self.timeouts,
        }
    }
    fn client(&self, route: Route) -> Client<Connector, Outgoing> {
        let mut clients = lock(&self.clients);
        clients
            .entry(route)
            .or_insert_with(|| self.build(route))
            .clone()
    }
    fn build(&self, route: Route) -> Client<Connector, Outgoing> {
        let (buffer, idle) = match route.lane {
            Lane::Calls => (READ, self.idle_calls),
            Lane::Downloads => (READ, self.idle_transfers),
            Lane::Uploads => (WRITE, self.idle_transfers),
        };
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(idle)
            .http1_max_buf_size(buffer)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(PING)
            .http2_keep_alive_timeout(self.timeouts.stall);
        builder.build(self.connector(route))
    }
    async fn exchange(
        &self,
        request: http::Request<RequestBody>,
        route: Route,
    ) -> Result<http::Response<ResponseBody>, HttpError> {
        let mut request = request.map(Outgoing::from);
        self.log_in_at_proxy(&mut request, route.proxy);
        let uri = request.uri().clone();
        let answer = self.client(route).request(request).await;
        let answer = answer.map_err(|error| {
            let connection = error.connect_info();
            let is_http2 = connection.is_some_and(Connected::is_negotiated_h2);
            let mut found = classify::exchange(&error);
            if is_http2 && found.kind == HttpErrorKind::Broken {
                found.kind = HttpErrorKind::Http2Broken;
            }
            self.alerts.explain(&uri, found)
        })?;
        Ok(answer.map(incoming))
    }
    /// Adds the proxy's login to a request that the proxy reads itself. A tunnel gets it when the tunnel is opened.
    fn log_in_at_proxy<B>(&self, request: &mut http::Request<B>, choice: ProxyChoice) {
        if request.uri().scheme_str() == Some("http")
            && let Some(proxy) = self.proxies.find(choice, request.uri())
            && let Some(login) = proxy.basic_auth()
        {
            request
                .headers_mut()
                .insert(PROXY_AUTHORIZATION, login.clone());
        }
    }
    /// Connects, with the TLS handshake for https. The registry sees no request.
    async fn connect_only(&self, uri: Uri, route: Route) -> Result<(), HttpError> {
        let connector = self.connector(route);
        let limit = self.timeouts.connect;
        let stream = tokio::time::timeout(limit, connector.connect_tcp(&uri))
            .await
            .unwrap_or_else(|_| Err(in_time(limit)))?;
        let limit = HANDSHAKE.min(limit);
        match tokio::time::timeout(limit, connector.secured(stream, &uri)).await {
            Ok(made) => made.map(drop),
            Err(_) => Err(HttpError::new(
                HttpErrorKind::Broken,
                "it does not answer a TLS handshake".to_owned(),
            )),
        }
    }
}

impl HttpService for HyperService {
    fn call(
        &self,
        request: http::Request<RequestBody>,
        route: Route,
    ) -> BoxFuture<'_, Result<http::Response<ResponseBody>, HttpError>> {
        Box::pin(self.exchange(request, route))
    }

    fn probe<'a>(&'a self, url: &'a Url, route: Route) -> BoxFuture<'a, Result<(), HttpError>> {
        match Uri::try_from(url.as_str()) {
            // Behind a proxy, only a request shows if something answers.
            Ok(uri) if self.proxies.find(route.proxy, &uri).is_none() => {
                Box::pin(self.connect_only(uri, route))
            }
            _ => Box::pin(request_base(self, url, route)),
        }
    }
}

/// A request's body for hyper. Its exact size is known from the start.
enum Outgoing {
    Whole(Bytes),
    Stream {
        stream: crate::transport::RequestStream,
        remaining: u64,
    },
}

impl From<RequestBody> for Outgoing {
    fn from(body: RequestBody) -> Self {
        match body {
            RequestBody::Empty => Self::Whole(Bytes::new()),
            RequestBody::Bytes(bytes) => Self::Whole(bytes),
            RequestBody::Stream { length, stream } => Self::Stream {
                stream,
                remaining: length,
            },
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BodyAborted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyAborted>>> {
        let bytes = match &mut *self {
            Self::Whole(bytes) if bytes.is_empty() => None,
            Self::Whole(bytes) => Some(Ok(std::mem::take(bytes))),
            Self::Stream { stream, remaining } => {
                let bytes = ready!(stream.poll_next_unpin(cx));
                if let Some(Ok(bytes)) = &bytes {
                    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                    *remaining = remaining.saturating_sub(length);
                }
                bytes
            }
        };
        Poll::Ready(bytes.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Whole(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Self::Stream { remaining, .. } => *remaining,
        })
    }
}

fn incoming(body: Incoming) -> ResponseBody {
    if body.is_end_stream() {
        return ResponseBody::empty();
    }
    ResponseBody::from_stream(Box::pin(data(body)))
}

/// Returns the data of `body`. Trailers are ignored.
fn data(body: Incoming) -> impl Stream<Item = Result<Bytes, HttpError>> + Send {
    BodyStream::new(body).filter_map(|frame| {
        std::future::ready(match frame {
            Ok(frame) => frame.into_data().ok().map(Ok),
            Err(error) => Some(Err(classify::exchange(&error))),
        })
    })
}

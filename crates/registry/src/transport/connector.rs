//! Establishes connections: name, TCP, proxy and TLS within one time limit.
//!
//! A proxy is reached by `http://`, `https://`, `socks4://`, `socks4a://`, `socks5://` or `socks5h://`. Its certificate
//! is always verified, even if the host behind it is insecure.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::Uri;
use http::uri::{Authority, Scheme};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use crate::error::Cause;
use crate::open_files::retry_when_exhausted;
use crate::transport::classify;
use crate::transport::connection::{HostConnection, Io};
use crate::transport::network::{Network, Reach};
use crate::transport::proxies::{Proxies, ProxyChoice};
use crate::transport::proxy::{is_http, tunnel};
use crate::transport::tls::{Alpn, Profile, TlsConfigs};
use crate::transport::tls_alerts::Alerts;
use crate::transport::uri::{is_address, uri_with_port};
use crate::transport::{HttpError, HttpErrorKind, Timeouts, Trust};

/// Interval between keep-alive probes on an idle connection.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Settings of new connections; cheap to clone.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) proxies: Arc<Proxies>,
    pub(super) proxy: ProxyChoice,
    pub(super) tls: Arc<TlsConfigs>,
    pub(super) profile: Profile,
    pub(super) reach: Reach,
    pub(super) network: Arc<Network>,
    pub(super) alerts: Alerts,
    pub(super) timeouts: Timeouts,
}

impl Connector {
    /// Returns the proxy for `uri`.
    pub(super) fn proxy(&self, uri: &Uri) -> Option<Intercept> {
        self.proxies.find(self.proxy, uri)
    }
    async fn connect(
        self,
        uri: Uri,
        proxy: Option<Intercept>,
    ) -> Result<HostConnection, HttpError> {
        let Some(proxy) = proxy else {
            let stream = self.connect_tcp(&uri).await?;
            return self.secured(stream, &uri).await;
        };
        let to_proxy = self.to_proxy(&proxy).await?;
        if uri.scheme() == Some(&Scheme::HTTP) && is_http(proxy.uri()) {
            return Ok(HostConnection {
                io: TokioIo::new(to_proxy),
                http2: false,
                read_by_proxy: true,
            });
        }
        let stream = tunnel(to_proxy, &proxy, &uri, &self.network, self.reach).await?;
        self.secured(stream, &uri).await
    }
    /// Connects to the proxy itself.
    async fn to_proxy(&self, proxy: &Intercept) -> Result<Box<dyn Io>, HttpError> {
        let stream = self.tcp(proxy.uri(), None).await?;
        if proxy.uri().scheme() != Some(&Scheme::HTTPS) {
            return Ok(Box::new(stream));
        }
        let config = self.tls.config(Profile {
            trust: Trust::Verified,
            alpn: Alpn::None,
            certificates: None,
        })?;
        let stream = handshake(TlsConnector::from(config), stream, proxy.uri()).await?;
        Ok(Box::new(stream))
    }
    /// Opens a TCP connection to the host of `uri`, at an allowed address.
    pub(super) async fn connect_tcp(&self, uri: &Uri) -> Result<TcpStream, HttpError> {
        let stream = self.tcp(uri, Some(self.reach)).await?;
        let peer = stream
            .peer_addr()
            .map_err(|error| classify::connecting(&error))?;
        let host = uri.host().unwrap_or_default();
        self.network
            .connected(self.reach, host, peer.port(), peer.ip())?;
        Ok(stream)
    }
    async fn tcp(&self, uri: &Uri, reach: Option<Reach>) -> Result<TcpStream, HttpError> {
        let uri = uri_with_port(uri)?;
        let port = uri.port_u16().unwrap_or_default();
        if let Some(host) = uri.host().filter(|host| is_address(host)) {
            // The connector does not resolve addresses.
            self.network.resolve(reach, host, port).await?;
        }
        let mut tcp = HttpConnector::new_with_resolver(Lookup {
            network: self.network.clone(),
            reach,
            port,
        });
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE));
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        tcp.set_tcp_user_timeout(Some(self.timeouts.stall));
        // The time limit covers the whole connection.
        let stream = retry_when_exhausted(|| tcp.call(uri.clone()))
            .await
            .map_err(|error| classify::connecting(&error))?;
        Ok(stream.into_inner())
    }
    /// Returns the stream itself for http, and TLS over it for https.
    pub(super) async fn secured<S: Io + 'static>(
        &self,
        stream: S,
        uri: &Uri,
    ) -> Result<HostConnection, HttpError> {
        if uri.scheme() != Some(&Scheme::HTTPS) {
            return Ok(HostConnection {
                io: TokioIo::new(Box::new(stream)),
                http2: false,
                read_by_proxy: false,
            });
        }
        let connector = TlsConnector::from(self.tls.config(self.profile)?);
        let stream = handshake(connector, stream, uri).await?;
        Ok(HostConnection {
            http2: stream.get_ref().1.alpn_protocol() == Some(b"h2"),
            io: TokioIo::new(Box::new(self.alerts.watch(stream, uri))),
            read_by_proxy: false,
        })
    }
}

async fn handshake<S: Io>(
    connector: TlsConnector,
    stream: S,
    uri: &Uri,
) -> Result<tokio_rustls::client::TlsStream<S>, HttpError> {
    let host = uri.host().unwrap_or_default();
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(|_| {
        HttpError::new(
            HttpErrorKind::Handshake,
            "its name is not valid in a certificate".to_owned(),
        )
    })?;
    connector
        .connect(name, stream)
        .await
        .map_err(|error| classify::handshake(&error))
}

/// Resolver of a connection that returns only allowed addresses.
#[derive(Clone)]
struct Lookup {
    network: Arc<Network>,
    reach: Option<Reach>,
    port: u16,
}

impl Service<Name> for Lookup {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = HttpError;
    type Future = BoxFuture<'static, Result<Self::Response, HttpError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), HttpError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let lookup = self.clone();
        Box::pin(async move {
            let Lookup {
                network,
                reach,
                port,
            } = lookup;
            let found = network.resolve(reach, name.as_str(), port).await?;
            let found = found.into_iter().map(|address| (address, port).into());
            Ok(found.collect::<Vec<SocketAddr>>().into_iter())
        })
    }
}

impl Service<Uri> for Connector {
    type Response = HostConnection;
    type Error = HttpError;
    type Future = BoxFuture<'static, Result<HostConnection, HttpError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), HttpError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let limit = self.timeouts.connect;
        let proxy = self.proxy(&uri);
        let name = proxy
            .as_ref()
            .and_then(|proxy| proxy.uri().authority().cloned());
        let connecting = self.clone().connect(uri, proxy);
        Box::pin(async move {
            let made = tokio::time::timeout(limit, connecting).await;
            made.unwrap_or_else(|_| Err(in_time(limit)))
                .map_err(|error| with_proxy_context(name.as_ref(), error))
        })
    }
}

/// Returns the error for a connection that took longer than `limit`.
pub(super) fn in_time(limit: Duration) -> HttpError {
    HttpError::new(
        HttpErrorKind::ConnectTimeout,
        format!("no connection within {} s", limit.as_secs()),
    )
}

/// Adds the name of the proxy to an error of connecting.
fn with_proxy_context(proxy: Option<&Authority>, mut error: HttpError) -> HttpError {
    let connecting = matches!(
        error.kind,
        HttpErrorKind::Resolve | HttpErrorKind::Connect | HttpErrorKind::ConnectTimeout
    );
    if connecting && let Some(authority) = proxy {
        error.message = format!("{} (through the proxy {authority})", error.message);
        if error.cause != Some(Cause::ProxyLogin) {
            error.cause = Some(Cause::ProxyRefused);
        }
    }
    error
}

//! Tunnels through proxies, over an established connection to them.

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::proxy::{SocksV4, SocksV5, Tunnel};
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use tower_service::Service;

use crate::transport::HttpError;
use crate::transport::classify;
use crate::transport::connection::Io;
use crate::transport::network::{Network, Reach};
use crate::transport::uri::{no_host, uri_with_port, with_authority};

/// Returns true if `proxy` reads requests for plain http itself.
pub(super) fn is_http(proxy: &Uri) -> bool {
    matches!(proxy.scheme_str(), Some("http" | "https"))
}

/// Opens a tunnel through `proxy`, at the other end of `stream`, to the host of `uri`.
pub(super) async fn tunnel(
    stream: Box<dyn Io>,
    proxy: &Intercept,
    uri: &Uri,
    network: &Network,
    reach: Reach,
) -> Result<Box<dyn Io>, HttpError> {
    let ready = EstablishedConnection(Some(TokioIo::new(stream)));
    let to = proxy.uri().clone();
    let target = uri_with_port(uri)?;
    let stream = match proxy.uri().scheme_str() {
        Some(scheme @ ("socks4" | "socks4a")) => {
            let target = resolved(target, scheme == "socks4", network, reach).await?;
            let tunnelled = SocksV4::new(to, ready).call(target).await;
            tunnelled.map_err(|error| refused(&error))?
        }
        Some(scheme @ ("socks5" | "socks5h")) => {
            let target = resolved(target, scheme == "socks5", network, reach).await?;
            let mut socks = SocksV5::new(to, ready);
            if let Some((user, password)) = proxy.raw_auth() {
                socks = socks.with_auth(user.to_owned(), password.to_owned());
            }
            let tunnelled = socks.call(target).await;
            tunnelled.map_err(|error| refused(&error))?
        }
        _ => {
            let mut tunnel = Tunnel::new(to, ready);
            if let Some(login) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(login.clone());
            }
            let tunnelled = tunnel.call(target).await;
            tunnelled.map_err(|error| refused(&error))?
        }
    };
    Ok(stream.into_inner())
}

fn refused(error: &dyn StdError) -> HttpError {
    classify::proxy(&error.to_string())
}

/// Returns `uri` with the address of its host in place of the name, if the proxy does not resolve names.
async fn resolved(uri: Uri, here: bool, network: &Network, reach: Reach) -> Result<Uri, HttpError> {
    let (Some(host), Some(port)) = (uri.host(), uri.port_u16()) else {
        return Err(no_host());
    };
    if !here {
        return Ok(uri);
    }
    let found = network.resolve(Some(reach), host, port).await?;
    let address = *found.first().ok_or_else(no_host)?;
    network.connected(reach, host, port, address)?;
    with_authority(&uri, &SocketAddr::from((address, port)).to_string())
}

/// An established connection, for services that expect to connect themselves.
struct EstablishedConnection(Option<TokioIo<Box<dyn Io>>>);

impl Service<Uri> for EstablishedConnection {
    type Response = TokioIo<Box<dyn Io>>;
    type Error = HttpError;
    type Future = std::future::Ready<Result<Self::Response, HttpError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), HttpError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        std::future::ready(self.0.take().ok_or_else(no_host))
    }
}

//! The accept loop and the connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use image_syncer_registry::io_clause;
use image_syncer_sync::config::TlsFiles;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service as _;

use crate::service::http::Reporter;
use crate::service::http::connection::Connection;
use crate::service::http::tls::ServerTls;

/// Maximum size of the head of a request, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// Maximum number of headers of a request.
const MAX_HEADERS: usize = 100;
/// Maximum number of connections that wait in the queue of the operating system. Clients beyond it try again after
/// seconds.
const BACKLOG: u32 = 1024;
/// Pause after a connection could not be accepted, for lack of files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Limits of a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerLimits {
    /// Maximum number of connections. Further ones wait in the queue of the operating system until one ends.
    pub(crate) connections: usize,
    /// Maximum time of a TLS handshake, and until the head of a request has arrived. A connection without a request
    /// ends after this time as well.
    pub(crate) header_time: Duration,
    /// Maximum time that answers may go on after the end of the service was requested.
    pub(crate) closing_time: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 256,
            header_time: Duration::from_secs(10),
            closing_time: Duration::from_secs(10),
        }
    }
}

/// A server that listens, and does not answer yet.
pub(crate) struct Server {
    listeners: Vec<(TcpListener, SocketAddr)>,
    tls: Option<Arc<ServerTls>>,
    limits: ServerLimits,
}

/// State that all connections share.
struct Shared {
    router: Router,
    tls: Option<Arc<ServerTls>>,
    limits: ServerLimits,
    permits: Arc<Semaphore>,
    connections: TaskTracker,
    /// Answers finish, and no request follows.
    closing: CancellationToken,
    /// Answers end at once.
    abandoned: CancellationToken,
}

impl Server {
    /// Listens at `addresses`, each with a port.
    ///
    /// # Errors
    /// A sentence, if an address cannot be used or the certificate cannot be read.
    pub(crate) async fn bind(
        addresses: &[String],
        tls: Option<&TlsFiles>,
        limits: ServerLimits,
        reporter: &Reporter,
    ) -> Result<Self, String> {
        let mut listeners = Vec::new();
        for address in addresses {
            let failed = |error| cannot_listen(address, &error);
            let found = lookup_host(address).await;
            let found = found.map_err(failed)?;
            for found in found {
                let listener = listen_at(found).map_err(failed)?;
                let local = listener.local_addr();
                let local = local.map_err(failed)?;
                listeners.push((listener, local));
            }
        }
        let tls = tls.map(|files| ServerTls::read(files, reporter));
        let tls = tls.transpose()?.map(Arc::new);
        Ok(Self {
            listeners,
            tls,
            limits,
        })
    }

    /// Returns the addresses, with the ports that the operating system chose.
    #[cfg(test)]
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(|(_, address)| *address).collect()
    }

    /// Returns the URLs of the addresses.
    pub(crate) fn urls(&self) -> Vec<String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let addresses = self.listeners.iter();
        addresses
            .map(|(_, address)| format!("{scheme}://{address}"))
            .collect()
    }

    /// Answers requests with `router` until `closing` is cancelled and all answers are sent.
    pub(crate) async fn serve(self, router: Router, closing: CancellationToken) {
        let Self {
            listeners,
            tls,
            limits,
        } = self;
        let shared = Arc::new(Shared {
            router,
            tls,
            limits,
            permits: Arc::new(Semaphore::new(limits.connections)),
            connections: TaskTracker::new(),
            closing,
            abandoned: CancellationToken::new(),
        });
        let loops = TaskTracker::new();
        for (listener, address) in listeners {
            loops.spawn(Arc::clone(&shared).accept(listener, address));
        }
        loops.close();
        loops.wait().await;
        shared.connections.close();
        let ended = timeout(limits.closing_time, shared.connections.wait()).await;
        if ended.is_err() {
            shared.abandoned.cancel();
            shared.connections.wait().await;
        }
    }
}

/// Listens at an address, with a longer queue than by default.
fn listen_at(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Describes why the service cannot listen at an address, and what to do.
fn cannot_listen(address: &str, error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    let remedy = match error.kind() {
        ErrorKind::AddrInUse => {
            "Name another address with --listen, or end the program that uses it."
        }
        ErrorKind::AddrNotAvailable => "Name an address of this machine with --listen.",
        ErrorKind::PermissionDenied => {
            "Name a port above 1023 with --listen, or give the process the capability CAP_NET_BIND_SERVICE."
        }
        _ => "Write an address of this machine and a port, such as 127.0.0.1:8080.",
    };
    format!("cannot listen at {address}: {}. {remedy}", io_clause(error))
}

impl Shared {
    async fn accept(self: Arc<Self>, listener: TcpListener, listen: SocketAddr) {
        let closing = self.closing.clone();
        let accepting = async {
            loop {
                let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
                    return;
                };
                match listener.accept().await {
                    Ok((stream, peer)) => {
                        let connection = Connection {
                            peer,
                            listen,
                            is_tls: self.tls.is_some(),
                        };
                        let shared = Arc::clone(&self);
                        let task = shared.connection(stream, connection, permit);
                        self.connections.spawn(task);
                    }
                    // The client has left, or files are lacking.
                    Err(_) => sleep(ACCEPT_PAUSE).await,
                }
            }
        };
        tokio::select! {
            () = closing.cancelled() => {}
            () = accepting => {}
        }
    }

    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        connection: Connection,
        _permit: OwnedSemaphorePermit,
    ) {
        // Small answers are sent at once. It is an optimisation only.
        let _ = stream.set_nodelay(true);
        let abandoned = self.abandoned.clone();
        let answering = async {
            let Some(tls) = &self.tls else {
                return self.requests(stream, connection).await;
            };
            let handshake = async { tls.acceptor().await.accept(stream).await };
            // A handshake that fails is the client's affair.
            if let Ok(Ok(stream)) = timeout(self.limits.header_time, handshake).await {
                self.requests(stream, connection).await;
            }
        };
        tokio::select! {
            () = abandoned.cancelled() => {}
            () = answering => {}
        }
    }

    async fn requests<S>(&self, stream: S, connection: Connection)
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let router = self.router.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(connection);
            router.clone().call(request)
        });
        let mut server = http1::Builder::new();
        server
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_time)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD);
        let requests = server.serve_connection(TokioIo::new(stream), service);
        let mut requests = std::pin::pin!(requests);
        tokio::select! {
            // Broken connections and malformed requests concern their clients alone.
            _ = &mut requests => return,
            () = self.closing.cancelled() => requests.as_mut().graceful_shutdown(),
        }
        let _ = requests.await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_that_cannot_be_used_have_their_remedy() {
        let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let used = other.local_addr().unwrap().to_string();
        let reporter = Reporter::new(Arc::new(|_, _| {}));
        let own = "Write an address of this machine and a port, such as 127.0.0.1:8080.";
        for (address, why) in [
            (
                &*used,
                "Address already in use. Name another address with --listen, or end the program that uses it.",
            ),
            (
                "192.0.2.1:8080",
                "Cannot assign requested address. Name an address of this machine with --listen.",
            ),
            ("8080", &format!("invalid socket address. {own}")),
        ] {
            let limits = ServerLimits::default();
            let bound = Server::bind(&[address.to_owned()], None, limits, &reporter).await;
            assert_eq!(
                bound.err().unwrap(),
                format!("cannot listen at {address}: {why}")
            );
        }
        let denied = std::io::ErrorKind::PermissionDenied.into();
        assert_eq!(
            cannot_listen("0.0.0.0:443", &denied),
            "cannot listen at 0.0.0.0:443: permission denied. Name a port above 1023 with --listen, or give the \
             process the capability CAP_NET_BIND_SERVICE."
        );
    }
}

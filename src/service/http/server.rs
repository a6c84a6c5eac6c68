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
use tokio::net::{TcpListener, TcpStream, lookup_host};
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
            let failed = |error: std::io::Error| {
                format!(
                    "cannot listen at {address}: {}. Name another address with --listen, or end the program that uses it.",
                    io_clause(&error)
                )
            };
            let found = lookup_host(address).await;
            let found = found.map_err(failed)?;
            for found in found {
                let bound = TcpListener::bind(found).await;
                let listener = bound.map_err(failed)?;
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

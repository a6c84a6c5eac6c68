//! The accept loop.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{Connection, Role};
use super::pipeline;
use super::shared::Shared;
use super::wire::{Socket, Wire};

/// Number of bytes that are read from a TLS connection at once.
const READ_BUFFER: usize = 256 * 1024;

/// One port.
pub(crate) struct Listener {
    pub(crate) role: Role,
    pub(crate) shared: Arc<Shared>,
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) stop: CancellationToken,
    pub(crate) connections: Arc<AtomicU64>,
    /// All tasks with a socket, so that a stop can wait for them.
    pub(crate) tasks: TaskTracker,
}

impl Listener {
    /// Accepts until it is stopped.
    pub(crate) async fn run(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            if let Ok((stream, _)) = accepted {
                self.connect(stream);
            }
        }
    }

    fn connect(&self, stream: TcpStream) {
        // The 40 ms of Nagle's algorithm would be the testkit's latency, not the registry's.
        let _ = stream.set_nodelay(true);
        let wire = Arc::new(Wire::default());
        let connection = Connection {
            number: self.connections.fetch_add(1, Ordering::SeqCst),
            role: self.role,
            secure: self.tls.is_some(),
            wire: Arc::clone(&wire),
            shared: Arc::clone(&self.shared),
        };
        let socket = Socket::new(stream, wire, self.stop.clone());
        let tls = self.tls.clone();
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = carry(socket, tls, connection) => {}
            }
        });
    }
}

async fn carry(socket: Socket, tls: Option<Arc<ServerConfig>>, connection: Connection) {
    match tls {
        None => serve(socket, connection).await,
        Some(config) => {
            // rustls reads a record of 16 KiB at a time: with the buffer, an upload needs a sixteenth of the system
            // calls.
            let socket = BufReader::with_capacity(READ_BUFFER, socket);
            // A client that refuses the certificate ends the handshake, and cannot be answered.
            if let Ok(stream) = TlsAcceptor::from(config).accept(socket).await {
                serve(stream, connection).await;
            }
        }
    }
}

async fn serve<S>(stream: S, connection: Connection)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let connection = connection.clone();
        async move { Ok::<_, Infallible>(pipeline::serve(connection, request).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .keep_alive(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(250)
        .adaptive_window(true);
    // Errors here are clients that disconnected, and cuts by faults.
    let _ = builder
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Binds a port of a loopback address.
pub(crate) async fn bind(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

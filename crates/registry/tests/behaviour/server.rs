//! A server of raw bytes, for answers that no real server sends.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// The reaction of a handler to a request.
pub(crate) enum Reply {
    /// Writes the bytes and waits for the next request.
    Keep(Vec<u8>),
    /// Writes the bytes and closes the connection.
    Close(Vec<u8>),
    /// Writes the bytes and then nothing more.
    Hang(Vec<u8>),
}

/// A request as it was received.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// `GET /v2/ HTTP/1.1`, and the header lines, names in lower case.
    pub(crate) lines: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Heard {
    pub(crate) fn line(&self) -> &str {
        &self.lines[0]
    }
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}: ");
        self.lines
            .iter()
            .skip(1)
            .find_map(|line| line.strip_prefix(&prefix))
    }
}

type Handler = Arc<dyn Fn(&Heard) -> Reply + Send + Sync>;

#[derive(Clone)]
enum Manner {
    Plain,
    DeafToTls,
    Patient,
    Early,
    Tls(TlsAcceptor),
}

/// A server on its own port, which stops when it is dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    heard: Arc<Mutex<Vec<Heard>>>,
    connections: Arc<Mutex<usize>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Speaks HTTP, and answers a TLS handshake with 400, as most servers do.
    pub(crate) async fn plain(handler: impl Fn(&Heard) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(Manner::Plain, Arc::new(handler)).await
    }
    /// Speaks HTTP, and closes the connection on a TLS handshake.
    pub(crate) async fn deaf_to_tls(
        handler: impl Fn(&Heard) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start(Manner::DeafToTls, Arc::new(handler)).await
    }
    /// Speaks HTTP, and waits for the rest of a TLS handshake.
    pub(crate) async fn patient(handler: impl Fn(&Heard) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(Manner::Patient, Arc::new(handler)).await
    }
    /// Answers `bytes` to the head of every request, and reads no further.
    pub(crate) async fn early(bytes: &'static [u8]) -> Self {
        Self::start(
            Manner::Early,
            Arc::new(move |_| Reply::Hang(bytes.to_vec())),
        )
        .await
    }
    pub(crate) async fn tls(
        acceptor: TlsAcceptor,
        handler: impl Fn(&Heard) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start(Manner::Tls(acceptor), Arc::new(handler)).await
    }
    /// Speaks HTTP within TLS at another loopback address.
    pub(crate) async fn tls_at(
        address: &str,
        acceptor: TlsAcceptor,
        handler: impl Fn(&Heard) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start_at(address, Manner::Tls(acceptor), Arc::new(handler)).await
    }
    async fn start(manner: Manner, handler: Handler) -> Self {
        Self::start_at("127.0.0.1", manner, handler).await
    }
    async fn start_at(address: &str, manner: Manner, handler: Handler) -> Self {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(Mutex::new(0));
        let (notes, count) = (heard.clone(), connections.clone());
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                *count.lock().unwrap() += 1;
                let (notes, handler, manner) = (notes.clone(), handler.clone(), manner.clone());
                tokio::spawn(async move {
                    match &manner {
                        Manner::Tls(acceptor) => match acceptor.accept(stream).await {
                            Ok(stream) => serve(stream, &notes, &handler, &manner).await,
                            Err(_) => Some(()),
                        },
                        _ => serve(stream, &notes, &handler, &manner).await,
                    }
                });
            }
        });
        Self {
            port,
            heard,
            connections,
            task,
        }
    }
    /// All requests so far.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }
    /// All connections so far.
    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    notes: &Mutex<Vec<Heard>>,
    handler: &Handler,
    manner: &Manner,
) -> Option<()> {
    let mut buffer = Vec::new();
    loop {
        let Some(request) = read_request(&mut stream, &mut buffer, manner).await else {
            if matches!(manner, Manner::Plain) && !buffer.is_empty() && !is_http(&buffer) {
                let answer = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
                stream.write_all(answer).await.ok()?;
                stream.shutdown().await.ok()?;
            }
            return None;
        };
        notes.lock().unwrap().push(request.clone());
        match handler(&request) {
            Reply::Keep(bytes) => stream.write_all(&bytes).await.ok()?,
            Reply::Close(bytes) => {
                stream.write_all(&bytes).await.ok()?;
                stream.shutdown().await.ok()?;
                return None;
            }
            Reply::Hang(bytes) => {
                stream.write_all(&bytes).await.ok()?;
                std::future::pending::<()>().await;
            }
        }
    }
}

fn is_http(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(u8::is_ascii_alphabetic)
}

async fn read_request<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    manner: &Manner,
) -> Option<Heard> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
        if !is_http(buffer) && !matches!(manner, Manner::Patient) {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    buffer.drain(..end + 4);
    let lines: Vec<String> = head.split("\r\n").map(str::to_owned).collect();
    let mut request = Heard {
        lines,
        body: Vec::new(),
    };
    if matches!(manner, Manner::Early) {
        return Some(request);
    }
    let length: usize = request
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    while buffer.len() < length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    request.body = buffer.drain(..length).collect();
    Some(request)
}

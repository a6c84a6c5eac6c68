//! A bare relay: every blob by GET, hashed on the way, into a PUT. Its time is that of the machine, the servers and
//! TLS, so no copy can be much faster. It runs as a separate process, so that it is measured like the others.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use base64::Engine as _;
use bytes::Bytes;
use clap::ValueEnum as _;
use futures_util::future::try_join_all;
use http::{Method, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use testkit::digest::Hasher;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::providers::Provider;
use crate::servers::{PASSWORD, USER};
use crate::task::Task;
use crate::workloads::Shape;

/// Number of bytes that are read from a connection at once.
const READ_BUFFER: usize = 256 * 1024;
/// Number of frames that wait between two stages on separate tasks. One is 16 KiB, a record of TLS.
const QUEUE: usize = 64;

type Out = UnsyncBoxBody<Bytes, io::Error>;
type Wire = Connection<TokioIo<TlsStream<BufReader<TcpStream>>>, Out>;

/// Returns the job for the relay process.
pub(crate) fn job(task: &Task<'_>, provider: Provider) -> Value {
    let servers = task.servers;
    let state = servers.source.state();
    let mut blobs = Vec::new();
    for name in &task.content.repositories {
        for digest in state.blobs(&format!("bench/{name}")) {
            blobs.push(json!({"repository": name, "digest": digest}));
        }
    }
    let end = |registry: &testkit::Registry| json!({"host": registry.host(), "token_host": registry.token_host()});
    json!({
        "ca": servers.ca,
        "provider": provider.name(),
        "apart": task.workload.relay == Some(Shape::Apart),
        "source": end(&servers.source),
        "destination": servers.destinations.first().map(end),
        "blobs": blobs,
    })
}

/// Runs the job in this file.
pub(crate) fn run(job: &str) -> io::Result<()> {
    let job: Value = serde_json::from_slice(&std::fs::read(job)?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(carry_all(&job))
}

async fn carry_all(job: &Value) -> io::Result<()> {
    let text = |value: &Value, name: &str| {
        let text = value.get(name).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let provider = Provider::from_str(&text(job, "provider"), false).map_err(io::Error::other)?;
    let connector = connector(&text(job, "ca"), provider)?;
    let blobs = job.get("blobs").and_then(Value::as_array);
    let blobs: Vec<(String, String)> = blobs
        .into_iter()
        .flatten()
        .map(|blob| (text(blob, "repository"), text(blob, "digest")))
        .collect();
    let end = async |name: &str, folder: &str, actions: &str| {
        let end = job.get(name).cloned().unwrap_or_default();
        let scopes = blobs
            .iter()
            .map(|(repository, _)| format!("&scope=repository:{folder}/{repository}:{actions}"));
        let scopes: String = scopes.collect();
        let token = token(&connector, &text(&end, "token_host"), &scopes).await?;
        io::Result::Ok(End {
            host: text(&end, "host"),
            token,
            connector: connector.clone(),
        })
    };
    let source = Arc::new(end("source", "bench", "pull").await?);
    let destination = Arc::new(end("destination", "mirror", "push,pull").await?);
    let apart = job.get("apart") == Some(&json!(true));
    let blobs = blobs.into_iter().map(|(repository, digest)| {
        let (source, destination) = (Arc::clone(&source), Arc::clone(&destination));
        let carried =
            async move { carry(&source, &destination, &repository, &digest, apart).await };
        let carried = tokio::spawn(carried);
        async move { carried.await.map_err(io::Error::other)? }
    });
    try_join_all(blobs).await.map(|_| ())
}

/// A registry, with a token for the whole job.
struct End {
    host: String,
    token: String,
    connector: TlsConnector,
}

fn connector(ca: &str, provider: Provider) -> io::Result<TlsConnector> {
    let ca = CertificateDer::from_pem_slice(ca.as_bytes()).map_err(io::Error::other)?;
    let mut roots = RootCertStore::empty();
    roots.add(ca).map_err(io::Error::other)?;
    let config = ClientConfig::builder_with_provider(Arc::new(provider.provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn connect(connector: &TlsConnector, host: &str) -> io::Result<(SendRequest<Out>, Wire)> {
    let stream = TcpStream::connect(host).await?;
    stream.set_nodelay(true)?;
    let stream = BufReader::with_capacity(READ_BUFFER, stream);
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
    let stream = connector.connect(name, stream).await?;
    http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)
}

async fn token(connector: &TlsConnector, host: &str, scopes: &str) -> io::Result<String> {
    let (mut sender, wire) = connect(connector, host).await?;
    let login = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let request = Request::get(format!("/token?service=testkit{scopes}"))
        .header(header::HOST, host)
        .header(header::AUTHORIZATION, format!("Basic {login}"))
        .body(empty())
        .map_err(io::Error::other)?;
    let answer = async {
        let answer = sender.send_request(request).await;
        let body = answer
            .map_err(io::Error::other)?
            .into_body()
            .collect()
            .await;
        Ok(body.map_err(io::Error::other)?.to_bytes())
    };
    let answer: Value = serde_json::from_slice(&beside(wire, answer).await?)?;
    let token = answer.get("token").and_then(Value::as_str);
    token
        .map(str::to_owned)
        .ok_or_else(|| io::Error::other("no token"))
}

/// Runs `work` while a connection is driven on the same task.
async fn beside<T>(wire: Wire, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        ended = wire => ended.map_err(io::Error::other)?,
    }
    work.await
}

/// Transfers one blob.
async fn carry(
    source: &End,
    destination: &End,
    repository: &str,
    digest: &str,
    apart: bool,
) -> io::Result<()> {
    let (mut from, from_wire) = connect(&source.connector, &source.host).await?;
    let (mut to, to_wire) = connect(&destination.connector, &destination.host).await?;
    let path = format!("/v2/bench/{repository}/blobs/{digest}");
    let get = source.request(Method::GET, &path, empty())?;
    let path = format!("/v2/mirror/{repository}/blobs/uploads/");
    let post = destination.request(Method::POST, &path, empty())?;
    let work = async {
        let session = succeeded(to.send_request(post).await)?;
        let location = session.headers().get(header::LOCATION);
        let location = location.and_then(|l| l.to_str().ok()).unwrap_or_default();
        let path = location.splitn(4, '/').nth(3).unwrap_or_default();
        let path = format!(
            "/{path}{}digest={digest}",
            if path.contains('?') { '&' } else { '?' }
        );
        session
            .into_body()
            .collect()
            .await
            .map_err(io::Error::other)?;

        let answer = succeeded(from.send_request(get).await)?.into_body();
        let (told, hash) = oneshot::channel();
        let body = if apart {
            UnsyncBoxBody::new(hashed_apart(answer, told))
        } else {
            UnsyncBoxBody::new(Hashed {
                incoming: answer,
                hasher: Hasher::new("sha256"),
                told: Some(told),
            })
        };
        let put = destination.request(Method::PUT, &path, body)?;
        succeeded(to.send_request(put).await)?;
        match hash.await {
            Ok(hash) if hash == digest => Ok(()),
            other => Err(io::Error::other(format!("{digest} arrived as {other:?}"))),
        }
    };
    if apart {
        tokio::spawn(from_wire);
        tokio::spawn(to_wire);
        work.await
    } else {
        beside(from_wire, beside(to_wire, work)).await
    }
}

impl End {
    fn request(&self, method: Method, path: &str, body: Out) -> io::Result<Request<Out>> {
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.host)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(body)
            .map_err(io::Error::other)
    }
}

fn empty() -> Out {
    UnsyncBoxBody::new(http_body_util::Empty::new().map_err(|never| match never {}))
}

fn succeeded(answer: hyper::Result<Response<Incoming>>) -> io::Result<Response<Incoming>> {
    let answer = answer.map_err(io::Error::other)?;
    match answer.status() {
        StatusCode::OK | StatusCode::ACCEPTED | StatusCode::CREATED => Ok(answer),
        status => Err(io::Error::other(format!("answered with {status}"))),
    }
}

/// A body that is hashed in the poll that fetches it.
struct Hashed {
    incoming: Incoming,
    hasher: Hasher,
    told: Option<oneshot::Sender<String>>,
}

impl Body for Hashed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let frame = std::task::ready!(Pin::new(&mut self.incoming).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(bytes) = frame.data_ref()
        {
            self.hasher.update(bytes);
        }
        // hyper stops polling after the bytes of Content-Length.
        if (frame.is_none() || self.incoming.is_end_stream())
            && let Some(told) = self.told.take()
        {
            let _ = told.send(self.hasher.finish());
        }
        Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)))
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// Returns the same body with a task for the hash, and a queue on either side of it.
fn hashed_apart(mut incoming: Incoming, told: oneshot::Sender<String>) -> Queue {
    let left = incoming.size_hint().exact().unwrap_or(0);
    let (first, mut unhashed) = mpsc::channel::<io::Result<Bytes>>(QUEUE);
    let (second, queue) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        while let Some(frame) = incoming.frame().await {
            let bytes = frame.map_err(io::Error::other);
            let bytes = bytes.map(|frame| frame.into_data().unwrap_or_default());
            if first.send(bytes).await.is_err() {
                return;
            }
        }
    });
    tokio::spawn(async move {
        let mut hasher = Hasher::new("sha256");
        while let Some(bytes) = unhashed.recv().await {
            if let Ok(bytes) = &bytes {
                hasher.update(bytes);
            }
            if second.send(bytes).await.is_err() {
                return;
            }
        }
        let _ = told.send(hasher.finish());
    });
    Queue { queue, left }
}

/// A body from a queue.
struct Queue {
    queue: mpsc::Receiver<io::Result<Bytes>>,
    left: u64,
}

impl Body for Queue {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let bytes = std::task::ready!(self.queue.poll_recv(context));
        if let Some(Ok(bytes)) = &bytes {
            self.left = self.left.saturating_sub(bytes.len() as u64);
        }
        Poll::Ready(bytes.map(|bytes| bytes.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

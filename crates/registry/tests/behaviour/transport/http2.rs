//! Hosts that offer HTTP/2 and do not speak it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http::{Method, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use image_syncer_registry::transport::{
    Attempts, Call, Endpoint, Lane, RequestBody, RetryPolicy, Timeouts, Transport, TransportOptions,
};
use image_syncer_registry::{Error, ErrorKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;

use super::{Notes, call, secure};
use crate::certificates::Authority;

/// Behaviour of a server on the connections that speak HTTP/2.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Ends the connection before any answer.
    GoAway(Reason),
    /// Refuses each request.
    Reset(Reason),
    /// Refuses the request with this number, from 0, and answers the others.
    ResetOne(usize, Reason),
    /// Sends a half of each body.
    ResetBody(Reason),
    /// Answers in HTTP/1.1.
    Garbage,
    Close,
    Silence,
    /// Answers in HTTP/2, and closes the connections that speak HTTP/1.1.
    NoHttp1,
}

/// A server that answers `1.1` over HTTP/1.1, and has a fault over HTTP/2.
struct FaultyServer {
    name: String,
    http2_connections: Arc<AtomicUsize>,
    http1_requests: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for FaultyServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FaultyServer {
    async fn start(authority: &Authority, fault: Fault) -> Self {
        let acceptor = authority.acceptor(&["127.0.0.1"], &["h2", "http/1.1"]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let name = listener.local_addr().unwrap().to_string();
        let (http2_connections, http1_requests) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let (by_http2, by_http1) = (http2_connections.clone(), http1_requests.clone());
        let http2_requests = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let stream = acceptor.accept(stream).await.unwrap();
                if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                    by_http2.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(serve_http2(stream, fault, http2_requests.clone()));
                } else if !matches!(fault, Fault::NoHttp1) {
                    tokio::spawn(serve_http1(stream, by_http1.clone()));
                }
            }
        });
        Self {
            name,
            http2_connections,
            http1_requests,
            task,
        }
    }
    /// Connections over HTTP/2 and requests over HTTP/1.1 so far.
    fn counts(&self) -> (usize, usize) {
        let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
        (count(&self.http2_connections), count(&self.http1_requests))
    }
}

async fn serve_http1(stream: TlsStream<TcpStream>, requests: Arc<AtomicUsize>) {
    let service = service_fn(|_: http::Request<Incoming>| {
        requests.fetch_add(1, Ordering::SeqCst);
        async { Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::from("1.1"))) }
    });
    hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await
        .ok();
}

async fn serve_http2(
    mut stream: TlsStream<TcpStream>,
    fault: Fault,
    requests: Arc<AtomicUsize>,
) -> Option<()> {
    match fault {
        Fault::Close => return None,
        Fault::Silence => std::future::pending().await,
        Fault::Garbage => {
            // The preface is read first, so that the connection is not reset.
            stream.read_exact(&mut [0; 24]).await.ok()?;
            stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                .await
                .ok()?;
            stream.read_to_end(&mut Vec::new()).await.ok()?;
            return None;
        }
        _ => {}
    }
    let mut connection = h2::server::handshake(stream).await.ok()?;
    if let Fault::GoAway(reason) = fault {
        connection.abrupt_shutdown(reason);
    }
    while let Some(accepted) = connection.accept().await {
        let (_request, mut respond) = accepted.ok()?;
        let number = requests.fetch_add(1, Ordering::SeqCst);
        match fault {
            Fault::Reset(reason) => respond.send_reset(reason),
            Fault::ResetOne(which, reason) if which == number => respond.send_reset(reason),
            Fault::ResetBody(reason) => {
                let head = Response::builder()
                    .header("content-length", 4)
                    .body(())
                    .unwrap();
                let mut body = respond.send_response(head, false).unwrap();
                body.send_data(Bytes::from_static(b"ha"), false).unwrap();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    body.send_reset(reason);
                });
            }
            _ => {
                let mut body = respond.send_response(Response::new(()), false).unwrap();
                body.send_data(Bytes::from_static(b"2"), true).unwrap();
            }
        }
    }
    Some(())
}

struct Setting {
    server: FaultyServer,
    transport: Arc<Transport>,
    notes: Arc<Notes>,
    endpoint: Endpoint,
}

impl Setting {
    async fn new(fault: Fault) -> Self {
        let authority = Authority::new();
        let server = FaultyServer::start(&authority, fault).await;
        let notes = Arc::new(Notes::default());
        let transport = Transport::new(
            TransportOptions::default()
                .with_extra_certificates(vec![authority.pem()])
                .with_timeouts(Timeouts::default().with_stall(Duration::from_millis(300)))
                .with_observer(notes.clone()),
        );
        let endpoint = secure(&server.name);
        Self {
            server,
            transport: Arc::new(transport.unwrap()),
            notes,
            endpoint,
        }
    }
    fn call(&self, method: Method, body: RequestBody, tries: u32) -> Call {
        let url = format!("https://{}/v2/", self.server.name);
        Call {
            body,
            tries,
            ..call(&self.endpoint, method, &url)
        }
    }
    async fn fetch(&self, tries: u32) -> Result<Bytes, Error> {
        let get = self.call(Method::GET, RequestBody::Empty, tries);
        self.transport.send(get).await?.body.bytes(10).await
    }
    /// Fetches with this many retries. Returns the body and the number of the successful try.
    async fn operation(&self, retries: u32) -> Result<(Bytes, u32), Error> {
        let policy = RetryPolicy::default()
            .with_retries(retries)
            .with_initial(Duration::from_millis(1));
        let mut attempts = Attempts::new(&self.transport, &self.endpoint, policy);
        let mut tries = 1;
        loop {
            match self.fetch(tries).await {
                Ok(bytes) => return Ok((bytes, tries)),
                Err(error) => tries = attempts.after(error).await?,
            }
        }
    }
    /// Requests that were reported since the last call.
    fn reported(&self) -> usize {
        let notes = self.notes.take();
        notes.iter().filter(|note| note.contains(": GET ")).count()
    }
}

#[tokio::test]
async fn a_host_whose_http2_does_not_work_is_reached_by_http1_from_the_first_try_on() {
    for fault in [
        Fault::Reset(Reason::HTTP_1_1_REQUIRED),
        Fault::Reset(Reason::PROTOCOL_ERROR),
        Fault::GoAway(Reason::HTTP_1_1_REQUIRED),
        Fault::GoAway(Reason::PROTOCOL_ERROR),
        Fault::Garbage,
    ] {
        let setting = Setting::new(fault).await;
        // No retry is needed.
        let (body, tries) = setting.operation(0).await.unwrap();
        assert_eq!((&*body, tries), (&b"1.1"[..], 1), "{fault:?}");
        assert_eq!(setting.reported(), 2, "{fault:?}");
        assert_eq!(setting.server.counts(), (1, 1), "{fault:?}");
        // The rest of the run does not try HTTP/2 again.
        for _ in 0..3 {
            assert_eq!(setting.fetch(1).await.unwrap(), "1.1");
        }
        assert_eq!(setting.reported(), 3, "{fault:?}");
        assert_eq!(setting.server.counts(), (1, 4), "{fault:?}");
    }
}

#[tokio::test]
async fn a_failure_that_may_have_other_reasons_leads_to_http1_at_the_second_try() {
    for fault in [
        Fault::Reset(Reason::INTERNAL_ERROR),
        Fault::Reset(Reason::REFUSED_STREAM),
        Fault::GoAway(Reason::NO_ERROR),
        Fault::GoAway(Reason::INTERNAL_ERROR),
        Fault::Close,
        Fault::Silence,
    ] {
        let setting = Setting::new(fault).await;
        let error = setting.operation(0).await.unwrap_err();
        let expected = match fault {
            Fault::Silence => ErrorKind::Stalled,
            _ => ErrorKind::Broken,
        };
        assert_eq!(error.kind(), expected, "{fault:?}: {error}");
        assert_eq!(setting.server.counts().1, 0, "{fault:?}");
        let setting = Setting::new(fault).await;
        let (body, tries) = setting.operation(1).await.unwrap();
        assert_eq!((&*body, tries), (&b"1.1"[..], 2), "{fault:?}");
        assert_eq!(setting.reported(), 3, "{fault:?}");
        let http2_connections = setting.server.counts().0;
        assert_eq!(setting.fetch(1).await.unwrap(), "1.1");
        assert_eq!(setting.server.counts(), (http2_connections, 2), "{fault:?}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_over_http2_is_fetched_again_by_http1() {
    for (reason, tries) in [
        (Reason::PROTOCOL_ERROR, 2),
        (Reason::HTTP_1_1_REQUIRED, 2),
        (Reason::INTERNAL_ERROR, 3),
    ] {
        let setting = Setting::new(Fault::ResetBody(reason)).await;
        let (body, needed) = setting.operation(5).await.unwrap();
        assert_eq!((&*body, needed), (&b"1.1"[..], tries), "{reason:?}");
        assert_eq!(setting.reported(), tries as usize);
        assert_eq!(setting.fetch(1).await.unwrap(), "1.1");
        assert_eq!(setting.server.counts(), (1, 2), "{reason:?}");
    }
}

#[tokio::test]
async fn a_failure_that_passes_leaves_http2_in_use() {
    let setting = Setting::new(Fault::ResetOne(0, Reason::INTERNAL_ERROR)).await;
    let (body, tries) = setting.operation(5).await.unwrap();
    assert_eq!((&*body, tries), (&b"2"[..], 2));
    assert_eq!(setting.fetch(1).await.unwrap(), "2");
    assert_eq!(setting.reported(), 3);
    assert_eq!(setting.server.counts(), (1, 0));
}

#[tokio::test]
async fn http2_stays_in_use_where_http1_does_not_work_either() {
    let setting = Setting::new(Fault::NoHttp1).await;
    let (body, _) = setting.operation(0).await.unwrap();
    assert_eq!(body, "2");
    let download = Call {
        lane: Lane::Downloads,
        ..setting.call(Method::GET, RequestBody::Empty, 2)
    };
    let error = setting.transport.send(download).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Broken);
    assert_eq!(setting.fetch(2).await.unwrap(), "2");
    assert_eq!(setting.reported(), 3);
}

#[tokio::test]
async fn a_body_is_sent_again_by_http1() {
    let setting = Setting::new(Fault::Reset(Reason::HTTP_1_1_REQUIRED)).await;
    let body = RequestBody::Bytes(Bytes::from_static(b"{}"));
    let put = setting.call(Method::PUT, body, 1);
    let answer = setting.transport.send(put).await.unwrap();
    assert_eq!(answer.body.bytes(10).await.unwrap(), "1.1");
    assert_eq!(setting.server.counts(), (1, 1));
}

#[tokio::test]
async fn requests_that_start_together_learn_it_together() {
    let setting = Setting::new(Fault::Reset(Reason::HTTP_1_1_REQUIRED)).await;
    let fetched = futures_util::future::join_all((0..20).map(|_| setting.fetch(1))).await;
    assert!(fetched.iter().all(|body| body.as_ref().unwrap() == "1.1"));
    // The others waited for the first.
    assert_eq!(setting.reported(), 21);
}

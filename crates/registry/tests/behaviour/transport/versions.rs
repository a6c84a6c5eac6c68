//! HTTP/2 for small calls, HTTP/1.1 with a connection each for blobs.

use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use http::{Method, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use image_syncer_registry::transport::{Call, Lane, Transport, TransportOptions};
use tokio::net::TcpListener;

use super::{call, secure};
use crate::certificates::Authority;

#[tokio::test]
async fn each_lane_speaks_its_version() {
    let authority = Authority::new();
    let acceptor = authority.acceptor(&["127.0.0.1"], &["h2", "http/1.1"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let name = listener.local_addr().unwrap().to_string();
    let connections = Arc::new(Mutex::new(Vec::new()));
    let seen = connections.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let stream = acceptor.accept(stream).await.unwrap();
            let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            seen.lock().unwrap().push(h2);
            let service = service_fn(|request: http::Request<Incoming>| async move {
                let version = match request.version() {
                    Version::HTTP_2 => "2",
                    _ => "1.1",
                };
                Ok::<_, std::convert::Infallible>(http::Response::new(Full::<bytes::Bytes>::from(
                    version,
                )))
            });
            tokio::spawn(async move {
                let io = TokioIo::new(stream);
                if h2 {
                    hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(io, service)
                        .await
                        .ok();
                } else {
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(io, service)
                        .await
                        .ok();
                }
            });
        }
    });
    let transport =
        Transport::new(TransportOptions::default().with_extra_certificates(vec![authority.pem()]))
            .unwrap();
    let ask = |lane| {
        let call = Call {
            lane,
            ..call(&secure(&name), Method::GET, &format!("https://{name}/v2/"))
        };
        async {
            let answer = transport.send(call).await.unwrap();
            answer.body.bytes(10).await.unwrap()
        }
    };
    // One connection carries all calls; blobs have their own.
    assert_eq!(ask(Lane::Calls).await, "2");
    for version in join_all((0..10).map(|_| ask(Lane::Calls))).await {
        assert_eq!(version, "2");
    }
    assert_eq!(*connections.lock().unwrap(), [true]);
    assert_eq!(ask(Lane::Downloads).await, "1.1");
    assert_eq!(ask(Lane::Uploads).await, "1.1");
    assert_eq!(*connections.lock().unwrap(), [true, false, false]);
}

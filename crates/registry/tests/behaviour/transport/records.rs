//! The records of requests for observers.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use image_syncer_registry::transport::{
    ByteCounters, Call, Observer, RegistryLimits, RequestBody, RequestRecord, Transport,
    TransportOptions,
};

use super::{get, put};
use crate::server::{Reply, Server};

/// Writes down every field of a record except for the time.
#[derive(Default)]
struct Records(Mutex<Vec<String>>);

impl Observer for Records {
    fn request(&self, record: &RequestRecord<'_>) {
        let RequestRecord {
            action,
            registry: _,
            method,
            status,
            elapsed: _,
            tries,
            sent,
            length,
            ..
        } = record;
        let (host, url, request_id) = (record.host(), record.url(), record.request_id());
        let status = status.map_or(0, |status| status.as_u16());
        self.0.lock().unwrap().push(format!(
            "{action}: {method} {host} {url} {status}, try {tries}, id {request_id:?}, sent {sent}, length {length:?}"
        ));
    }
}

fn observed() -> (Transport, Arc<Records>) {
    let records = Arc::new(Records::default());
    let options = TransportOptions::default().with_observer(records.clone());
    (Transport::new(options).unwrap(), records)
}

fn answer(head: &str, body: &str) -> Reply {
    let length = body.len();
    Reply::Keep(format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes())
}

#[tokio::test]
async fn each_exchange_is_reported_with_its_host_and_request_id() {
    let storage = Server::plain(|_| answer("200 OK\r\nx-amz-request-id: S3-1", "some bytes")).await;
    let location = format!(
        "http://127.0.0.1:{}/blob?X-Amz-Signature=secret",
        storage.port
    );
    let head = format!("307 Go\r\nLocation: {location}\r\nx-request-id: reg-1");
    let server = Server::plain(move |_| answer(&head, "")).await;
    let (transport, records) = observed();
    let call = Call {
        tries: 2,
        ..get(&server, "/v2/app/blobs/x?page=1")
    };
    transport.send(call).await.unwrap();
    let (one, two) = (server.port, storage.port);
    let expected = [
        format!(
            "fetch a thing: GET 127.0.0.1:{one} http://127.0.0.1:{one}/v2/app/blobs/x 307, try 2, \
             id Some(\"reg-1\"), sent 0, length Some(0)"
        ),
        format!(
            "fetch a thing: GET 127.0.0.1:{two} http://127.0.0.1:{two}/blob 200, try 2, \
             id Some(\"S3-1\"), sent 0, length Some(10)"
        ),
    ];
    assert_eq!(*records.0.lock().unwrap(), expected);
}

#[tokio::test]
async fn secrets_are_redacted_in_paths_and_request_ids() {
    let server = Server::plain(|_| {
        answer(
            "201 Created\r\nx-request-id: for Bearer t0ken-of-mine and\tmore",
            "",
        )
    })
    .await;
    let (transport, records) = observed();
    let mut headers = HeaderMap::new();
    headers.insert(
        AUTHORIZATION,
        HeaderValue::from_static("Bearer t0ken-of-mine"),
    );
    let mut call = put(&server, RequestBody::Bytes(Bytes::from_static(b"1234567")));
    call.headers = headers;
    call.url.set_path("/v2/t0ken-of-mine/upload");
    transport.send(call).await.unwrap();
    let port = server.port;
    let expected = format!(
        "fetch a thing: PUT 127.0.0.1:{port} http://127.0.0.1:{port}/v2/***/upload 201, try 1, \
         id Some(\"for Bearer *** and more\"), sent 7, length Some(0)"
    );
    assert_eq!(*records.0.lock().unwrap(), [expected]);
}

/// Counts the bytes of one registry.
#[derive(Default)]
struct ByteCounts(Arc<ByteCounters>);

impl Observer for ByteCounts {
    fn byte_counters(&self, registry: &str) -> Option<Arc<ByteCounters>> {
        assert!(registry.starts_with("127.0.0.1:"), "{registry}");
        Some(Arc::clone(&self.0))
    }
}

#[tokio::test]
async fn bytes_are_counted_while_they_flow() {
    let server = Server::plain(|_| answer("200 OK", "some bytes")).await;
    let counts = Arc::new(ByteCounts::default());
    let options = TransportOptions::default().with_observer(counts.clone());
    let transport = Transport::new(options).unwrap();
    let numbers = || (counts.0.received(), counts.0.sent());
    let limits = || transport.registry_limits(&get(&server, "/").endpoint.registry);
    assert_eq!(limits(), RegistryLimits::default());

    let whole = RequestBody::Bytes(Bytes::from_static(b"1234567"));
    let mut answer = transport.send(put(&server, whole)).await.unwrap();
    assert_eq!(numbers(), (0, 7));
    assert_eq!(answer.body.chunk().await.unwrap().unwrap(), "some bytes");
    assert_eq!(numbers(), (10, 7));
    drop(answer);

    let pieces = ["123", "4567"].map(|piece| Ok(Bytes::from_static(piece.as_bytes())));
    let stream = RequestBody::Stream {
        length: 7,
        stream: Box::pin(futures_util::stream::iter(pieces)),
    };
    let answer = transport.send(put(&server, stream)).await.unwrap();
    answer.body.drain().await;
    assert_eq!(numbers(), (20, 14));
    let seen = limits();
    assert!(seen.uploads.is_some_and(|uploads| uploads > 0), "{seen:?}");
    assert_eq!((seen.calls, seen.downloads), (None, None));
}

//! Redirects, followed by the transport itself.

use http::header::{ACCEPT, AUTHORIZATION, COOKIE, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use image_syncer_registry::transport::{Call, ResponseBody, Transport, TransportOptions};
use image_syncer_registry::{Error, ErrorKind, Retryable};

use super::fake::{Fake, answer, at_once};
use super::{call, get, insecure, ok, put, secure, transport};
use crate::certificates::Authority;
use crate::server::{Reply, Server};
use image_syncer_registry::transport::RequestBody;

fn redirect(status: u16, location: &str) -> Reply {
    Reply::Keep(
        format!("HTTP/1.1 {status} Go\r\nLocation: {location}\r\nContent-Length: 5\r\n\r\nthere")
            .into_bytes(),
    )
}

fn dressed(call: Call) -> Call {
    let headers = [
        (AUTHORIZATION, "Bearer secret"),
        (COOKIE, "a=b"),
        (HeaderName::from_static("x-own"), "1"),
        (RANGE, "bytes=7-"),
        (ACCEPT, "application/octet-stream"),
    ];
    let headers: HeaderMap = headers
        .into_iter()
        .map(|(name, value)| (name, HeaderValue::from_static(value)))
        .collect();
    Call { headers, ..call }
}

#[tokio::test]
async fn only_harmless_headers_go_to_another_origin() {
    let storage = Server::plain(|_| ok("bytes")).await;
    let location = format!("http://127.0.0.1:{}/blob?signature=1", storage.port);
    let server = Server::plain(move |_| redirect(307, &location)).await;
    let answer = transport()
        .send(dressed(get(&server, "/v2/blob")))
        .await
        .unwrap();
    assert_eq!(answer.url.port(), Some(storage.port));
    assert_eq!(answer.body.bytes(100).await.unwrap(), "bytes");
    let heard = storage.heard();
    assert_eq!(heard[0].line(), "GET /blob?signature=1 HTTP/1.1");
    assert_eq!(heard[0].header("authorization"), None);
    assert_eq!(heard[0].header("cookie"), None);
    assert_eq!(heard[0].header("x-own"), None);
    assert_eq!(heard[0].header("range"), Some("bytes=7-"));
    assert_eq!(heard[0].header("accept"), Some("application/octet-stream"));
    assert!(
        heard[0]
            .header("user-agent")
            .unwrap()
            .starts_with("image-syncer/")
    );
}

#[tokio::test]
async fn everything_travels_within_an_origin_on_one_connection() {
    let server = Server::plain(|request| match request.line() {
        "HEAD /v2/old HTTP/1.1" => Reply::Keep(
            b"HTTP/1.1 301 Moved\r\nLocation: ../new\r\nContent-Length: 9\r\n\r\n".to_vec(),
        ),
        "GET /v2/old HTTP/1.1" => redirect(301, "../new"),
        _ => Reply::Keep(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec()),
    })
    .await;
    let transport = transport();
    for method in [Method::GET, Method::HEAD] {
        let call = Call {
            method: method.clone(),
            ..dressed(get(&server, "/v2/old"))
        };
        let answer = transport.send(call).await.unwrap();
        assert_eq!(answer.url.path(), "/new");
        let heard = server.heard();
        let last = heard.last().unwrap();
        assert_eq!(last.line(), format!("{method} /new HTTP/1.1"));
        assert_eq!(last.header("authorization"), Some("Bearer secret"));
        assert_eq!(last.header("cookie"), Some("a=b"));
    }
    assert_eq!(server.heard().len(), 4);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_loop_ends() {
    let server = Server::plain(|_| redirect(302, "/again")).await;
    let error = transport().send(get(&server, "/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(error.message(), "more than 10 redirects");
    assert_eq!(server.heard().len(), 11);
}

#[tokio::test]
async fn only_reading_follows() {
    let server = Server::plain(|_| redirect(307, "/elsewhere")).await;
    let transport = transport();
    let written = put(&server, RequestBody::Empty);
    assert_eq!(transport.send(written).await.unwrap().status, 307);
    let unwanted = Call {
        follow_redirects: false,
        ..get(&server, "/")
    };
    assert_eq!(transport.send(unwanted).await.unwrap().status, 307);
    assert_eq!(server.heard().len(), 2);
}

#[tokio::test]
async fn a_redirect_without_a_place_is_an_answer_and_one_to_nonsense_an_error() {
    let server = Server::plain(|request| match request.line() {
        "GET /nowhere HTTP/1.1" => {
            Reply::Keep(b"HTTP/1.1 307 Go\r\nContent-Length: 0\r\n\r\n".to_vec())
        }
        "GET /file HTTP/1.1" => redirect(307, "file:///etc/passwd"),
        _ => redirect(307, "http://["),
    })
    .await;
    let transport = transport();
    assert_eq!(
        transport
            .send(get(&server, "/nowhere"))
            .await
            .unwrap()
            .status,
        307
    );
    for path in ["/file", "/broken"] {
        let error = transport.send(get(&server, path)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert_eq!(error.message(), "it redirects to an invalid URL");
    }
}

#[tokio::test]
async fn errors_name_the_target_of_a_redirect() {
    let storage = Server::plain(|_| {
        let body = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message>\
                    <AWSAccessKeyId>AKIA</AWSAccessKeyId></Error>";
        Reply::Keep(
            format!("HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\n\r\n{body}", body.len())
                .into_bytes(),
        )
    })
    .await;
    let (port, gone) = (storage.port, Server::plain(|_| ok("")).await.port);
    let server = Server::plain(move |request| match request.line() {
        "GET /gone HTTP/1.1" => redirect(307, &format!("http://127.0.0.1:{gone}/x?y=z")),
        _ => redirect(307, &format!("http://127.0.0.1:{port}/x?y=z")),
    })
    .await;
    let transport = transport();
    let answer = transport.send(get(&server, "/")).await.unwrap();
    let from = format!("127.0.0.1:{}", server.port);
    let error = Error::from_response("fetch a thing", &from, answer).await;
    assert_eq!(
        error.to_string(),
        format!(
            "cannot fetch a thing at 127.0.0.1:{port}: the host answered 403 Forbidden \
             (AccessDenied: Request has expired), redirected from {from}"
        )
    );
    let error = transport.send(get(&server, "/gone")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot fetch a thing at 127.0.0.1:{gone}: connection refused, redirected from {from}"
        )
    );
    assert_eq!(error.retryable(), Retryable::Yes);
}

#[tokio::test]
async fn tls_is_not_given_up() {
    let storage = Server::plain(|_| ok("bytes")).await;
    let location = format!("http://127.0.0.1:{}/blob", storage.port);
    let authority = Authority::new();
    let acceptor = authority.acceptor(&["127.0.0.1"], &["http/1.1"]);
    let server = Server::tls(acceptor, move |_| redirect(307, &location)).await;
    let transport =
        Transport::new(TransportOptions::default().with_extra_certificates(vec![authority.pem()]))
            .unwrap();
    let name = format!("127.0.0.1:{}", server.port);
    let url = format!("https://{name}/v2/blob");
    let error = transport
        .send(call(&secure(&name), Method::GET, &url))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(
        error.message(),
        format!(
            "it redirects from https to plain http at 127.0.0.1:{}, which is not followed",
            storage.port
        )
    );
    assert_eq!(storage.heard().len(), 0);
    // An insecure registry may.
    let insecure = call(&insecure(server.port), Method::GET, &url);
    assert_eq!(transport.send(insecure).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_public_host_does_not_lead_into_the_private_network() {
    for (from, location, followed) in [
        ("9.9.9.9", "https://10.0.0.1/blob", false),
        ("9.9.9.9", "https://localhost:5000/blob", false),
        ("9.9.9.9", "https://169.254.169.254/latest", false),
        ("9.9.9.9", "https://[::1]/blob", false),
        ("9.9.9.9", "https://10.0.0.2/allowed", true),
        ("9.9.9.9", "https://8.8.8.8/blob", true),
        ("10.1.1.1", "https://10.0.0.1/blob", true),
    ] {
        let fake = Fake::new(move |_, number| match number {
            0 => at_once(Ok(http::Response::builder()
                .status(307)
                .header("location", location)
                .body(ResponseBody::empty())
                .unwrap())),
            _ => at_once(Ok(answer(200, ""))),
        });
        let transport = fake
            .transport(TransportOptions::default().with_private_hosts(vec!["10.0.0.2".to_owned()]));
        let url = format!("https://{from}/v2/blob");
        let outcome = transport.send(call(&secure(from), Method::GET, &url)).await;
        assert_eq!(outcome.is_ok(), followed, "{from} to {location}");
        assert_eq!(fake.count(), if followed { 2 } else { 1 });
        if let Err(error) = outcome {
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert_eq!(error.host(), from);
            assert!(error.message().contains("a private network"), "{error}");
        }
    }
}

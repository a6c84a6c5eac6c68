//! Scheme and port that an insecure registry answers on (docs/files.md#credentials).

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::poll;
use http::Method;
use image_syncer_registry::transport::{Endpoint, HttpErrorKind, TlsExceptions, TransportOptions};
use image_syncer_registry::{ErrorKind, Registry};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::fake::{Fake, Outcome, answer, at_once, failure};
use super::{call, insecure, ok, secure, transport};
use crate::certificates::Authority;
use crate::server::{Reply, Server};

const ACTION: &str = "list tags";

#[tokio::test]
async fn plain_http_is_found_without_a_request() {
    let server = Server::plain(|_| ok("hello")).await;
    let endpoint = insecure(server.port);
    let transport = transport();
    let base = transport.base_url(&endpoint, ACTION).await.unwrap();
    assert_eq!(base.as_str(), format!("http://127.0.0.1:{}/", server.port));
    assert_eq!(server.heard().len(), 0);
    // Remembered: the connection of the probe stays the only one.
    transport.base_url(&endpoint, ACTION).await.unwrap();
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn tls_is_found_without_a_request_and_any_certificate_will_do() {
    let acceptor = Authority::new().acceptor(&["elsewhere.example"], &["http/1.1"]);
    let server = Server::tls(acceptor, |_| ok("hello")).await;
    let endpoint = insecure(server.port);
    let transport = transport();
    let base = transport.base_url(&endpoint, ACTION).await.unwrap();
    assert_eq!(base.as_str(), format!("https://127.0.0.1:{}/", server.port));
    assert_eq!(server.heard().len(), 0);
    let answer = transport
        .send(call(&endpoint, Method::GET, base.as_str()))
        .await
        .unwrap();
    assert_eq!(answer.body.bytes(100).await.unwrap(), "hello");
}

#[tokio::test]
async fn a_server_that_hangs_up_on_a_handshake_is_asked_for_an_answer() {
    let server = Server::deaf_to_tls(|_| ok("hello")).await;
    let base = transport()
        .base_url(&insecure(server.port), ACTION)
        .await
        .unwrap();
    assert_eq!(base.scheme(), "http");
    assert_eq!(server.heard().len(), 1);
    assert_eq!(server.heard()[0].line(), "GET /v2/ HTTP/1.1");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_waits_for_a_whole_line_does_not_hold_us_up() {
    let server = Server::patient(|_| ok("hello")).await;
    let base = transport()
        .base_url(&insecure(server.port), ACTION)
        .await
        .unwrap();
    assert_eq!(base.scheme(), "http");
    assert_eq!(server.heard().len(), 1);
}

#[tokio::test]
async fn a_port_without_a_listener_is_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = transport()
        .base_url(&insecure(port), ACTION)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert_eq!(
        error.to_string(),
        format!("cannot list tags at 127.0.0.1:{port}: connection refused")
    );
    let server = Server::deaf_to_tls(|_| Reply::Close(b"hello\r\n".to_vec())).await;
    let error = transport()
        .base_url(&insecure(server.port), ACTION)
        .await
        .unwrap_err();
    assert_eq!(
        error.message(),
        format!(
            "https on port {0}: it closed the connection during the TLS handshake; http on port {0}: \
             the answer is not HTTP (invalid HTTP version parsed)",
            server.port
        )
    );
}

/// The answer of a fake for each URL, and the result of the probe.
async fn found(
    name: &str,
    answers: &'static [(&str, Option<HttpErrorKind>)],
) -> Result<String, String> {
    let fake = Fake::new(move |request, _| {
        let url = request.uri().to_string();
        let outcome = answers
            .iter()
            .find(|(asked, _)| url == format!("{asked}v2/"))
            .unwrap_or_else(|| panic!("{url} was asked"));
        at_once(match outcome.1 {
            None => Ok(answer(401, "")),
            Some(kind) => Err(failure(kind, "no")),
        })
    });
    let endpoint = Endpoint {
        registry: Registry::parse(name).unwrap(),
        exceptions: TlsExceptions::ALL,
    };
    let transport = fake.transport(TransportOptions::default());
    let base = transport.base_url(&endpoint, ACTION).await;
    assert!(fake.count() <= 2);
    base.map(|url| url.to_string())
        .map_err(|error| error.message().to_owned())
}

#[tokio::test]
async fn what_follows_what() {
    use HttpErrorKind::{Broken, Certificate, Connect, ConnectTimeout, Handshake, NotTls, Resolve};
    for (name, answers, expected) in [
        (
            "a.example",
            &[("https://a.example/", None)][..],
            Ok("https://a.example/"),
        ),
        (
            "a.example:5000",
            &[("https://a.example:5000/", Some(NotTls))],
            Ok("http://a.example:5000/"),
        ),
        (
            "a.example",
            &[("https://a.example/", Some(NotTls))],
            Ok("http://a.example:443/"),
        ),
        (
            "a.example",
            &[
                ("https://a.example/", Some(Connect)),
                ("http://a.example/", None),
            ],
            Ok("http://a.example/"),
        ),
        (
            "a.example",
            &[
                ("https://a.example/", Some(ConnectTimeout)),
                ("http://a.example/", None),
            ],
            Ok("http://a.example/"),
        ),
        (
            "a.example",
            &[
                ("https://a.example/", Some(Broken)),
                ("http://a.example/", None),
            ],
            Ok("http://a.example/"),
        ),
        (
            "a.example:5000",
            &[
                ("https://a.example:5000/", Some(Broken)),
                ("http://a.example:5000/", None),
            ],
            Ok("http://a.example:5000/"),
        ),
        // Only TLS may be used on these.
        (
            "a.example",
            &[("https://a.example/", Some(Handshake))],
            Err("no"),
        ),
        (
            "a.example",
            &[("https://a.example/", Some(Certificate))],
            Err("no"),
        ),
        (
            "a.example",
            &[("https://a.example/", Some(Resolve))],
            Err("no"),
        ),
        (
            "a.example:5000",
            &[("https://a.example:5000/", Some(Connect))],
            Err("no"),
        ),
        (
            "a.example",
            &[
                ("https://a.example/", Some(Connect)),
                ("http://a.example/", Some(Connect)),
            ],
            Err("no, over https on port 443 and over http on port 80"),
        ),
    ] {
        let found = found(name, answers).await;
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(found, expected, "{name} {answers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn port_443_that_does_not_answer_is_given_up_on_in_seconds() {
    let fake = Fake::new(|request, _| match request.uri().scheme_str() {
        Some("https") => Box::pin(std::future::pending::<Outcome>()),
        _ => at_once(Ok(answer(200, ""))),
    });
    let transport = fake.transport(TransportOptions::default());
    let endpoint = Endpoint {
        exceptions: TlsExceptions::ALL,
        ..secure("a.example")
    };
    let start = tokio::time::Instant::now();
    let base = transport.base_url(&endpoint, ACTION).await.unwrap();
    assert_eq!(base.as_str(), "http://a.example/");
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn callers_share_one_probe_and_a_failure_is_not_remembered() {
    let gate = Arc::new(Notify::new());
    let closed = gate.clone();
    let fake = Fake::new(move |_, number| match number {
        0 => {
            let closed = closed.clone();
            Box::pin(async move {
                closed.notified().await;
                Err(failure(HttpErrorKind::Connect, "no"))
            })
        }
        _ => at_once(Ok(answer(200, ""))),
    });
    let transport = fake.transport(TransportOptions::default());
    let endpoint = Endpoint {
        exceptions: TlsExceptions::ALL,
        ..secure("a.example:5000")
    };
    let mut all = Box::pin(join_all(
        (0..20).map(|_| transport.base_url(&endpoint, ACTION)),
    ));
    assert!(poll!(&mut all).is_pending());
    gate.notify_one();
    let all = all.await;
    assert!(all.iter().all(Result::is_err));
    assert_eq!(fake.count(), 1);
    // No operation retries on behalf of all: the next one may try by then.
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(transport.base_url(&endpoint, ACTION).await.is_ok());
    assert_eq!(fake.count(), 2);
}

#[tokio::test]
async fn a_caller_who_goes_away_takes_no_other_with_him() {
    let fake = Fake::new(|_, number| match number {
        0 => Box::pin(std::future::pending()),
        _ => at_once(Ok(answer(200, ""))),
    });
    let transport = fake.transport(TransportOptions::default());
    let endpoint = Endpoint {
        exceptions: TlsExceptions::ALL,
        ..secure("a.example:5000")
    };
    // The only waiting caller is dropped: the next one starts a new probe.
    let mut first = Box::pin(transport.base_url(&endpoint, ACTION));
    assert!(poll!(&mut first).is_pending());
    drop(first);
    assert!(transport.base_url(&endpoint, ACTION).await.is_ok());
    assert_eq!(fake.count(), 2);
}

#[tokio::test]
async fn a_registry_that_must_be_verified_is_never_probed() {
    let fake = Fake::new(|_, _| at_once(Ok(answer(200, ""))));
    let transport = fake.transport(TransportOptions::default());
    for (name, base) in [
        ("docker.io", "https://registry-1.docker.io/"),
        ("quay.example", "https://quay.example/"),
        ("quay.example:8443", "https://quay.example:8443/"),
        ("[::1]:5000", "https://[::1]:5000/"),
    ] {
        let found = transport.base_url(&secure(name), ACTION).await.unwrap();
        assert_eq!(found.as_str(), base);
    }
    assert_eq!(fake.count(), 0);
    let plain = call(
        &secure("quay.example"),
        Method::GET,
        "http://quay.example/v2/",
    );
    let error = transport.send(plain).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(fake.count(), 0);
}

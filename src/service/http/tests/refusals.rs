//! Requests that are refused before they reach a route, and the limits of connections.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::service::http::ServerLimits;
use crate::service::http::tests::support::Setting;

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    let service = Setting::default().start().await;
    for path in ["/healthz", "/api/v1/rules", "/rules", "/nothing", "/login"] {
        let answer = service.get(path, &[]).await;
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"));
        assert!(policy.ends_with("frame-ancestors 'none'"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    }
}

#[tokio::test]
async fn unknown_routes_and_methods_are_problems() {
    let service = Setting::default().start().await;
    service.get("/nothing", &[]).await.problem(404);
    service.get("/api/v1/nothing", &[]).await.problem(404);
    let refused = service.send("DELETE /api/v1/rules", &[], "").await;
    refused.problem(405);
    assert_eq!(refused.header("allow"), Some("GET,HEAD"));
    for path in [
        "/../../etc/passwd",
        "/assets/../../etc/passwd",
        "/assets/..%2f..%2fetc%2fpasswd",
        "/api/v1/runs/..%2f..%2fetc",
        "/api/v1/rules/%00",
        "//etc/passwd",
    ] {
        let answer = service.get(path, &[]).await;
        answer.problem(404);
    }
    service.get("/api/v1/rules/%ff", &[]).await.problem(400);
    let page = service.get("/nothing", &["Accept: text/html"]).await;
    assert_eq!(page.status, 404);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
}

#[tokio::test]
async fn bodies_are_bounded_and_must_be_json() {
    let service = Setting::default().start().await;
    let json = "Content-Type: application/json";
    let sync = "POST /api/v1/rules/a/sync";
    let large = " ".repeat(1024 * 1024 + 1);
    let refused = service.send(sync, &[json], &large).await;
    assert_eq!(refused.problem(413), "the body is larger than 1 MiB");
    // The same without a length.
    let mut text = format!(
        "{sync} HTTP/1.1\r\nHost: localhost\r\n{json}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
        large.len()
    );
    text.push_str(&large);
    text.push_str("\r\n0\r\n\r\n");
    let answer = service.exchange(text.as_bytes()).await;
    assert!(answer.starts_with(b"HTTP/1.1 413 "));
    for (body, status) in [
        ("{", 400),
        ("[]", 400),
        (r#"{"tag": ["v1"]}"#, 400),
        (r#"{"tags": "v1"}"#, 400),
        (r#"{"wait": "1 hour"}"#, 400),
        (r#"{"repository": "../etc"}"#, 422),
        (r#"{"tags": ["v1"]}"#, 422),
        ("{}", 202),
        ("", 202),
    ] {
        let answer = service.send(sync, &[json], body).await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
    }
    let form = "Content-Type: application/x-www-form-urlencoded";
    let refused = service.send(sync, &[form], "force=true").await;
    assert!(refused.problem(415).contains("application/json"));
}

#[tokio::test]
async fn ambiguous_lengths_have_no_second_request() {
    let service = Setting::default().start().await;
    let smuggled = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for head in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: xchunked",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 6",
        "Content-Length: +5",
        "Content-Length: 0x5",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding:\r\n chunked",
    ] {
        let text = format!(
            "POST /api/v1/reload HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n0\r\n\r\n{smuggled}"
        );
        let answer = service.exchange(text.as_bytes()).await;
        let answer = String::from_utf8_lossy(&answer);
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{head}: {answer}");
        assert!(!answer.contains("HTTP/1.1 200"), "{head}: {answer}");
    }
}

#[tokio::test]
async fn malformed_heads_end_their_connection_alone() {
    let service = Setting::default().start().await;
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(200));
    for text in [
        "",
        "\0\0\0\0",
        "\x16\x03\x01\x02\0\x01\0\x01\u{fc}",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET / HTTP/1.1\r\nX\r\n\r\n",
        "GET /\u{7f} HTTP/1.1\r\n\r\n",
        &long,
        &many,
    ] {
        let mut stream = service.open(text.as_bytes()).await;
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let is_refused = answer.is_empty() || answer.starts_with(b"HTTP/1.1 4");
        assert!(
            is_refused,
            "{text:?}: {:?}",
            String::from_utf8_lossy(&answer)
        );
    }
    assert_eq!(service.get("/healthz", &[]).await.status, 200);
}

#[tokio::test]
async fn slow_heads_and_idle_connections_end() {
    let limits = ServerLimits {
        header_time: Duration::from_millis(50),
        ..ServerLimits::default()
    };
    let setting = Setting {
        limits,
        ..Setting::default()
    };
    let service = setting.start().await;
    for text in ["", "GET / HTT", "GET / HTTP/1.1\r\nHost: localhost\r\n"] {
        let mut stream = service.open(text.as_bytes()).await;
        let mut answer = Vec::new();
        // Ends only when the service closes the connection.
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{text:?}");
    }
}

#[tokio::test]
async fn a_thousand_connections_are_answered_a_few_at_a_time() {
    let limits = ServerLimits {
        connections: 16,
        ..ServerLimits::default()
    };
    let setting = Setting {
        limits,
        ..Setting::default()
    };
    let service = setting.start().await;
    let address = service.address;
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        clients.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let text = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            stream.write_all(text).await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            answer.starts_with(b"HTTP/1.1 200 ")
        });
    }
    let answered = clients.join_all().await;
    assert_eq!(answered.iter().filter(|answered| **answered).count(), 1_000);
}

#[tokio::test]
async fn the_end_of_the_service_ends_streams_and_requests_that_wait() {
    let service = Setting::default().start().await;
    let mut stream = service
        .open(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    let mut head = [0; 16];
    stream.read_exact(&mut head).await.unwrap();
    assert!(head.starts_with(b"HTTP/1.1 200 "));
    let waiting = service.send("POST /api/v1/rules/slow/sync?wait=10m", &[], "");
    let ending = async {
        while service.state.runs.unfinished().is_empty() {
            tokio::task::yield_now().await;
        }
        service.state.http.closing.cancel();
    };
    let (answer, ()) = tokio::join!(waiting, ending);
    assert_eq!(answer.status, 202);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    service.task.await.unwrap();
}

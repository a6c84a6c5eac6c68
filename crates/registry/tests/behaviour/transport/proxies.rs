//! Proxies from the environment.

use http::Method;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::{call, child, insecure, ok, transport};
use crate::certificates::Authority;
use crate::server::{Reply, Server};

/// A proxy for `CONNECT` that records the requested hosts, and connects all of them to `port`.
pub(super) async fn tunnels_to(port: u16) -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://user:pass@{}", listener.local_addr().unwrap());
    let (teller, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let teller = teller.clone();
            tokio::spawn(async move {
                let mut client = BufReader::new(stream);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    client.read_line(&mut head).await.unwrap();
                }
                let host = head.split(' ').nth(1).unwrap().to_owned();
                let refused = host.starts_with("refused.");
                teller.send(host).unwrap();
                let mut client = client.into_inner();
                if refused {
                    let answer = b"HTTP/1.1 502 Bad Gateway\r\n\r\n";
                    client.write_all(answer).await.unwrap();
                    return;
                }
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                copy_bidirectional(&mut client, &mut server).await.ok();
            });
        }
    });
    (address, told)
}

#[tokio::test]
async fn hosts_outside_no_proxy_are_reached_through_the_proxy() {
    let acceptor = Authority::new().acceptor(&["elsewhere.example"], &["http/1.1"]);
    let behind = Server::tls(acceptor, |_| ok("behind")).await;
    let (proxy, mut told) = tunnels_to(behind.port).await;
    let direct = Server::plain(|_| ok("direct")).await;
    let direct_port = direct.port.to_string();
    child(
        "transport::proxies::child_with_a_tunnel",
        &[
            ("HTTPS_PROXY", &proxy),
            ("NO_PROXY", "127.0.0.1"),
            ("DIRECT_PORT", &direct_port),
        ],
    )
    .await;
    let mut hosts = Vec::new();
    while let Ok(host) = told.try_recv() {
        hosts.push(host);
    }
    // The probe's request and the request itself share a connection; a refused host is tried once over TLS.
    assert_eq!(hosts, ["behind.example:443", "refused.example:5000"]);
    let lines: Vec<String> = behind
        .heard()
        .iter()
        .map(|heard| heard.line().to_owned())
        .collect();
    assert_eq!(lines, ["GET /v2/ HTTP/1.1", "GET /v2/tags HTTP/1.1"]);
    assert_eq!(direct.heard().len(), 1);
}

#[tokio::test]
#[ignore = "a half of another test"]
async fn child_with_a_tunnel() {
    let transport = transport();
    let behind = super::Endpoint {
        exceptions: super::TlsExceptions::ALL,
        ..super::secure("behind.example")
    };
    let base = transport.base_url(&behind, "list tags").await.unwrap();
    assert_eq!(base.as_str(), "https://behind.example/");
    let tags = call(&behind, Method::GET, "https://behind.example/v2/tags");
    let answer = transport.send(tags).await.unwrap();
    assert_eq!(answer.body.bytes(10).await.unwrap(), "behind");

    let port = std::env::var("DIRECT_PORT").unwrap();
    let direct = insecure(port.parse().unwrap());
    let base = transport.base_url(&direct, "list tags").await.unwrap();
    let answer = transport
        .send(call(&direct, Method::GET, base.as_str()))
        .await
        .unwrap();
    assert_eq!(answer.body.bytes(10).await.unwrap(), "direct");

    let refused = super::secure("refused.example:5000");
    let get = call(&refused, Method::GET, "https://refused.example:5000/v2/");
    let error = transport.send(get).await.unwrap_err().to_string();
    assert!(
        error.starts_with(
            "cannot fetch a thing at refused.example:5000: the proxy does not connect to it (through the proxy \
             127.0.0.1:"
        ),
        "{error}"
    );
    assert!(!error.contains("pass"), "{error}");
}

#[tokio::test]
async fn plain_http_goes_through_its_proxy_too() {
    let proxy = Server::plain(|request| match request.line() {
        "GET http://behind.example:5000/v2/ HTTP/1.1" => ok("behind"),
        _ => Reply::Keep(b"HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n".to_vec()),
    })
    .await;
    let address = format!("http://127.0.0.1:{}", proxy.port);
    child(
        "transport::proxies::child_with_a_plain_proxy",
        &[("http_proxy", &address)],
    )
    .await;
    assert_eq!(proxy.heard().len(), 1);
}

#[tokio::test]
#[ignore = "a half of another test"]
async fn child_with_a_plain_proxy() {
    let behind = super::Endpoint {
        exceptions: super::TlsExceptions::ALL,
        ..super::secure("behind.example:5000")
    };
    let get = call(&behind, Method::GET, "http://behind.example:5000/v2/");
    let answer = transport().send(get).await.unwrap();
    assert_eq!(answer.body.bytes(10).await.unwrap(), "behind");
}

/// A SOCKS 5 proxy that records the requested names, and connects all of them to `port`.
async fn socks_to(port: u16) -> (u16, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    let (teller, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let teller = teller.clone();
            tokio::spawn(async move {
                // Version, one method: user and password.
                let mut greeting = [0; 3];
                client.read_exact(&mut greeting).await.unwrap();
                assert_eq!(greeting, [5, 1, 2]);
                client.write_all(&[5, 2]).await.unwrap();
                let mut login = [0; 11];
                client.read_exact(&mut login).await.unwrap();
                assert_eq!(&login, b"\x01\x04user\x04pass");
                client.write_all(&[1, 0]).await.unwrap();
                // Version, connect, reserved, a name and its length.
                let mut asked = [0; 5];
                client.read_exact(&mut asked).await.unwrap();
                assert_eq!(asked[..4], [5, 1, 0, 3]);
                let mut name = vec![0; usize::from(asked[4]) + 2];
                client.read_exact(&mut name).await.unwrap();
                let wanted = u16::from_be_bytes([name[name.len() - 2], name[name.len() - 1]]);
                name.truncate(name.len() - 2);
                let name = String::from_utf8(name).unwrap();
                teller.send(format!("{name}:{wanted}")).unwrap();
                let status = u8::from(name.starts_with("refused."));
                let answer = [5, status * 5, 0, 1, 0, 0, 0, 0, 0, 0];
                client.write_all(&answer).await.unwrap();
                let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                copy_bidirectional(&mut client, &mut server).await.ok();
            });
        }
    });
    (own, told)
}

#[tokio::test]
async fn socks_resolves_names_and_leads_on() {
    let acceptor = Authority::new().acceptor(&["elsewhere.example"], &["http/1.1"]);
    let behind = Server::tls(acceptor, |_| ok("behind")).await;
    let (port, mut told) = socks_to(behind.port).await;
    let proxy = format!("socks5h://user:pass@127.0.0.1:{port}");
    child(
        "transport::proxies::child_with_socks",
        &[("ALL_PROXY", &proxy)],
    )
    .await;
    assert_eq!(told.recv().await.unwrap(), "behind.example:443");
    assert_eq!(told.recv().await.unwrap(), "refused.example:80");
    assert_eq!(behind.heard().len(), 1);
}

#[tokio::test]
#[ignore = "a half of another test"]
async fn child_with_socks() {
    let behind = super::Endpoint {
        exceptions: super::TlsExceptions::ALL,
        ..super::secure("behind.example")
    };
    let get = call(&behind, Method::GET, "https://behind.example/v2/");
    let answer = transport().send(get).await.unwrap();
    assert_eq!(answer.body.bytes(10).await.unwrap(), "behind");
    let get = call(&behind, Method::GET, "http://refused.example/v2/");
    let error = transport().send(get).await.unwrap_err();
    assert!(
        error.to_string().starts_with(
            "cannot fetch a thing at refused.example: the proxy does not lead to it: connection refused (through the proxy 127.0.0.1:"
        ),
        "{error}"
    );
}

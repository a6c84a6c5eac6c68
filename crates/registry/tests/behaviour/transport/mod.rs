//! The transport: with raw servers on this machine, and with a fake service where time matters.

mod bodies;
mod certs_d;
mod counters;
mod fake;
mod http2;
mod led_by_public;
mod limits;
mod pacing;
mod probing;
mod proxies;
mod rebinding;
mod records;
mod redirects;
mod retries;
mod settings;
mod shared_limits;
mod stalls;
mod tls;
mod unreachable;
mod versions;

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use image_syncer_registry::Registry;
use image_syncer_registry::transport::{
    AnswerLimit, Call, Endpoint, Lane, Observer, PauseReason, RequestBody, RequestRecord,
    TlsExceptions, Transport, TransportOptions,
};
use tokio::io::AsyncReadExt;
use url::Url;

use crate::server::{Reply, Server};

/// Returns the endpoint `127.0.0.1:port`, marked insecure.
fn insecure(port: u16) -> Endpoint {
    Endpoint {
        registry: Registry::parse(&format!("127.0.0.1:{port}")).unwrap(),
        exceptions: TlsExceptions::ALL,
    }
}

/// Returns the endpoint `name`, whose certificate must be valid.
fn secure(name: &str) -> Endpoint {
    Endpoint {
        registry: Registry::parse(name).unwrap(),
        exceptions: TlsExceptions::NONE,
    }
}

fn call(endpoint: &Endpoint, method: Method, url: &str) -> Call {
    Call {
        action: Arc::from("fetch a thing"),
        endpoint: endpoint.clone(),
        method,
        url: Url::parse(url).unwrap(),
        headers: HeaderMap::new(),
        body: RequestBody::Empty,
        lane: Lane::Calls,
        public_only: false,
        answer: AnswerLimit::Normal,
        follow_redirects: true,
        weight: 0,
        tries: 1,
        guard: None,
    }
}

/// Returns a GET of `path` at a plain server.
fn get(server: &Server, path: &str) -> Call {
    let url = format!("http://127.0.0.1:{}{path}", server.port);
    call(&insecure(server.port), Method::GET, &url)
}

/// Returns an upload to a plain server.
fn put(server: &Server, body: RequestBody) -> Call {
    let url = format!("http://127.0.0.1:{}/v2/upload", server.port);
    Call {
        body,
        lane: Lane::Uploads,
        ..call(&insecure(server.port), Method::PUT, &url)
    }
}

fn ok(body: &str) -> Reply {
    Reply::Keep(
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes(),
    )
}

fn transport() -> Transport {
    Transport::new(TransportOptions::default()).unwrap()
}

/// Runs the ignored test `name` of this binary with `environment`, since a process cannot change its own safely.
pub(crate) async fn child(name: &str, environment: &[(&str, &str)]) {
    let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    let mut child = command
        .args(["--ignored", "--exact", name])
        .envs(environment.iter().copied())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut output = String::new();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_to_string(&mut output).await.unwrap();
    let status = child.wait().await.unwrap();
    assert!(status.success(), "{output}");
    assert!(output.contains("1 passed"), "{output}");
}

/// Records everything that it receives.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Notes {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
    fn note(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }
}

impl Observer for Notes {
    fn request(&self, record: &RequestRecord<'_>) {
        let RequestRecord {
            action,
            registry,
            method,
            status,
            ..
        } = record;
        let url = record.url();
        let status = status.map_or(0, |status| status.as_u16());
        self.note(format!("{action} at {registry}: {method} {url} {status}"));
    }
    fn retry(&self, host: &str, error: &str, tries: u32, _delay: Duration) {
        self.note(format!("{host} retry {tries}: {error}"));
    }
    fn pause(&self, host: &str, _delay: Duration, _why: PauseReason) {
        self.note(format!("{host} paused"));
    }
    fn narrowed(&self, host: &str, lane: Lane, size: usize) {
        self.note(format!("{host} takes at most {size} in {lane:?}"));
    }
    fn warning(&self, host: &str, text: &str) {
        self.note(format!("{host} warns: {text}"));
    }
}

#[tokio::test]
async fn requests_and_warnings_are_reported_without_queries() {
    let server = Server::plain(|_| {
        Reply::Keep(
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nWarning: 299 - \"old \\\"API\\\"\"\r\n\
              Warning: 110 cache \"stale\"\r\n\r\n"
                .to_vec(),
        )
    })
    .await;
    let notes = Arc::new(Notes::default());
    let transport =
        Transport::new(TransportOptions::default().with_observer(notes.clone())).unwrap();
    for _ in 0..2 {
        let answer = transport.send(get(&server, "/v2/?secret=1")).await.unwrap();
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(answer.url.query(), Some("secret=1"));
    }
    let host = format!("127.0.0.1:{}", server.port);
    let request = format!("fetch a thing at {host}: GET http://{host}/v2/ 404");
    assert_eq!(
        notes.take(),
        [
            request.clone(),
            format!("{host} warns: old \"API\""),
            request
        ]
    );
}

#[tokio::test]
async fn no_unexpected_headers_are_sent() {
    let server = Server::plain(|_| ok("")).await;
    transport().send(get(&server, "/v2/")).await.unwrap();
    let post = Call {
        body: RequestBody::Bytes(Bytes::from_static(b"{}")),
        ..call(
            &insecure(server.port),
            Method::POST,
            &format!("http://127.0.0.1:{}/v2/", server.port),
        )
    };
    transport().send(post).await.unwrap();
    let names = |index: usize| -> Vec<String> {
        let mut names: Vec<String> = server.heard()[index]
            .lines
            .iter()
            .skip(1)
            .filter_map(|line| Some(line.split_once(':')?.0.to_owned()))
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(0), ["accept-encoding", "host", "user-agent"]);
    assert_eq!(
        names(1),
        ["accept-encoding", "content-length", "host", "user-agent"]
    );
    assert_eq!(
        server.heard()[0].header("accept-encoding"),
        Some("identity")
    );
    let agent = format!("image-syncer/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(server.heard()[0].header("user-agent"), Some(&*agent));
}

//! A service whose registries are empty, and a client that sends any bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use image_syncer_registry::auth::Secret;
use image_syncer_sync::config::{SecretPlace, ServiceConfig, TlsFiles, TokenConfig, TokenScope};
use image_syncer_sync::settings::Listing;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::metrics::Metrics;
use crate::service::clock::Clock;
use crate::service::events::LiveEvents;
use crate::service::health::Health;
use crate::service::history::History;
use crate::service::hooks::Hooks;
use crate::service::http::state::HttpState;
use crate::service::http::{Reporter, Server, ServerLimits, router};
use crate::service::observer::{RunObserver, RunObservers};
use crate::service::registries::RegistryStats;
use crate::service::reload::Reload;
use crate::service::rule_health::RuleHealths;
use crate::service::runs::{RunLimits, Runs};
use crate::service::schedule::Schedules;
use crate::service::state::ServiceState;
use crate::service::testing;
use crate::service::workers::Workers;

/// A running service with the rules `a` and `b/c:*`, and `slow`, which takes 90 minutes.
pub(super) struct TestService {
    pub(super) address: SocketAddr,
    pub(super) state: Arc<ServiceState>,
    pub(super) task: JoinHandle<()>,
    _directory: TempDir,
}

/// Settings of a test.
#[derive(Default)]
pub(super) struct Setting {
    pub(super) config: ServiceConfig,
    pub(super) limits: ServerLimits,
    /// Listens at all addresses in place of that of this machine.
    pub(super) is_public: bool,
    pub(super) tls: Option<TlsFiles>,
}

impl Setting {
    /// Sets the tokens `reader` and `writer`.
    pub(super) fn with_tokens(mut self) -> Self {
        let token = |name: &str, scope| TokenConfig {
            name: name.to_owned(),
            secret: SecretPlace::Text(Secret::new(format!("{name}-token"))),
            scope,
        };
        self.config.tokens = vec![
            token("reader", TokenScope::Read),
            token("writer", TokenScope::Sync),
        ];
        self
    }

    /// Starts the service.
    pub(super) async fn start(self) -> TestService {
        let directory = tempfile::tempdir().unwrap();
        let state = state(&self.config, &directory);
        let ip = if self.is_public {
            "0.0.0.0"
        } else {
            "127.0.0.1"
        };
        let addresses = [format!("{ip}:0")];
        let server = Server::bind(
            &addresses,
            self.tls.as_ref(),
            self.limits,
            &state.http.reporter,
        )
        .await;
        let server = server.unwrap();
        let port = server.addresses()[0].port();
        let closing = state.http.closing.clone();
        let task = tokio::spawn(server.serve(router(&state, true), closing));
        let runs = state.runs.clone();
        tokio::spawn(async move { runs.drive().await });
        TestService {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            state,
            task,
            _directory: directory,
        }
    }
}

fn state(config: &ServiceConfig, directory: &TempDir) -> Arc<ServiceState> {
    let clock = Clock::default();
    let history = History::open(&directory.path().join("history.sqlite3"), |_| {}).unwrap();
    let (events, metrics) = (LiveEvents::default(), Metrics::default());
    let schedules = Schedules::new(clock, [].into());
    let rule_health = RuleHealths::default();
    let observers: Vec<Arc<dyn RunObserver>> = vec![
        Arc::new(events.clone()),
        Arc::new(history.clone()),
        Arc::new(schedules.clone()),
        Arc::new(rule_health.clone()),
    ];
    let limits = RunLimits {
        runs: 4,
        grace: Duration::ZERO,
        listing: Listing::Auto,
        clock,
    };
    let rules = testing::rules(&[
        r#"{name: a, from: "fast.example/**", schedule: {every: 6h}}"#,
        r#"{name: "b/c:*", from: "fast.example/team/**"}"#,
        r#"{name: slow, from: "slow-90.example/**"}"#,
    ]);
    let observers = RunObservers::new(observers);
    let runs = Runs::new(testing::session(), rules, limits, observers, None);
    let hooks = Hooks::new(
        runs.clone(),
        &[],
        &|_| None,
        metrics.clone(),
        Arc::new(|_, _| {}),
    );
    let health = Health::new(schedules.clone(), runs.clone(), Duration::from_secs(60));
    health.set_ready();
    // Without its receiver, every reload is refused.
    let (reload, _) = Reload::new(Box::new(|_| unreachable!("no reload")), Vec::new());
    Arc::new(ServiceState {
        runs,
        events,
        schedules,
        rule_health,
        health,
        reload,
        history,
        metrics,
        registries: RegistryStats::default(),
        workers: Workers::default(),
        hooks: hooks.unwrap(),
        http: HttpState::new(config, |_| None, Reporter::new(Arc::new(|_, _| {}))).unwrap(),
    })
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let mut answer = Self {
            status,
            head: head.to_owned(),
            body: body.to_owned(),
        };
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.body = unchunked(body);
        }
        Some(answer)
    }

    /// Returns a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (own, value) = line.split_once(": ")?;
            own.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// Returns the body as JSON.
    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks that the answer is a problem with this status, and returns its detail.
    #[track_caller]
    pub(super) fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], "about:blank");
        problem["detail"].as_str().unwrap_or_default().to_owned()
    }
}

fn unchunked(mut text: &str) -> String {
    let mut body = String::new();
    while let Some((size, rest)) = text.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        body.push_str(&rest[..size]);
        text = rest[size..].trim_start_matches("\r\n");
    }
    body
}

impl TestService {
    /// Sends bytes, and returns everything that the service answers until it closes the connection.
    pub(super) async fn exchange(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The service may refuse before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    }

    /// Sends a request with these headers, one a line, and a body.
    pub(super) async fn send(&self, line: &str, headers: &[&str], body: &str) -> Answer {
        let length = format!("Content-Length: {}", body.len());
        let mut text = format!("{line} HTTP/1.1\r\n");
        if !headers.iter().any(|header| header.starts_with("Host:")) {
            text = format!("{text}Host: {}\r\n", self.address);
        }
        for header in headers
            .iter()
            .copied()
            .chain([&*length, "Connection: close"])
        {
            text.push_str(header);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        text.push_str(body);
        let answer = self.exchange(text.as_bytes()).await;
        let parsed = Answer::parse(&answer);
        parsed.unwrap_or_else(|| panic!("{line}: {:?}", String::from_utf8_lossy(&answer)))
    }

    /// Sends a request without a body.
    pub(super) async fn get(&self, path: &str, headers: &[&str]) -> Answer {
        self.send(&format!("GET {path}"), headers, "").await
    }

    /// Opens a connection, and sends bytes.
    pub(super) async fn open(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }
}

//! `/metrics` of the service.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use super::MetricsWorld;
use super::parser::Parser;
use crate::support::{PATIENCE, Service, image};

/// Requests a path and returns the body of the answer.
fn get(url: &str, path: &str) -> String {
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains("application/openmetrics-text; version=1.0.0"),
        "{head}"
    );
    body.to_owned()
}

#[test]
fn another_parser_reads_the_metrics_of_the_service() {
    if !Parser::is_installed() {
        return;
    }
    let rules = "  - {name: 'a \"b\"\\c', from: SRC/a, tags: [v1], to: DST/b, schedule: {every: 24h, jitter: 0s}}\n";
    let world = MetricsWorld::new(rules);
    world.source.push("a", Some("v1"), &image("v1"));
    let mut service = Service::start(&world.place, &["--config", "sync.yaml"]);
    let url = service.url();
    service.until("succeeded:");
    // The line may come before the run is counted.
    let begin = Instant::now();
    let text = loop {
        let text = get(&url, "/metrics");
        if text.contains("image_syncer_runs_total{") || begin.elapsed() > PATIENCE {
            break text;
        }
    };
    let samples = Parser::OpenMetrics.parse(&text);
    let of = |name: &str| {
        samples
            .iter()
            .filter(|it| it.name == name)
            .collect::<Vec<_>>()
    };
    let runs = of("image_syncer_runs_total");
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].labels["rule"], "a \"b\"\\c");
    assert_eq!(runs[0].labels["result"], "succeeded");
    for name in [
        "image_syncer_rule_next_run_timestamp_seconds",
        "image_syncer_rule_last_success_timestamp_seconds",
        "image_syncer_config_reload_ok",
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
    ] {
        assert_eq!(of(name).len(), 1, "{name}");
    }
    assert_eq!(
        of("image_syncer_rule_interval_seconds")[0]
            .value
            .to_string(),
        "86400"
    );
    service.stop().exits(0);
}

/// Receives one message, and accepts it.
fn accept_message(listener: &TcpListener) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut line, mut length) = (String::new(), 0);
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let header = line.to_ascii_lowercase();
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    write!(stream, "HTTP/1.1 204 No Content\r\n\r\n").unwrap();
}

#[test]
fn another_parser_reads_the_metrics_of_notifications() {
    if !Parser::is_installed() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // Nothing listens there any more.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let ports = [&listener, &closed].map(|it| it.local_addr().unwrap().port());
    drop(closed);
    let notify = ports.map(|port| {
        format!(
            "    - {{kind: slack, url: \"http://127.0.0.1:{port}/T0KEN\", on: [run.succeeded]}}\n"
        )
    });
    let rules = format!(
        "  - {{name: a, from: SRC/a, tags: [v1], to: DST/b, schedule: {{every: 24h, jitter: 0s}}}}
service:
  notify:
{}",
        notify.concat()
    );
    let world = MetricsWorld::new(&rules);
    world.source.push("a", Some("v1"), &image("v1"));
    let arguments = ["--config", "sync.yaml", "--allow-private", "127.0.0.1"];
    let mut service = Service::start(&world.place, &arguments);
    let url = service.url();
    accept_message(&listener);
    service.until("notification run.succeeded to slack-2 (127.0.0.1) is tried again in 15 s: ");
    let expected = [
        ("delivered", "slack-1", 1.0),
        ("failed", "slack-1", 0.0),
        ("retried", "slack-1", 0.0),
        ("delivered", "slack-2", 0.0),
        ("failed", "slack-2", 0.0),
        ("retried", "slack-2", 1.0),
    ];
    // The counters follow the messages, and the queue is counted after both.
    let begin = Instant::now();
    loop {
        let samples = Parser::OpenMetrics.parse(&get(&url, "/metrics"));
        let of = |name: &'static str| samples.iter().filter(move |it| it.name == name);
        let mut found: Vec<_> = of("image_syncer_notifications_total")
            .map(|it| (&*it.labels["outcome"], &*it.labels["receiver"], it.value))
            .collect();
        found.sort_by_key(|it| (it.1, it.0));
        let waiting: Vec<f64> = of("image_syncer_notifications_waiting")
            .map(|it| it.value)
            .collect();
        if (found.as_slice(), waiting.as_slice()) == (&expected, &[1.0]) {
            break;
        }
        assert!(
            begin.elapsed() < PATIENCE,
            "{found:?}, waiting: {waiting:?}"
        );
    }
    service.stop().exits(0);
}

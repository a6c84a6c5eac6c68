//! `/metrics` of the service.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
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

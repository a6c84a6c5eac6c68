//! Measures how a shared run gets faster with workers, on registries with latency and a limited bandwidth for each
//! connection, so that the network is the limit and not this machine.
//!
//! `workers BINARY URL SHARE COUNT…` copies the same repositories with each number of workers over the `PostgreSQL`
//! database at `URL`, and prints a table in Markdown. The first number should be 1, with which the others are compared.
//! `SHARE` is the part of the bytes in one large repository, in percent; 0 for equal repositories.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::panic,
    reason = "a small program for scripts"
)]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use testkit::{Image, Layer, Profile, Registry};

/// Latency of each request.
const LATENCY: Duration = Duration::from_millis(20);
/// Bytes a second of each connection.
const BANDWIDTH: u64 = 1 << 20;
/// Connections for blobs of each worker, to each registry.
const CONNECTIONS: usize = 4;
/// Number of repositories.
const REPOSITORIES: u64 = 64;
/// Tags of each.
const TAGS: u64 = 4;
/// Bytes of the layer of each tag.
const BYTES: u64 = 512 << 10;
/// Tags of the large repository; more than a unit has.
const LARGE_TAGS: u64 = 600;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [binary, url, share, counts @ ..] = arguments.as_slice() else {
        panic!("BINARY URL SHARE COUNT…");
    };
    let share: u64 = share.parse().expect("a part in percent");
    let directory = tempfile::tempdir().expect("a directory");
    println!("| Workers | Time | Ideal | Speed-up | Requests | Bytes sent | Sent twice |");
    println!("|---|---|---|---|---|---|---|");
    let mut alone = None;
    for workers in counts {
        let workers: u32 = workers.parse().expect("a number of workers");
        let source = Registry::builder()
            .profile(Profile::distribution())
            .latency(LATENCY)
            .bandwidth(BANDWIDTH)
            .start_on_thread();
        let unique = fill(&source, share);
        let destination = Registry::builder()
            .profile(Profile::distribution())
            .latency(LATENCY)
            .bandwidth(BANDWIDTH)
            .start_on_thread();
        let config = directory.path().join("rules.yaml");
        let rules = format!(
            "version: 1\nregistries:\n  \"{from}\": {{list: catalog, tls: {{plain-http: true}}}}\n  \"{to}\": {{list: \
             catalog, tls: {{plain-http: true}}}}\nrules:\n- {{name: all, from: \"{from}/team/**\", to: \
             \"{to}/{{repository}}\"}}\n",
            from = source.host(),
            to = destination.host()
        );
        std::fs::write(&config, rules).expect("a file");
        let others: Vec<Child> = (1..workers)
            .map(|_| start(binary, url, &config, &["work", "--idle", "10s"]))
            .collect();
        let began = Instant::now();
        let status = start(binary, url, &config, &[]).wait().expect("its end");
        let elapsed = began.elapsed().as_secs_f64();
        assert!(status.success(), "{status}");
        for mut worker in others {
            worker.wait().expect("its end");
        }
        let first = *alone.get_or_insert(elapsed);
        let sent = destination.bytes_received();
        println!(
            "| {workers} | {elapsed:.1} s | {:.1} s | {:.2} | {} | {:.0} MiB | {:.1} % |",
            first / f64::from(workers),
            first / elapsed,
            source.requests().len() + destination.requests().len(),
            mib(sent),
            100.0 * mib(sent.saturating_sub(unique)) / mib(unique),
        );
    }
}

/// Fills the registry, and returns the number of its bytes.
fn fill(source: &Registry, share: u64) -> u64 {
    let mut bytes = 0;
    let mut push = |repository: &str, tags: u64, size: u64, seed: u64| {
        for tag in 0..tags {
            let layer = Layer::synthetic(size, seed + tag);
            let image = Image::single([layer]);
            source.push(repository, Some(&format!("v{tag}")), &image);
            bytes += image.blob_bytes();
        }
    };
    let total = REPOSITORIES * TAGS * BYTES;
    let small = BYTES * (100 - share) / 100;
    for number in 0..REPOSITORIES {
        push(&format!("team/app-{number:02}"), TAGS, small, number * TAGS);
    }
    if share > 0 {
        push(
            "team/large",
            LARGE_TAGS,
            total * share / 100 / LARGE_TAGS,
            1_000_000,
        );
    }
    bytes
}

fn start(binary: &str, url: &str, config: &Path, arguments: &[&str]) -> Child {
    let proc = CONNECTIONS.to_string();
    let mut command = Command::new(binary);
    command
        .args(arguments)
        .arg("--config")
        .arg(config)
        .args(["--share", url, "--no-records", "--proc", &proc, "--quiet"])
        .stdout(Stdio::null());
    command.spawn().expect("the program")
}

#[allow(clippy::cast_precision_loss, reason = "a figure for people")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

//! Hosts that are down while many images start together: one operation finds out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use image_syncer_registry::Cause;
use image_syncer_sync::rule::Rule;
use testkit::fault::Answer;
use testkit::{Fault, Image, Layer, Registry};
use tokio::net::TcpListener;

use crate::kit::server;
use crate::run::{rule, run, settings};

/// Images that start together, each in a repository of its own.
const IMAGES: usize = 12;
/// Tries of the tests' stores for one request.
const TRIES: usize = 4;

/// Opens a port that closes every connection at once, and counts them.
async fn closing_port() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (host, connections)
}

fn rules(from: &str, to: &str) -> Vec<Arc<Rule>> {
    let rules = (0..IMAGES).map(|index| {
        rule(
            &format!("{from}/from/r{index}:v1"),
            &[format!("{to}/to/r{index}")],
        )
    });
    rules.collect()
}

async fn source() -> Registry {
    let source = server().await;
    for index in 0..IMAGES {
        let image = Image::single([Layer::synthetic(5_000, index as u64)]);
        source.push(&format!("from/r{index}"), Some("v1"), &image);
    }
    source
}

#[tokio::test]
async fn a_source_that_is_down_costs_the_tries_of_one_request() {
    let destination = server().await;
    let (dead, connections) = closing_port().await;
    let (summary, _) = run(
        &[&destination],
        rules(&dead, &destination.host()),
        settings(&[]),
    )
    .await;
    assert_eq!(summary.failed, IMAGES as u64);
    assert_eq!(connections.load(Ordering::SeqCst), TRIES);
    let alike = |tries: u32| usize::try_from(tries).unwrap() == TRIES;
    assert!(summary.failures.iter().all(|f| alike(f.failure.tries)));
}

#[tokio::test]
async fn a_destination_that_is_down_costs_the_tries_of_one_request() {
    let source = source().await;
    let (dead, connections) = closing_port().await;
    let (summary, _) = run(&[&source], rules(&source.host(), &dead), settings(&[])).await;
    assert_eq!(summary.failed, IMAGES as u64);
    assert_eq!(connections.load(Ordering::SeqCst), TRIES);
}

#[tokio::test]
async fn a_token_server_that_is_down_costs_the_tries_of_one_request() {
    let source = source().await;
    let destination = server().await;
    let (dead, connections) = closing_port().await;
    let challenge = format!("Bearer realm=\"https://{dead}/token\",service=\"registry\"");
    let guarded = Answer::new(401).header("www-authenticate", &challenge);
    destination.fault(Fault::on_any().always(), guarded);
    let (summary, _) = run(
        &[&source, &destination],
        rules(&source.host(), &destination.host()),
        settings(&[]),
    )
    .await;
    assert_eq!(summary.failed, IMAGES as u64);
    assert_eq!(connections.load(Ordering::SeqCst), TRIES);
    for failed in &summary.failures {
        assert_eq!(failed.failure.host, dead);
        assert_eq!(failed.failure.cause, Cause::ConnectionBroken);
    }
}

#[tokio::test]
async fn an_unknown_host_name_costs_the_lookups_of_one_request() {
    let source = source().await;
    let rules = rules(&source.host(), "registry.invalid");
    let (summary, _) = run(&[&source], rules, settings(&[])).await;
    assert_eq!(summary.failed, IMAGES as u64);
    for failed in &summary.failures {
        assert_eq!(failed.failure.cause, Cause::NameNotResolved);
        assert_eq!(failed.failure.tries, 4);
    }
}

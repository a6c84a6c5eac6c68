//! Number of requests for authentication, independent of the number of images.

use std::sync::Arc;
use std::time::Duration;

use image_syncer_registry::auth::{Credential, Secret};
use image_syncer_registry::transport::TransportOptions;
use image_syncer_sync::inventory::records::{Records, RecordsError};
use testkit::{Auth, Image, Kind, Layer, Registry};
use tokio::time::Instant;

use crate::kit::stores_with;
use crate::run::{rule, run_over, settings};
use crate::settings::Settings;

const REPOSITORIES: usize = 50;
const TAGS: usize = 4;
/// Repositories that are searched at a time.
const AT_ONCE: usize = 8;

/// Compares the unchanged tags of many repositories, with `auth` at both ends. Returns the number of token requests at
/// each end.
async fn unchanged(auth: impl Fn() -> Auth) -> [usize; 2] {
    let start = || Registry::builder().auth(auth()).start();
    let ends = [start().await, start().await];
    let hosts = ends.each_ref().map(Registry::host);
    let mut rules = Vec::new();
    for repository in 0..REPOSITORIES {
        let path = format!("team/r{repository}");
        let tags: Vec<String> = (0..TAGS).map(|tag| format!("v{tag}")).collect();
        for (tag, seed) in tags.iter().zip(repository * TAGS..) {
            let image = Image::single([Layer::synthetic(100, seed as u64)]);
            for end in &ends {
                end.push(&path, Some(tag), &image);
            }
        }
        let [source, destination] = &hosts;
        let from = format!("{source}/{path}:{}", tags.join(","));
        rules.push(rule(&from, &[format!("{destination}/{path}")]));
    }
    let credential = Credential::Basic {
        username: "u".to_owned(),
        password: Secret::new("p"),
    };
    let servers = ends.each_ref();
    let stores = stores_with(&servers, &credential, TransportOptions::default());
    let (summary, _) = run_over(stores, &servers, rules, settings(&[])).await;
    assert_eq!(summary.unchanged, (REPOSITORIES * TAGS) as u64);
    ends.each_ref().map(|end| {
        // The probes for TLS are refused as well.
        let refused = end.count(|r| r.kind != Kind::Ping && r.status == 401);
        let is_guarded = matches!(auth(), Auth::Basic(_) | Auth::Bearer(..));
        assert_eq!(refused, usize::from(is_guarded));
        let heads = end.count(|r| r.kind == Kind::ManifestHead && r.status == 200);
        assert_eq!(heads, REPOSITORIES * TAGS);
        end.token_requests().len()
    })
}

/// Compares all tags of many repositories, with opaque tokens at both ends. Returns the number of sequential round
/// trips, of requests, and of token requests, with or without the records of an earlier run.
async fn known(with_records: bool) -> (u128, usize, usize) {
    let latency = Duration::from_millis(100);
    let start = || Registry::builder().auth(Auth::bearer("u", "p")).start();
    let ends = [start().await, start().await];
    let [source, destination] = ends.each_ref().map(Registry::host);
    let mut rules = Vec::new();
    for repository in 0..AT_ONCE {
        let path = format!("team/r{repository}");
        let image = Image::single([Layer::synthetic(100, repository as u64)]);
        for end in &ends {
            end.push(&path, Some("v1"), &image);
        }
        rules.push(rule(
            &format!("{source}/{path}"),
            &[format!("{destination}/{path}")],
        ));
    }
    let credential = Credential::Basic {
        username: "u".to_owned(),
        password: Secret::new("p"),
    };
    let servers = ends.each_ref();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("records.sqlite3");
    let mut outcome = None;
    for _ in 0..=usize::from(with_records) {
        let records = with_records.then(|| {
            let tell = |error: &RecordsError| panic!("{error}");
            Arc::new(Records::open(&path, tell).unwrap())
        });
        let settings = Settings {
            images: AT_ONCE,
            records: records.clone(),
            ..settings(&[])
        };
        for end in &ends {
            end.clear_requests();
            end.set_latency(latency);
        }
        let stores = stores_with(&servers, &credential, TransportOptions::default());
        let start = Instant::now();
        let (summary, _) = run_over(stores, &servers, rules.clone(), settings).await;
        let round_trips = start.elapsed().as_millis() / latency.as_millis();
        assert_eq!(summary.unchanged, AT_ONCE as u64);
        if let Some(records) = records {
            records.close(Duration::from_secs(60));
        }
        let tokens = ends.iter().map(|end| end.token_requests().len()).sum();
        let requests = ends.iter().map(|end| end.requests().len()).sum();
        outcome = Some((round_trips, requests, tokens));
    }
    outcome.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_run_with_records_waits_for_no_more_answers_than_one_without() {
    // At each end: a list without a token, or a ping; the first token; beside it the first shared one; the other tokens,
    // and the proof of the shared one; lists; images.
    let tokens = 2 * 3;
    let without = 2 * (1 + AT_ONCE + AT_ONCE);
    assert_eq!(known(false).await, (6, without, tokens));
    // The records replace the lists of the destination, and a ping its first request.
    assert_eq!(known(true).await, (6, without - AT_ONCE, tokens));
}

#[tokio::test]
async fn one_request_is_refused_and_repositories_share_tokens() {
    let auth = || Auth::bearer("u", "p").rules(|rules| rules.readable = true);
    for tokens in unchanged(auth).await {
        // The number of repositories that need a token at the same time depends on timing.
        assert!(tokens < REPOSITORIES, "{tokens}");
    }
}

#[tokio::test]
async fn a_token_server_with_single_scopes_gives_a_token_per_repository() {
    let auth = || Auth::bearer("u", "p").rules(|rules| rules.refuses_several = Some(403));
    for tokens in unchanged(auth).await {
        assert_eq!(tokens, REPOSITORIES + 1);
    }
    let auth = || {
        Auth::bearer("u", "p").rules(|rules| {
            rules.first_scope_only = true;
            rules.readable = true;
        })
    };
    for tokens in unchanged(auth).await {
        assert_eq!(tokens, REPOSITORIES);
    }
}

#[tokio::test]
async fn without_tokens_there_is_no_extra_request() {
    for tokens in unchanged(|| Auth::basic("u", "p")).await {
        assert_eq!(tokens, 0);
    }
    for tokens in unchanged(|| Auth::Anonymous).await {
        assert_eq!(tokens, 0);
    }
}

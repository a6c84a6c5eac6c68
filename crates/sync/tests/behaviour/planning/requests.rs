//! Requests of runs without writes.

use std::sync::Arc;
use std::time::Duration;

use image_syncer_sync::Outcome;
use image_syncer_sync::event::{Change, Planned};
use image_syncer_sync::inventory::records::{Records, RecordsError};
use image_syncer_sync::rule::{Immutable, Rule};
use image_syncer_sync::settings::Intent;
use testkit::{Kind, Registry};

use crate::kit::server;
use crate::planning::{image, run, to, with};
use crate::run::{rule, settings};
use crate::settings::Settings;

fn kinds(server: &Registry) -> Vec<Kind> {
    let kinds = server.requests().into_iter().map(|request| request.kind);
    kinds.filter(|kind| *kind != Kind::Ping).collect()
}

#[tokio::test]
async fn a_plan_sends_as_few_requests_as_possible() {
    let (source, destination) = (server().await, server().await);
    let image = super::image([1, 2, 3]);
    source.push("from/app", Some("v1"), &image);
    let rules = [rule(
        &format!("{}/from/app:v1", source.host()),
        &[to(&destination, "to/app")],
    )];
    let servers = [&source, &destination];
    let (planned, from, there) = ask(&servers, &rules, Intent::Check).await;
    assert_eq!(planned.unwrap().cost, None);
    assert_eq!(from, [Kind::ManifestHead]);
    assert_eq!(there, [Kind::ManifestHead]);
    let (planned, from, there) = ask(&servers, &rules, Intent::Plan).await;
    let cost = planned.unwrap().cost.unwrap();
    assert_eq!(
        (cost.layers, cost.platforms),
        (3, vec!["linux/amd64".to_owned()])
    );
    assert_eq!(
        (cost.volume.blobs, cost.volume.bytes),
        (4, image.blob_bytes())
    );
    // The config states the platform.
    assert_eq!(from, [Kind::ManifestHead, Kind::ManifestGet, Kind::BlobGet]);
    assert_eq!(
        there,
        [
            Kind::ManifestHead,
            Kind::BlobHead,
            Kind::BlobHead,
            Kind::BlobHead,
            Kind::BlobHead
        ]
    );
    let changed = super::image([1, 2]);
    destination.push("to/app", Some("v1"), &changed);
    let (planned, from, there) = ask(&servers, &rules, Intent::Check).await;
    assert!(matches!(planned.unwrap().change, Change::Moved { .. }));
    assert_eq!(
        (from, there),
        (vec![Kind::ManifestHead], vec![Kind::ManifestHead])
    );
    let (planned, from, there) = ask(&servers, &rules, Intent::Plan).await;
    let volume = planned.unwrap().cost.unwrap().volume;
    assert_eq!((volume.blobs, volume.present_bytes), (2, 20_000));
    assert_eq!(from, [Kind::ManifestHead, Kind::ManifestGet, Kind::BlobGet]);
    assert_eq!((there.len(), count(&there, Kind::BlobHead)), (5, 4));
    destination.push("to/app", Some("v1"), &image);
    for intent in [Intent::Check, Intent::Plan] {
        let (planned, from, there) = ask(&servers, &rules, intent).await;
        assert!(planned.is_none());
        assert_eq!(
            (from, there),
            (vec![Kind::ManifestHead], vec![Kind::ManifestHead])
        );
    }
}

/// Runs with `intent`. Returns the plan of the only image, and the requests at source and destination.
async fn ask(
    servers: &[&Registry; 2],
    rules: &[Arc<Rule>],
    intent: Intent,
) -> (Option<Planned>, Vec<Kind>, Vec<Kind>) {
    for server in servers {
        server.clear_requests();
    }
    let (_, outcomes) = run(servers, rules, with(&settings(&[]), intent)).await;
    let planned: Option<Planned> = match outcomes.into_values().next() {
        Some(Outcome::Planned(planned)) => Some(*planned),
        _ => None,
    };
    (planned, kinds(servers[0]), kinds(servers[1]))
}

fn count(kinds: &[Kind], wanted: Kind) -> usize {
    kinds.iter().filter(|kind| **kind == wanted).count()
}

#[tokio::test]
async fn a_repository_without_tags_gets_no_blob_checks() {
    let (source, destination) = (server().await, server().await);
    for (tag, seed) in [("v1", 1), ("v2", 10), ("v3", 20)] {
        source.push("from/app", Some(tag), &image([seed, seed + 1]));
    }
    let rules = [rule(
        &format!("{}/from/app", source.host()),
        &[to(&destination, "to/app")],
    )];
    let servers = [&source, &destination];
    for (intent, asked) in [
        (Intent::Check, vec![Kind::ManifestHead; 3]),
        (Intent::Plan, vec![Kind::ManifestGet; 3]),
    ] {
        source.clear_requests();
        destination.clear_requests();
        let (summary, _) = run(&servers, &rules, with(&settings(&[]), intent)).await;
        assert_eq!(summary.planned_new, 3);
        assert_eq!(kinds(&destination), [Kind::Tags], "{intent:?}");
        let from: Vec<Kind> = kinds(&source)
            .into_iter()
            .filter(|kind| !matches!(kind, Kind::Tags | Kind::BlobGet))
            .collect();
        assert_eq!(from, asked, "{intent:?}");
    }
}

#[tokio::test]
async fn a_plan_believes_the_records_about_immutable_tags() {
    let (source, destination) = (server().await, server().await);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("records.sqlite3");
    source.push("from/app", Some("v1"), &image([1, 2]));
    let rules = [rule(
        &format!("{}/from/app", source.host()),
        &[to(&destination, "to/app")],
    )];
    let servers = [&source, &destination];
    let open = |intent| {
        let tell = |error: &RecordsError| panic!("{error}");
        let records = match intent {
            Intent::Copy => Some(Records::open(&path, tell).unwrap()),
            _ => Records::open_to_read(&path, tell).unwrap(),
        };
        let records = records.map(Arc::new);
        let settings = Settings {
            intent,
            immutable: Arc::new(Immutable::parse(&["v*".to_owned()]).unwrap()),
            records: records.clone(),
            ..settings(&[])
        };
        (records, settings)
    };
    for intent in [Intent::Plan, Intent::Check] {
        let (records, settings) = open(intent);
        assert!(records.is_none());
        assert_eq!(run(&servers, &rules, settings).await.0.planned_new, 1);
        assert!(!path.exists());
    }
    let (records, settings) = open(Intent::Copy);
    assert_eq!(run(&servers, &rules, settings).await.0.copied, 1);
    records.unwrap().close(Duration::from_secs(60));
    let before = std::fs::read(&path).unwrap();
    for intent in [Intent::Plan, Intent::Check] {
        let (records, settings) = open(intent);
        source.clear_requests();
        destination.clear_requests();
        let (summary, _) = run(&servers, &rules, settings).await;
        assert_eq!((summary.unchanged, summary.planned), (1, 0));
        assert_eq!(kinds(&source), [Kind::Tags], "{intent:?}");
        assert_eq!(kinds(&destination), [Kind::Tags], "{intent:?}");
        records.unwrap().close(Duration::from_secs(60));
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

//! Requests that lists of destination tags and records save, counted at both ends.

use std::sync::Arc;
use std::time::Duration;

use image_syncer_sync::inventory::records::{Records, RecordsActivity};
use image_syncer_sync::rule::{Immutable, Rule};
use testkit::profile::Immutable as Refusal;
use testkit::{Action, Answer, Fault, Image, Kind, Layer, Registry};

use crate::kit::server;
use crate::run::{rule, run, settings};
use crate::settings::Settings;

/// Upper bound for a failing test only.
const PATIENCE: Duration = Duration::from_secs(60);

/// Creates a source with `repositories` of `tags` images each, and rules that copy them all.
fn filled(
    source: &Registry,
    destination: &Registry,
    repositories: usize,
    tags: usize,
) -> Vec<Arc<Rule>> {
    (0..repositories)
        .map(|number| {
            let path = format!("team/app{number}");
            for tag in 0..tags {
                let seed = u64::try_from(number * tags + tag).unwrap();
                let image = Image::single([Layer::synthetic(100, seed)]);
                source.push(&path, Some(&format!("v{tag}")), &image);
            }
            let from = format!("{}/{path}", source.host());
            rule(&from, &[format!("{}/{path}", destination.host())])
        })
        .collect()
}

fn count(registry: &Registry, kind: Kind) -> usize {
    registry.count(|request| request.kind == kind)
}

/// Returns the numbers of HEADs, GETs and PUTs of manifests, and of lists of tags.
fn asked(registry: &Registry) -> [usize; 4] {
    [
        Kind::ManifestHead,
        Kind::ManifestGet,
        Kind::ManifestPut,
        Kind::Tags,
    ]
    .map(|kind| count(registry, kind))
}

fn remembering(directory: &tempfile::TempDir, patterns: &[&str]) -> (Settings, Arc<Records>) {
    let path = directory.path().join("records.sqlite3");
    let records = Arc::new(Records::open(&path, |error| panic!("{error}")).unwrap());
    let patterns: Vec<String> = patterns.iter().map(|text| (*text).to_owned()).collect();
    let settings = Settings {
        records: Some(Arc::clone(&records)),
        immutable: Arc::new(Immutable::parse(&patterns).unwrap()),
        ..settings(&[])
    };
    (settings, records)
}

/// Returns the work of a run that reads the records of so many repositories, and writes nothing.
fn only_lookups(lookups: u64) -> RecordsActivity {
    RecordsActivity {
        lookups,
        updates: 0,
        transactions: 0,
    }
}

#[tokio::test]
async fn a_hundred_new_images_in_ten_repositories_cost_ten_lists_and_no_head() {
    let (source, destination) = (server().await, server().await);
    let rules = filled(&source, &destination, 10, 10);
    let (summary, _) = run(&[&source, &destination], rules, settings(&[])).await;
    assert_eq!((summary.copied, summary.failed), (100, 0));
    assert_eq!(asked(&source), [0, 100, 0, 10]);
    assert_eq!(asked(&destination), [0, 0, 100, 10]);
}

#[tokio::test]
async fn unchanged_tags_cost_two_heads_each_and_a_list_of_the_destination_only_where_no_record_is()
{
    let (source, destination) = (server().await, server().await);
    let rules = filled(&source, &destination, 5, 8);
    let directory = tempfile::tempdir().unwrap();
    let both = [&source, &destination];
    let (with, records) = remembering(&directory, &[]);
    run(&both, rules.clone(), with).await;
    records.close(PATIENCE);
    // Each image, and its blobs.
    assert_eq!(records.activity().lookups, 0);
    assert_eq!(records.activity().updates, 2 * 40);
    let (with, records) = remembering(&directory, &[]);
    for (settings, lists) in [(settings(&[]), 5), (with, 0)] {
        source.clear_requests();
        destination.clear_requests();
        let (summary, _) = run(&both, rules.clone(), settings).await;
        assert_eq!(summary.unchanged, 40);
        assert_eq!(asked(&source), [40, 0, 0, 5]);
        assert_eq!(asked(&destination), [40, 0, 0, lists]);
        let requests = source.requests().len() + destination.requests().len();
        assert_eq!(requests, 40 + 5 + 40 + lists);
    }
    records.close(PATIENCE);
    assert_eq!(records.activity(), only_lookups(5));
}

#[tokio::test]
async fn a_thousand_immutable_tags_in_fifty_repositories_cost_a_list_of_each() {
    let (source, destination) = (server().await, server().await);
    let rules = filled(&source, &destination, 50, 20);
    let directory = tempfile::tempdir().unwrap();
    let both = [&source, &destination];
    let (first, records) = remembering(&directory, &["v*"]);
    let (summary, _) = run(&both, rules.clone(), first).await;
    assert_eq!(summary.copied, 1_000);
    records.close(PATIENCE);
    source.clear_requests();
    destination.clear_requests();
    let (again, records) = remembering(&directory, &["v*"]);
    let (summary, _) = run(&both, rules, again).await;
    records.close(PATIENCE);
    assert_eq!((summary.unchanged, summary.recorded), (1_000, 1_000));
    assert_eq!(records.activity(), only_lookups(50));
    // These registries need no login: there are no tokens. The source might be a Harbor, whose lists have digests: it is
    // probed once.
    for (registry, probes) in [(&source, 1), (&destination, 0)] {
        assert_eq!(registry.requests().len(), 50 + probes);
        assert_eq!(count(registry, Kind::Tags), 50);
    }
}

#[tokio::test]
async fn further_tags_of_a_present_image_cost_one_push_each() {
    for image in [
        Image::single([Layer::synthetic(100, 1)]),
        Image::index([
            Image::single([Layer::synthetic(100, 1)]),
            Image::single([Layer::synthetic(100, 2)]),
        ]),
    ] {
        let (source, destination) = (server().await, server().await);
        source.push("from/app", Some("v1"), &image);
        let from = format!("{}/from/app", source.host());
        let rules = vec![rule(&from, &[format!("{}/to/app", destination.host())])];
        let both = [&source, &destination];
        run(&both, rules.clone(), settings(&[])).await;
        for tag in ["1", "1.0", "latest", "stable", "v1.0"] {
            source.state().tag("from/app", tag, image.digest());
        }
        source.clear_requests();
        destination.clear_requests();
        let (summary, _) = run(&both, rules, settings(&[])).await;
        assert_eq!((summary.copied, summary.unchanged), (5, 1));
        assert_eq!(asked(&source), [1, 5, 0, 1]);
        assert_eq!(asked(&destination), [1, 0, 5, 1]);
        assert_eq!(source.requests().len(), 1 + 5 + 1);
        assert_eq!(destination.requests().len(), 1 + 5 + 1);
    }
}

#[tokio::test]
async fn a_stale_list_of_immutable_tags_fails_nothing() {
    for refusal in [Refusal::Ecr, Refusal::Harbor, Refusal::Quay] {
        let (source, destination) = (server().await, server().await);
        let rules = filled(&source, &destination, 1, 4);
        let both = [&source, &destination];
        run(&both, rules.clone(), settings(&[])).await;
        destination.change_profile(|profile| profile.immutable_tags = Some(refusal));
        let stale = Answer::new(200).body("application/json", r#"{"name":"x","tags":["v0"]}"#);
        destination.fault(Fault::on(Kind::Tags).always(), Action::Answer(stale));
        destination.clear_requests();
        let (summary, _) = run(&both, rules, settings(&[])).await;
        assert_eq!(
            (summary.unchanged, summary.failed),
            (4, 0),
            "{refusal:?}: {:?}",
            summary.failures
        );
        // The list had one of them; each other one is checked after its push was refused.
        assert_eq!(asked(&destination), [1 + 3, 0, 3, 1], "{refusal:?}");
    }
}

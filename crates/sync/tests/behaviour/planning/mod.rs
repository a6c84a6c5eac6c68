//! Reports of runs without writes, compared with the copy that follows.

mod logins;
mod requests;

use std::collections::BTreeMap;
use std::sync::Arc;

use image_syncer_sync::Outcome;
use image_syncer_sync::event::{Change, Volume};
use image_syncer_sync::report::Summary;
use image_syncer_sync::rule::Referrers;
use image_syncer_sync::rule::{Parts, Rule};
use image_syncer_sync::settings::Intent;
use testkit::image::Platform;
use testkit::profile::Referrers as Lists;
use testkit::{Image, Kind, Layer, Profile, Registry};

use crate::events::run_events;
use crate::kit::{assert_good, server, stores_of};
use crate::run::{rule, settings};
use crate::settings::Settings;

/// Outcomes of all pairs, by source and destination.
type Outcomes = BTreeMap<String, Outcome>;

async fn run(
    servers: &[&Registry],
    rules: &[Arc<Rule>],
    settings: Settings,
) -> (Summary, Outcomes) {
    let events = run_events(stores_of(servers), rules.to_vec(), settings).await;
    assert_good(servers);
    let summary = events.summary();
    assert_eq!(
        (summary.failed, summary.failed_rules),
        (0, 0),
        "{:?}",
        summary.failures
    );
    let mut outcomes = BTreeMap::new();
    for (source, destination, outcome) in events.outcomes() {
        let before = outcomes.insert(format!("{source} {destination}"), outcome);
        assert!(before.is_none());
    }
    (summary, outcomes)
}

fn with(settings: &Settings, intent: Intent) -> Settings {
    Settings {
        intent,
        ..settings.clone()
    }
}

fn is_read(kind: Kind) -> bool {
    use Kind::{BlobGet, BlobHead, ManifestGet, ManifestHead, Ping, Storage, Tags, Token};
    matches!(
        kind,
        BlobGet
            | BlobHead
            | ManifestGet
            | ManifestHead
            | Ping
            | Kind::Referrers
            | Storage
            | Tags
            | Token
    )
}

/// Plans, checks, copies and plans again. Asserts that only the copy writes, that all report the same images, that the
/// plan announces the copy, and that the second plan is empty.
async fn agree(servers: &[&Registry], rules: &[Arc<Rule>], settings: &Settings) -> Summary {
    for server in servers {
        server.clear_requests();
    }
    let (planned, plans) = run(servers, rules, with(settings, Intent::Plan)).await;
    let (checked, checks) = run(servers, rules, with(settings, Intent::Check)).await;
    for server in servers {
        for request in server.requests() {
            assert!(is_read(request.kind), "{:?} {}", request.kind, request.path);
        }
    }
    let (copied, copies) = run(servers, rules, settings.clone()).await;
    assert_eq!(plans.len(), copies.len());
    assert_eq!(checks.len(), copies.len());
    for (name, outcome) in &copies {
        assert_agree(name, outcome, &plans[name], &checks[name]);
    }
    assert_eq!(planned.planned, copied.copied);
    assert_eq!(checked.planned, copied.copied);
    assert_eq!(
        without_attribution(planned.volume),
        without_attribution(copied.volume)
    );
    let (again, _) = run(servers, rules, with(settings, Intent::Plan)).await;
    if !settings.force {
        assert_eq!(
            (again.planned, again.unchanged),
            (0, copied.copied + copied.unchanged)
        );
    }
    planned
}

/// Asserts that the plan and the check of an image announce its copy.
fn assert_agree(name: &str, outcome: &Outcome, plan: &Outcome, check: &Outcome) {
    match (outcome, plan, check) {
        (Outcome::Copied(copied), Outcome::Planned(planned), Outcome::Planned(checked)) => {
            assert_eq!(copied.digest, planned.digest, "{name}");
            assert_eq!(
                (copied.filtered, copied.sparse),
                (planned.filtered, planned.sparse)
            );
            assert_eq!(checked.change, planned.change, "{name}");
            assert!(checked.cost.is_none());
            let from = copied.replaced.clone();
            match &planned.change {
                Change::Moved { from: told } => assert_eq!(Some(told), from.as_ref(), "{name}"),
                Change::Referrers => assert!(copied.root_unchanged, "{name}"),
                Change::Again(losses) => assert_eq!(*losses, copied.losses, "{name}"),
                Change::New => assert_eq!(from, None, "{name}"),
            }
            assert_eq!(
                planned.cost.as_ref().unwrap().referrers,
                copied.referrers,
                "{name}"
            );
        }
        (
            Outcome::Unchanged { digest, .. },
            Outcome::Unchanged { digest: told, .. },
            Outcome::Unchanged { digest: seen, .. },
        ) => {
            assert_eq!((digest, digest), (told, seen), "{name}");
        }
        (Outcome::Skipped { why }, Outcome::Skipped { why: told }, Outcome::Skipped { .. }) => {
            assert_eq!(why, told);
        }
        other => panic!("{name}: {other:?}"),
    }
}

/// Removes the difference between present and shared blobs, which depends on the order of the images.
fn without_attribution(volume: Volume) -> Volume {
    Volume {
        present_bytes: volume.present_bytes + volume.shared_bytes,
        shared_bytes: 0,
        ..volume
    }
}

fn to(destination: &Registry, path: &str) -> String {
    format!("{}/{path}", destination.host())
}

fn image(seeds: impl IntoIterator<Item = u64>) -> Image {
    Image::single(seeds.into_iter().map(|seed| Layer::synthetic(10_000, seed)))
}

fn index(seed: u64) -> Image {
    Image::index(
        ["amd64", "arm64", "s390x"]
            .into_iter()
            .zip(seed..)
            .map(|(architecture, seed)| {
                Image::oci()
                    .platform(Platform::linux(architecture))
                    .layer(Layer::synthetic(10_000, seed))
                    .layer(Layer::synthetic(5_000, 1_000))
                    .build()
            }),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn new_changed_and_unchanged_images_are_planned_as_they_are_copied() {
    let (source, destination) = (server().await, server().await);
    let (old, new, same) = (image([1, 2]), image([1, 3]), index(10));
    for (tag, image) in [
        ("moved", &new),
        ("new", &index(20)),
        ("same", &same),
        ("further", &new),
    ] {
        source.push("from/app", Some(tag), image);
    }
    destination.push("to/app", Some("moved"), &old);
    destination.push("to/app", Some("same"), &same);
    let rules = [rule(
        &format!("{}/from/app", source.host()),
        &[to(&destination, "to/app")],
    )];
    let planned = agree(&[&source, &destination], &rules, &settings(&[])).await;
    assert_eq!(
        (
            planned.planned_new,
            planned.planned_moved,
            planned.unchanged
        ),
        (2, 1, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_blobs_are_sent_once_and_mounted_elsewhere() {
    let (source, one, two) = (server().await, server().await, server().await);
    let mut rules = Vec::new();
    for number in 0..8 {
        source.push(
            &format!("from/n{number}"),
            Some("v1"),
            &image([1, 2, 100 + number]),
        );
        let from = format!("{}/from/n{number}:v1", source.host());
        let destinations = [&one, &two].map(|server| to(server, &format!("to/n{number}")));
        rules.push(rule(&from, &destinations));
    }
    let planned = agree(&[&source, &one, &two], &rules, &settings(&[])).await;
    assert_eq!(planned.volume.mounted_bytes, 2 * 7 * 2 * 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn filtered_images_are_planned_as_they_are_copied() {
    for parts in [
        Parts::default(),
        Parts {
            sparse: true,
            ..Parts::default()
        },
    ] {
        let source = server().await;
        let destination = Registry::start(Profile {
            sparse_indexes: true,
            ..Profile::distribution()
        })
        .await;
        source.push("from/app", Some("v1"), &index(10));
        source.push("from/app", Some("v2"), &image([7]));
        let rules = [rule(
            &format!("{}/from/app", source.host()),
            &[to(&destination, "to/app")],
        )];
        let settings = Settings {
            parts,
            ..settings(&["arm64"])
        };
        agree(&[&source, &destination], &rules, &settings).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_and_forced_content_is_planned() {
    let (source, destination) = (server().await, server().await);
    let image = image([1, 2]);
    source.push("from/app", Some("v1"), &image);
    destination.push("to/app", Some("v1"), &image);
    let rules = [rule(
        &format!("{}/from/app:v1", source.host()),
        &[to(&destination, "to/app")],
    )];
    let servers = [&source, &destination];
    let forced = Settings {
        force: true,
        ..settings(&[])
    };
    let planned = agree(&servers, &rules, &forced).await;
    assert_eq!((planned.planned, planned.volume.bytes), (1, 0));
    destination
        .state()
        .remove_blob("to/app", image.blobs()[0].digest());
    let verifying = Settings {
        verify: true,
        ..settings(&[])
    };
    let planned = agree(&servers, &rules, &verifying).await;
    assert_eq!((planned.planned, planned.volume.blobs), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_are_planned_as_they_are_copied() {
    for referrers in [Lists::Api, Lists::Absent] {
        let new = || {
            Registry::start(Profile {
                referrers,
                ..Profile::distribution()
            })
        };
        let (source, destination) = (new().await, new().await);
        let (signed, late) = (index(10), image([5]));
        for (seed, (tag, image)) in (70..).zip([("signed", &signed), ("late", &late)]) {
            source.push("from/app", Some(tag), image);
            let referrer = Image::referrer_of(image, "application/vnd.example.sbom", tag);
            source.push("from/app", None, &referrer);
            if referrers == Lists::Absent {
                source.push(
                    "from/app",
                    Some(&image.cosign_tag("")),
                    &Image::fallback_index([&referrer]),
                );
            }
            source.push(
                "from/app",
                Some(&image.cosign_tag("sig")),
                &Image::single([Layer::synthetic(300, seed)]),
            );
        }
        destination.push("to/app", Some("late"), &late);
        let rules = [rule(
            &format!("{}/from/app", source.host()),
            &[to(&destination, "to/app")],
        )];
        let settings = Settings {
            referrers: Some(Arc::default()),
            ..settings(&[])
        };
        let planned = agree(&[&source, &destination], &rules, &settings).await;
        assert_eq!(
            (planned.discovered, planned.planned, planned.referrers),
            (2, 2, 4),
            "{referrers:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn within_a_registry_everything_is_mounted() {
    let server = server().await;
    server.push("from/app", Some("v1"), &image([1, 2]));
    server.push("from/app", Some("v2"), &index(10));
    let rules = [rule(
        &format!("{}/from/app", server.host()),
        &[to(&server, "to/app")],
    )];
    let planned = agree(&[&server], &rules, &settings(&[])).await;
    assert_eq!((planned.volume.blobs, planned.volume.bytes), (0, 0));
    assert!(planned.volume.mounted_bytes > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_blob_is_sent_although_another_repository_has_it() {
    let (source, destination) = (server().await, server().await);
    let image = image([1, 2]);
    source.push("from/app", Some("v1"), &image);
    for repository in ["to/one", "to/two"] {
        destination.push(repository, Some("v1"), &image);
    }
    let lost = image.blobs()[0].digest();
    destination.state().remove_blob("to/two", lost);
    let rules = ["to/one", "to/two"].map(|repository| {
        rule(
            &format!("{}/from/app:v1", source.host()),
            &[to(&destination, repository)],
        )
    });
    let verifying = Settings {
        verify: true,
        images: 1,
        ..settings(&[])
    };
    let planned = agree(&[&source, &destination], &rules, &verifying).await;
    assert_eq!((planned.planned, planned.volume.blobs), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_do_not_depend_on_the_order() {
    let (source, destination) = (server().await, server().await);
    // Each index shares two of its three children with the next.
    for seed in 0..8 {
        source.push("from/app", Some(&format!("v{seed}")), &index(seed));
        source.push("from/other", Some(&format!("v{seed}")), &index(seed + 4));
    }
    let rules = ["app", "other"].map(|name| {
        rule(
            &format!("{}/from/{name}", source.host()),
            &[to(&destination, &format!("to/{name}"))],
        )
    });
    let servers = [&source, &destination];
    let mut planned = Vec::new();
    for images in [1, 16, 16, 16] {
        let settings = Settings {
            intent: Intent::Plan,
            images,
            ..settings(&[])
        };
        planned.push(run(&servers, &rules, settings).await.0.volume);
    }
    assert!(
        planned.windows(2).all(|pair| pair[0] == pair[1]),
        "{planned:?}"
    );
    let one_by_one = Settings {
        images: 1,
        ..settings(&[])
    };
    assert_eq!(
        agree(&servers, &rules, &one_by_one).await.volume,
        planned[0]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_destination_is_planned_on_its_own() {
    let (source, one, two) = (server().await, server().await, server().await);
    let (app, other) = (index(10), image([1, 1_000]));
    source.push("from/app", Some("v1"), &app);
    source.push("from/app", Some("v2"), &other);
    one.push("to/app", Some("v1"), &other);
    // A broken upload left a layer behind.
    two.state().put_blob("to/app", &other.blobs()[0]);
    two.push("to/app", Some("kept"), &image([7]));
    let rules = [rule(
        &format!("{}/from/app:v1,v2", source.host()),
        &[to(&one, "to/app"), to(&two, "to/app")],
    )];
    let one_by_one = Settings {
        images: 1,
        ..settings(&[])
    };
    let planned = agree(&[&source, &one, &two], &rules, &one_by_one).await;
    assert_eq!((planned.planned_new, planned.planned_moved), (3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn referrer_tags_are_counted_alike_in_all_runs() {
    let (source, destination) = (server().await, server().await);
    let (new, moved) = (index(10), index(20));
    for (seeds, tag, image) in [(70.., "new", &new), (80.., "moved", &moved)] {
        source.push("from/app", Some(tag), image);
        // The index itself, and one of its children.
        for (seed, signed) in seeds.zip([image.digest(), &image.manifests()[0].digest]) {
            let signature = Image::single([Layer::synthetic(300, seed)]);
            let name = format!("{}.sig", signed.replace(':', "-"));
            source.push("from/app", Some(&name), &signature);
        }
    }
    // No image of the run covers this one.
    source.push(
        "from/app",
        Some(&image([99]).cosign_tag("sig")),
        &image([98]),
    );
    destination.push("to/app", Some("moved"), &image([5]));
    let rules = [rule(
        &format!("{}/from/app", source.host()),
        &[to(&destination, "to/app")],
    )];
    let settings = Settings {
        // Otherwise the referrers of children of unchanged indexes would later be images of their own.
        referrers: Some(Arc::new(Referrers {
            deep: true,
            ..Referrers::default()
        })),
        ..settings(&[])
    };
    let planned = agree(&[&source, &destination], &rules, &settings).await;
    assert_eq!((planned.discovered, planned.referrers), (3, 4));
}

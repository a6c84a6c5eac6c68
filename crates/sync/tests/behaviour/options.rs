//! Options that differ between the destinations of a rule, over the real client.

use std::collections::BTreeSet;
use std::sync::Arc;

use image_syncer_sync::rule::{CopyOptions, PlatformFilter, Rule};
use testkit::image::Platform;
use testkit::profile::Referrers;
use testkit::{Image, Kind, Layer, Profile, Registry};

use crate::run::{rule, run, settings};

async fn server() -> Registry {
    Registry::start(Profile {
        referrers: Referrers::Api,
        ..Profile::distribution()
    })
    .await
}

/// Returns the options of copies of one architecture.
fn only(arch: &str) -> CopyOptions {
    let mut options = CopyOptions::default();
    options.platforms = Arc::new(PlatformFilter::parse(&[], &[arch.to_owned()]).unwrap());
    options
}

/// Returns the options of whole copies with referrers.
fn with_referrers() -> CopyOptions {
    let mut options = CopyOptions::default();
    options.referrers = Some(Arc::default());
    options
}

/// Returns a rule for `from/app:v1` with these destinations and options.
fn rule_with(source: &Registry, destinations: &[(&Registry, CopyOptions)]) -> Arc<Rule> {
    let to: Vec<String> = destinations
        .iter()
        .map(|(to, _)| format!("{}/to/app", to.host()))
        .collect();
    let rule = rule(&format!("{}/from/app:v1", source.host()), &to);
    let mut rule = Arc::unwrap_or_clone(rule);
    for (destination, (_, options)) in rule.destinations.iter_mut().zip(destinations) {
        destination.options = Some(Arc::new(options.clone()));
    }
    Arc::new(rule)
}

fn count(server: &Registry, kind: Kind) -> usize {
    server.count(|request| request.kind == kind)
}

#[tokio::test]
async fn destinations_with_different_options_share_heads_and_downloads() {
    let (source, amd64, all) = (server().await, server().await, server().await);
    let children = [("amd64", 1), ("arm64", 2)].map(|(arch, seed)| {
        Image::oci()
            .platform(Platform::linux(arch))
            .layer(Layer::synthetic(10_000, 0))
            .layer(Layer::synthetic(5_000, seed))
            .build()
    });
    let index = Image::index(children.iter().cloned());
    source.push("from/app", Some("v1"), &index);
    let sbom = Image::referrer_of(&children[0], "application/vnd.example.sbom", "sbom");
    source.push("from/app", None, &sbom);
    let rules = || {
        let destinations = [(&amd64, only("amd64")), (&all, with_referrers())];
        vec![rule_with(&source, &destinations)]
    };
    let servers = [&source, &amd64, &all];
    let (summary, copied) = run(&servers, rules(), settings(&[])).await;
    assert_eq!((summary.copied, summary.failed), (2, 0));
    let mut referrers: Vec<(bool, u64)> = copied
        .iter()
        .map(|copied| (copied.filtered, copied.referrers))
        .collect();
    referrers.sort_unstable();
    assert_eq!(referrers, [(false, 1), (true, 0)]);
    for server in [&amd64, &all] {
        server.verify_complete("to/app", "v1").unwrap();
    }
    let whole = all.state().digest("to/app", "v1");
    assert_eq!(whole.as_deref(), Some(index.digest()));
    for (server, has_arm64, has_sbom) in [(&amd64, false, false), (&all, true, true)] {
        let has = |digest: &str| server.state().manifest("to/app", digest).is_some();
        assert!(has(children[0].digest()));
        assert_eq!(has(children[1].digest()), has_arm64);
        assert_eq!(has(sbom.digest()), has_sbom);
    }
    // The root, two children and the referrer; each blob once for both destinations.
    assert_eq!(count(&source, Kind::ManifestHead), 1);
    assert_eq!(count(&source, Kind::ManifestGet), 4);
    let blobs: BTreeSet<_> = source
        .requests()
        .into_iter()
        .filter(|request| request.kind == Kind::BlobGet)
        .map(|request| request.reference)
        .collect();
    assert_eq!(count(&source, Kind::BlobGet), blobs.len());

    for server in servers {
        server.clear_requests();
    }
    let (summary, _) = run(&servers, rules(), settings(&[])).await;
    assert_eq!(summary.unchanged, 2);
    assert_eq!(count(&source, Kind::ManifestHead), 1);
    assert_eq!(count(&source, Kind::ManifestGet), 1);
    assert_eq!(count(&source, Kind::BlobGet), 0);
    assert_eq!(count(&amd64, Kind::ManifestHead), 1);
    assert_eq!(count(&amd64, Kind::Referrers), 0);
}

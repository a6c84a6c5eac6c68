//! Documents that are made to exhaust a client: each ends in an error after few requests.

use std::sync::Arc;

use serde_json::{Value, json};
use testkit::image::media;
use testkit::profile::{InventedReferrers, Referrers};
use testkit::{Action, Fault, Image, Kind, Layer, Manifest, Profile, Registry, digest};

use crate::kit::server;
use crate::run::{copy, settings};
use crate::settings::Settings;

/// Copies the tag of the source. Returns the reason of the failure, and the number of fetched manifests. Asserts that
/// the destination received nothing, and no request except for the tag.
async fn refused(source: &Registry) -> (String, usize) {
    let destination = server().await;
    let (summary, _) = copy(source, &[&destination], ":v1", settings(&[])).await;
    assert_eq!(summary.failures.len(), 1);
    let asked = destination.count(|r| r.kind != Kind::Ping);
    let looks = destination.count(|r| r.kind == Kind::ManifestHead);
    assert!(looks <= 2 && looks == asked, "{:?}", destination.requests());
    assert_eq!(source.count(|r| r.kind.gives_blob()), 0);
    let reason = summary.failures[0].failure.reason.clone();
    (
        reason.replace(&source.host(), "SOURCE"),
        source.count(|r| r.kind == Kind::ManifestGet),
    )
}

async fn source_of(root: &Manifest) -> Registry {
    let source = server().await;
    source.put_manifest("from/app", Some("v1"), root);
    source
}

/// Returns the shortest possible descriptor, of missing content.
fn entry(number: usize) -> String {
    format!(r#"{{"digest":"sha256:{number:064x}","size":1}}"#)
}

fn index_of(entries: usize) -> Manifest {
    let entries: Vec<String> = (0..entries).map(entry).collect();
    let entries = entries.join(",");
    let text = format!(r#"{{"schemaVersion":2,"manifests":[{entries}]}}"#);
    Manifest::new(media::OCI_INDEX, text)
}

const TOO_LARGE: &str = "the answer is larger than the 8388608 bytes that are read";
const TOO_MANY: &str = "its indexes name more than 10000 children";

#[tokio::test]
async fn a_manifest_of_16_mib_is_not_read_to_its_end() {
    let note = "x".repeat(16 * 1024 * 1024);
    let document = json!({"schemaVersion": 2, "layers": [], "annotations": {"note": note}});
    let source = source_of(&Manifest::new(media::OCI_MANIFEST, document.to_string())).await;
    let (reason, fetched) = refused(&source).await;
    assert!(reason.ends_with(TOO_LARGE), "{reason}");
    assert_eq!(fetched, 1);
}

#[tokio::test]
async fn a_manifest_of_a_million_layers_is_not_read_to_its_end() {
    let layers = vec![entry(1); 1_000_000].join(",");
    let text = format!(r#"{{"schemaVersion":2,"layers":[{layers}]}}"#);
    let source = source_of(&Manifest::new(media::OCI_MANIFEST, text)).await;
    let (reason, fetched) = refused(&source).await;
    assert!(reason.ends_with(TOO_LARGE), "{reason}");
    assert_eq!(fetched, 1);
}

#[tokio::test]
async fn an_index_of_a_hundred_thousand_entries_is_not_read_to_its_end() {
    let source = source_of(&index_of(100_000)).await;
    let (reason, fetched) = refused(&source).await;
    assert!(reason.ends_with(TOO_LARGE), "{reason}");
    assert_eq!(fetched, 1);
}

#[tokio::test]
async fn an_index_with_too_many_entries_is_refused_before_any_fetch() {
    let source = source_of(&index_of(80_000)).await;
    let (reason, fetched) = refused(&source).await;
    assert!(reason.ends_with(TOO_MANY), "{reason}");
    assert_eq!(fetched, 1);
}

#[tokio::test]
async fn a_broad_tree_is_refused_before_its_leaves_are_fetched() {
    let source = server().await;
    let leaves = |parent: usize| -> Vec<Value> {
        let leaf = |n: usize| json!({"mediaType": media::OCI_MANIFEST, "digest": format!("sha256:{:064x}", parent * 1000 + n), "size": 1});
        (0..200).map(leaf).collect()
    };
    let branches: Vec<Manifest> = (0..100)
        .map(|parent| {
            let document = json!({"schemaVersion": 2, "manifests": leaves(parent)});
            Manifest::new(media::OCI_INDEX, document.to_string())
        })
        .collect();
    for branch in &branches {
        source.put_manifest("from/app", None, branch);
    }
    let entries: Vec<Value> = branches.iter().map(Manifest::descriptor).collect();
    let root = json!({"schemaVersion": 2, "manifests": entries});
    let root = Manifest::new(media::OCI_INDEX, root.to_string());
    source.put_manifest("from/app", Some("v1"), &root);
    let (reason, fetched) = refused(&source).await;
    assert!(reason.ends_with(TOO_MANY), "{reason}");
    assert_eq!(fetched, 101);
}

#[tokio::test]
async fn nested_indexes_are_followed_for_eight_levels() {
    let source = server().await;
    let leaf = Image::single([Layer::tar("leaf", 10)]);
    let deep = (0..100).fold(leaf, |inner, _| Image::index([inner]));
    source.push("from/app", Some("v1"), &deep);
    let (reason, fetched) = refused(&source).await;
    let expected = "cannot walk through from/app, v1 at SOURCE: indexes lie more than 8 deep within each other";
    assert_eq!(reason, expected);
    assert_eq!(fetched, 9);
}

#[tokio::test]
async fn indexes_that_name_each_other_are_refused() {
    let source = server().await;
    let (a, b) = (digest::sha256(b"a"), digest::sha256(b"b"));
    let forged = |own: &str, other: &str| {
        let entry = json!({"mediaType": media::OCI_INDEX, "digest": other, "size": 1});
        let document = json!({"schemaVersion": 2, "manifests": [entry]});
        Manifest {
            digest: own.to_owned(),
            ..Manifest::new(media::OCI_INDEX, document.to_string())
        }
    };
    source.put_manifest("from/app", Some("v1"), &forged(&a, &b));
    source.put_manifest("from/app", None, &forged(&b, &a));
    let (reason, fetched) = refused(&source).await;
    let expected = format!(
        "with the digest sha256:e910b0a56a753bb05725250e45527399e02e81636b8a0b740e2bd38ee8a2094c instead of {a}, after 2 tries"
    );
    assert!(reason.ends_with(&expected), "{reason}");
    assert_eq!(fetched, 2);
}

/// Copies an image with its referrers from a registry that invents referrers for every digest. Returns the reason of
/// the failure, and the source.
async fn endless(referrers: Referrers, each: usize, children: usize) -> (String, Registry) {
    let source = Registry::start(Profile {
        referrers,
        invents_referrers: Some(InventedReferrers { each, children }),
        ..Profile::strict()
    })
    .await;
    source.push(
        "from/app",
        Some("v1"),
        &Image::single([Layer::tar("a", 10)]),
    );
    // The list of tags is not available.
    source.fault(Fault::on(Kind::Tags), Action::status(405));
    let destination = server().await;
    let settings = Settings {
        referrers: Some(Arc::default()),
        ..settings(&[])
    };
    let (summary, _) = copy(&source, &[&destination], ":v1", settings).await;
    assert_eq!(summary.failures.len(), 1);
    assert_eq!(destination.state().digest("to/app", "v1"), None);
    let pushed = destination.count(|r| r.kind == Kind::ManifestPut);
    assert!(pushed <= 10_001, "{pushed}");
    let reason = &summary.failures[0].failure.reason;
    (reason.replace(&source.host(), "SOURCE"), source)
}

const TOO_MANY_REFERRERS: &str = "cannot walk through from/app, v1 at SOURCE: more than 10000 manifests refer to it or to its referrers";

#[tokio::test]
async fn referrers_without_end_are_counted_while_a_level_is_listed() {
    // The tenth list of the second level exceeds the bound; seven more may be in flight, and the list of the image
    // itself came first.
    let bound = 1 + 10 + 7;
    let (reason, source) = endless(Referrers::Api, 1_000, 0).await;
    assert_eq!(reason, TOO_MANY_REFERRERS);
    let lists = source.count(|r| r.kind == Kind::Referrers);
    assert!(lists <= bound, "{lists}");
    assert_eq!(source.count(|r| r.kind == Kind::ManifestGet), 1 + 1_000);

    let (reason, source) = endless(Referrers::Absent, 1_000, 0).await;
    assert_eq!(reason, TOO_MANY_REFERRERS);
    let is_list = |tag: &str| tag.len() == "sha256-".len() + 64 && tag.starts_with("sha256-");
    let gets = |list: bool| {
        source.count(|r| {
            let reference = r.reference.as_deref().unwrap_or_default();
            r.kind == Kind::ManifestGet && is_list(reference) == list
        })
    };
    assert!(gets(true) <= bound, "{}", gets(true));
    assert_eq!(gets(false), 1 + 1_000);
}

#[tokio::test]
async fn one_list_of_more_referrers_than_an_image_may_have_is_refused_before_any_is_fetched() {
    let (reason, source) = endless(Referrers::Api, 10_001, 0).await;
    assert_eq!(reason, TOO_MANY_REFERRERS);
    assert_eq!(source.count(|r| r.kind == Kind::Referrers), 1);
    assert_eq!(source.count(|r| r.kind == Kind::ManifestGet), 1);
}

#[tokio::test]
async fn children_of_referrer_indexes_count_towards_the_bound() {
    let (reason, source) = endless(Referrers::Api, 5, 4_000).await;
    assert!(reason.ends_with(TOO_MANY_REFERRERS), "{reason}");
    assert!(reason.starts_with("referrer sha256:"), "{reason}");
    assert_eq!(source.count(|r| r.kind == Kind::Referrers), 1);
    // The third index exceeds the bound.
    let fetched = source.count(|r| r.kind == Kind::ManifestGet);
    assert!(fetched <= 1 + 5 + 2 * 4_000, "{fetched}");
}

#[tokio::test]
async fn referrers_of_referrers_are_followed_for_eight_levels() {
    let (reason, source) = endless(Referrers::Api, 1, 0).await;
    assert_eq!(
        reason,
        "cannot walk through from/app, v1 at SOURCE: referrers of referrers lie more than 8 deep"
    );
    assert_eq!(source.count(|r| r.kind == Kind::Referrers), 9);
    assert_eq!(source.count(|r| r.kind == Kind::ManifestGet), 1 + 8);
}

#[tokio::test]
async fn a_manifest_that_clients_read_differently_is_refused() {
    let layer = format!(r#"{{"layers":[],"Layers":[{}]}}"#, entry(1));
    let alone = format!(r#"{{"config":{},"Layers":[{}]}}"#, entry(1), entry(2));
    for document in [layer, alone] {
        let source = source_of(&Manifest::new(media::OCI_MANIFEST, document)).await;
        let (reason, fetched) = refused(&source).await;
        let expected = "the field `Layers` differs from `layers` only in case, so that clients read it differently";
        assert!(reason.contains(expected), "{reason}");
        assert_eq!(fetched, 1);
    }
    // The same within an index, whose other children are not copied on their own.
    let source = server().await;
    let child = format!(
        r#"{{"layers":[{{"digest":"sha256:{:064x}","size":1,"Size":2}}]}}"#,
        1
    );
    let child = Manifest::new(media::OCI_MANIFEST, child);
    source.put_manifest("from/app", None, &child);
    let root = json!({"schemaVersion": 2, "manifests": [child.descriptor()]});
    let root = Manifest::new(media::OCI_INDEX, root.to_string());
    source.put_manifest("from/app", Some("v1"), &root);
    let destination = server().await;
    let (summary, _) = copy(&source, &[&destination], ":v1", settings(&[])).await;
    let reason = &summary.failures[0].failure.reason;
    assert!(
        reason.contains("`Size` differs from `size` only in case"),
        "{reason}"
    );
    assert_eq!(destination.count(|r| r.kind == Kind::ManifestPut), 0);
}

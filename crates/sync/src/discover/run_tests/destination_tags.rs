//! Requests that lists of destinations and records save.

use std::time::Duration;

use image_syncer_registry::{ErrorKind, Manifest};
use tempfile::TempDir;

use crate::inventory::records::Records;
use crate::rule::Immutable;
use crate::scenario::*;
use crate::store::memory::{entry, error, repository};

/// Reached only by a failing test.
const PATIENCE: Duration = Duration::from_secs(60);

/// `src.example/REPOSITORY` with these tags, each with its own image.
fn images(stores: &MemoryStores, path: &str, tags: &[&str]) {
    let source = repository(&format!("src.example/{path}"));
    for tag in tags {
        let name = format!("{path}-{tag}");
        let image = stores.image(&source, &name, "linux/amd64", &[&name]);
        stores.tag(&source, tag, &image);
    }
}

/// `src.example/app` with these tags, all for one image.
fn one_image(stores: &MemoryStores, tags: &[&str]) -> Manifest {
    let source = repository("src.example/app");
    let image = stores.image(&source, "image", "linux/amd64", &["base"]);
    for tag in tags {
        stores.tag(&source, tag, &image);
    }
    image
}

fn copy_of(path: &str) -> Arc<Rule> {
    rule(
        &format!("src.example/{path}"),
        &[&format!("dst.example/{path}")],
    )
}

/// A records file, and runs that use it.
struct Remembering(TempDir);

impl Remembering {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    async fn run(
        &self,
        stores: &MemoryStores,
        settings: Settings,
        rules: &[Arc<Rule>],
    ) -> Arc<Heard> {
        let path = self.0.path().join("records.sqlite3");
        let records = Arc::new(Records::open(&path, |error| panic!("{error}")).unwrap());
        let settings = Settings {
            records: Some(Arc::clone(&records)),
            ..settings
        };
        stores.take_sorted();
        let heard = run(stores, settings, rules).await;
        records.close(PATIENCE);
        heard
    }
}

fn immutable(patterns: &[&str]) -> Settings {
    let patterns: Vec<String> = patterns.iter().map(|text| (*text).to_owned()).collect();
    Settings {
        immutable: Arc::new(Immutable::parse(&patterns).unwrap()),
        ..settings()
    }
}

#[tokio::test]
async fn new_images_cost_one_list_of_each_destination_and_no_head_anywhere() {
    let stores = MemoryStores::new();
    let tags: Vec<String> = (0..10).map(|number| format!("v{number}")).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let paths: Vec<String> = (0..10).map(|number| format!("app{number}")).collect();
    let rules: Vec<_> = paths.iter().map(|path| copy_of(path)).collect();
    for path in &paths {
        images(&stores, path, &tags);
    }
    let heard = run(&stores, settings(), &rules).await;
    assert_eq!(heard.summary().copied, 100);
    for path in &paths {
        assert_eq!(stores.count(&format!("tags dst.example/{path}")), 1);
        assert_eq!(
            stores.count(&format!("manifest src.example/{path}:")),
            tags.len()
        );
    }
    assert_eq!(stores.count("resolve"), 0);
    assert_eq!(stores.count("manifest"), 100);
    // A page and the empty last one; the root and its push; three requests for each of two blobs.
    assert_eq!(stores.calls().len(), 10 * (2 + 1) + 100 * (1 + 1 + 3 * 2));
}

#[tokio::test]
async fn a_list_pays_for_three_named_tags_and_not_for_two() {
    for (tags, lists, heads) in [("v1,v2", 0, 4), ("v1,v2,v3", 1, 0)] {
        let stores = MemoryStores::new();
        images(&stores, "app", &["v1", "v2", "v3"]);
        let rules = [rule(
            &format!("src.example/app:{tags}"),
            &["dst.example/app"],
        )];
        run(&stores, settings(), &rules).await;
        assert_eq!(
            (stores.count("tags dst"), stores.count("resolve")),
            (lists, heads)
        );
    }
}

#[tokio::test]
async fn tags_of_several_rules_count_together_and_share_the_list() {
    let stores = MemoryStores::new();
    let rules = ["a", "b", "c"].map(|path| {
        images(&stores, path, &["v1"]);
        let tag = format!("dst.example/all:{path}");
        rule(&format!("src.example/{path}:v1"), &[&tag])
    });
    let heard = run(&stores, settings(), &rules).await;
    assert_eq!(heard.summary().copied, 3);
    assert_eq!(
        (stores.count("tags"), stores.count("resolve")),
        (1, 0),
        "{:?}",
        stores.calls()
    );
}

#[tokio::test]
async fn listed_tags_cost_two_heads_and_missing_ones_a_get() {
    let stores = MemoryStores::new();
    images(&stores, "app", &["v1", "v2"]);
    stores.copy_repository(
        &repository("src.example/app"),
        &repository("dst.example/app"),
    );
    images(&stores, "app", &["v3"]);
    let heard = run(&stores, settings(), &[copy_of("app")]).await;
    assert_eq!((heard.summary().copied, heard.summary().unchanged), (1, 2));
    let calls = stores.take_sorted();
    let asked: Vec<&String> = calls
        .iter()
        .filter(|call| call.starts_with("resolve") || call.starts_with("manifest"))
        .collect();
    let expected = [
        "manifest src.example/app:v3",
        "resolve src.example/app:v1",
        "resolve src.example/app:v2",
        "resolve-for-push dst.example/app:v1",
        "resolve-for-push dst.example/app:v2",
    ];
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn known_repositories_are_not_listed() {
    let stores = MemoryStores::new();
    let remembering = Remembering::new();
    images(&stores, "app", &["v1", "v2", "v3"]);
    let rules = [copy_of("app")];
    remembering.run(&stores, settings(), &rules).await;
    assert_eq!(stores.count("tags dst"), 1);
    let heard = remembering.run(&stores, settings(), &rules).await;
    assert_eq!(heard.summary().unchanged, 3);
    assert_eq!(stores.count("tags src"), 2);
    assert_eq!(stores.count("resolve"), 2 * 3);
    assert_eq!(stores.calls().len(), 2 + 2 * 3);
}

#[tokio::test]
async fn without_a_list_every_tag_costs_a_head() {
    for kind in [ErrorKind::Denied, ErrorKind::NotFound, ErrorKind::Rejected] {
        let stores = MemoryStores::new();
        images(&stores, "app", &["v1", "v2", "v3"]);
        stores.fail("tags dst", 9, move || error(kind, "dst.example"));
        let heard = run(&stores, settings(), &[copy_of("app")]).await;
        let summary = heard.summary();
        assert_eq!((summary.copied, summary.warnings_given), (3, 0));
        assert_eq!(
            (stores.count("tags dst"), stores.count("resolve")),
            (1, 2 * 3)
        );
    }
}

/// Another client pushes the tag after the list, and the registry keeps it.
async fn behind_the_list(there: impl Fn(&MemoryStores) -> Manifest) -> (Arc<Heard>, MemoryStores) {
    let stores = MemoryStores::new();
    images(&stores, "app", &["v1", "v2", "v3"]);
    let gate = stores.block_calls("manifest src.example/app:v1");
    let refused = || error(ErrorKind::Rejected, "dst.example");
    stores.fail("put-manifest dst.example/app:v1", 9, refused);
    let rules = [copy_of("app")];
    let copying = run(&stores, settings(), &rules);
    let meddling = async {
        gate.reached(1).await;
        let image = there(&stores);
        stores.tag(&repository("dst.example/app"), "v1", &image);
        gate.open();
    };
    let (heard, ()) = tokio::join!(copying, meddling);
    (heard, stores)
}

#[tokio::test]
async fn a_tag_that_a_stale_list_lacks_and_that_cannot_be_pushed_again_is_unchanged() {
    let (heard, stores) = behind_the_list(|stores| {
        let destination = repository("dst.example/app");
        stores.image(&destination, "app-v1", "linux/amd64", &["app-v1"])
    })
    .await;
    let expected = [
        "src.example/app:v1 -> dst.example/app:v1: unchanged",
        "src.example/app:v2 -> dst.example/app:v2: copied",
        "src.example/app:v3 -> dst.example/app:v3: copied",
    ];
    assert_eq!(heard.endings(), expected);
    assert_eq!(
        stores.count("resolve-for-push"),
        1,
        "{:?}",
        stores.take_sorted()
    );
}

#[tokio::test]
async fn a_tag_that_a_stale_list_lacks_and_that_names_something_else_fails() {
    let (heard, _) = behind_the_list(|stores| {
        let destination = repository("dst.example/app");
        stores.image(&destination, "another", "linux/amd64", &["another"])
    })
    .await;
    let expected = "src.example/app:v1 -> dst.example/app:v1: failed, cannot do what was asked at dst.example: the \
                    test says no";
    assert_eq!(heard.endings()[0], expected);
}

#[tokio::test(start_paused = true)]
async fn a_late_list_delays_only_its_own_repository_for_a_bounded_time() {
    let stores = MemoryStores::new();
    images(&stores, "slow", &["v1", "v2", "v3"]);
    images(&stores, "quick", &["v1", "v2", "v3"]);
    let _gate = stores.block_calls("tags dst.example/slow");
    let rules = [copy_of("slow"), copy_of("quick")];
    let heard = run(&stores, settings(), &rules).await;
    assert_eq!(heard.summary().copied, 6);
    let calls = stores.calls();
    let position = |wanted: &str| calls.iter().position(|call| call == wanted).unwrap();
    let slow = position("resolve-for-push dst.example/slow:v1");
    for tag in ["v1", "v2", "v3"] {
        assert!(position(&format!("put-manifest dst.example/quick:{tag}")) < slow);
    }
}

#[tokio::test]
async fn further_tags_of_an_image_that_is_there_cost_one_push_each() {
    let stores = MemoryStores::new();
    let destination = repository("dst.example/app");
    let image = one_image(&stores, &["v1"]);
    stores.copy_repository(&repository("src.example/app"), &destination);
    one_image(&stores, &["a", "b", "v1.0", "v1.0.0", "w"]);
    let heard = run(&stores, settings(), &[copy_of("app")]).await;
    assert_eq!((heard.summary().copied, heard.summary().unchanged), (5, 1));
    assert_eq!(heard.summary().volume.manifests, 5);
    let calls = stores.take_sorted();
    let at = |end: &str| -> Vec<&String> {
        let place = format!(" {end}.example/");
        calls.iter().filter(|call| call.contains(&place)).collect()
    };
    let expected = [
        "put-manifest dst.example/app:a",
        "put-manifest dst.example/app:b",
        "put-manifest dst.example/app:v1.0",
        "put-manifest dst.example/app:v1.0.0",
        "put-manifest dst.example/app:w",
        "resolve-for-push dst.example/app:v1",
        "tags dst.example/app",
        "tags dst.example/app",
    ];
    assert_eq!(at("dst"), expected);
    // Two requests of the lists, a HEAD, and a GET for each new tag.
    assert_eq!(at("src").len(), 2 + 1 + 5);
    assert_eq!(
        stores.tagged(&destination, "w").as_ref(),
        Some(image.digest())
    );
}

#[tokio::test]
async fn further_tags_of_an_index_touch_none_of_its_children() {
    let stores = MemoryStores::new();
    let (source, destination) = (repository("src.example/app"), repository("dst.example/app"));
    let entries: Vec<_> = ["amd64", "arm64"]
        .map(|arch| {
            let platform = format!("linux/{arch}");
            let child = stores.image(&source, arch, &platform, &[arch]);
            entry(&child, Some(&platform))
        })
        .to_vec();
    let index = stores.index(&source, "index", &entries);
    stores.tag(&source, "v1", &index);
    stores.copy_repository(&source, &destination);
    for tag in ["a", "b", "c", "x", "y"] {
        stores.tag(&source, tag, &index);
    }
    let heard = run(&stores, settings(), &[copy_of("app")]).await;
    assert_eq!(
        (heard.summary().copied, heard.summary().volume.manifests),
        (5, 5)
    );
    assert_eq!(stores.count("put-manifest dst.example/app:"), 5);
    assert_eq!(stores.count("tags dst"), 2);
    assert_eq!(stores.count("resolve"), 2);
    assert_eq!(stores.count("manifest src.example/app:"), 5);
    assert_eq!(stores.calls().len(), 5 + 2 + 2 + 2 + 5);
}

#[tokio::test]
async fn recorded_immutable_tags_cost_only_lists() {
    let stores = MemoryStores::new();
    let remembering = Remembering::new();
    let tags: Vec<String> = (0..20).map(|number| format!("v{number}")).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let paths: Vec<String> = (0..5).map(|number| format!("app{number}")).collect();
    let rules: Vec<_> = paths.iter().map(|path| copy_of(path)).collect();
    for path in &paths {
        images(&stores, path, &tags);
    }
    remembering.run(&stores, settings(), &rules).await;
    let heard = remembering.run(&stores, immutable(&["v*"]), &rules).await;
    let summary = heard.summary();
    assert_eq!((summary.unchanged, summary.recorded), (100, 100));
    // At each end a page with tags and the empty last one.
    assert_eq!(stores.count("tags src"), 2 * 5);
    assert_eq!(stores.count("tags dst"), 2 * 5);
    assert_eq!(stores.calls().len(), 4 * 5);
}

#[tokio::test]
async fn a_single_immutable_tag_costs_the_list_of_its_destination() {
    let stores = MemoryStores::new();
    let remembering = Remembering::new();
    images(&stores, "app", &["v1"]);
    let rules = [rule("src.example/app:v1", &["dst.example/app"])];
    let settings = immutable(&["/^v[0-9]+$/"]);
    remembering.run(&stores, settings.clone(), &rules).await;
    assert_eq!(stores.count("tags"), 0);
    let heard = remembering.run(&stores, settings, &rules).await;
    let expected = ["src.example/app:v1 -> dst.example/app:v1: unchanged by record"];
    assert_eq!(heard.endings(), expected);
    assert_eq!(stores.calls(), ["tags dst.example/app"; 2]);
}

#[tokio::test]
async fn the_records_settle_only_existing_immutable_tags() {
    let stores = MemoryStores::new();
    let remembering = Remembering::new();
    images(&stores, "app", &["latest", "v1", "v2"]);
    let rules = [copy_of("app")];
    remembering.run(&stores, settings(), &rules).await;
    stores.untag(&repository("dst.example/app"), "v2");
    images(&stores, "app", &["v3"]);
    let heard = remembering.run(&stores, immutable(&["v*"]), &rules).await;
    let expected = [
        "src.example/app:latest -> dst.example/app:latest: unchanged",
        "src.example/app:v1 -> dst.example/app:v1: unchanged by record",
        "src.example/app:v2 -> dst.example/app:v2: copied",
        "src.example/app:v3 -> dst.example/app:v3: copied",
    ];
    assert_eq!(heard.endings(), expected);
    let expected = [
        "resolve src.example/app:latest",
        "resolve-for-push dst.example/app:latest",
    ];
    let mut calls = stores.calls();
    calls.retain(|call| call.starts_with("resolve"));
    calls.sort();
    assert_eq!(calls, expected);
    assert_eq!(stores.count("manifest src.example/app:v2"), 1);
    assert_eq!(stores.count("manifest src.example/app:v3"), 1);
}

#[tokio::test]
async fn force_and_verify_ignore_the_records_of_immutable_tags() {
    let stores = MemoryStores::new();
    let remembering = Remembering::new();
    images(&stores, "app", &["v1"]);
    let rules = [rule("src.example/app:v1", &["dst.example/app"])];
    remembering.run(&stores, settings(), &rules).await;
    for (changed, ending) in [(forced(), "copied"), (verifying(), "verified")] {
        let settings = Settings {
            immutable: immutable(&["*"]).immutable,
            ..changed
        };
        let heard = remembering.run(&stores, settings, &rules).await;
        let expected = format!("src.example/app:v1 -> dst.example/app:v1: {ending}");
        assert_eq!(heard.endings(), [expected]);
        assert_eq!(stores.count("resolve-for-push dst.example/app:v1"), 1);
    }
}

#[tokio::test]
async fn records_of_another_filter_or_source_are_ignored() {
    let stores = MemoryStores::new();
    let remembering = Remembering::new();
    images(&stores, "app", &["v1"]);
    images(&stores, "other", &["v1"]);
    let rules = [rule("src.example/app:v1", &["dst.example/app"])];
    remembering.run(&stores, settings(), &rules).await;
    let filtered = Settings {
        platforms: only("amd64").platforms,
        ..immutable(&["v*"])
    };
    let heard = remembering.run(&stores, filtered, &rules).await;
    assert_eq!(
        (heard.summary().unchanged, heard.summary().recorded),
        (1, 0)
    );
    let rules = [rule("src.example/other:v1", &["dst.example/app"])];
    let heard = remembering.run(&stores, immutable(&["v*"]), &rules).await;
    assert_eq!((heard.summary().copied, heard.summary().recorded), (1, 0));
}

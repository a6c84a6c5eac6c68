//! Runs that use the records of earlier runs.

use std::time::Duration;

use image_syncer_registry::{Digest, ErrorKind, Tag};
use tempfile::TempDir;

use crate::inventory::Inventory;
use crate::inventory::records::Records;
use crate::scenario::*;
use crate::store::memory::{error, repository};

/// Reached only by a failing test.
const PATIENCE: Duration = Duration::from_secs(60);

/// A source, a destination, and a records file.
struct World {
    stores: MemoryStores,
    directory: TempDir,
}

impl World {
    fn new() -> Self {
        Self {
            stores: MemoryStores::new(),
            directory: tempfile::tempdir().unwrap(),
        }
    }
    /// An image of these layers under `src.example/NAME:TAG`.
    fn image(&self, name: &str, tag: &str, layers: &[&str]) -> Digest {
        let source = repository(&format!("src.example/{name}"));
        let label = format!("{name}-{tag}");
        let image = self.stores.image(&source, &label, "linux/amd64", layers);
        self.stores.tag(&source, tag, &image);
        image.digest().clone()
    }
    fn records(&self) -> Arc<Records> {
        let path = self.directory.path().join("records.sqlite3");
        Arc::new(Records::open(&path, |error| panic!("{error}")).unwrap())
    }
    /// Runs the copy of `app:v1` to these destinations. Returns the calls at the destination.
    async fn copy(&self, images: &[&str]) -> Vec<String> {
        let records = self.records();
        let settings = Settings {
            images: 1,
            records: Some(Arc::clone(&records)),
            ..settings()
        };
        let rules: Vec<Arc<Rule>> = images
            .iter()
            .map(|image| {
                let path = image.split(':').next().unwrap();
                let destination = format!("dst.example/{path}");
                rule(&format!("src.example/{image}"), &[&destination])
            })
            .collect();
        self.stores.take_sorted();
        let heard = run(&self.stores, settings, &rules).await;
        records.close(PATIENCE);
        assert_eq!(heard.summary().failed, 0, "{:?}", heard.endings());
        let calls = self.stores.take_sorted();
        let at_destination = |call: &String| call.contains(" dst.example/");
        calls.into_iter().filter(at_destination).collect()
    }
    /// Calls at the destination for blobs.
    async fn blobs(&self, images: &[&str]) -> Vec<String> {
        let mut calls = self.copy(images).await;
        calls.retain(|call| !call.contains("resolve") && !call.starts_with("put-manifest"));
        calls
    }
}

#[tokio::test]
async fn recorded_blobs_are_looked_up_and_not_sent() {
    let world = World::new();
    world
        .stores
        .behave(|registry| registry.tells_present = false);
    world.image("app", "v1", &["base"]);
    world.copy(&["app:v1"]).await;
    world.image("app", "v2", &["base", "new"]);
    let expected = [
        "find-blob dst.example/app@base",
        "open-upload dst.example/app@app-v2.config",
        "open-upload dst.example/app@new",
        "send dst.example/app@app-v2.config",
        "send dst.example/app@new",
    ];
    assert_eq!(world.blobs(&["app:v2"]).await, expected);
}

#[tokio::test]
async fn blobs_recorded_elsewhere_are_mounted() {
    let world = World::new();
    world.image("app", "v1", &["base"]);
    world.copy(&["app:v1"]).await;
    world.image("other", "v1", &["base"]);
    let expected = [
        "mount dst.example/other@base from dst.example/app",
        "open-upload dst.example/other@other-v1.config",
        "send dst.example/other@other-v1.config",
    ];
    assert_eq!(world.blobs(&["other:v1"]).await, expected);
}

#[tokio::test]
async fn a_wiped_destination_gets_every_blob_once() {
    let world = World::new();
    let names = ["a:v1", "b:v1", "c:v1"];
    for name in ["a", "b", "c"] {
        world.image(name, "v1", &["base"]);
    }
    world.copy(&names).await;
    for name in ["a", "b", "c"] {
        world
            .stores
            .remove_repository(&repository(&format!("dst.example/{name}")));
    }
    let calls = world.copy(&names).await;
    let count = |verb: &str| calls.iter().filter(|call| call.starts_with(verb)).count();
    // One mount names the recorded repository of the base. Its refusal opens the session that gets the bytes.
    assert_eq!(
        (count("send"), count("mount"), count("open-upload")),
        (4, 3, 3)
    );
    // Each of six is looked up without success, the cost of stale records, except the one that was mounted from.
    assert_eq!(count("find-blob"), 5);
    assert_eq!(world.copy(&names).await.len(), 3);
}

#[tokio::test]
async fn a_deleted_repository_is_not_mounted_from_again() {
    let world = World::new();
    world.image("gone", "v1", &["base"]);
    world.image("there", "v1", &["other"]);
    world.copy(&["gone:v1", "there:v1"]).await;
    world
        .stores
        .remove_repository(&repository("dst.example/gone"));
    // The registry supports mounts, so that the refusal concerns this repository.
    world.image("first", "v1", &["other"]);
    world.image("second", "v1", &["base"]);
    let calls = world.blobs(&["first:v1", "second:v1"]).await;
    let mounts: Vec<_> = calls
        .iter()
        .filter(|call| call.starts_with("mount"))
        .collect();
    let expected = [
        "mount dst.example/first@other from dst.example/there",
        "mount dst.example/second@base from dst.example/gone",
    ];
    assert_eq!(mounts, expected);
    world
        .stores
        .remove_repository(&repository("dst.example/second"));
    world.image("third", "v1", &["base"]);
    let calls = world.blobs(&["third:v1"]).await;
    assert!(calls.contains(&"mount dst.example/third@base from dst.example/second".to_owned()));
    assert!(
        !calls
            .iter()
            .any(|call| call.ends_with("from dst.example/gone")),
        "{calls:?}"
    );
}

#[tokio::test]
async fn a_registry_that_answers_no_lookup_is_sent_the_blobs() {
    let world = World::new();
    world.image("app", "v1", &["base"]);
    world.copy(&["app:v1"]).await;
    world.image("app", "v2", &["base"]);
    let denied = || error(ErrorKind::Denied, "dst.example");
    world.stores.fail("find-blob", 1, denied);
    let expected = [
        "find-blob dst.example/app@base",
        "open-upload dst.example/app@app-v2.config",
        "open-upload dst.example/app@base",
        "send dst.example/app@app-v2.config",
    ];
    assert_eq!(world.blobs(&["app:v2"]).await, expected);
}

#[tokio::test]
async fn records_of_a_contradicting_registry_are_removed() {
    let world = World::new();
    let base = "base";
    world.image("app", "v1", &[base]);
    world.copy(&["app:v1"]).await;
    let place = repository("dst.example/app");
    world.stores.remove_repository(&place);
    world
        .stores
        .claim_blob(&place, &Digest::sha256(base.as_bytes()));
    world.image("app", "v2", &[base]);
    let calls = world.blobs(&["app:v2"]).await;
    assert!(
        calls.contains(&"find-blob dst.example/app@base".to_owned()),
        "{calls:?}"
    );
    assert!(
        calls.contains(&"send dst.example/app@base".to_owned()),
        "{calls:?}"
    );
}

#[tokio::test]
async fn copied_and_found_digests_are_recorded() {
    let world = World::new();
    let digest = world.image("app", "v1", &["base"]);
    let (source, place) = (repository("src.example/app"), repository("dst.example/app"));
    let v1 = Tag::parse("v1").unwrap();
    world.copy(&["app:v1"]).await;
    let known = async || {
        let inventory = Inventory::with_records(
            world.records(),
            &PlatformFilter::default(),
            crate::rule::Parts::default(),
        );
        inventory.last_copied(&source, &v1, &place, &v1).await
    };
    assert_eq!(known().await, Some(digest));
    let other = world.image("app", "v1", &["new"]);
    world.stores.copy_repository(&source, &place);
    assert_eq!(
        world.copy(&["app:v1"]).await,
        ["resolve-for-push dst.example/app:v1"]
    );
    assert_eq!(known().await, Some(other));
}

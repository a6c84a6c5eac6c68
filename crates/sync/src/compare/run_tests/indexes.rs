//! Children of indexes that are queried, fetched and pushed.

use image_syncer_registry::Manifest;
use serde_json::json;

use crate::scenario::*;
use crate::store::memory::{entry, repository};

struct World {
    stores: MemoryStores,
    source: Repository,
    destination: Repository,
    rules: [Arc<Rule>; 1],
}

fn world() -> World {
    World {
        stores: MemoryStores::new(),
        source: repository("src.example/app"),
        destination: repository("dst.example/copy"),
        rules: [rule("src.example/app:v1", &["dst.example/copy"])],
    }
}

impl World {
    /// An index `name` with one image for each platform. Each image has one layer with the image's name.
    fn index(&self, name: &str, children: &[(&str, &str)]) -> Manifest {
        let entries: Vec<_> = children
            .iter()
            .map(|(child, platform)| {
                let image = self.stores.image(&self.source, child, platform, &[child]);
                entry(&image, Some(platform))
            })
            .collect();
        self.stores.index(&self.source, name, &entries)
    }
    async fn run(&self) -> Arc<Heard> {
        self.stores.take_sorted();
        run(&self.stores, settings(), &self.rules).await
    }
}

#[tokio::test]
async fn only_changed_children_of_an_index_cost_requests() {
    let world = world();
    let same = [
        ("amd64-1", "linux/amd64"),
        ("arm-1", "linux/arm/v7"),
        ("s390x-1", "linux/s390x"),
    ];
    let old = world.index(
        "old",
        &[same[0], same[1], same[2], ("arm64-1", "linux/arm64")],
    );
    world.stores.tag(&world.source, "v1", &old);
    world
        .stores
        .copy_repository(&world.source, &world.destination);
    let new = world.index(
        "new",
        &[same[0], same[1], same[2], ("arm64-2", "linux/arm64")],
    );
    world.stores.tag(&world.source, "v1", &new);

    let heard = world.run().await;
    assert_eq!(heard.copied().digest, *new.digest());
    assert_eq!(
        (heard.copied().volume.manifests, heard.copied().volume.blobs),
        (2, 2)
    );
    let expected = [
        "manifest dst.example/copy@old",
        "manifest src.example/app@arm64-2",
        "manifest src.example/app@new",
        "open-blob src.example/app@arm64-2",
        "open-blob src.example/app@arm64-2.config",
        "open-upload dst.example/copy@arm64-2",
        "open-upload dst.example/copy@arm64-2.config",
        "put-manifest dst.example/copy:v1",
        "put-manifest dst.example/copy@arm64-2",
        "resolve src.example/app:v1",
        "resolve-for-push dst.example/copy:v1",
        "send dst.example/copy@arm64-2",
        "send dst.example/copy@arm64-2.config",
    ];
    assert_eq!(world.stores.take_sorted(), expected);
}

#[tokio::test]
async fn an_unchanged_index_costs_a_head_at_each_end() {
    let world = world();
    let index = world.index(
        "index",
        &[("amd64", "linux/amd64"), ("arm64", "linux/arm64")],
    );
    world.stores.tag(&world.source, "v1", &index);
    world
        .stores
        .copy_repository(&world.source, &world.destination);
    let heard = world.run().await;
    assert_eq!(heard.summary().unchanged, 1);
    assert_eq!(world.stores.calls().len(), 2);
}

#[tokio::test]
async fn one_child_of_a_new_index_is_queried_and_leaves_are_pushed_first() {
    let world = world();
    let index = world.index(
        "index",
        &[("amd64", "linux/amd64"), ("arm64", "linux/arm64")],
    );
    world.stores.tag(&world.source, "v1", &index);
    let heard = world.run().await;
    assert_eq!(
        (heard.copied().volume.manifests, heard.copied().volume.blobs),
        (3, 4)
    );
    let calls = world.stores.calls();
    let asked: Vec<_> = calls
        .iter()
        .filter(|call| call.starts_with("resolve-for-push"))
        .collect();
    let expected = [
        "resolve-for-push dst.example/copy:v1",
        "resolve-for-push dst.example/copy@amd64",
    ];
    assert_eq!(asked, expected);
    let mut pushed: Vec<_> = calls[calls.len() - 3..].to_vec();
    pushed[..2].sort();
    let expected = [
        "put-manifest dst.example/copy@amd64",
        "put-manifest dst.example/copy@arm64",
        "put-manifest dst.example/copy:v1",
    ];
    assert_eq!(pushed, expected);
}

#[tokio::test]
async fn a_repository_without_children_is_not_queried_again() {
    let world = world();
    for tag in ["v1", "v2", "v3"] {
        let index = world.index(&format!("index-{tag}"), &[(tag, "linux/amd64")]);
        world.stores.tag(&world.source, tag, &index);
    }
    let one_at_a_time = Settings {
        images: 1,
        ..settings()
    };
    let rules = [rule("src.example/app:v1,v2,v3", &["dst.example/copy"])];
    let heard = run(&world.stores, one_at_a_time, &rules).await;
    assert_eq!(heard.summary().copied, 3);
    assert_eq!(world.stores.count("resolve-for-push dst.example/copy@"), 1);
}

#[tokio::test]
async fn a_new_tag_for_existing_children_costs_no_blob() {
    let world = world();
    let index = world.index(
        "index",
        &[("amd64", "linux/amd64"), ("arm64", "linux/arm64")],
    );
    world.stores.tag(&world.source, "v0", &index);
    world
        .stores
        .copy_repository(&world.source, &world.destination);
    world.stores.tag(&world.source, "v1", &index);
    let heard = world.run().await;
    assert_eq!(
        (heard.copied().volume.manifests, heard.copied().volume.blobs),
        (1, 0)
    );
    let expected = [
        "manifest src.example/app@index",
        "put-manifest dst.example/copy:v1",
        "resolve src.example/app:v1",
        "resolve-for-push dst.example/copy:v1",
        "resolve-for-push dst.example/copy@amd64",
        "resolve-for-push dst.example/copy@arm64",
    ];
    assert_eq!(world.stores.take_sorted(), expected);
}

#[tokio::test]
async fn an_old_image_may_be_a_child_of_the_new_index() {
    let world = world();
    let image = world
        .stores
        .image(&world.source, "amd64", "linux/amd64", &["amd64"]);
    world.stores.tag(&world.source, "v1", &image);
    world
        .stores
        .copy_repository(&world.source, &world.destination);
    let index = world.index(
        "index",
        &[("amd64", "linux/amd64"), ("arm64", "linux/arm64")],
    );
    world.stores.tag(&world.source, "v1", &index);
    let heard = world.run().await;
    assert_eq!(
        (heard.copied().volume.manifests, heard.copied().volume.blobs),
        (2, 2)
    );
    assert_eq!(world.stores.count("manifest dst"), 0);
    assert_eq!(world.stores.count("manifest src.example/app@amd64"), 0);
}

#[tokio::test]
async fn indexes_within_indexes_are_pushed_inner_first() {
    let world = world();
    let inner = world.index("inner", &[("amd64", "linux/amd64")]);
    let middle = world
        .stores
        .index(&world.source, "middle", &[entry(&inner, None)]);
    let entries = [entry(&middle, None), entry(&inner, None)];
    let outer = world.stores.index(&world.source, "outer", &entries);
    world.stores.tag(&world.source, "v1", &outer);
    let heard = world.run().await;
    assert_eq!(heard.copied().volume.manifests, 4);
    let calls = world.stores.calls();
    let pushed: Vec<_> = calls
        .iter()
        .filter(|call| call.starts_with("put-manifest"))
        .collect();
    let expected = [
        "put-manifest dst.example/copy@amd64",
        "put-manifest dst.example/copy@inner",
        "put-manifest dst.example/copy@middle",
        "put-manifest dst.example/copy:v1",
    ];
    assert_eq!(pushed, expected);
    assert_eq!(world.stores.count("manifest src.example/app@inner"), 1);
}

#[tokio::test]
async fn an_index_may_list_plain_blobs() {
    let world = world();
    let layer = world.stores.blob(&world.source, "cache", "cache");
    let listed = json!({
        "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
        "digest": layer.digest.as_str(),
        "size": layer.size,
    });
    let index = world.stores.index(&world.source, "index", &[listed]);
    world.stores.tag(&world.source, "v1", &index);
    let heard = world.run().await;
    assert_eq!(
        (heard.copied().volume.manifests, heard.copied().volume.blobs),
        (1, 1)
    );
    assert!(
        world
            .stores
            .blob_bytes(&world.destination, &layer.digest)
            .is_some()
    );
}

#[tokio::test]
async fn a_child_that_the_source_lacks_fails_the_image() {
    let world = world();
    let index = world.index(
        "index",
        &[("amd64", "linux/amd64"), ("arm64", "linux/arm64")],
    );
    world.stores.tag(&world.source, "v1", &index);
    let lost = world
        .stores
        .image(&world.source, "arm64", "linux/arm64", &["arm64"]);
    world.stores.remove_manifest(&world.source, lost.digest());
    let heard = world.run().await;
    assert_eq!(heard.summary().failed, 1);
    assert_eq!(world.stores.count("put-manifest"), 0);
    assert!(world.stores.tagged(&world.destination, "v1").is_none());
}

#[tokio::test]
async fn tags_of_one_index_side_by_side_push_its_children_once() {
    let world = world();
    let index = world.index(
        "index",
        &[("amd64", "linux/amd64"), ("arm64", "linux/arm64")],
    );
    for tag in ["v1", "v2", "v3"] {
        world.stores.tag(&world.source, tag, &index);
    }
    let rules = [rule("src.example/app:v1,v2,v3", &["dst.example/copy"])];
    let heard = run(&world.stores, settings(), &rules).await;
    let summary = heard.summary();
    assert_eq!((summary.copied, summary.volume.manifests), (3, 2 + 3));
    assert_eq!(world.stores.count("put-manifest dst.example/copy@"), 2);
    assert_eq!(world.stores.count("put-manifest dst.example/copy:"), 3);
    assert_eq!(world.stores.count("resolve-for-push dst.example/copy@"), 1);
}

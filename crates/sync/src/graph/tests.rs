#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use bytes::Bytes;
use image_syncer_registry::manifest::media_type;
use serde_json::{Value, json};

use super::*;
use crate::scenario::Scenario;
use crate::store::memory::entry;

fn scenario() -> Scenario {
    Scenario::new("src.example/app", &["dst.example/app"])
}

fn source_image(scenario: &Scenario, digest: &Digest) -> SourceImage {
    SourceImage::new(
        scenario.stores.source_at(&scenario.source),
        Target::Digest(digest.clone()),
        Arc::default(),
        Arc::default(),
    )
}

async fn image_content(scenario: &Scenario, root: &Digest) -> Result<ImageContent, Failure> {
    let image = source_image(scenario, root);
    let Root::Whole(root) = image.root().await? else {
        unreachable!("nothing filters");
    };
    image.content(&root, |_| false).await
}

/// Stores an index under a digest that is not its own.
fn push_forged_index(scenario: &Scenario, name: &str, digest: &Digest, entries: &[Value]) {
    let document = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_INDEX,
        "manifests": entries,
    });
    let bytes = Bytes::from(document.to_string());
    let manifest = Manifest::new(bytes, None, digest.clone()).unwrap();
    scenario.stores.put(&scenario.source, name, &manifest);
}

fn index_entry(digest: &Digest) -> Value {
    json!({ "mediaType": media_type::OCI_INDEX, "digest": digest.as_str(), "size": 2 })
}

fn blob_names(scenario: &Scenario, content: &ImageContent) -> Vec<String> {
    let blobs = content.blobs.iter();
    let names = blobs.map(|blob| scenario.stores.name(&blob.digest));
    names.collect()
}

#[tokio::test]
async fn repeated_content_is_visited_once() {
    let scenario = scenario();
    let one = scenario.image("one", &[], &["base", "base", "one"]);
    let two = scenario
        .stores
        .image(&scenario.source, "two", "linux/arm64", &["base", "two"]);
    let entries = [entry(&one, None), entry(&two, None), entry(&one, None)];
    let index = scenario.index_of_entries("index", &[], &entries);
    let content = image_content(&scenario, index.digest()).await.unwrap();
    assert_eq!(content.children.len(), 2);
    let expected = ["one.config", "base", "one", "two.config", "two"];
    assert_eq!(blob_names(&scenario, &content), expected);
    assert_eq!(scenario.count("manifest"), 3);
}

#[tokio::test]
async fn excluded_children_are_not_fetched() {
    let scenario = scenario();
    let one = scenario.image("one", &[], &["one"]);
    let two = scenario.child("two", "linux/arm64");
    let entries = [entry(&one, None), entry(&two, None)];
    let index = scenario.index_of_entries("index", &[], &entries);
    let image = source_image(&scenario, index.digest());
    let Ok(Root::Whole(root)) = image.root().await else {
        unreachable!("nothing filters");
    };
    let content = image
        .content(&root, |child| child == one.digest())
        .await
        .unwrap();
    assert_eq!(blob_names(&scenario, &content), ["two.config", "two"]);
    assert_eq!(scenario.count("manifest src.example/app@one"), 0);
    // A second query, for another destination, fetches nothing again.
    image.content(&root, |_| false).await.unwrap();
    let calls = ["index", "two", "one"].map(|name| format!("manifest src.example/app@{name}"));
    assert_eq!(scenario.stores.calls(), calls);
}

#[tokio::test]
async fn cycles_of_indexes_end() {
    let scenario = scenario();
    let (a, b) = (Digest::sha256(b"a"), Digest::sha256(b"b"));
    push_forged_index(&scenario, "a", &a, &[index_entry(&b)]);
    push_forged_index(&scenario, "b", &b, &[index_entry(&a), index_entry(&b)]);
    let content = image_content(&scenario, &a).await.unwrap();
    assert_eq!(content.children.len(), 1);
    assert_eq!(scenario.count("manifest"), 2);
}

#[tokio::test]
async fn the_nesting_depth_of_indexes_is_bounded() {
    let scenario = scenario();
    let image = scenario.image("image", &[], &["base"]);
    let mut inner = entry(&image, None);
    let mut depths = Vec::new();
    for depth in 0..=MAX_DEPTH {
        let index = scenario.index_of_entries(&format!("index-{depth}"), &[], &[inner]);
        inner = entry(&index, None);
        depths.push(index);
    }
    // Below the root: seven indexes and the image.
    let content = image_content(&scenario, depths[MAX_DEPTH - 1].digest())
        .await
        .unwrap();
    assert_eq!(content.children.len(), MAX_DEPTH);
    let failure = image_content(&scenario, depths[MAX_DEPTH].digest())
        .await
        .unwrap_err();
    assert!(
        failure
            .reason
            .ends_with("indexes lie more than 8 deep within each other"),
        "{failure}"
    );
    assert_eq!(failure.side, crate::Side::Source);
}

#[tokio::test]
async fn an_index_that_names_itself_does_not_block_the_filter() {
    let scenario = scenario();
    let a = Digest::sha256(b"a");
    push_forged_index(&scenario, "a", &a, &[index_entry(&a)]);
    let filter = PlatformFilter::parse(&[], &["arm64".to_owned()]).unwrap();
    let store = scenario.stores.source_at(&scenario.source);
    let target = Target::Digest(a);
    let image = SourceImage::new(store, target, Arc::new(filter), Arc::default());
    let failure = image.root().await.unwrap_err();
    assert!(
        failure
            .reason
            .ends_with("indexes lie more than 8 deep within each other"),
        "{failure}"
    );
}

#[tokio::test]
async fn more_manifests_than_an_image_can_have_are_refused() {
    let scenario = scenario();
    let image = source_image(&scenario, &Digest::sha256(b"root"));
    let manifest = scenario.image("image", &[], &[]);
    let manifest = Arc::new(manifest);
    let digest = |number: usize| Digest::sha256(number.to_string().as_bytes());
    for number in 0..MAX_MANIFESTS {
        image
            .keep_manifest(&digest(number), Ok(Arc::clone(&manifest)))
            .unwrap();
    }
    image
        .keep_manifest(&digest(0), Ok(Arc::clone(&manifest)))
        .unwrap();
    let failure = image
        .keep_manifest(&digest(MAX_MANIFESTS), Ok(manifest))
        .unwrap_err();
    assert!(
        failure.reason.contains("more than 10000 manifests"),
        "{failure}"
    );
}

#[tokio::test]
async fn more_blobs_than_an_image_can_have_are_refused() {
    let scenario = scenario();
    let layer = |number: usize| {
        let digest = Digest::sha256(number.to_string().as_bytes());
        json!({ "mediaType": "application/octet-stream", "digest": digest.as_str(), "size": 1 })
    };
    let layers: Vec<_> = (0..=MAX_BLOBS).map(layer).collect();
    let document = json!({ "schemaVersion": 2, "config": layers[0], "layers": layers });
    let root = scenario.document("root", &[], media_type::OCI_MANIFEST, &document);
    let failure = image_content(&scenario, root.digest()).await.unwrap_err();
    assert!(
        failure.reason.contains("it names more than 20000 blobs"),
        "{failure}"
    );
}

#[tokio::test]
async fn layers_of_schema_1_have_no_size() {
    let scenario = scenario();
    let layer = scenario.stores.blob(&scenario.source, "layer", "layer");
    let document = json!({
        "schemaVersion": 1,
        "name": "app",
        "tag": "v1",
        "architecture": "amd64",
        "fsLayers": [{ "blobSum": layer.digest.as_str() }, { "blobSum": layer.digest.as_str() }],
        "history": [],
    });
    let root = scenario.document("root", &[], media_type::DOCKER_SCHEMA1, &document);
    let content = image_content(&scenario, root.digest()).await.unwrap();
    assert_eq!(blob_names(&scenario, &content), ["layer"]);
    assert_eq!(content.blobs[0].size, None);
}

/// Returns the calls for the root of an image that is needed in any case, and the error if it does not exist.
async fn root_calls(source: &str) -> (Vec<String>, String) {
    let scenario = Scenario::new(source, &["dst.example/app"]);
    let manifest = scenario.image("image", &["v1"], &["base"]);
    let tag = |tag: &str| Target::Tag(image_syncer_registry::Tag::parse(tag).unwrap());
    let manifests = Arc::new(ManifestCache::default());
    let open = |target| {
        let store = scenario.stores.source_at(&scenario.source);
        SourceImage::new(store, target, Arc::default(), Arc::clone(&manifests)).needed()
    };
    let image = open(tag("v1"));
    let (head, root) = (image.head().await.unwrap(), image.root().await.unwrap());
    assert_eq!(head.digest, *manifest.digest());
    assert!(matches!(root, Root::Whole(root) if root.bytes() == manifest.bytes()));
    // The manifest of the GET by tag is cached by its digest.
    let by_digest = open(Target::Digest(manifest.digest().clone()));
    by_digest.root().await.unwrap();
    let failure = open(tag("v2")).head().await.unwrap_err();
    (scenario.stores.calls(), failure.reason)
}

#[tokio::test]
async fn a_root_that_is_needed_is_fetched_by_its_tag() {
    let (calls, reason) = root_calls("src.example/app").await;
    let expected = ["manifest src.example/app:v1", "manifest src.example/app:v2"];
    assert_eq!(calls, expected);
    let expected = "cannot find app:v2 at src.example: the registry does not have it";
    assert_eq!(reason, expected);
}

#[tokio::test]
async fn docker_hub_gets_a_head_first_since_a_get_counts_as_a_pull() {
    let (calls, _) = root_calls("docker.io/library/app").await;
    let expected = [
        "resolve docker.io/library/app:v1",
        "manifest docker.io/library/app@image",
        "resolve docker.io/library/app:v2",
    ];
    assert_eq!(calls, expected);
}

//! Platform filters on every kind of image.

use image_syncer_registry::manifest::{ManifestView, media_type};
use image_syncer_registry::{Digest, Manifest};
use serde_json::json;

use crate::scenario::*;
use crate::store::memory::{attestation, blob_json, entry, repository};

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
    fn image(&self, name: &str, platform: &str) -> Manifest {
        self.stores.image(&self.source, name, platform, &[name])
    }
    fn tag(&self, root: &Manifest) {
        self.stores.tag(&self.source, "v1", root);
    }
    async fn run(&self, arch: &str) -> Arc<Heard> {
        self.stores.take_sorted();
        run(&self.stores, only(arch), &self.rules).await
    }
    /// Entries of the index under the destination's tag, or under `digest`.
    fn entries(&self, digest: Option<&Digest>) -> Vec<Digest> {
        let tagged = self.stores.tagged(&self.destination, "v1");
        let digest = digest.or(tagged.as_ref()).unwrap();
        let manifest = self.stores.manifest(&self.destination, digest).unwrap();
        let ManifestView::Index(index) = manifest.view().unwrap() else {
            panic!("not an index");
        };
        index
            .manifests
            .into_iter()
            .map(|entry| entry.digest)
            .collect()
    }
}

#[tokio::test]
async fn an_index_is_narrowed_and_the_second_run_costs_its_root() {
    let world = world();
    let (amd64, arm64) = (
        world.image("amd64", "linux/amd64"),
        world.image("arm64", "linux/arm64"),
    );
    let unsaid = world.image("unsaid", "linux/riscv64");
    let entries = [
        entry(&amd64, Some("linux/amd64")),
        entry(&arm64, Some("linux/arm64")),
        entry(&unsaid, None),
    ];
    let index = world.stores.index(&world.source, "index", &entries);
    world.tag(&index);
    let heard = world.run("arm64").await;
    let copied = heard.copied();
    assert!(copied.filtered && copied.digest != *index.digest());
    assert_eq!((copied.volume.manifests, copied.volume.blobs), (3, 4));
    assert_eq!(
        world.entries(None),
        [arm64.digest().clone(), unsaid.digest().clone()]
    );
    assert_eq!(world.stores.count("manifest src.example/app@amd64"), 0);

    let heard = world.run("arm64").await;
    assert_eq!(heard.summary().unchanged, 1);
    let expected = [
        "manifest src.example/app@index",
        "resolve src.example/app:v1",
        "resolve-for-push dst.example/copy:v1",
    ];
    assert_eq!(world.stores.take_sorted(), expected);
}

#[tokio::test]
async fn an_index_whose_entries_all_pass_is_unchanged() {
    let world = world();
    let entries = ["arm64", "other-arm64"]
        .map(|name| entry(&world.image(name, "linux/arm64"), Some("linux/arm64")));
    let index = world.stores.index(&world.source, "index", &entries);
    world.tag(&index);
    let heard = world.run("arm64").await;
    assert_eq!(
        (heard.copied().digest, heard.copied().filtered),
        (index.digest().clone(), false)
    );
}

#[tokio::test]
async fn a_docker_list_is_narrowed_by_variant() {
    let world = world();
    let (v6, v7) = (
        world.image("v6", "linux/arm/v6"),
        world.image("v7", "linux/arm/v7"),
    );
    let document = json!({
        "schemaVersion": 2,
        "mediaType": media_type::DOCKER_LIST,
        "manifests": [entry(&v6, Some("linux/arm/v6")), entry(&v7, Some("linux/arm/v7"))],
    });
    let list = world
        .stores
        .document(&world.source, "list", media_type::DOCKER_LIST, &document);
    world.tag(&list);
    world.run("arm:v7").await;
    assert_eq!(world.entries(None), [v7.digest().clone()]);
    let root = world.stores.tagged(&world.destination, "v1").unwrap();
    let root = world.stores.manifest(&world.destination, &root).unwrap();
    assert_eq!(root.media_type(), media_type::DOCKER_LIST);
}

#[tokio::test]
async fn an_index_within_an_index_is_narrowed_too() {
    let world = world();
    let (amd64, arm64) = (
        world.image("amd64", "linux/amd64"),
        world.image("arm64", "linux/arm64"),
    );
    let entries = [
        entry(&amd64, Some("linux/amd64")),
        entry(&arm64, Some("linux/arm64")),
    ];
    let inner = world.stores.index(&world.source, "inner", &entries);
    let left_out = [entry(&amd64, Some("linux/amd64"))];
    let left_out = world.stores.index(&world.source, "left-out", &left_out);
    let entries = [entry(&left_out, None), entry(&inner, None)];
    let outer = world.stores.index(&world.source, "outer", &entries);
    world.tag(&outer);
    let heard = world.run("arm64").await;
    assert_eq!(
        (heard.copied().volume.manifests, heard.copied().volume.blobs),
        (3, 2)
    );
    let entries = world.entries(None);
    assert_eq!(entries.len(), 1);
    assert!(entries[0] != *inner.digest());
    assert_eq!(world.entries(Some(&entries[0])), [arm64.digest().clone()]);
    assert_eq!(world.stores.count("manifest src.example/app@inner"), 1);
}

#[tokio::test]
async fn attestations_follow_their_image() {
    let world = world();
    let (amd64, arm64) = (
        world.image("amd64", "linux/amd64"),
        world.image("arm64", "linux/arm64"),
    );
    let of_amd64 = world.image("of-amd64", "unknown/unknown");
    let of_arm64 = world.image("of-arm64", "unknown/unknown");
    let entries = [
        entry(&amd64, Some("linux/amd64")),
        attestation(&of_amd64, &amd64),
        attestation(&of_arm64, &arm64),
        entry(&arm64, Some("linux/arm64")),
    ];
    world.tag(&world.stores.index(&world.source, "index", &entries));
    world.run("arm64").await;
    assert_eq!(
        world.entries(None),
        [of_arm64.digest().clone(), arm64.digest().clone()]
    );
}

#[tokio::test]
async fn an_index_without_passing_entries_is_skipped() {
    let world = world();
    let amd64 = world.image("amd64", "linux/amd64");
    let attests = world.image("of-amd64", "unknown/unknown");
    let entries = [
        entry(&amd64, Some("linux/amd64")),
        attestation(&attests, &amd64),
    ];
    world.tag(&world.stores.index(&world.source, "index", &entries));
    let heard = world.run("arm64").await;
    let expected = "src.example/app:v1 -> dst.example/copy:v1: \
                    skipped, no platform of it passes --arch arm64";
    assert_eq!(heard.endings(), [expected]);
    assert_eq!(world.stores.count("put-manifest"), 0);
}

#[tokio::test]
async fn a_single_image_is_filtered_by_its_config_which_is_read_once() {
    let world = world();
    world.tag(&world.image("image", "linux/arm/v7"));
    let heard = world.run("amd64,arm:v6").await;
    let expected = "src.example/app:v1 -> dst.example/copy:v1: \
                    skipped, its platform linux/arm/v7 does not pass --arch amd64,arm:v6";
    assert_eq!(heard.endings(), [expected]);
    assert_eq!(
        world.stores.count("read-blob src.example/app@image.config"),
        1
    );

    let heard = world.run("arm:v7").await;
    assert_eq!(
        (heard.copied().filtered, heard.copied().volume.blobs),
        (false, 2)
    );
    assert_eq!(
        world.stores.count("read-blob src.example/app@image.config"),
        1
    );
    assert_eq!(
        world.stores.count("open-blob src.example/app@image.config"),
        0
    );

    // A filter writes no new images: equal digests settle it.
    let heard = world.run("arm:v7").await;
    assert_eq!(heard.summary().unchanged, 1);
    assert_eq!(world.stores.calls().len(), 2);
}

#[tokio::test]
async fn an_artifact_has_no_platform_and_passes() {
    let world = world();
    let config = world.stores.blob(&world.source, "config", "not even json");
    let document = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": blob_json("application/vnd.cncf.helm.config.v1+json", &config),
        "layers": [],
    });
    let media_type = media_type::OCI_MANIFEST;
    world.tag(
        &world
            .stores
            .document(&world.source, "chart", media_type, &document),
    );
    let heard = world.run("arm64").await;
    assert_eq!(heard.copied().volume.blobs, 1);
    assert_eq!(world.stores.count("read-blob"), 0);
}

#[tokio::test]
async fn a_filtered_image_without_a_tag_is_pushed_by_its_new_digest() {
    let world = world();
    let (amd64, arm64) = (
        world.image("amd64", "linux/amd64"),
        world.image("arm64", "linux/arm64"),
    );
    let entries = [
        entry(&amd64, Some("linux/amd64")),
        entry(&arm64, Some("linux/arm64")),
    ];
    let index = world.stores.index(&world.source, "index", &entries);
    let source = format!("src.example/app@{}", index.digest());
    let rules = [rule(&source, &["dst.example/copy"])];
    let heard = run(&world.stores, only("arm64"), &rules).await;
    let digest = heard.copied().digest;
    assert!(digest != *index.digest());
    assert_eq!(world.entries(Some(&digest)), [arm64.digest().clone()]);
    let heard = run(&world.stores, only("arm64"), &rules).await;
    assert_eq!(heard.summary().unchanged, 1);
}

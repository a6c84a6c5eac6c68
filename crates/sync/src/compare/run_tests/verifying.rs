//! Deep checks of images that the destination already has.

use image_syncer_registry::{Digest, ErrorKind, Manifest};

use crate::event::Loss;
use crate::failure::Side;
use crate::scenario::*;
use crate::store::memory::{entry, error, repository};

/// A source and a copy of it.
struct World {
    stores: MemoryStores,
    source: Repository,
    copy: Repository,
    index: Manifest,
    amd64: Manifest,
}

/// Both ends have `v1`, an index of an index of `amd64` and of `arm64`, which share a layer.
fn world() -> World {
    let stores = MemoryStores::new();
    let source = repository("src.example/app");
    let copy = repository("dst.example/copy");
    let amd64 = stores.image(&source, "amd64", "linux/amd64", &["base", "one"]);
    let arm64 = stores.image(&source, "arm64", "linux/arm64", &["base", "two"]);
    let inner = stores.index(&source, "inner", &[entry(&amd64, Some("linux/amd64"))]);
    let entries = [entry(&inner, None), entry(&arm64, Some("linux/arm64"))];
    let index = stores.index(&source, "index", &entries);
    stores.tag(&source, "v1", &index);
    stores.copy_repository(&source, &copy);
    World {
        stores,
        source,
        copy,
        index,
        amd64,
    }
}

impl World {
    async fn run(&self, settings: Settings) -> Arc<Heard> {
        let rules = [rule("src.example/app:v1", &["dst.example/copy"])];
        run(&self.stores, settings, &rules).await
    }
    fn lose_blob(&self, name: &str) -> Digest {
        let digest = Digest::sha256(name.as_bytes());
        self.stores.remove_blob(&self.copy, &digest);
        digest
    }
    fn has_blob(&self, digest: &Digest) -> bool {
        self.stores.blob_bytes(&self.copy, digest).is_some()
    }
    /// Calls that change content, in order.
    fn changes(&self) -> Vec<String> {
        let calls = self.stores.calls().into_iter();
        let verbs = [
            "put-manifest",
            "send",
            "open-session",
            "open-upload",
            "mount",
        ];
        calls
            .filter(|call| verbs.iter().any(|verb| call.starts_with(verb)))
            .collect()
    }
}

const CHECK: [&str; 11] = [
    "find-blob dst.example/copy@amd64.config",
    "find-blob dst.example/copy@arm64.config",
    "find-blob dst.example/copy@base",
    "find-blob dst.example/copy@one",
    "find-blob dst.example/copy@two",
    "manifest dst.example/copy@amd64",
    "manifest dst.example/copy@arm64",
    "manifest dst.example/copy@index",
    "manifest dst.example/copy@inner",
    "resolve src.example/app:v1",
    "resolve-for-push dst.example/copy:v1",
];

#[tokio::test]
async fn a_complete_image_costs_one_lookup_for_each_part_and_none_at_the_source() {
    let world = world();
    let heard = world.run(verifying()).await;
    let ending = "src.example/app:v1 -> dst.example/copy:v1: verified";
    assert_eq!(heard.endings(), [ending]);
    assert_eq!(world.stores.take_sorted(), CHECK);
    let summary = heard.summary();
    assert_eq!(
        (summary.unchanged, summary.verified, summary.repaired),
        (1, 1, 0)
    );
}

#[tokio::test]
async fn without_verify_nothing_below_the_root_is_checked() {
    let world = world();
    let base = world.lose_blob("base");
    let heard = world.run(settings()).await;
    let ending = "src.example/app:v1 -> dst.example/copy:v1: unchanged";
    assert_eq!(heard.endings(), [ending]);
    assert_eq!(world.stores.take_sorted(), CHECK[9..]);
    assert!(!world.has_blob(&base));
    assert_eq!(heard.summary().verified, 0);
}

#[tokio::test]
async fn only_the_lost_blob_is_sent() {
    let world = world();
    let base = world.lose_blob("base");
    let heard = world.run(verifying()).await;
    assert_eq!(
        world.changes(),
        [
            "open-session dst.example/copy@base",
            "send dst.example/copy@base"
        ]
    );
    assert!(world.has_blob(&base));
    let copied = heard.copied();
    assert_eq!(copied.losses, [Loss::Blob(base)]);
    assert_eq!(
        (
            copied.volume.manifests,
            copied.volume.blobs,
            copied.volume.bytes
        ),
        (0, 1, 4)
    );
    let summary = heard.summary();
    assert_eq!((summary.copied, summary.repaired), (1, 1));
    world.stores.take_sorted();
    let heard = world.run(verifying()).await;
    assert_eq!(heard.summary().verified, 1);
    assert_eq!(world.stores.take_sorted(), CHECK);
}

#[tokio::test]
async fn lost_manifests_at_any_depth_are_pushed_without_the_root() {
    let world = world();
    let lost = world.amd64.digest().clone();
    world.stores.remove_manifest(&world.copy, &lost);
    let one = world.lose_blob("one");
    let heard = world.run(verifying()).await;
    assert_eq!(
        world.changes(),
        [
            "open-session dst.example/copy@one",
            "send dst.example/copy@one",
            "put-manifest dst.example/copy@amd64",
        ]
    );
    // The source is queried only for lost content.
    assert_eq!(world.stores.count("manifest src.example"), 1);
    assert_eq!(
        heard.copied().losses,
        [Loss::Manifest(lost.clone()), Loss::Blob(one)]
    );
    assert!(world.stores.holds_manifest(&world.copy, &lost));
}

#[tokio::test]
async fn a_root_that_exists_only_by_its_tag_is_pushed_again() {
    let world = world();
    let gone = || error(ErrorKind::NotFound, "dst.example");
    world
        .stores
        .fail("manifest dst.example/copy@index", 1, gone);
    let heard = world.run(verifying()).await;
    assert_eq!(world.changes(), ["put-manifest dst.example/copy:v1"]);
    let digest = world.index.digest().clone();
    assert_eq!(heard.copied().losses, [Loss::Manifest(digest)]);
    assert_eq!(heard.copied().volume.manifests, 1);
}

#[tokio::test]
async fn a_blob_with_another_size_is_sent_and_reported() {
    let world = world();
    let base = Digest::sha256(b"base");
    world.stores.spoil_blob(&world.copy, &base, "bas");
    let heard = world.run(verifying()).await;
    let [loss] = &heard.copied().losses[..] else {
        panic!("{:?}", heard.copied().losses);
    };
    assert_eq!(
        loss.to_string(),
        format!("blob {base} had 3 bytes instead of 4")
    );
    assert_eq!(world.stores.count("find-blob dst.example/copy@base"), 1);
    assert_eq!(world.stores.blob_bytes(&world.copy, &base).unwrap(), "base");
}

#[tokio::test]
async fn a_blob_that_stays_wrong_is_a_failure_of_the_destination() {
    let world = world();
    let base = Digest::sha256(b"base");
    world.stores.spoil_blob(&world.copy, &base, "bas");
    world
        .stores
        .behave(|behaviour| behaviour.keeps_what_it_has = true);
    let heard = world.run(verifying()).await;
    let failure = &heard.summary().failures[0].failure;
    assert_eq!(
        (failure.side, failure.kind),
        (Side::Destination, Some(ErrorKind::Corrupt))
    );
    assert_eq!(
        failure.reason,
        format!("cannot upload {base} to copy at dst.example: 3 bytes are there and stay")
    );
}

#[tokio::test]
async fn a_manifest_with_other_bytes_is_pushed_and_read_again() {
    let world = world();
    let wrong = || error(ErrorKind::Corrupt, "dst.example");
    world
        .stores
        .fail("manifest dst.example/copy@amd64", 1, wrong);
    let heard = world.run(verifying()).await;
    assert_eq!(world.changes(), ["put-manifest dst.example/copy@amd64"]);
    assert_eq!(world.stores.count("manifest dst.example/copy@amd64"), 2);
    let digest = world.amd64.digest().clone();
    assert_eq!(heard.copied().losses, [Loss::WrongManifest(digest)]);
}

#[tokio::test]
async fn content_that_tags_share_is_checked_once() {
    let world = world();
    world.stores.tag(&world.source, "v2", &world.index);
    let other = [entry(&world.amd64, Some("linux/amd64"))];
    let other = world.stores.index(&world.source, "other", &other);
    world.stores.tag(&world.source, "v3", &other);
    world.stores.copy_repository(&world.source, &world.copy);
    let rules = [rule("src.example/app:v1,v2,v3", &["dst.example/copy"])];
    let heard = run(&world.stores, verifying(), &rules).await;
    assert_eq!(heard.summary().verified, 3);
    assert_eq!(world.stores.count("find-blob"), 5);
    assert_eq!(world.stores.count("manifest dst.example/copy@index"), 1);
    assert_eq!(world.stores.count("manifest dst.example/copy@other"), 1);
}

#[tokio::test]
async fn tags_that_share_a_lost_blob_send_it_once() {
    let world = world();
    let single = world
        .stores
        .image(&world.source, "single", "linux/amd64", &["base", "three"]);
    world.stores.tag(&world.source, "v2", &single);
    world.stores.copy_repository(&world.source, &world.copy);
    world.lose_blob("base");
    let rules = [rule("src.example/app:v1,v2", &["dst.example/copy"])];
    let heard = run(&world.stores, verifying(), &rules).await;
    assert_eq!(heard.summary().copied + heard.summary().verified, 2);
    assert_eq!(world.stores.count("send dst.example/copy@base"), 1);
    assert_eq!(world.stores.count("find-blob dst.example/copy@base"), 1);
}

#[tokio::test]
async fn content_pushed_by_the_run_is_not_checked() {
    let world = world();
    let rules = ["dst.example/new", "dst.example/new:again"]
        .map(|destination| rule("src.example/app:v1", &[destination]));
    let one_at_a_time = Settings {
        images: 1,
        ..verifying()
    };
    let heard = run(&world.stores, one_at_a_time, &rules).await;
    assert_eq!(heard.summary().copied, 2);
    assert_eq!(heard.summary().repaired, 0);
    assert_eq!(world.stores.count("find-blob"), 0);
    assert_eq!(world.stores.count("manifest dst.example"), 0);
}

#[tokio::test]
async fn a_changed_image_is_walked_although_its_children_exist() {
    let world = world();
    let base = world.lose_blob("base");
    let changed = [entry(&world.amd64, Some("linux/amd64"))];
    let changed = world.stores.index(&world.source, "changed", &changed);
    world.stores.tag(&world.source, "v1", &changed);
    let heard = world.run(verifying()).await;
    assert_eq!(heard.summary().copied, 1);
    assert!(world.has_blob(&base));
    assert_eq!(world.stores.count("put-manifest dst.example/copy@amd64"), 1);
}

#[tokio::test]
async fn a_filtered_image_is_checked_and_repaired_with_its_filter() {
    let world = world();
    let filtered = Settings {
        verify: true,
        ..only("amd64")
    };
    let destination = repository("dst.example/filtered");
    let rules = [rule("src.example/app:v1", &["dst.example/filtered"])];
    run(&world.stores, filtered.clone(), &rules).await;
    let base = Digest::sha256(b"base");
    world.stores.remove_blob(&destination, &base);
    world
        .stores
        .remove_manifest(&destination, world.amd64.digest());
    world.stores.take_sorted();
    let heard = run(&world.stores, filtered, &rules).await;
    let copied = heard.copied();
    assert!(copied.filtered);
    let lost = world.amd64.digest().clone();
    assert_eq!(copied.losses, [Loss::Manifest(lost), Loss::Blob(base)]);
    assert_eq!((copied.volume.manifests, copied.volume.blobs), (1, 1));
    assert_eq!(world.stores.count("put-manifest"), 1);
    // Content that the filter excluded is not lost.
    assert_eq!(world.stores.count("find-blob dst.example/filtered@two"), 0);
}

#[tokio::test]
async fn an_image_by_digest_is_checked_as_well() {
    let world = world();
    world.lose_blob("two");
    let source = format!("src.example/app@{}", world.index.digest());
    let rules = [rule(&source, &["dst.example/copy"])];
    let heard = run(&world.stores, verifying(), &rules).await;
    assert_eq!(heard.copied().volume.blobs, 1);
    assert_eq!(world.stores.count("put-manifest"), 0);
}

#[tokio::test]
async fn content_lost_at_both_ends_is_a_failure_of_the_source() {
    let world = world();
    for repository in [&world.source, &world.copy] {
        let base = Digest::sha256(b"base");
        world.stores.remove_blob(repository, &base);
    }
    let heard = world.run(verifying()).await;
    let failure = &heard.summary().failures[0].failure;
    assert_eq!(
        (failure.side, failure.kind),
        (Side::Source, Some(ErrorKind::NotFound))
    );
}

#[tokio::test]
async fn a_destination_that_may_not_be_read_cannot_be_verified() {
    let world = world();
    let denied = || error(ErrorKind::Denied, "dst.example");
    world.stores.fail("manifest dst.example", 1, denied);
    let heard = world.run(verifying()).await;
    let failure = &heard.summary().failures[0].failure;
    assert_eq!(
        (failure.side, failure.kind),
        (Side::Destination, Some(ErrorKind::Denied))
    );
    assert_eq!(world.changes(), [""; 0]);
}

//! Different signatures of one image, from two sources in one destination repository: the earlier rule keeps the tag.

use image_syncer_registry::{Cause, Digest, ErrorKind, Manifest, Tag};

use crate::scenario::*;
use crate::store::memory::{entry, error, repository};

const DESTINATION: &str = "dst.example/app";

/// `src.example/one` and `src.example/two`.
struct World {
    stores: MemoryStores,
    sources: [Repository; 2],
}

fn signature_tag(subject: &Digest) -> String {
    format!("{}.sig", Tag::of_referrers_to(subject))
}

impl World {
    fn new() -> Self {
        Self {
            stores: MemoryStores::new(),
            sources: ["one", "two"].map(|name| repository(&format!("src.example/{name}"))),
        }
    }

    /// The same image under `v1` of both sources, each with a signature of its own. Returns the tag of the signatures.
    fn with_two_signatures() -> (Self, String) {
        let world = Self::new();
        let image = world.same_image();
        world.tag_both("v1", &image);
        let tag = signature_tag(image.digest());
        world.sign(&tag);
        (world, tag)
    }

    fn same_image(&self) -> Manifest {
        let build = |source| self.stores.image(source, "image", "linux/amd64", &[]);
        let [image, _] = self.sources.each_ref().map(build);
        image
    }

    fn tag_both(&self, tag: &str, manifest: &Manifest) {
        for source in &self.sources {
            self.stores.tag(source, tag, manifest);
        }
    }

    fn sign(&self, tag: &str) {
        for (source, name) in self.sources.iter().zip(["signature.one", "signature.two"]) {
            let signature = self.stores.image(source, name, "linux/amd64", &[]);
            self.stores.tag(source, tag, &signature);
        }
    }

    async fn run(&self, intent: Intent, sources: [&str; 2]) -> Arc<Heard> {
        let settings = Settings {
            intent,
            referrers: Some(Arc::default()),
            ..settings()
        };
        let rules = sources.map(|source| rule(source, &[DESTINATION]));
        run(&self.stores, settings, &rules).await
    }

    /// Name of the manifest under the tag at the destination.
    fn tagged(&self, tag: &str) -> Option<String> {
        let digest = self.stores.tagged(&repository(DESTINATION), tag)?;
        Some(self.stores.name(&digest))
    }
}

/// Reason of the conflict between these rules.
fn conflict(tag: &str, [one, two]: [&str; 2]) -> String {
    format!(
        "cannot write src.example/two:{tag} (rule {two}) to {DESTINATION}:{tag}: rule {one} writes another image to this \
         tag, src.example/one:{tag}"
    )
}

const LISTS: [&str; 2] = ["src.example/one", "src.example/two"];
const NAMES: [&str; 2] = ["src.example/one:v1", "src.example/two:v1"];

#[tokio::test]
async fn the_earlier_rule_keeps_the_signature_and_the_other_image_fails_in_every_run() {
    for rules in [LISTS, NAMES] {
        let (world, tag) = World::with_two_signatures();
        let failed = format!(
            "src.example/two:v1 -> {DESTINATION}:v1: failed, {}",
            conflict(&tag, rules)
        );
        for (intent, first) in [
            (Intent::Check, "planned, New"),
            (Intent::Plan, "planned, New"),
            (Intent::Copy, "copied"),
            (Intent::Copy, "unchanged"),
            (Intent::Plan, "unchanged"),
            (Intent::Check, "unchanged"),
        ] {
            let heard = world.run(intent, rules).await;
            let kept = format!("src.example/one:v1 -> {DESTINATION}:v1: {first}");
            assert_eq!(heard.endings(), [kept, failed.clone()], "{intent:?}");
            let summary = heard.summary();
            assert_eq!(summary.exit_code(), 1);
            assert_eq!(summary.failures[0].failure.cause, Cause::TagConflict);
        }
        assert_eq!(world.tagged(&tag).as_deref(), Some("signature.one"));
        let pushes = world
            .stores
            .count(&format!("put-manifest {DESTINATION}:{tag}"));
        assert_eq!(pushes, 1);
    }
}

#[tokio::test]
async fn signatures_of_children_conflict_as_well() {
    let world = World::new();
    let child = world.same_image();
    let index = |source| {
        let entries = [entry(&child, Some("linux/amd64"))];
        world.stores.index(source, "index", &entries)
    };
    let [index, _] = world.sources.each_ref().map(index);
    world.tag_both("v1", &index);
    let tag = signature_tag(child.digest());
    world.sign(&tag);
    for intent in [
        Intent::Check,
        Intent::Plan,
        Intent::Copy,
        Intent::Copy,
        Intent::Check,
    ] {
        let summary = world.run(intent, LISTS).await.summary();
        assert_eq!((summary.finished(), summary.failed), (2, 1), "{intent:?}");
        assert_eq!(summary.failures[0].failure.reason, conflict(&tag, LISTS));
    }
    assert_eq!(world.tagged(&tag).as_deref(), Some("signature.one"));
}

#[tokio::test]
async fn orphan_signatures_of_two_sources_conflict() {
    let world = World::new();
    let tag = signature_tag(&Digest::sha256(b"deleted"));
    world.sign(&tag);
    for intent in [Intent::Check, Intent::Plan, Intent::Copy, Intent::Copy] {
        let heard = world.run(intent, LISTS).await;
        let failed = format!(
            "src.example/two:{tag} -> {DESTINATION}:{tag}: failed, {}",
            conflict(&tag, LISTS)
        );
        assert_eq!(heard.endings().last(), Some(&failed), "{intent:?}");
        assert_eq!((heard.summary().finished(), heard.summary().failed), (2, 1));
    }
    assert_eq!(world.tagged(&tag).as_deref(), Some("signature.one"));
}

#[tokio::test]
async fn a_rule_that_names_the_signature_of_an_earlier_image_fails() {
    let (world, tag) = World::with_two_signatures();
    let named = format!("src.example/two:{tag}");
    let rules = ["src.example/one:v1", named.as_str()];
    let heard = world.run(Intent::Copy, rules).await;
    let expected = [
        format!("src.example/one:v1 -> {DESTINATION}:v1: copied"),
        format!(
            "{named} -> {DESTINATION}:{tag}: failed, {}",
            conflict(&tag, rules)
        ),
    ];
    assert_eq!(heard.endings(), expected);
}

#[tokio::test]
async fn equal_signatures_and_those_of_images_that_are_not_copied_are_no_conflict() {
    let (world, tag) = World::with_two_signatures();
    let other = world
        .stores
        .image(&world.sources[0], "other", "linux/amd64", &[]);
    world.stores.tag(&world.sources[0], "v0", &other);
    for rules in [
        ["src.example/one:v0", "src.example/two:v1"],
        ["src.example/one:/^v0$/", "src.example/two:/^v1$/"],
    ] {
        let summary = world.run(Intent::Copy, rules).await.summary();
        assert_eq!(
            (summary.finished(), summary.exit_code()),
            (2, 0),
            "{rules:?}"
        );
        assert_eq!(world.tagged(&tag).as_deref(), Some("signature.two"));
    }
    let world = World::new();
    let image = world.same_image();
    world.tag_both("v1", &image);
    for source in &world.sources {
        let signature = world.stores.image(source, "signature", "linux/amd64", &[]);
        world
            .stores
            .tag(source, &signature_tag(image.digest()), &signature);
    }
    let summary = world.run(Intent::Copy, LISTS).await.summary();
    assert_eq!((summary.finished(), summary.exit_code()), (2, 0));
}

#[tokio::test]
async fn a_signature_that_cannot_be_read_keeps_its_tag() {
    let (world, tag) = World::with_two_signatures();
    let prefix = format!("resolve src.example/one:{tag}");
    world
        .stores
        .fail_after(&prefix, 0, || error(ErrorKind::Server, "src.example"));
    let summary = world.run(Intent::Copy, NAMES).await.summary();
    assert_eq!((summary.copied, summary.failed), (1, 1));
    let why = "cannot do what was asked at src.example: the test says no";
    let reasons: Vec<_> = summary
        .failures
        .iter()
        .map(|f| f.failure.reason.as_str())
        .collect();
    let unknown = format!(
        "cannot write src.example/two:{tag} (rule src.example/two:v1) to {DESTINATION}:{tag}: rule src.example/one:v1 \
         writes to this tag as well, and its image src.example/one:{tag} cannot be compared: {why}"
    );
    assert!(reasons.contains(&unknown.as_str()), "{reasons:#?}");
    assert_eq!(world.tagged(&tag).as_deref(), Some("signature.one"));
}

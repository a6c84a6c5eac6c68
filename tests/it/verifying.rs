//! `--verify`: content that a destination lost below an existing tag is found, named and restored.

use std::path::{Path, PathBuf};

use testkit::Image;
use testkit::real::DockerRegistry;

use crate::support::real::{Access, Pair};
use crate::support::{Outcome, World, assert_arrived, index};

/// Two registries with the same image, unless a test changes that.
struct Mirror {
    world: World,
    image: Image,
}

impl Mirror {
    fn new() -> Self {
        let image = index("a");
        let world = World::new("SRC/a: DST/a\n").with("a", "v1", &image);
        let mirror = Self { world, image };
        mirror.run(&[]).exits(0).says("1 copied");
        mirror
    }
    fn run(&self, arguments: &[&str]) -> Outcome {
        let outcome = self.world.run(&[&["--no-records"], arguments].concat());
        self.world.has_no_problems();
        outcome
    }
}

#[test]
fn a_lost_blob_is_found_with_the_flag_only() {
    let mirror = Mirror::new();
    let lost = mirror.image.blobs()[0].digest();
    assert!(mirror.world.destination.state().remove_blob("a", lost));
    mirror
        .run(&[])
        .exits(0)
        .says("1 image: 0 copied, 1 unchanged");
    mirror
        .world
        .destination
        .verify_complete("a", "v1")
        .unwrap_err();
    let outcome = mirror.run(&["--verify"]).exits(0);
    let line = outcome.lines("repaired").concat();
    assert!(
        line.ends_with(&format!(": blob {lost} was missing")),
        "{line}"
    );
    outcome
        .says("1 image: 1 copied, 0 unchanged")
        .says("0 verified to the last blob, 1 repaired: 1 manifest or blob was missing");
    assert_arrived(&mirror.world.destination, "a", "v1", &mirror.image);
}

#[test]
fn a_lost_child_is_pushed_again_with_its_blobs() {
    let mirror = Mirror::new();
    let state = mirror.world.destination.state();
    let child = &mirror.image.manifests()[0];
    assert!(state.remove_manifest("a", &child.digest));
    assert_eq!(state.collect_garbage(), 2);
    mirror
        .run(&["--verify"])
        .exits(0)
        .says(&format!("manifest {} was missing", child.digest))
        .says("1 repaired: 3 manifests and blobs were missing");
    assert_arrived(&mirror.world.destination, "a", "v1", &mirror.image);
}

#[test]
fn a_complete_image_is_reported_as_verified() {
    let outcome = Mirror::new().run(&["--verify", "-v"]).exits(0);
    assert_eq!(outcome.lines("verified").len(), 1);
    outcome
        .says("1 image: 0 copied, 1 unchanged")
        .says("1 verified to the last blob\n");
}

/// Returns the file of the blob in distribution's storage.
fn data(registry: &DockerRegistry, digest: &str) -> PathBuf {
    let hex = digest.trim_start_matches("sha256:");
    let blobs = registry
        .storage_dir()
        .join("docker/registry/v2/blobs/sha256");
    blobs.join(&hex[..2]).join(hex).join("data")
}

/// Returns the link of the blob, or of the manifest as a revision, in `repository`.
fn link(registry: &DockerRegistry, repository: &str, place: &str, digest: &str) -> PathBuf {
    let hex = digest.trim_start_matches("sha256:");
    let repositories = registry
        .storage_dir()
        .join("docker/registry/v2/repositories");
    let place = repositories.join(repository).join(place);
    place.join("sha256").join(hex).join("link")
}

/// Removes `path` from a real registry with a copy of an image, and asserts that a run finds and restores it.
fn is_repaired(lost: impl Fn(&DockerRegistry, &Image) -> PathBuf) {
    let mut pair = Pair::start(Access::Anonymous, false);
    let image = index("a");
    pair.push("a", "v1", &image);
    pair.run("SRC/a: DST/a\n", &[]).exits(0);
    // The registry caches facts about blobs in memory: only a restarted one looks again.
    pair.destination.stop();
    let path = lost(&pair.destination, &image);
    let exists = |path: &Path| path.exists();
    assert!(exists(&path), "{}", path.display());
    std::fs::remove_file(&path).unwrap();
    pair.destination.restart().unwrap();
    pair.run("SRC/a: DST/a\n", &[]).exits(0).says("1 unchanged");
    assert!(!exists(&path));
    pair.run("SRC/a: DST/a\n", &["--verify"])
        .exits(0)
        .says("1 repaired");
    assert!(exists(&path));
    pair.assert_equal("a:v1", "a:v1");
    pair.run("SRC/a: DST/a\n", &["--verify"])
        .exits(0)
        .says("1 verified to the last blob\n");
}

#[test]
fn docker_registry_gets_back_the_data_of_a_blob() {
    testkit::needs!("docker-registry", "skopeo");
    is_repaired(|registry, image| data(registry, image.blobs()[0].digest()));
}

#[test]
fn docker_registry_gets_back_the_link_to_a_blob() {
    testkit::needs!("docker-registry", "skopeo");
    is_repaired(|registry, image| link(registry, "a", "_layers", image.blobs()[0].digest()));
}

#[test]
fn docker_registry_gets_back_the_link_to_a_child() {
    testkit::needs!("docker-registry", "skopeo");
    is_repaired(|registry, image| {
        let child = &image.manifests()[0].digest;
        link(registry, "a", "_manifests/revisions", child)
    });
}

#[test]
fn docker_registry_gets_back_the_data_of_a_child() {
    testkit::needs!("docker-registry", "skopeo");
    is_repaired(|registry, image| data(registry, &image.manifests()[0].digest));
}

#[test]
fn docker_registry_keeps_a_truncated_blob_and_the_image_fails() {
    testkit::needs!("docker-registry", "skopeo");
    let mut pair = Pair::start(Access::Anonymous, false);
    let image = index("a");
    let digest = image.blobs()[0].digest().to_owned();
    pair.push("a", "v1", &image);
    pair.run("SRC/a: DST/a\n", &[]).exits(0);
    pair.destination.stop();
    std::fs::write(data(&pair.destination, &digest), "short").unwrap();
    pair.destination.restart().unwrap();
    // distribution keeps its file for a digest, whatever is sent.
    let host = pair.destination.host();
    pair.run("SRC/a: DST/a\n", &["--verify"])
        .exits(1)
        .says(&format!("cannot upload {digest} to a at {host}"))
        .says("the registry has 5 bytes there instead of")
        .says("Delete the blob at the registry, collect its garbage, and run again");
}

//! `--os` and `--arch` on images of every kind.

use serde_json::{Value, json};
use testkit::{Image, Layer, Platform, Registry};

use crate::support::{Outcome, World, assert_arrived};

/// Returns an image for a platform, with its own layer.
fn image(platform: Platform) -> Image {
    let layer = Layer::tar(&format!("{platform:?}"), 500);
    Image::oci().platform(platform).layer(layer).build()
}

/// A source with `a:v1`, which was copied with `arguments`.
struct Run {
    destination: Registry,
    outcome: Outcome,
}

impl Run {
    fn of(root: &Image, arguments: &[&str]) -> Self {
        let world = World::new("SRC/a:v1: DST/a\n").with("a", "v1", root);
        let outcome = world.run(arguments).exits(0);
        let destination = world.destination;
        assert_eq!(destination.problems(), [""; 0]);
        Self {
            destination,
            outcome,
        }
    }

    /// Returns the document of a reference.
    fn document(&self, reference: &str) -> Value {
        self.destination.verify_complete("a", reference).unwrap();
        let (_, bytes) = self.destination.state().manifest("a", reference).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    /// Returns the digests of the entries of an index.
    fn entries(&self, reference: &str) -> Vec<String> {
        let document = self.document(reference);
        let entries = document["manifests"].as_array().unwrap().iter();
        entries
            .map(|entry| entry["digest"].as_str().unwrap().to_owned())
            .collect()
    }
}

#[test]
fn docker_lists_and_oci_indexes_are_filtered_by_version_and_variant() {
    let children = [
        image(Platform::linux("amd64")),
        image(Platform::linux("arm64").variant("v8")),
        image(Platform::linux("arm").variant("v7")),
        image(Platform::linux("arm").variant("v6")),
        image(Platform::windows("10.0.17763.1")),
        image(Platform::windows("10.0.20348.1")),
    ];
    let digests = children.clone().map(|child| child.digest().to_owned());
    for root in [Image::index(children.clone()), Image::list(children)] {
        for (arguments, expected) in [
            (&["--arch", "arm"][..], &[2, 3][..]),
            (&["--arch", "arm:v7,arm64"], &[1, 2]),
            (&["--os", "linux", "--arch", "amd64"], &[0]),
            (
                &["--os=windows:10.0.20348.1", "--os", "linux"],
                &[0, 1, 2, 3, 5],
            ),
        ] {
            let run = Run::of(&root, arguments);
            let expected: Vec<_> = expected.iter().map(|at| digests[*at].clone()).collect();
            assert_eq!(run.entries("v1"), expected, "{arguments:?}");
            assert_eq!(run.document("v1")["mediaType"], root.root().media_type);
        }
    }
}

#[test]
fn nested_indexes_are_filtered_by_os_and_arch() {
    let (amd64, arm64) = (
        image(Platform::linux("amd64")),
        image(Platform::linux("arm64")),
    );
    let inner = Image::index([amd64, arm64.clone()]);
    let outer = Image::index([inner.clone()]);
    let run = Run::of(&outer, &["--os", "linux", "--arch", "arm64"]);
    let entries = run.entries("v1");
    assert_eq!(entries.len(), 1);
    assert_ne!(entries[0], inner.digest());
    assert_eq!(run.entries(&entries[0]), [arm64.digest()]);
}

#[test]
fn single_images_are_copied_or_skipped_as_they_are() {
    let layer = || Layer::tar("a", 500);
    let platform = || Platform::linux("arm").variant("v7");
    for image in [
        Image::oci().platform(platform()).layer(layer()).build(),
        Image::docker().platform(platform()).layer(layer()).build(),
    ] {
        let run = Run::of(&image, &["--arch", "arm:v7"]);
        assert_arrived(&run.destination, "a", "v1", &image);
        let run = Run::of(&image, &["--arch", "arm64,arm:v6"]);
        let skipped = run.outcome.lines("skipped");
        assert_eq!(skipped.len(), 1);
        let why = "its platform linux/arm/v7 does not pass --arch arm64,arm:v6";
        assert!(skipped[0].contains(why), "{skipped:?}");
        assert_eq!(run.destination.state().repositories(), [""; 0]);
    }
}

#[test]
fn attestations_follow_their_image_and_other_fields_are_unchanged() {
    let (amd64, arm64) = (
        image(Platform::linux("amd64")),
        image(Platform::linux("arm64")),
    );
    let attestations = [&amd64, &arm64].map(Image::attestation_of);
    let arm64 = arm64.descriptor_field("annotations", json!({"kept": "too"}));
    let kept = [arm64.digest(), attestations[1].digest()].map(str::to_owned);
    let [of_amd64, of_arm64] = attestations;
    let root = testkit::image::IndexBuilder::new(testkit::image::Format::Oci)
        .children([amd64, arm64, of_amd64, of_arm64])
        .field("annotations", json!({"z": "1", "a": "2"}))
        .field("artifactType", json!("application/vnd.example"))
        .field("com.example.unknown", json!([1, 2.50, null]))
        .pretty()
        .build();
    let run = Run::of(&root, &["--arch", "arm64"]);
    assert_eq!(run.entries("v1"), kept);
    let mut expected = root.root().json();
    let entries = expected["manifests"].as_array_mut().unwrap();
    entries.retain(|entry| kept.iter().any(|digest| entry["digest"] == *digest));
    assert_eq!(run.document("v1"), expected);
}

#[test]
fn an_index_without_a_matching_platform_is_skipped_with_that_reason() {
    let amd64 = image(Platform::linux("amd64"));
    let attestation = Image::attestation_of(&amd64);
    let run = Run::of(&Image::index([amd64, attestation]), &["--os", "windows"]);
    let skipped = run.outcome.lines("skipped");
    assert_eq!(skipped.len(), 1);
    assert!(
        skipped[0].contains("no platform of it passes --os windows"),
        "{skipped:?}"
    );
    assert_eq!(run.destination.state().repositories(), [""; 0]);
}

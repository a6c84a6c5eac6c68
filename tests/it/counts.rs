//! The program sends no request whose answer it knows: three golden cases. Each other number of requests is asserted
//! once, in the lowest crate that can prove it (docs/development.md#testing).

use testkit::{Image, Kind, Layer, Profile};

use crate::support::{World, image, index};

/// Requests of a new image at the destination, without its uploads.
const NEW: [Kind; 2] = [Kind::ManifestHead, Kind::ManifestPut];

/// Returns registries of one kind with `a:v1` at the source.
fn world(image: &Image, profile: &Profile) -> World {
    World::with_profile(profile, "SRC/a:v1: DST/a\n").with("a", "v1", image)
}

/// Copies `a:v1`, and returns the sorted kinds of requests to source and destination.
fn run(world: &World, flags: &[&str]) -> [Vec<Kind>; 2] {
    world.clear_requests();
    world.run(flags).exits(0);
    [&world.source, &world.destination].map(|registry| {
        let mut kinds: Vec<Kind> = registry.requests().iter().map(|r| r.kind).collect();
        kinds.sort_by_key(|kind| format!("{kind:?}"));
        kinds
    })
}

/// Returns registries with and without the referrers API.
fn profiles() -> [Profile; 2] {
    [Profile::zot(), Profile::distribution()]
}

/// Returns the requests that are not about blobs.
fn without_blobs(kinds: &[Kind]) -> Vec<Kind> {
    let blobs = [
        Kind::BlobGet,
        Kind::Mount,
        Kind::UploadPost,
        Kind::UploadPut,
    ];
    let rest = kinds.iter().copied();
    rest.filter(|kind| !blobs.contains(kind)).collect()
}

#[test]
fn an_unchanged_image_costs_a_head_at_each_end() {
    for profile in profiles() {
        for image in [image("a"), index("a")] {
            let runs = world(&image, &profile);
            run(&runs, &["--no-referrers"]);
            let expected = [[Kind::ManifestHead], [Kind::ManifestHead]];
            assert_eq!(run(&runs, &["--no-referrers"]), expected);
        }
    }
}

#[test]
fn a_new_image_of_l_layers_costs_3l_and_7() {
    for layers in [1, 5, 12] {
        // With referrers, a list of tags and a request at the source.
        for (flags, more) in [(&["--no-referrers"][..], 0), (&[], 2)] {
            let image =
                Image::single((0..layers).map(|n| Layer::tar(&format!("layer {n}"), 1_000)));
            let [source, destination] = run(&world(&image, &Profile::distribution()), flags);
            assert_eq!(
                source.len() + destination.len(),
                3 * layers + 7 + more,
                "{layers} layers: {source:?} {destination:?}"
            );
            assert_eq!(without_blobs(&destination), NEW);
        }
    }
}

#[test]
fn a_signature_costs_a_push_and_a_late_one_another_request() {
    let image = image("a");
    let signature = Image::referrer_of(&image, "application/vnd.example.signature", "signed");
    let runs = world(&image, &Profile::zot());
    runs.source.push("a", None, &signature);
    let [source, destination] = run(&runs, &[]);
    // For the image and for its signature, which has no referrers.
    let count = |kind| source.iter().filter(|found| **found == kind).count();
    assert_eq!((count(Kind::Referrers), count(Kind::ManifestGet)), (2, 2));
    // The image by its digest, the signature, and the image by its tag.
    let expected = [
        Kind::ManifestHead,
        Kind::ManifestPut,
        Kind::ManifestPut,
        Kind::ManifestPut,
        // Once for the registry, to find out if it lists the push by itself.
        Kind::Referrers,
    ];
    assert_eq!(without_blobs(&destination), expected);

    let [source, destination] = run(&runs, &[]);
    assert_eq!(source, [Kind::ManifestHead, Kind::Referrers, Kind::Tags]);
    assert_eq!(destination, [Kind::ManifestHead, Kind::Referrers]);

    let late = Image::referrer_of(&image, "application/vnd.example.signature", "late");
    runs.source.push("a", None, &late);
    let [_, destination] = run(&runs, &[]);
    // The records know the empty config, so one HEAD looks for it.
    let expected = [
        Kind::BlobHead,
        Kind::ManifestHead,
        Kind::ManifestPut,
        Kind::Referrers,
    ];
    assert_eq!(without_blobs(&destination), expected);
}

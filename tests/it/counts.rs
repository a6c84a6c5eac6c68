//! The program sends no request whose answer it knows.

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
fn referrers_of_an_unchanged_image_cost_a_list_of_tags_and_a_request_at_the_source() {
    for profile in profiles() {
        for image in [image("a"), index("a")] {
            let runs = world(&image, &profile);
            run(&runs, &[]);
            let [source, destination] = run(&runs, &[]);
            assert_eq!(source, [Kind::ManifestHead, Kind::Referrers, Kind::Tags]);
            assert_eq!(destination, [Kind::ManifestHead]);
        }
    }
}

#[test]
fn a_source_without_referrers_api_gets_one_request_for_all_images() {
    let runs = world(&image("a"), &Profile::distribution());
    runs.source.push("a", Some("v2"), &index("b"));
    let rules = format!("{}/a: {}/a\n", runs.source.host(), runs.destination.host());
    std::fs::write(runs.place.path("images.yaml"), rules).unwrap();
    for _ in 0..2 {
        let [source, _] = run(&runs, &[]);
        let count = |kind| source.iter().filter(|found| **found == kind).count();
        assert_eq!((count(Kind::Referrers), count(Kind::Tags)), (1, 1));
    }
}

#[test]
fn a_new_image_of_l_layers_costs_at_most_3l_and_7() {
    for layers in [1, 5, 12] {
        for (flags, more) in [(&["--no-referrers"][..], 0), (&[], 2)] {
            let image =
                Image::single((0..layers).map(|n| Layer::tar(&format!("layer {n}"), 1_000)));
            let [source, destination] = run(&world(&image, &Profile::distribution()), flags);
            let requests = source.len() + destination.len();
            assert!(
                requests <= 3 * layers + 7 + more,
                "{layers} layers: {requests} requests: {source:?} {destination:?}"
            );
            assert_eq!(without_blobs(&destination), NEW);
        }
    }
}

#[test]
fn a_new_index_costs_a_referrers_request_for_each_manifest() {
    let [source, destination] = run(&world(&index("a"), &Profile::zot()), &[]);
    let count = |kind| source.iter().filter(|found| **found == kind).count();
    assert_eq!((count(Kind::Referrers), count(Kind::Tags)), (1 + 3, 1));
    assert!(!destination.contains(&Kind::Referrers));
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

#[test]
fn without_the_api_the_fallback_tag_is_read_and_written() {
    let image = image("a");
    let signature = Image::referrer_of(&image, "application/vnd.example.signature", "signed");
    let runs = world(&image, &Profile::distribution());
    runs.source.push("a", None, &signature);
    let list = Image::fallback_index([&signature]);
    runs.source.push("a", Some(&image.cosign_tag("")), &list);
    let [_, destination] = run(&runs, &[]);
    let expected = [
        // The list of referrers, which is missing, and a check that the final list is ours.
        Kind::ManifestGet,
        Kind::ManifestHead,
        Kind::ManifestHead,
        // The image by its digest, the signature, the list, and the image by its tag.
        Kind::ManifestPut,
        Kind::ManifestPut,
        Kind::ManifestPut,
        Kind::ManifestPut,
        Kind::Referrers,
    ];
    assert_eq!(without_blobs(&destination), expected);
    let [source, destination] = run(&runs, &[]);
    let expected = [
        Kind::ManifestGet,
        Kind::ManifestHead,
        Kind::Referrers,
        Kind::Tags,
    ];
    assert_eq!(source, expected);
    assert_eq!(
        destination,
        [Kind::ManifestGet, Kind::ManifestHead, Kind::Referrers]
    );
}

//! The program sends no request whose answer it knows.

use testkit::{Image, Kind, Layer, Profile, Registry};

use crate::support::{Place, image, index, insecure};

/// Requests of a new image at the destination, without its uploads.
const NEW: [Kind; 2] = [Kind::ManifestHead, Kind::ManifestPut];

/// Copies `a:v1`, again and again; gives the kinds of requests of each run at source and destination.
struct Runs {
    source: Registry,
    destination: Registry,
    place: Place,
}

impl Runs {
    /// Between registries of one kind.
    fn of(image: &Image, profile: &Profile) -> Self {
        let start = || {
            Registry::builder()
                .profile(profile.clone())
                .start_on_thread()
        };
        let (source, destination) = (start(), start());
        source.push("a", Some("v1"), image);
        let place = Place::new()
            .file(
                "images.yaml",
                &format!("{}/a:v1: {}/a\n", source.host(), destination.host()),
            )
            .file("auth.yaml", &insecure(&[&source, &destination]));
        Self {
            source,
            destination,
            place,
        }
    }

    fn run(&self, flags: &[&str]) -> [Vec<Kind>; 2] {
        self.source.clear_requests();
        self.destination.clear_requests();
        let files = ["--images", "images.yaml", "--auth", "auth.yaml"];
        self.place.run(&[&files, flags].concat()).exits(0);
        [&self.source, &self.destination].map(|registry| {
            let mut kinds: Vec<Kind> = registry.requests().iter().map(|r| r.kind).collect();
            kinds.sort_by_key(|kind| format!("{kind:?}"));
            kinds
        })
    }
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
            let runs = Runs::of(&image, &profile);
            runs.run(&["--no-referrers"]);
            let expected = [[Kind::ManifestHead], [Kind::ManifestHead]];
            assert_eq!(runs.run(&["--no-referrers"]), expected);
        }
    }
}

#[test]
fn referrers_of_an_unchanged_image_cost_a_list_of_tags_and_a_request_at_the_source() {
    for profile in profiles() {
        for image in [image("a"), index("a")] {
            let runs = Runs::of(&image, &profile);
            runs.run(&[]);
            let [source, destination] = runs.run(&[]);
            assert_eq!(source, [Kind::ManifestHead, Kind::Referrers, Kind::Tags]);
            assert_eq!(destination, [Kind::ManifestHead]);
        }
    }
}

#[test]
fn a_source_without_referrers_api_gets_one_request_for_all_images() {
    let runs = Runs::of(&image("a"), &Profile::distribution());
    runs.source.push("a", Some("v2"), &index("b"));
    let rules = format!("{}/a: {}/a\n", runs.source.host(), runs.destination.host());
    std::fs::write(runs.place.path("images.yaml"), rules).unwrap();
    for _ in 0..2 {
        let [source, _] = runs.run(&[]);
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
            let [source, destination] = Runs::of(&image, &Profile::distribution()).run(flags);
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
    let [source, destination] = Runs::of(&index("a"), &Profile::zot()).run(&[]);
    let count = |kind| source.iter().filter(|found| **found == kind).count();
    assert_eq!((count(Kind::Referrers), count(Kind::Tags)), (1 + 3, 1));
    assert!(!destination.contains(&Kind::Referrers));
}

#[test]
fn a_signature_costs_a_push_and_a_late_one_another_request() {
    let image = image("a");
    let signature = Image::referrer_of(&image, "application/vnd.example.signature", "signed");
    let runs = Runs::of(&image, &Profile::zot());
    runs.source.push("a", None, &signature);
    let [source, destination] = runs.run(&[]);
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

    let [source, destination] = runs.run(&[]);
    assert_eq!(source, [Kind::ManifestHead, Kind::Referrers, Kind::Tags]);
    assert_eq!(destination, [Kind::ManifestHead, Kind::Referrers]);

    let late = Image::referrer_of(&image, "application/vnd.example.signature", "late");
    runs.source.push("a", None, &late);
    let [_, destination] = runs.run(&[]);
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
    let runs = Runs::of(&image, &Profile::distribution());
    runs.source.push("a", None, &signature);
    let list = Image::fallback_index([&signature]);
    runs.source.push("a", Some(&image.cosign_tag("")), &list);
    let [_, destination] = runs.run(&[]);
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
    let [source, destination] = runs.run(&[]);
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

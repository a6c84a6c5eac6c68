//! Requests for referrers, counted at both ends, with and without the referrers API.

use std::sync::Arc;
use std::time::Duration;

use image_syncer_sync::inventory::records::Records;
use testkit::{Image, Kind, Layer, Profile, Registry};

use crate::kit::{image, index};

use crate::run::{rule, run, settings};
use crate::settings::Settings;

/// Upper bound for a failing test only.
const PATIENCE: Duration = Duration::from_secs(60);

const SIGNATURE: &str = "application/vnd.example.signature";

/// Requests that a registry received, by kind and reference, sorted.
type Requests = Vec<(Kind, String)>;

/// A source and a destination of one profile, with a records file.
struct Pair {
    source: Registry,
    destination: Registry,
    directory: tempfile::TempDir,
}

impl Pair {
    async fn new(profile: &Profile) -> Self {
        Self::between(profile, profile).await
    }
    async fn between(source: &Profile, destination: &Profile) -> Self {
        Self {
            source: Registry::start(source.clone()).await,
            destination: Registry::start(destination.clone()).await,
            directory: tempfile::tempdir().unwrap(),
        }
    }
    /// Copies `a` with these tags and its referrers. Returns the requests at source and destination.
    async fn copy(&self, tags: &str) -> [Requests; 2] {
        self.copy_with(tags, settings(&[])).await
    }
    /// Does the same with these settings.
    async fn copy_with(&self, tags: &str, settings: Settings) -> [Requests; 2] {
        let both = [&self.source, &self.destination];
        for registry in both {
            registry.clear_requests();
        }
        let path = self.directory.path().join("records.sqlite3");
        let records = Arc::new(Records::open(&path, |error| panic!("{error}")).unwrap());
        let settings = Settings {
            referrers: Some(Arc::default()),
            records: Some(Arc::clone(&records)),
            ..settings
        };
        let from = format!("{}/a{tags}", self.source.host());
        let to = format!("{}/a", self.destination.host());
        let (summary, _) = run(&both, vec![rule(&from, &[to])], settings).await;
        records.close(PATIENCE);
        assert_eq!(summary.failed, 0, "{:?}", summary.failures);
        both.map(requests)
    }
    /// Does the same, and returns the kinds of the requests.
    async fn copy_kinds(&self, tags: &str) -> [Vec<Kind>; 2] {
        self.copy(tags).await.map(|requests| kinds(&requests))
    }
}

/// Returns the requests of a registry, without the scheme probe.
fn requests(registry: &Registry) -> Requests {
    let requests = registry.requests().into_iter();
    let mut requests: Requests = requests
        .filter(|request| request.kind != Kind::Ping)
        .map(|request| (request.kind, request.reference.unwrap_or_default()))
        .collect();
    requests.sort();
    requests
}

/// Returns the kinds, sorted by name.
fn kinds(requests: &Requests) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = requests.iter().map(|(kind, _)| *kind).collect();
    kinds.sort_by_key(|kind| format!("{kind:?}"));
    kinds
}

fn count(kinds: &[Kind], wanted: Kind) -> usize {
    kinds.iter().filter(|kind| **kind == wanted).count()
}

/// Returns the requests that are not about blobs.
fn without_blobs(kinds: Vec<Kind>) -> Vec<Kind> {
    let blobs = |kind: &Kind| kind.gives_blob() || kind.takes_blob() || *kind == Kind::Mount;
    kinds.into_iter().filter(|kind| !blobs(kind)).collect()
}

/// Returns registries with and without the referrers API.
fn profiles() -> [Profile; 2] {
    [Profile::zot(), Profile::distribution()]
}

#[tokio::test]
async fn referrers_of_an_unchanged_image_cost_a_list_of_tags_and_a_request_at_the_source() {
    for profile in profiles() {
        for image in [image(1), index(1)] {
            let pair = Pair::new(&profile).await;
            pair.source.push("a", Some("v1"), &image);
            pair.copy(":v1").await;
            let [source, destination] = pair.copy_kinds(":v1").await;
            assert_eq!(source, [Kind::ManifestHead, Kind::Referrers, Kind::Tags]);
            assert_eq!(destination, [Kind::ManifestHead]);
        }
    }
}

#[tokio::test]
async fn a_source_without_referrers_api_gets_one_request_for_all_images() {
    let pair = Pair::new(&Profile::distribution()).await;
    pair.source.push("a", Some("v1"), &image(1));
    pair.source.push("a", Some("v2"), &index(10));
    for _ in 0..2 {
        let [source, _] = pair.copy_kinds("").await;
        let counts = (count(&source, Kind::Referrers), count(&source, Kind::Tags));
        assert_eq!(counts, (1, 1));
    }
}

#[tokio::test]
async fn tags_with_one_digest_cost_one_referrers_request() {
    let pair = Pair::new(&Profile::zot()).await;
    let image = index(1);
    for tag in ["v1", "v1.2", "v1.2.3", "latest"] {
        pair.source.push("a", Some(tag), &image);
    }
    // Of a new image, each child is queried as well.
    for expected in [1 + 3, 1] {
        let [source, _] = pair.copy_kinds("").await;
        assert_eq!(count(&source, Kind::Referrers), expected);
    }
}

#[tokio::test]
async fn a_gateway_that_refuses_the_api_gets_three_requests_for_a_repository() {
    let gateway = Profile {
        referrers: testkit::profile::Referrers::Refused(403),
        ..Profile::distribution()
    };
    let pair = Pair::between(&gateway, &Profile::zot()).await;
    for number in 0..8 {
        pair.source
            .push("a", Some(&format!("v{number}")), &image(number));
    }
    // The list of tags shows that there are no fallback tags. Requests that are under way already are not withdrawn.
    let in_turn = Settings {
        images: 1,
        ..settings(&[])
    };
    for _ in 0..2 {
        let [source, _] = pair.copy_with("", in_turn.clone()).await;
        assert_eq!(count(&kinds(&source), Kind::Referrers), 3);
    }
}

#[tokio::test]
async fn a_new_index_costs_a_referrers_request_for_each_manifest() {
    let pair = Pair::new(&Profile::zot()).await;
    pair.source.push("a", Some("v1"), &index(1));
    let [source, destination] = pair.copy_kinds(":v1").await;
    let counts = (count(&source, Kind::Referrers), count(&source, Kind::Tags));
    assert_eq!(counts, (1 + 3, 1));
    assert!(!destination.contains(&Kind::Referrers));
}

#[tokio::test]
async fn without_the_api_the_fallback_tag_is_read_and_written() {
    let pair = Pair::new(&Profile::distribution()).await;
    let image = image(1);
    let signature = Image::referrer_of(&image, SIGNATURE, "signed");
    pair.source.push("a", Some("v1"), &image);
    pair.source.push("a", None, &signature);
    let list = Image::fallback_index([&signature]);
    pair.source.push("a", Some(&image.cosign_tag("")), &list);
    let [_, destination] = pair.copy_kinds(":v1").await;
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
    assert_eq!(without_blobs(destination), expected);
    let [source, destination] = pair.copy_kinds(":v1").await;
    let expected = [
        Kind::ManifestGet,
        Kind::ManifestHead,
        Kind::Referrers,
        Kind::Tags,
    ];
    assert_eq!(source, expected);
    let expected = [Kind::ManifestGet, Kind::ManifestHead, Kind::Referrers];
    assert_eq!(destination, expected);
}

/// Returns the digests and tags of the manifests that a registry received, in order.
fn pushed(registry: &Registry) -> Vec<String> {
    let puts = registry.requests().into_iter();
    puts.filter(|request| request.kind == Kind::ManifestPut)
        .filter_map(|request| request.reference)
        .collect()
}

#[tokio::test]
async fn late_signatures_in_both_forms_cost_their_own_requests_only() {
    for (to, is_listed) in [(Profile::strict(), true), (Profile::distribution(), false)] {
        let pair = Pair::between(&Profile::strict(), &to).await;
        let image = index(1);
        pair.source.push("a", Some("v1"), &image);
        pair.copy(":v1").await;
        // Both have the same payload.
        let payload = Layer::synthetic(300, 50);
        let by_subject = Image::oci()
            .layer(payload.clone())
            .label("late")
            .subject(image.root())
            .build();
        let (by_tag, tag) = (Image::single([payload.clone()]), image.cosign_tag("sig"));
        pair.source.push("a", None, &by_subject);
        pair.source.push("a", Some(&tag), &by_tag);
        pair.copy(":v1").await;
        let fallback = image.cosign_tag("");
        let mut expected = vec![by_subject.digest().to_owned()];
        expected.extend((!is_listed).then(|| fallback.clone()));
        expected.push(tag.clone());
        assert_eq!(pushed(&pair.destination), expected);
        let bytes = by_subject.blob_bytes() + by_tag.blob_bytes() - payload.size();
        assert_eq!(pair.source.bytes_sent(), bytes);
        assert_eq!(pair.destination.bytes_received(), bytes);

        let [source, destination] = pair.copy(":v1").await;
        // The image, a referrers request for its root, and the tag of cosign from the list of the source's tags.
        let of = |kind, reference: &str| (kind, reference.to_owned());
        let mut at_source = vec![
            of(Kind::ManifestHead, "v1"),
            of(Kind::Tags, ""),
            of(Kind::Referrers, image.digest()),
            of(Kind::ManifestHead, &tag),
        ];
        let mut at_destination = vec![
            of(Kind::ManifestHead, "v1"),
            of(Kind::Referrers, image.digest()),
            of(Kind::ManifestHead, &tag),
        ];
        if !is_listed {
            at_destination.push(of(Kind::ManifestGet, &fallback));
        }
        at_source.sort();
        at_destination.sort();
        assert_eq!((source, destination), (at_source, at_destination));
    }
}

//! Requests for the referrers of unchanged images at a source that lists tags with referrers, as Harbor does.

use std::sync::Arc;
use std::time::Duration;

use image_syncer_registry::auth::{Credential, Secret};
use image_syncer_registry::transport::TransportOptions;
use image_syncer_sync::inventory::records::Records;
use image_syncer_sync::report::Summary;
use image_syncer_sync::rule::Referrers;
use testkit::auth::{Access, TokenRules};
use testkit::profile::{ListKind, ListingApi, ListingFault};
use testkit::{Auth, Image, Kind, Profile, Registry};

use crate::kit::{image, index, stores_with};
use crate::run::{rule, run_over, settings};
use crate::settings::Settings;

/// Upper bound for a failing test only.
const PATIENCE: Duration = Duration::from_secs(60);

const SIGNATURE: &str = "application/vnd.example.signature";

/// Number of tags at the source: the first half are images, the others indexes of three.
const TAGS: usize = 20;
const HALF: usize = TAGS / 2;

/// Harbor as the source, and a destination with the referrers API, with a records file.
struct Pair {
    source: Registry,
    destination: Registry,
    directory: tempfile::TempDir,
}

impl Pair {
    /// Returns registries where the source has [`TAGS`] tags and lists them with this fault.
    async fn new(fault: Option<ListingFault>) -> Self {
        let api = ListingApi::harbor();
        let profile = Profile {
            listing_api: Some(match fault {
                Some(fault) => api.fault(ListKind::Tags, fault),
                None => api,
            }),
            ..Profile::harbor()
        };
        let access = Access::new().user("u", "p");
        let source = Registry::builder()
            .profile(profile)
            .auth(Auth::Bearer(access, TokenRules::harbor()))
            .start()
            .await;
        for number in 0..TAGS {
            source.push("team/app", Some(&format!("v{number}")), &content(number));
        }
        Self {
            source,
            destination: Registry::start(Profile::zot()).await,
            directory: tempfile::tempdir().unwrap(),
        }
    }
    /// Copies the repository with records. Returns the summary and the number of referrers requests at the source.
    async fn copy(&self, settings: Settings) -> (Summary, usize) {
        self.copy_tags("", settings).await
    }
    /// Copies these tags with records.
    async fn copy_tags(&self, tags: &str, settings: Settings) -> (Summary, usize) {
        let path = self.directory.path().join("records.sqlite3");
        let records = Arc::new(Records::open(&path, |error| panic!("{error}")).unwrap());
        let with_records = Settings {
            records: Some(Arc::clone(&records)),
            ..settings
        };
        let result = self.run(tags, with_records).await;
        records.close(PATIENCE);
        result
    }
    async fn run(&self, tags: &str, settings: Settings) -> (Summary, usize) {
        let both = [&self.source, &self.destination];
        for registry in both {
            registry.clear_requests();
        }
        let credential = Credential::Basic {
            username: "u".to_owned(),
            password: Secret::new("p"),
        };
        let stores = stores_with(&both, &credential, TransportOptions::default());
        let from = format!("{}/team/app{tags}", self.source.host());
        let to = format!("{}/team/app", self.destination.host());
        let (summary, _) = run_over(stores, &both, vec![rule(&from, &[to])], settings).await;
        assert_eq!(summary.failed, 0, "{:?}", summary.failures);
        (summary, count(&self.source, Kind::Referrers))
    }
    /// Pushes a signature of the image with this number to the source.
    fn sign(&self, number: usize) -> Image {
        let signature = Image::referrer_of(&content(number), SIGNATURE, &number.to_string());
        self.source.push("team/app", None, &signature);
        signature
    }
    fn is_copied(&self, image: &Image) -> bool {
        let state = self.destination.state();
        state.manifest("team/app", image.digest()).is_some()
    }
}

fn content(number: usize) -> Image {
    let seed = 10 * number as u64;
    if number < HALF {
        image(seed)
    } else {
        index(seed)
    }
}

fn count(registry: &Registry, kind: Kind) -> usize {
    registry.count(|request| request.kind == kind)
}

fn with(referrers: Referrers) -> Settings {
    Settings {
        referrers: Some(Arc::new(referrers)),
        ..settings(&[])
    }
}

fn with_referrers() -> Settings {
    with(Referrers::default())
}

#[tokio::test]
async fn a_list_with_accessories_answers_for_the_whole_repository() {
    let pair = Pair::new(None).await;
    let early = pair.sign(0);
    // Each manifest of a new image is queried, and the signature.
    let (summary, asked) = pair.copy(with_referrers()).await;
    assert_eq!(summary.copied, TAGS as u64);
    assert_eq!(asked, HALF + 4 * HALF + 1);
    assert!(pair.is_copied(&early));
    // The signed image alone.
    for _ in 0..2 {
        let (summary, asked) = pair.copy(with_referrers()).await;
        assert_eq!((summary.unchanged, asked), (TAGS as u64, 1));
        assert_eq!(count(&pair.source, Kind::ManifestHead), 0);
        assert_eq!(count(&pair.destination, Kind::Referrers), 1);
    }
    // A later signature is listed, so that its image is queried.
    let late = [pair.sign(1), pair.sign(HALF)];
    let (summary, asked) = pair.copy(with_referrers()).await;
    assert_eq!((summary.referrers, asked), (2, 3 + 2));
    assert!(late.iter().all(|late| pair.is_copied(late)));
}

#[tokio::test]
async fn cosign_tags_are_found_beside_a_list_with_accessories() {
    let pair = Pair::new(None).await;
    pair.copy(with_referrers()).await;
    let attestation = image(5_000);
    let tag = content(3).cosign_tag("att");
    pair.source.push("team/app", Some(&tag), &attestation);
    let (summary, asked) = pair.copy(with_referrers()).await;
    // The attestation itself.
    assert_eq!((summary.referrers, asked), (1, 1));
    assert_eq!(
        pair.destination.state().digest("team/app", &tag).as_deref(),
        Some(attestation.digest())
    );
}

#[tokio::test]
async fn a_list_proves_nothing_before_the_referrers_were_requested_once() {
    // Harbor before 2.9.2 does not list a signature that was pushed before its image.
    let pair = Pair::new(Some(ListingFault::HidesAccessories)).await;
    for number in 0..TAGS {
        let tag = format!("v{number}");
        pair.destination
            .push("team/app", Some(&tag), &content(number));
    }
    let hidden = pair.sign(2);
    let (summary, asked) = pair.run("", with_referrers()).await;
    // The images, and the signature.
    assert_eq!((summary.referrers, asked), (1, TAGS + 1));
    assert!(pair.is_copied(&hidden));
    // Without records it is not known that they were requested.
    let (_, asked) = pair.run("", with_referrers()).await;
    assert_eq!(asked, TAGS);
    let (_, asked) = pair.copy(with_referrers()).await;
    assert_eq!(asked, TAGS);
    let (summary, asked) = pair.copy(with_referrers()).await;
    assert_eq!((summary.unchanged, asked), (TAGS as u64, 0));
}

#[tokio::test]
async fn a_list_answers_for_tags_that_a_rule_names() {
    let pair = Pair::new(None).await;
    let tags: Vec<String> = (0..TAGS).map(|number| format!("v{number}")).collect();
    let tags = format!(":{}", tags.join(","));
    for expected in [HALF + 4 * HALF, 0] {
        let (_, asked) = pair.copy_tags(&tags, with_referrers()).await;
        assert_eq!(asked, expected);
    }
    pair.sign(4);
    let (summary, asked) = pair.copy_tags(&tags, with_referrers()).await;
    assert_eq!((summary.referrers, asked), (1, 1 + 1));
}

#[tokio::test]
async fn every_image_is_queried_where_the_list_has_no_accessories() {
    // Harbor before 2.5.
    let pair = Pair::new(Some(ListingFault::NoAccessories)).await;
    for expected in [HALF + 4 * HALF, TAGS, TAGS] {
        let (_, asked) = pair.copy(with_referrers()).await;
        assert_eq!(asked, expected);
    }
}

#[tokio::test]
async fn deep_and_distrustful_runs_query_every_manifest() {
    let pair = Pair::new(None).await;
    pair.copy(with_referrers()).await;
    let deep = with(Referrers {
        deep: true,
        ..Referrers::default()
    });
    let verify = Settings {
        verify: true,
        ..with_referrers()
    };
    let force = Settings {
        force: true,
        ..with_referrers()
    };
    for settings in [deep, verify, force] {
        let (_, asked) = pair.copy(settings).await;
        assert_eq!(asked, HALF + 4 * HALF);
    }
}

//! Counts of a repository with signature tags: the tags belong to their images, in every kind of run.

use std::sync::Arc;
use std::time::Duration;

use image_syncer_registry::auth::{Credential, Secret};
use image_syncer_registry::transport::TransportOptions;
use image_syncer_sync::inventory::records::Records;
use image_syncer_sync::report::Summary;
use image_syncer_sync::rule::Immutable;
use image_syncer_sync::settings::Intent;
use testkit::{Auth, Image, Profile, Registry};

use crate::kit::{image, index, stores_with};
use crate::run::{rule, run_over, settings};
use crate::settings::Settings;

/// Upper bound for a failing test only.
const PATIENCE: Duration = Duration::from_secs(60);

/// Number of images by their outcome: new, moved, copied, unchanged, skipped, failed.
type Counts = [u64; 6];

/// A source and an empty destination of the same profile, and a records file.
struct Signed {
    source: Registry,
    destination: Registry,
    directory: tempfile::TempDir,
}

/// Signature tag whose subject does not exist.
fn orphan() -> String {
    image(99).cosign_tag("sig")
}

impl Signed {
    /// The source has `v1`, an index whose manifests all have a signature tag, a referrer and a fallback tag, and the
    /// signature tag of a missing image.
    async fn new(profile: &Profile, auth: Option<Auth>) -> Self {
        let builder = || Registry::builder().profile(profile.clone());
        let source = builder().start().await;
        let destination = match auth {
            Some(auth) => builder().auth(auth).start().await,
            None => builder().start().await,
        };
        let signed = index(1);
        source.push("a", Some("v1"), &signed);
        for (seed, manifest) in (50..).zip(signed.manifests().iter().chain([signed.root()])) {
            let tag = manifest.digest.replace(':', "-");
            source.push("a", Some(&format!("{tag}.sig")), &image(seed));
            let referrer = Image::artifact("application/x").subject(manifest).build();
            source.push("a", None, &referrer);
            source.push("a", Some(&tag), &Image::fallback_index([&referrer]));
        }
        source.push("a", Some(&orphan()), &image(98));
        Self {
            source,
            destination,
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// Runs with `intent`, for these architectures and with these immutable tags. Returns the counts and the summary.
    async fn run(&self, intent: Intent, arch: &[&str], immutable: &[&str]) -> (Counts, Summary) {
        let path = self.directory.path().join("records.sqlite3");
        let records = Arc::new(Records::open(&path, |error| panic!("{error}")).unwrap());
        let patterns: Vec<String> = immutable.iter().map(|text| (*text).to_owned()).collect();
        let settings = Settings {
            intent,
            referrers: Some(Arc::default()),
            records: Some(Arc::clone(&records)),
            immutable: Arc::new(Immutable::parse(&patterns).unwrap()),
            ..settings(arch)
        };
        let wrong = Credential::Basic {
            username: "u".to_owned(),
            password: Secret::new("wrong"),
        };
        let servers = [&self.source, &self.destination];
        let stores = stores_with(&servers, &wrong, TransportOptions::default());
        let from = format!("{}/a", self.source.host());
        let rules = vec![rule(&from, &[format!("{}/a", self.destination.host())])];
        let (summary, _) = run_over(stores, &servers, rules, settings).await;
        records.close(PATIENCE);
        let counts = [
            summary.planned_new,
            summary.planned_moved,
            summary.copied,
            summary.unchanged,
            summary.skipped,
            summary.failed,
        ];
        (counts, summary)
    }

    async fn counts(&self, intent: Intent) -> Counts {
        self.run(intent, &[], &[]).await.0
    }
}

fn profiles() -> [Profile; 2] {
    [Profile::strict(), Profile::distribution()]
}

const INTENTS: [Intent; 3] = [Intent::Check, Intent::Plan, Intent::Copy];
const UNCHANGED: Counts = [0, 0, 0, 2, 0, 0];

#[tokio::test]
async fn every_run_counts_the_image_and_the_orphan_before_and_after_the_copy() {
    for profile in profiles() {
        let signed = Signed::new(&profile, None).await;
        for intent in [Intent::Check, Intent::Plan] {
            assert_eq!(
                signed.counts(intent).await,
                [2, 0, 0, 0, 0, 0],
                "{intent:?}"
            );
        }
        let (counts, summary) = signed.run(Intent::Copy, &[], &[]).await;
        assert_eq!((counts, summary.referrers), ([0, 0, 2, 0, 0, 0], 8));
        let there = signed.destination.state().digest("a", &orphan());
        assert_eq!(there.as_deref(), Some(image(98).digest()));
        for _ in 0..2 {
            for intent in INTENTS {
                assert_eq!(signed.counts(intent).await, UNCHANGED, "{intent:?}");
            }
        }
        // The records settle the image without a query of its manifests.
        for _ in 0..2 {
            for intent in [Intent::Copy, Intent::Check] {
                let (counts, summary) = signed.run(intent, &[], &["v*"]).await;
                assert_eq!((counts, summary.recorded), (UNCHANGED, 1), "{intent:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_moved_tag_and_a_refused_login_count_no_signature_tags() {
    for profile in profiles() {
        let signed = Signed::new(&profile, None).await;
        signed.destination.push("a", Some("v1"), &index(10));
        assert_eq!(signed.counts(Intent::Check).await, [1, 1, 0, 0, 0, 0]);

        let auth = Auth::basic("u", "right");
        let signed = Signed::new(&profile, Some(auth)).await;
        for intent in INTENTS.into_iter().chain([Intent::Copy]) {
            assert_eq!(
                signed.counts(intent).await,
                [0, 0, 0, 0, 0, 2],
                "{intent:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_platform_filter_counts_no_signature_tags() {
    for profile in profiles() {
        let signed = Signed::new(&profile, None).await;
        let run = async |intent, arch: &[&str]| signed.run(intent, arch, &[]).await.0;
        assert_eq!(run(Intent::Plan, &["amd64"]).await, [2, 0, 0, 0, 0, 0]);
        assert_eq!(run(Intent::Copy, &["amd64"]).await, [0, 0, 2, 0, 0, 0]);
        for _ in 0..2 {
            assert_eq!(run(Intent::Copy, &["amd64"]).await, UNCHANGED);
        }
        // Equal digests settle the orphan; no platform of the index passes.
        assert_eq!(run(Intent::Copy, &["ppc64le"]).await, [0, 0, 0, 1, 1, 0]);
    }
}

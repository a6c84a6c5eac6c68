//! Runs that lose the right to write tags.

use std::fmt::{Debug, Formatter, Result as FmtResult};
use std::sync::{Arc, Mutex};

use image_syncer_registry::Options;
use image_syncer_registry::auth::{Credential, Keychain, KeychainEntry};
use image_syncer_registry::transport::{Transport, TransportOptions};
use image_syncer_sync::event::{Event, Listener, Outcome};
use image_syncer_sync::failure::{Failure, Responsibility};
use image_syncer_sync::rule::{CopyOptions, Rule};
use image_syncer_sync::session::{Lease, RunOptions, Session, SessionOptions};
use testkit::{Answer, Fault, Image, Kind, Registry};

use crate::kit::{assert_good, image, index, server};
use crate::run::rule;

/// Lease that is held as long as a test says so.
struct HeldWhile<F>(F);

impl<F> Debug for HeldWhile<F> {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        f.write_str("HeldWhile")
    }
}

impl<F: Fn() -> bool + Send + Sync> Lease for HeldWhile<F> {
    fn is_held(&self) -> bool {
        (self.0)()
    }
}

/// Outcomes of the images of a run.
#[derive(Default)]
struct Outcomes(Mutex<Vec<Outcome>>);

impl Listener for Outcomes {
    fn event(&self, event: &Event) {
        if let Event::ImageFinished { outcome, .. } = event {
            self.0.lock().unwrap().push(outcome.clone());
        }
    }
}

/// A source, a destination, and an image to copy from `from/app:v1` to `to/app:v1` with its referrers.
struct Pair {
    source: Arc<Registry>,
    destination: Arc<Registry>,
}

impl Pair {
    async fn with(image: &Image) -> Self {
        let source = Arc::new(server().await);
        source.push("from/app", Some("v1"), image);
        let destination = Arc::new(server().await);
        Self {
            source,
            destination,
        }
    }
    /// Copies the image with `lease`. Returns the failures.
    async fn copy(&self, lease: Option<Arc<dyn Lease>>) -> Vec<Failure> {
        let entry = |server: &Registry| {
            KeychainEntry::new(server.host(), Credential::Anonymous, "the test").with_insecure(true)
        };
        let entries = vec![entry(&self.source), entry(&self.destination)];
        let transport = Arc::new(Transport::new(TransportOptions::default()).unwrap());
        let keychain = Arc::new(Keychain::new(entries, None).unwrap());
        let session = Session::new(Options::new(transport, keychain), SessionOptions::default());
        let from = format!("{}/from/app:v1", self.source.host());
        let rule = rule(&from, &[format!("{}/to/app", self.destination.host())]);
        let mut options = CopyOptions::default();
        options.referrers = Some(Arc::default());
        let rule = Arc::new(Rule {
            options: Arc::new(options),
            ..Rule::clone(&rule)
        });
        let outcomes = Arc::new(Outcomes::default());
        let options = RunOptions::default().with_lease(lease);
        let run = session.run_with(vec![rule], options, outcomes.clone());
        run.wait().await;
        assert_good(&[&self.source, &self.destination]);
        let outcomes = outcomes.0.lock().unwrap();
        assert_eq!(outcomes.len(), 1);
        let failures = outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Failed(failure) => Some(failure.clone()),
            _ => None,
        });
        failures.collect()
    }
    /// Returns the number of manifests that the destination stored, by digest and by tag.
    fn pushed(&self) -> (usize, usize) {
        let stored = |by_digest: bool| {
            self.destination.count(|request| {
                request.kind == Kind::ManifestPut
                    && request.status == 201
                    && request.path.contains("manifests/sha256:") == by_digest
            })
        };
        (stored(true), stored(false))
    }
}

#[tokio::test]
async fn a_tag_that_waits_for_a_pause_is_not_moved_after_the_lease() {
    let image = image(1);
    let pair = Pair::with(&image).await;
    let newer = crate::kit::image(2);
    let destination = Arc::clone(&pair.destination);
    pair.destination.fault(
        Fault::on(Kind::ManifestPut).nth(1),
        Answer::new(429).retry_after(1),
    );
    let is_held = move || {
        let is_refused = destination.count(|request| request.kind == Kind::ManifestPut) > 0;
        if is_refused && destination.state().manifest("to/app", "v1").is_none() {
            // The next holder of the work moves the tag.
            destination.push("to/app", Some("v1"), &newer);
        }
        !is_refused
    };
    let failures = pair.copy(Some(Arc::new(HeldWhile(is_held)))).await;
    assert_eq!(failures.len(), 1);
    let failure = &failures[0];
    assert_eq!(failure.class(), Responsibility::Interrupted);
    assert_eq!(
        failure.reason,
        format!(
            "cannot push manifest to/app:v1 at {}: this worker's lease on the work ended, and another worker copies it, after 2 tries",
            pair.destination.host()
        )
    );
    let (_, stored) = pair.destination.state().manifest("to/app", "v1").unwrap();
    assert_ne!(stored, image.root().bytes);
    assert_eq!(
        pair.destination
            .count(|request| request.kind == Kind::ManifestPut),
        1
    );
}

#[tokio::test]
async fn content_without_a_tag_is_sent_after_the_lease() {
    let index = index(1);
    let pair = Pair::with(&index).await;
    let failures = pair.copy(Some(Arc::new(HeldWhile(|| false)))).await;
    assert_eq!(failures.len(), 1);
    assert_eq!(
        failures[0].reason,
        format!(
            "cannot push manifest to/app:v1 at {}: this worker's lease on the work ended, and another worker copies it",
            pair.destination.host()
        )
    );
    // The three images of the index, and neither a request nor a retry for the tag.
    assert_eq!(pair.pushed(), (3, 0));
    assert_eq!(
        pair.destination
            .count(|request| request.kind == Kind::ManifestPut),
        3
    );
}

#[tokio::test]
async fn a_list_of_referrers_is_not_written_after_the_lease() {
    let image = image(1);
    let pair = Pair::with(&image).await;
    let referrer = Image::referrer_of(&image, "application/vnd.example", "signed");
    pair.source.push("from/app", None, &referrer);
    let fallback = Image::fallback_index([&referrer]);
    let tag = image.digest().replace(':', "-");
    pair.source.push("from/app", Some(&tag), &fallback);
    let failures = pair.copy(Some(Arc::new(HeldWhile(|| false)))).await;
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].class(), Responsibility::Interrupted);
    assert_eq!(pair.pushed().1, 0);
    assert!(pair.destination.state().manifest("to/app", &tag).is_none());
}

#[tokio::test]
async fn a_held_lease_costs_no_request() {
    let mut counts = Vec::new();
    for lease in [None, Some(Arc::new(HeldWhile(|| true)) as Arc<dyn Lease>)] {
        let pair = Pair::with(&index(1)).await;
        assert!(pair.copy(lease).await.is_empty());
        pair.destination.verify_complete("to/app", "v1").unwrap();
        let count = |server: &Registry| server.count(|request| request.kind != Kind::Ping);
        counts.push((count(&pair.source), count(&pair.destination)));
    }
    assert_eq!(counts[0], counts[1]);
}

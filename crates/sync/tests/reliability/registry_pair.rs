//! Two registries, the target image, and the other images.

use std::sync::Arc;
use std::time::Duration;

use image_syncer_registry::auth::{Credential, Keychain, KeychainEntry};
use image_syncer_registry::transport::{RetryPolicy, Timeouts, Transport, TransportOptions};
use image_syncer_registry::{Options, Registries, Tag, Target};
use image_syncer_sync::Listener;
use image_syncer_sync::engine::Engine;
use image_syncer_sync::report::{Report, Summary};
use image_syncer_sync::rule::{Rule, RuleError};
use image_syncer_sync::settings::RunSettings;
use image_syncer_sync::store::{RegistryStores, Stores};
use testkit::{Auth, Image, Layer, Profile, Registry};
use tokio_util::sync::CancellationToken;

/// Repository of the target image, at the source and at the destination, and its tag.
pub(crate) const FROM: &str = "from/aim";
pub(crate) const TO: &str = "to/aim";
pub(crate) const AIM: &str = "v1";

const OTHER_FROM: &str = "from/other";
pub(crate) const OTHER_TO: &str = "to/other";
const OTHER_TAGS: [&str; 2] = ["a", "b"];

/// Tries after the first.
pub(crate) const RETRIES: u32 = 3;
/// Time of silence that counts as a stall, in tests with stalls and in tests without.
pub(crate) const SHORT_STALL: Duration = Duration::from_millis(250);
pub(crate) const LONG_STALL: Duration = Duration::from_secs(30);

/// A source, a destination, and the images to copy.
pub(crate) struct RegistryPair {
    pub(crate) source: Registry,
    pub(crate) destination: Registry,
    /// The rule for the target image, without the source's host.
    pub(crate) selector: String,
    /// Time of silence that counts as a stall.
    pub(crate) stall: Duration,
    pub(crate) images: usize,
}

/// Returns the layer that the target image shares with the others.
pub(crate) fn shared() -> Layer {
    Layer::synthetic(9_000, 1)
}

/// Returns the target image.
pub(crate) fn aim() -> Image {
    Image::single([shared(), Layer::synthetic(10_000, 2)])
}

/// Returns the digest of the layer that only the target image has.
pub(crate) fn target_layer() -> String {
    Layer::synthetic(10_000, 2).digest().to_owned()
}

fn other(number: usize) -> Image {
    Image::single([shared(), Layer::synthetic(8_000, 10 + number as u64)])
}

impl RegistryPair {
    pub(crate) async fn new(source: Profile, destination: Profile) -> Self {
        Self::with(source, destination, &aim()).await
    }

    /// Creates registries with another target image.
    pub(crate) async fn with(source: Profile, destination: Profile, aim: &Image) -> Self {
        let start = |profile: Profile| {
            Registry::builder()
                .profile(profile)
                .auth(Auth::bearer_anonymous())
                // Other hosts than the registry's, like real token servers and storage hosts.
                .token_hostname("localhost")
                .storage_hostname("localhost")
                .start()
        };
        let (source, destination) = (start(source).await, start(destination).await);
        source.push(FROM, Some(AIM), aim);
        for (number, tag) in OTHER_TAGS.iter().enumerate() {
            source.push(OTHER_FROM, Some(tag), &other(number));
        }
        Self {
            source,
            destination,
            selector: format!("{FROM}:{AIM}"),
            stall: LONG_STALL,
            images: 4,
        }
    }

    /// Copies everything.
    pub(crate) async fn copy(&self) -> Summary {
        let (from, to) = (self.source.host(), self.destination.host());
        let rules = vec![
            rule(
                &format!("{from}/{OTHER_FROM}:a,b"),
                &[format!("{to}/{OTHER_TO}")],
            ),
            rule(
                &format!("{from}/{}", self.selector),
                &[format!("{to}/{TO}")],
            ),
        ];
        let stores = stores(&[&self.source, &self.destination], self.stall);
        self.introduce(&stores).await;
        run(stores, rules, self.images).await
    }

    /// Lets the stores learn scheme and login of both registries, so that no fault affects the first request of all,
    /// which is answered with a challenge.
    async fn introduce(&self, stores: &RegistryStores) {
        for (server, path) in [(&self.source, OTHER_FROM), (&self.destination, OTHER_TO)] {
            let host = image_syncer_registry::Registry::parse(&server.host()).unwrap();
            let repository = image_syncer_registry::Repository::new(host, path).unwrap();
            let tag = Target::Tag(Tag::parse(OTHER_TAGS[0]).unwrap());
            // Some registries answer with an error, which the run meets again.
            let destination = stores.destination(&repository.into()).await.unwrap();
            drop(destination.resolve(&tag).await);
        }
    }

    /// Checks that the target image arrived, every byte of it.
    pub(crate) fn check_target_arrived(&self) -> Result<(), String> {
        self.arrived(FROM, TO, AIM)
    }

    /// Checks that all other images arrived.
    pub(crate) fn check_others_arrived(&self) -> Result<(), String> {
        let mut tags = OTHER_TAGS.iter();
        tags.try_for_each(|tag| self.arrived(OTHER_FROM, OTHER_TO, tag))
    }

    fn arrived(&self, from: &str, to: &str, tag: &str) -> Result<(), String> {
        self.destination.verify_complete(to, tag)?;
        let (here, there) = (self.source.state(), self.destination.state());
        let wanted = here.manifest(from, tag);
        if there.manifest(to, tag) != wanted {
            return Err(format!("{to}:{tag} is another manifest"));
        }
        for blob in here
            .blobs(from)
            .iter()
            .filter(|blob| there.has_blob(to, blob))
        {
            if here.blob(from, blob) != there.blob(to, blob) {
                return Err(format!("{blob} of {to} has other bytes"));
            }
        }
        Ok(())
    }
}

/// Parses a rule from the texts of a file.
pub(crate) fn rule(source: &str, destinations: &[String]) -> Arc<Rule> {
    let no_default = |_: &_| Err(RuleError("no default".to_owned()));
    let destinations: Vec<&str> = destinations.iter().map(String::as_str).collect();
    Arc::new(Rule::parse(source, &destinations, &no_default).unwrap())
}

/// Returns a policy of retries without a delay.
pub(crate) fn retries() -> RetryPolicy {
    RetryPolicy::default()
        .with_retries(RETRIES)
        .with_initial(Duration::from_millis(1))
        .with_max(Duration::from_millis(4))
}

/// Creates stores for these registries over plain HTTP.
pub(crate) fn stores(servers: &[&Registry], stall: Duration) -> RegistryStores {
    let hosts: Vec<String> = servers.iter().map(|server| server.host()).collect();
    stores_with(&hosts, stall, retries())
}

/// Creates the same stores for hosts, with other retries.
pub(crate) fn stores_with(hosts: &[String], stall: Duration, retry: RetryPolicy) -> RegistryStores {
    let entry = |host: &String| {
        KeychainEntry::new(host.clone(), Credential::Anonymous, "the test").with_insecure(true)
    };
    let timeouts = Timeouts::default()
        .with_connect(stall)
        .with_stall(stall)
        .with_closing(stall);
    let transport = Transport::new(TransportOptions::default().with_timeouts(timeouts));
    RegistryStores::new(Registries::new(
        Options::new(
            Arc::new(transport.unwrap()),
            Arc::new(Keychain::new(hosts.iter().map(entry).collect(), None).unwrap()),
        )
        .with_retry(retry),
    ))
}

/// Returns the settings of a copy with this number of images in flight.
pub(crate) fn settings(images: usize) -> RunSettings {
    let mut settings = RunSettings::default();
    settings.images = images;
    settings
}

/// Carries out `rules` to their end.
pub(crate) async fn run(stores: RegistryStores, rules: Vec<Arc<Rule>>, images: usize) -> Summary {
    let report = Arc::new(Report::new());
    let listener: Arc<dyn Listener> = report.clone();
    let engine = Engine::new(Arc::new(stores), settings(images), listener);
    engine.run(rules, CancellationToken::new()).await;
    let summary = report.summary();
    assert!(summary.is_complete(), "{summary:?}");
    summary
}

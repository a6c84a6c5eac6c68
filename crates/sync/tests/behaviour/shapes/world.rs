//! The registries between which shapes are copied.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use image_syncer_registry::auth::Credential;
use image_syncer_registry::transport::TransportOptions;
use image_syncer_sync::config::Settings;
use image_syncer_sync::engine::Engine;
use image_syncer_sync::report::Report;
use image_syncer_sync::rule::Rule;
use image_syncer_sync::{Event, Listener, Outcome};
use testkit::image::{Shape, media};
use testkit::profile::Referrers;
use testkit::raw::{Client, Payload, push_over_http};
use testkit::real::DockerRegistry;
use testkit::{Manifest, Profile, Registry};
use tokio_util::sync::CancellationToken;

use crate::kit::stores_at;
use crate::run::rule;

/// Where shapes are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Everything that the specification has, and a refusal for whatever departs from it.
    Strict,
    /// With the referrers API, and the schema 1 of old.
    WithApi,
    /// distribution 2.8, as the testkit has it.
    WithoutApi,
    /// Debian's `docker-registry`.
    Real,
}

pub(super) const PLACES: [Place; 4] = [
    Place::Strict,
    Place::WithApi,
    Place::WithoutApi,
    Place::Real,
];

/// A registry that runs.
pub(super) enum Server {
    Ours(Box<Registry>),
    Real(Box<DockerRegistry>),
}

impl Server {
    pub(super) async fn start(place: Place) -> Self {
        let profile = match place {
            Place::Strict => Profile::strict(),
            Place::WithApi => Profile {
                referrers: Referrers::Api,
                schema1: true,
                ..Profile::distribution()
            },
            Place::WithoutApi => Profile::distribution(),
            Place::Real => {
                let real = DockerRegistry::builder()
                    .setting("REGISTRY_COMPATIBILITY_SCHEMA1_ENABLED", "true");
                return Self::Real(Box::new(real.start().unwrap()));
            }
        };
        Self::of(profile).await
    }
    pub(super) async fn of(profile: Profile) -> Self {
        Self::Ours(Box::new(Registry::start(profile).await))
    }
    pub(super) fn host(&self) -> String {
        match self {
            Self::Ours(registry) => registry.host(),
            Self::Real(registry) => registry.host(),
        }
    }
    pub(super) fn client(&self) -> Client {
        Client::new(format!("http://{}", self.host()))
    }
    /// Puts a shape there, if the registry takes it; ours hold whatever they are given.
    pub(super) async fn seed(&self, shape: &Shape) -> bool {
        let tag = (!shape.by_digest()).then_some("v1");
        match self {
            Self::Ours(registry) => {
                registry.push(&shape.repository(), tag, &shape.image);
                true
            }
            Self::Real(_) => push_over_http(&self.client(), &shape.repository(), tag, &shape.image)
                .await
                .is_ok(),
        }
    }
    async fn get(&self, path: &str) -> (u16, String, Vec<u8>) {
        let accept = [("accept", media::ACCEPT_ALL)];
        let client = self.client();
        let get = client.send("GET".parse().unwrap(), path, &accept, Payload::None);
        let answer = get.await.unwrap();
        let media_type = answer.header("content-type").to_owned();
        (answer.status, media_type, answer.body.to_vec())
    }
    /// Asserts that every manifest and every blob of the shape is there, byte for byte; but of a signed
    /// schema 1 manifest that was at a `docker-registry` only what was signed, as that signs it anew for whoever asks.
    pub(super) async fn assert_holds(&self, shape: &Shape, from: &Self) {
        let (repository, image) = (shape.repository(), &shape.image);
        for blob in image.blobs() {
            let path = format!("/v2/{repository}/blobs/{}", blob.digest());
            let (status, _, bytes) = self.get(&path).await;
            assert_eq!((status, Some(bytes.into())), (200, blob.bytes()), "{path}");
        }
        let tag = (!shape.by_digest()).then_some("v1");
        let root = |reference| (reference, image.root());
        let children = image.manifests().iter().map(|m| (m.digest.as_str(), m));
        let all = children.chain([root(image.digest())]).chain(tag.map(root));
        for (reference, manifest) in all {
            let path = format!("/v2/{repository}/manifests/{reference}");
            let (status, media_type, bytes) = self.get(&path).await;
            let media_type = media_type.split(';').next().unwrap();
            assert_eq!((status, media_type), (200, &*manifest.media_type), "{path}");
            if (self.signs() || from.signs()) && media_type == media::DOCKER_SCHEMA1_SIGNED {
                let found = Manifest::new(media_type, bytes);
                assert_eq!(found.digested(), manifest.digested(), "{path}");
            } else {
                assert!(bytes == manifest.bytes, "{path}");
            }
        }
    }
    fn signs(&self) -> bool {
        matches!(self, Self::Real(_))
    }
    pub(super) fn problems(&self) -> Vec<String> {
        match self {
            Self::Ours(registry) => registry.problems(),
            Self::Real(_) => Vec::new(),
        }
    }
}

/// How images ended, by their names at the destination.
#[derive(Default)]
struct Endings(Mutex<BTreeMap<String, Outcome>>);

impl Listener for Endings {
    fn event(&self, event: &Event) {
        if let Event::ImageFinished { image, outcome, .. } = event {
            let mut endings = self.0.lock().unwrap();
            endings.insert(image.destination.clone(), outcome.clone());
        }
    }
}

struct Both(Arc<Endings>, Report);

impl Listener for Both {
    fn event(&self, event: &Event) {
        self.0.event(event);
        self.1.event(event);
    }
}

/// Copies the shapes, each from and to the repository of its own; gives how each ended, in their order.
pub(super) async fn copy(
    from: &Server,
    to: &Server,
    shapes: &[&Shape],
    settings: Settings,
) -> Vec<Outcome> {
    let (source, destination) = (from.host(), to.host());
    let stores = stores_at(
        &[source.clone(), destination.clone()],
        &Credential::Anonymous,
        TransportOptions::default(),
    );
    let rules: Vec<Arc<Rule>> = shapes
        .iter()
        .map(|shape| {
            let (repository, image) = (shape.repository(), &shape.image);
            let name = if shape.by_digest() {
                format!("@{}", image.digest())
            } else {
                ":v1".to_owned()
            };
            let to = format!("{destination}/{repository}");
            rule(&format!("{source}/{repository}{name}"), &[to])
        })
        .collect();
    let endings = Arc::new(Endings::default());
    let both = Arc::new(Both(Arc::clone(&endings), Report::new()));
    let engine = Engine::new(Arc::new(stores), settings, both.clone());
    engine.run(rules, CancellationToken::new()).await;
    assert!(both.1.summary().is_complete());
    let endings = endings.0.lock().unwrap();
    let of = |shape: &&Shape| {
        let to = format!("{destination}/{}", shape.repository());
        let mut ending = endings.iter().filter(|(name, _)| {
            name.strip_prefix(&to)
                .is_some_and(|rest| rest.starts_with([':', '@']))
        });
        ending.next().unwrap().1.clone()
    };
    shapes.iter().map(of).collect()
}

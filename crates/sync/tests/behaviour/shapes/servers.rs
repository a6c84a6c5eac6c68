//! Registries between which shapes are copied.

use std::sync::Arc;

use image_syncer_registry::auth::Credential;
use image_syncer_registry::transport::TransportOptions;
use image_syncer_sync::Outcome;
use image_syncer_sync::rule::Rule;
use testkit::image::{Shape, media};
use testkit::profile::Referrers;
use testkit::raw::{Client, Payload, push_over_http};
use testkit::real::DockerRegistry;
use testkit::{Manifest, Profile, Registry};

use crate::events::run_events;
use crate::kit::stores_at;
use crate::run::rule;
use crate::settings::Settings;

/// Kind of registry for shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Supports the whole specification, and refuses every deviation from it.
    Strict,
    /// Has the referrers API, and accepts the old schema 1.
    WithApi,
    /// Testkit profile of distribution 2.8.
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

/// A running registry.
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
        Self::with_profile(profile).await
    }
    pub(super) async fn with_profile(profile: Profile) -> Self {
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
    /// Stores a shape, if the registry accepts it; testkit registries accept everything.
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
    /// Asserts that every manifest and every blob of the shape is there, byte for byte. Of a signed schema 1 manifest
    /// from a `docker-registry` only the signed part is compared, as that registry signs it again for every client.
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

/// Copies each shape between repositories of its own. Returns the outcomes in order.
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
    let outcomes = run_events(stores, rules, settings).await.outcomes();
    let outcome = |shape: &&Shape| {
        let to = format!("{destination}/{}", shape.repository());
        let mut outcome = outcomes.iter().filter(|(_, name, _)| {
            name.strip_prefix(&to)
                .is_some_and(|rest| rest.starts_with([':', '@']))
        });
        outcome.next().unwrap().2.clone()
    };
    shapes.iter().map(outcome).collect()
}

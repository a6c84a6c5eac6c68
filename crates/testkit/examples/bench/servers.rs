//! The registries of one run: a source and its destinations, over TLS with one private authority, with bearer tokens.

use std::collections::BTreeMap;
use std::time::Duration;

use testkit::auth::{Access, TokenRules};
use testkit::profile::{ListingApi, MountRule, Referrers};
use testkit::{Auth, Kind, Profile, Registry, State, Tls, Totals};

use crate::workloads::{Content, ListsDigests, Workload};

/// The user of all registries.
pub(crate) const USER: &str = "bench";
/// The password of that user.
pub(crate) const PASSWORD: &str = "registry";

/// Registries for one run.
pub(crate) struct Servers {
    /// The source.
    pub(crate) source: Registry,
    /// The destinations.
    pub(crate) destinations: Vec<Registry>,
    /// The certificate of the authority that signed those of the registries, as PEM.
    pub(crate) ca: String,
}

/// Counts of the registries in one run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// Requests at both ends, including those for tokens.
    pub(crate) requests: u64,
    /// Blob bytes that the source sent.
    pub(crate) fetched: u64,
    /// Blob bytes that the destinations received.
    pub(crate) sent: u64,
    /// Requests that were answered 429.
    pub(crate) refused: u64,
    /// Requests that the destinations did not answer 429, without those for tokens.
    pub(crate) accepted: u64,
    /// Number of requests of each kind, if the registries keep them; for example `source ManifestHead`.
    pub(crate) kinds: BTreeMap<String, u64>,
}

impl Servers {
    /// Starts the registries of a workload. The source is the same at each call, and the destinations have the state
    /// before a run.
    pub(crate) fn start(workload: &Workload, content: &Content, destinations: usize) -> Self {
        let tls = Tls::new();
        let builder = |state: State, rate: Option<u64>, lists_digests: bool| {
            let rules = if lists_digests {
                TokenRules::harbor()
            } else {
                TokenRules::default()
            };
            let profile = Profile {
                mount: if workload.mounts {
                    MountRule::Accept
                } else {
                    MountRule::Decline
                },
                referrers: if workload.referrers {
                    Referrers::Api
                } else {
                    Referrers::Absent
                },
                listing_api: lists_digests.then(ListingApi::harbor),
                ..Profile::distribution3()
            };
            let mut builder = Registry::builder()
                .profile(profile)
                .auth(Auth::Bearer(Access::new().user(USER, PASSWORD), rules))
                .tls(tls.clone())
                .state(state)
                .latency(Duration::from_millis(workload.latency))
                .believe_blobs();
            if workload.many {
                builder = builder.counts_only();
            }
            if let Some(rate) = rate {
                builder = builder.bandwidth(rate);
            }
            builder
        };
        let start_destination = |_| {
            let lists_digests = workload.lists_digests == ListsDigests::Everywhere;
            let state = (content.destination)();
            let mut builder = builder(state, workload.destination_rate, lists_digests);
            if let Some(most) = workload.requests_per_second {
                builder = builder.requests_per_second(most);
            }
            builder.start_on_thread()
        };
        Self {
            source: builder(
                content.source.clone(),
                workload.source_rate,
                workload.lists_digests != ListsDigests::Nowhere,
            )
            .start_on_thread(),
            destinations: (0..destinations).map(start_destination).collect(),
            ca: tls.ca_pem(),
        }
    }

    /// Resets the counts.
    pub(crate) fn clear(&self) {
        for registry in self.all() {
            registry.clear_requests();
        }
    }

    /// Returns the counts since the last reset.
    pub(crate) fn asked(&self) -> Asked {
        let mut asked = Asked {
            fetched: self.source.totals().bytes_sent,
            ..Asked::default()
        };
        for (place, registry) in self.all().enumerate() {
            let Totals {
                requests,
                token_requests,
                too_many_requests,
                bytes_received,
                ..
            } = registry.totals();
            asked.requests += requests;
            asked.refused += too_many_requests;
            let end = if place == 0 {
                "source"
            } else {
                asked.sent += bytes_received;
                asked.accepted += requests - token_requests - too_many_requests;
                "destination"
            };
            let requests = registry.requests();
            let kinds = requests.iter().map(|request| request.kind);
            for kind in kinds.chain(registry.token_requests().iter().map(|_| Kind::Token)) {
                *asked.kinds.entry(format!("{end} {kind:?}")).or_default() += 1;
            }
        }
        asked
    }

    /// Checks that every destination has every tag of the source with the same digest. Returns what is missing.
    pub(crate) fn complete(&self, content: &Content) -> Result<(), String> {
        for destination in &self.destinations {
            let (from, to) = (self.source.state(), destination.state());
            for name in &content.repositories {
                let (source, mirror) = (format!("bench/{name}"), format!("mirror/{name}"));
                for tag in from.tags(&source) {
                    if from.digest(&source, &tag) != to.digest(&mirror, &tag) {
                        return Err(format!("{mirror}:{tag} is not what {source}:{tag} is"));
                    }
                }
            }
        }
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = &Registry> {
        std::iter::once(&self.source).chain(&self.destinations)
    }
}

//! Number of requests for unchanged tags where registries list the digests of tags.

use image_syncer_registry::auth::{Credential, Secret};
use image_syncer_registry::transport::TransportOptions;
use image_syncer_sync::report::Summary;
use testkit::auth::{Access, TokenRules};
use testkit::profile::{ListKind, ListingApi, ListingFault};
use testkit::{Auth, Image, Kind, Layer, Profile, Registry};

use crate::kit::stores_with;
use crate::run::{rule, run_over, settings};

const REPOSITORIES: usize = 50;
const TAGS: usize = 20;

/// Two registries with the same tags of many repositories.
struct Ends {
    source: Registry,
    destination: Registry,
}

/// Returns Harbor, whose API may fail.
fn harbor(fault: Option<ListingFault>) -> Profile {
    let api = ListingApi::harbor();
    Profile {
        listing_api: Some(match fault {
            Some(fault) => api.fault(ListKind::Tags, fault),
            None => api,
        }),
        ..Profile::harbor()
    }
}

/// Starts a registry with a token server.
async fn start(profile: Profile, rules: TokenRules) -> Registry {
    let access = Access::new().user("u", "p");
    let auth = Auth::Bearer(access, rules);
    Registry::builder()
        .profile(profile)
        .auth(auth)
        .start()
        .await
}

async fn start_harbor(fault: Option<ListingFault>) -> Registry {
    start(harbor(fault), TokenRules::harbor()).await
}

async fn start_plain() -> Registry {
    let rules = TokenRules {
        readable: true,
        ..TokenRules::default()
    };
    start(Profile::distribution(), rules).await
}

impl Ends {
    fn new(source: Registry, destination: Registry) -> Self {
        for repository in 0..REPOSITORIES {
            for tag in 0..TAGS {
                let seed = (repository * TAGS + tag) as u64;
                let image = Image::single([Layer::synthetic(100, seed)]);
                for end in [&source, &destination] {
                    end.push(
                        &format!("team/r{repository}"),
                        Some(&format!("v{tag}")),
                        &image,
                    );
                }
            }
        }
        Self {
            source,
            destination,
        }
    }
    fn both(&self) -> [&Registry; 2] {
        [&self.source, &self.destination]
    }
    /// Runs rules that list every repository. Returns the summary and the number of requests.
    async fn run(&self) -> (Summary, usize) {
        let rules = (0..REPOSITORIES).map(|number| {
            let path = format!("team/r{number}");
            let from = format!("{}/{path}", self.source.host());
            rule(&from, &[format!("{}/{path}", self.destination.host())])
        });
        let credential = Credential::Basic {
            username: "u".to_owned(),
            password: Secret::new("p"),
        };
        let servers = self.both();
        let stores = stores_with(&servers, &credential, TransportOptions::default());
        let (summary, _) = run_over(stores, &servers, rules.collect(), settings(&[])).await;
        (summary, self.requests())
    }
    /// Returns the number of all requests, with those for tokens.
    fn requests(&self) -> usize {
        let of = |end: &&Registry| end.requests().len() + end.token_requests().len();
        self.both().iter().map(of).sum()
    }
    /// Returns the number of HEAD requests for manifests, at the source and at the destination.
    fn heads(&self) -> [usize; 2] {
        self.both().map(|end| {
            end.count(|request| request.kind == Kind::ManifestHead && request.status == 200)
        })
    }
}

#[tokio::test]
async fn a_thousand_unchanged_tags_cost_160_requests_where_both_ends_list_digests() {
    let ends = Ends::new(start_harbor(None).await, start_harbor(None).await);
    let (summary, requests) = ends.run().await;
    assert_eq!(summary.unchanged, (REPOSITORIES * TAGS) as u64);
    assert_eq!(ends.heads(), [0, 0]);
    assert!(requests <= 160, "{requests}");
}

#[tokio::test]
async fn a_thousand_unchanged_tags_cost_1160_requests_where_the_source_lists_digests() {
    let ends = Ends::new(start_harbor(None).await, start_plain().await);
    let (summary, requests) = ends.run().await;
    assert_eq!(summary.unchanged, (REPOSITORIES * TAGS) as u64);
    assert_eq!(ends.heads(), [0, REPOSITORIES * TAGS]);
    assert!(requests <= 1_160, "{requests}");
}

#[tokio::test]
async fn an_api_that_fails_costs_the_requests_of_the_plain_protocol() {
    for fault in [ListingFault::Forbidden, ListingFault::Nonsense] {
        let ends = Ends::new(
            start_harbor(Some(fault)).await,
            start_harbor(Some(fault)).await,
        );
        let (summary, _) = ends.run().await;
        assert_eq!(summary.unchanged, (REPOSITORIES * TAGS) as u64);
        assert_eq!(ends.heads(), [REPOSITORIES * TAGS; 2], "{fault:?}");
        // The API is given up after some repositories, and not tried for each.
        for end in ends.both() {
            let lists = end.count(|request| request.kind == Kind::Listing);
            assert!(lists < REPOSITORIES / 2, "{lists}");
        }
    }
}

//! Number of requests for authentication, independent of the number of images.

use image_syncer_registry::auth::{Credential, Secret};
use image_syncer_registry::transport::TransportOptions;
use testkit::{Auth, Image, Kind, Layer, Registry};

use crate::kit::stores_with;
use crate::run::{rule, run_over, settings};

const REPOSITORIES: usize = 50;
const TAGS: usize = 4;

/// Compares the unchanged tags of many repositories, with `auth` at both ends. Returns the number of token requests at
/// each end.
async fn unchanged(auth: impl Fn() -> Auth) -> [usize; 2] {
    let start = || Registry::builder().auth(auth()).start();
    let ends = [start().await, start().await];
    let hosts = ends.each_ref().map(Registry::host);
    let mut rules = Vec::new();
    for repository in 0..REPOSITORIES {
        let path = format!("team/r{repository}");
        let tags: Vec<String> = (0..TAGS).map(|tag| format!("v{tag}")).collect();
        for (tag, seed) in tags.iter().zip(repository * TAGS..) {
            let image = Image::single([Layer::synthetic(100, seed as u64)]);
            for end in &ends {
                end.push(&path, Some(tag), &image);
            }
        }
        let [source, destination] = &hosts;
        let from = format!("{source}/{path}:{}", tags.join(","));
        rules.push(rule(&from, &[format!("{destination}/{path}")]));
    }
    let credential = Credential::Basic {
        username: "u".to_owned(),
        password: Secret::new("p"),
    };
    let servers = ends.each_ref();
    let stores = stores_with(&servers, &credential, TransportOptions::default());
    let (summary, _) = run_over(stores, &servers, rules, settings(&[])).await;
    assert_eq!(summary.unchanged, (REPOSITORIES * TAGS) as u64);
    ends.each_ref().map(|end| {
        // The probes for TLS are refused as well.
        let refused = end.count(|r| r.kind != Kind::Ping && r.status == 401);
        let is_guarded = matches!(auth(), Auth::Basic(_) | Auth::Bearer(..));
        assert_eq!(refused, usize::from(is_guarded));
        let heads = end.count(|r| r.kind == Kind::ManifestHead && r.status == 200);
        assert_eq!(heads, REPOSITORIES * TAGS);
        end.token_requests().len()
    })
}

#[tokio::test]
async fn one_request_is_refused_and_repositories_share_tokens() {
    let auth = || Auth::bearer("u", "p").rules(|rules| rules.readable = true);
    for tokens in unchanged(auth).await {
        // The number of repositories that need a token at the same time depends on timing.
        assert!(tokens < REPOSITORIES, "{tokens}");
    }
}

#[tokio::test]
async fn a_token_server_with_single_scopes_gives_a_token_per_repository() {
    let auth = || Auth::bearer("u", "p").rules(|rules| rules.refuses_several = Some(403));
    for tokens in unchanged(auth).await {
        assert_eq!(tokens, REPOSITORIES + 1);
    }
    let auth = || {
        Auth::bearer("u", "p").rules(|rules| {
            rules.first_scope_only = true;
            rules.readable = true;
        })
    };
    for tokens in unchanged(auth).await {
        assert_eq!(tokens, REPOSITORIES);
    }
}

#[tokio::test]
async fn without_tokens_there_is_no_extra_request() {
    for tokens in unchanged(|| Auth::basic("u", "p")).await {
        assert_eq!(tokens, 0);
    }
    for tokens in unchanged(|| Auth::Anonymous).await {
        assert_eq!(tokens, 0);
    }
}

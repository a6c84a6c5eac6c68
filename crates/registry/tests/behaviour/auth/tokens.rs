//! Number of requests until access is granted; sharing and renewal of tokens.

use std::sync::Arc;

use futures_util::future::join_all;
use http::{Method, StatusCode};
use image_syncer_registry::auth::ScopeSet;
use testkit::{Auth, Authorization, Grant, Image, Kind, Registry};
use tokio::sync::Notify;

use super::caller::{Caller, anonymous, user};

async fn start(auth: Auth) -> (Registry, Caller) {
    let registry = Registry::builder().auth(auth).start().await;
    for path in ["a", "b", "c/d"] {
        registry.push(path, Some("v1"), &Image::single([]));
    }
    let caller = Caller::of(&registry);
    (registry, caller)
}

/// Requests at the registry and at its token server.
fn counts(registry: &Registry) -> (usize, usize) {
    // The probe for the scheme of an insecure registry is the transport's.
    let registry_requests = registry.count(|request| request.kind != Kind::Ping);
    let counts = (registry_requests, registry.token_requests().len());
    registry.clear_requests();
    counts
}

#[tokio::test]
async fn only_the_first_request_to_a_registry_is_answered_401() {
    let (registry, caller) = start(Auth::bearer("u", "p")).await;
    let access = user("u", "p");
    assert_eq!(caller.pull(&access, "a").await.unwrap(), StatusCode::OK);
    assert_eq!(counts(&registry), (2, 1));
    caller.pull(&access, "a").await.unwrap();
    assert_eq!(counts(&registry), (1, 0));
    caller.pull(&access, "b").await.unwrap();
    assert_eq!(counts(&registry), (1, 1));
}

#[tokio::test]
async fn a_token_to_write_serves_to_read_and_asks_for_the_right_things() {
    let (registry, caller) = start(Auth::bearer("u", "p")).await;
    let access = user("u", "p");
    assert_eq!(
        caller.push(&access, "c/d").await.unwrap(),
        StatusCode::ACCEPTED
    );
    let asked = &registry.token_requests()[0];
    assert_eq!(asked.parameters("scope"), ["repository:c/d:pull,push"]);
    assert_eq!(asked.parameter("service").as_deref(), Some("testkit"));
    assert_eq!(asked.parameter("account").as_deref(), Some("u"));
    counts(&registry);
    caller.pull(&access, "c/d").await.unwrap();
    assert_eq!(counts(&registry), (1, 0));
}

#[tokio::test]
async fn many_tasks_share_one_token_when_cold_and_when_it_runs_out() {
    let (registry, caller) = start(Auth::bearer("u", "p")).await;
    let access = user("u", "p");
    for run in 0..3 {
        let outcomes = join_all((0..50).map(|_| caller.pull(&access, "a"))).await;
        assert!(
            outcomes
                .iter()
                .all(|outcome| matches!(outcome, Ok(StatusCode::OK)))
        );
        assert_eq!(counts(&registry).1, 1, "run {run}");
        registry.expire_tokens();
    }
}

#[tokio::test]
async fn anybody_gets_an_anonymous_token_where_the_registry_wants_one() {
    let (registry, caller) = start(Auth::bearer_anonymous()).await;
    caller.pull(&anonymous(), "a").await.unwrap();
    assert_eq!(
        registry.token_requests()[0].authorization,
        Authorization::None
    );
    assert_eq!(counts(&registry), (2, 1));
}

#[tokio::test]
async fn basic_is_sent_with_every_request_once_it_is_known() {
    let (registry, caller) = start(Auth::basic("robot$ci", "a:b")).await;
    let access = user("robot$ci", "a:b");
    caller.pull(&access, "a").await.unwrap();
    assert_eq!(counts(&registry), (2, 0));
    caller.push(&access, "b").await.unwrap();
    assert_eq!(counts(&registry), (1, 0));
}

#[tokio::test]
async fn a_basic_challenge_for_a_stale_token_does_not_replace_bearer() {
    let (registry, caller) =
        start(Auth::bearer("u", "p").rules(|rules| rules.challenge.basic_for_bad_tokens = true))
            .await;
    let access = user("u", "p");
    caller.pull(&access, "a").await.unwrap();
    counts(&registry);
    registry.expire_tokens();
    caller.pull(&access, "a").await.unwrap();
    assert_eq!(counts(&registry), (2, 1));
    caller.pull(&access, "b").await.unwrap();
    assert_eq!(counts(&registry), (1, 1));
}

#[tokio::test]
async fn bearer_is_preferred_among_many_challenges_on_a_line() {
    let auth = Auth::bearer("u", "p").rules(|rules| {
        rules.challenge.before = vec!["Negotiate".into(), "Basic realm=\"a, b\"".into()];
        rules.challenge.one_line = true;
        rules.challenge.service = false;
        rules.challenge.scope = false;
        rules.field = testkit::auth::TokenField::AccessToken;
        rules.says_lifetime = false;
    });
    let (registry, caller) = start(auth).await;
    caller.pull(&user("u", "p"), "a").await.unwrap();
    assert_eq!(registry.token_requests()[0].parameter("service"), None);
    assert_eq!(counts(&registry), (2, 1));
}

#[tokio::test]
async fn a_401_without_a_challenge_sends_us_to_the_ping_once() {
    let (registry, caller) =
        start(Auth::bearer("u", "p").rules(|rules| rules.challenge.only_on_ping = true)).await;
    let access = user("u", "p");
    assert_eq!(caller.pull(&access, "a").await.unwrap(), StatusCode::OK);
    let pings = registry.count(|request| request.kind == Kind::Ping);
    assert_eq!(counts(&registry), (2, 1));
    caller.pull(&access, "b").await.unwrap();
    assert_eq!(registry.count(|request| request.kind == Kind::Ping), 0);
    assert_eq!(pings, 1);
    assert_eq!(counts(&registry), (1, 1));
}

#[tokio::test]
async fn where_the_sources_of_mounts_are_refused_the_token_comes_without_them() {
    let access = testkit::Access::new().user_with("u", "p", [Grant::new("a", "*")]);
    let rules = testkit::TokenRules {
        denied: testkit::auth::Denied::Fails(403),
        ..testkit::TokenRules::default()
    };
    let (registry, caller) = start(Auth::Bearer(access, rules)).await;
    let access = user("u", "p");
    caller.pull(&access, "a").await.unwrap();
    counts(&registry);
    let scopes = ScopeSet::mount(&caller.repository("a"), &caller.repository("b"));
    let status = caller
        .send(&access, &scopes, Method::POST, "v2/a/blobs/uploads/")
        .await
        .unwrap();
    assert_eq!(status, StatusCode::ACCEPTED);
    let asked: Vec<_> = registry
        .token_requests()
        .iter()
        .map(|request| request.parameters("scope"))
        .collect();
    assert_eq!(
        asked,
        [
            vec!["repository:a:pull,push", "repository:b:pull"],
            vec!["repository:a:pull,push"]
        ]
    );
    counts(&registry);
    // The same once more costs no token, and neither does writing without a mount.
    caller
        .send(&access, &scopes, Method::POST, "v2/a/blobs/uploads/")
        .await
        .unwrap();
    caller.push(&access, "a").await.unwrap();
    assert_eq!(counts(&registry), (2, 0));
}

/// Scopes of the token requests of 12 mounts, each from a repository of its own into one of its own, that start together.
async fn scopes_of_mounts(access: testkit::Access) -> Vec<usize> {
    let rules = testkit::TokenRules {
        denied: testkit::auth::Denied::Fails(403),
        ..testkit::TokenRules::default()
    };
    let (registry, caller) = start(Auth::Bearer(access, rules)).await;
    let access = user("u", "p");
    caller.pull(&access, "a").await.unwrap();
    counts(&registry);
    let mounts = (0..12).map(|index| {
        let (to, from) = (format!("to/r{index}"), format!("from/r{index}"));
        let scopes = ScopeSet::mount(&caller.repository(&to), &caller.repository(&from));
        let (caller, access) = (&caller, &access);
        async move {
            let path = format!("v2/{to}/blobs/uploads/");
            caller.send(access, &scopes, Method::POST, &path).await
        }
    });
    for outcome in join_all(mounts).await {
        assert_eq!(outcome.unwrap(), StatusCode::ACCEPTED);
    }
    let requests = registry.token_requests().into_iter();
    requests
        .map(|request| request.parameters("scope").len())
        .filter(|scopes| *scopes > 0)
        .collect()
}

#[tokio::test]
async fn refused_sources_of_mounts_are_remembered_for_the_host() {
    let grants = [Grant::new("a", "*"), Grant::new("to/*", "*")];
    let access = testkit::Access::new().user_with("u", "p", grants);
    let scopes = scopes_of_mounts(access).await;
    let with_sources = scopes.iter().filter(|scopes| **scopes > 1).count();
    // Two refused requests, whichever repositories they were for, settle it; the rest asks for the destinations.
    assert_eq!(with_sources, 2, "{scopes:?}");
    assert_eq!(scopes.len() - with_sources, 12, "{scopes:?}");
}

#[tokio::test]
async fn one_refused_source_says_nothing_about_others_where_some_are_granted() {
    let mut grants = vec![Grant::new("a", "*"), Grant::new("to/*", "*")];
    grants.extend((0..9).map(|index| Grant::new(&format!("from/r{index}"), "pull")));
    let access = testkit::Access::new().user_with("u", "p", grants);
    let scopes = scopes_of_mounts(access).await;
    // Nine are granted, three refused and then granted without the source.
    let with_sources = scopes.iter().filter(|scopes| **scopes > 1).count();
    assert_eq!(
        (with_sources, scopes.len() - with_sources),
        (12, 3),
        "{scopes:?}"
    );
}

#[tokio::test]
async fn a_task_that_goes_away_while_it_gets_the_token_does_not_take_the_others_with_it() {
    let (registry, caller) = start(Auth::bearer("u", "p")).await;
    let caller = Arc::new(caller);
    caller.pull(&user("u", "p"), "a").await.unwrap();
    registry.clear_requests();
    let asked = Arc::new(Notify::new());
    let tell = asked.clone();
    let first = testkit::Fault::on(Kind::Token).nth(1).matching(move |_| {
        tell.notify_one();
        true
    });
    registry.fault(first, testkit::Action::StallBeforeAnswer);
    let leader = tokio::spawn({
        let caller = caller.clone();
        async move {
            caller
                .pull(&user("u", "p"), "b")
                .await
                .map_err(|denied| denied.text())
        }
    });
    asked.notified().await;
    leader.abort();
    assert_eq!(
        caller.pull(&user("u", "p"), "b").await.unwrap(),
        StatusCode::OK
    );
    assert_eq!(counts(&registry).1, 2);
}

#[tokio::test]
async fn a_token_server_that_asks_for_patience_gets_it() {
    let (registry, caller) = start(Auth::bearer("u", "p")).await;
    registry.fault(
        testkit::Fault::on(Kind::Token).nth(1),
        testkit::Action::status(503),
    );
    assert_eq!(
        caller.pull(&user("u", "p"), "a").await.unwrap(),
        StatusCode::OK
    );
    assert_eq!(counts(&registry), (2, 2));
}

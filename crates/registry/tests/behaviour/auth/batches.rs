//! Number of token requests for many repositories.

use std::time::Duration;

use futures_util::future::join_all;
use http::{Method, StatusCode};
use image_syncer_registry::auth::ScopeSet;
use testkit::auth::Denied;
use testkit::{Access, Action, Auth, Fault, Grant, Image, Kind, Registry, TokenRules};
use tokio::time::Instant;

use super::caller::{Caller, Denied as Refused, anonymous, user};

/// Repositories of the registries here.
const MANY: usize = 50;
/// Latency of the registries whose round trips are counted, on a clock that stands still while anything is done.
const LATENCY: Duration = Duration::from_millis(100);

fn name(index: usize) -> String {
    format!("team/r{index}")
}

fn readable(rules: &mut TokenRules) {
    rules.readable = true;
}

async fn start(auth: Auth) -> (Registry, Caller) {
    let registry = Registry::builder().auth(auth).start().await;
    for index in 0..MANY {
        registry.push(&name(index), Some("v1"), &Image::single([]));
    }
    let caller = Caller::of(&registry);
    (registry, caller)
}

/// Reads from every repository at the same time.
async fn pull_all(caller: &Caller) -> Vec<Result<StatusCode, Refused>> {
    let access = user("u", "p");
    let pulls = (0..MANY).map(|index| {
        let access = &access;
        async move { caller.pull(access, &name(index)).await }
    });
    join_all(pulls).await
}

fn all_came(outcomes: &[Result<StatusCode, Refused>]) -> bool {
    let fine = |outcome: &_| matches!(outcome, Ok(StatusCode::OK));
    outcomes.iter().all(fine)
}

/// Token requests, and requests that were sent away, since the last time.
fn counts(registry: &Registry) -> (usize, usize) {
    let sent_away = registry.count(|request| request.kind != Kind::Ping && request.status == 401);
    let counts = (registry.token_requests().len(), sent_away);
    registry.clear_requests();
    counts
}

/// Returns the number of scopes of each token request.
fn sizes(registry: &Registry) -> Vec<usize> {
    let requests = registry.token_requests();
    let mut sizes: Vec<usize> = requests
        .iter()
        .map(|request| request.parameters("scope").len())
        .collect();
    sizes.sort_unstable();
    sizes
}

#[tokio::test]
async fn ten_repositories_share_a_token_that_says_what_it_is_good_for() {
    for auth in [
        Auth::bearer("u", "p").rules(readable),
        Auth::bearer("u", "p").rules(|rules| rules.says_scope = true),
    ] {
        let (registry, caller) = start(auth).await;
        assert!(all_came(&pull_all(&caller).await));
        assert_eq!(sizes(&registry), [1, 9, 10, 10, 10, 10]);
        assert_eq!(counts(&registry), (6, 1));
        assert!(all_came(&pull_all(&caller).await));
        assert_eq!(counts(&registry), (0, 0));
    }
}

#[tokio::test]
async fn two_try_out_a_token_that_does_not_say_what_it_is_good_for() {
    let (registry, caller) = start(Auth::bearer("u", "p")).await;
    assert!(all_came(&pull_all(&caller).await));
    assert_eq!(sizes(&registry), [1, 2, 7, 10, 10, 10, 10]);
    assert_eq!(counts(&registry), (7, 1));
}

#[tokio::test(start_paused = true)]
async fn the_proof_of_a_shared_token_costs_one_round_trip() {
    for (readable, round_trips) in [
        // The first request, its token, and it again beside the other tokens; then all other requests.
        (true, 5),
        // The first shared token comes beside the first request. The others, and the proof, come in one more.
        (false, 5),
    ] {
        let auth = Auth::bearer("u", "p").rules(|rules| rules.readable = readable);
        let (registry, caller) = start(auth).await;
        caller.find_scheme().await;
        registry.clear_requests();
        registry.set_latency(LATENCY);
        let start = Instant::now();
        assert!(all_came(&pull_all(&caller).await));
        assert_eq!(counts(&registry), (if readable { 6 } else { 7 }, 1));
        let elapsed = start.elapsed().as_millis() / LATENCY.as_millis();
        assert_eq!(elapsed, round_trips, "{readable}");
    }
}

#[tokio::test]
async fn a_server_that_looks_at_the_first_scope_alone_costs_a_token_for_each() {
    let first_only = |rules: &mut TokenRules| rules.first_scope_only = true;
    // A token that can be read costs no request that is sent away.
    for (readable, sent_away, tokens) in [(true, 1, MANY), (false, 2, MANY)] {
        let auth = Auth::bearer("u", "p")
            .rules(first_only)
            .rules(|rules| rules.readable = readable);
        let (registry, caller) = start(auth).await;
        assert!(all_came(&pull_all(&caller).await));
        assert_eq!(counts(&registry), (tokens, sent_away));
    }
}

#[tokio::test]
async fn a_server_that_refuses_several_scopes_is_asked_for_several_once() {
    for status in [400, 401, 403] {
        for readable in [true, false] {
            let auth = Auth::bearer("u", "p").rules(|rules| {
                rules.refuses_several = Some(status);
                rules.readable = readable;
            });
            let (registry, caller) = start(auth).await;
            assert!(all_came(&pull_all(&caller).await));
            assert_eq!(counts(&registry), (MANY + 1, 1));
        }
    }
}

#[tokio::test]
async fn only_the_repository_that_is_denied_is_blamed() {
    for denied in [Denied::LeftOut, Denied::Fails(403), Denied::Fails(401)] {
        for readable in [true, false] {
            let grants = (0..MANY)
                .filter(|index| *index != 17)
                .map(|index| Grant::new(&name(index), "pull"));
            let auth = Auth::Bearer(
                Access::new().user_with("u", "p", grants),
                TokenRules {
                    denied,
                    readable,
                    ..TokenRules::default()
                },
            );
            let (registry, caller) = start(auth).await;
            let outcomes = pull_all(&caller).await;
            for (index, outcome) in outcomes.iter().enumerate() {
                match outcome {
                    Ok(status) => assert_eq!((*status, index == 17), (StatusCode::OK, false)),
                    Err(refused) => {
                        let text = refused.text();
                        assert!(text.contains("repository:team/r17:pull"), "{text}");
                        assert!(!text.contains(&name(16)), "{text}");
                    }
                }
            }
            assert!(outcomes[17].is_err());
            let (tokens, _) = counts(&registry);
            match denied {
                // One more for the one that is denied.
                Denied::LeftOut if readable => assert_eq!(tokens, 6 + 1),
                Denied::LeftOut => assert_eq!(tokens, 7 + 1),
                // One more for each of its batch.
                _ if readable => assert_eq!(tokens, 6 + 10),
                _ => assert_eq!(tokens, 7 + 10),
            }
        }
    }
}

#[tokio::test]
async fn a_token_that_grows_too_long_makes_the_next_ones_smaller() {
    let auth = Auth::bearer("u", "p").rules(|rules| {
        rules.readable = true;
        // Ten repositories make it longer than 6 KiB, and five do not.
        rules.padding = 5_400;
    });
    let (registry, caller) = start(auth).await;
    assert!(all_came(&pull_all(&caller).await));
    assert_eq!(sizes(&registry), [1, 4, 5, 5, 5, 5, 5, 5, 5, 5, 5, 10]);
    assert_eq!(counts(&registry), (12, 1));
}

#[tokio::test]
async fn different_logins_never_share_a_token() {
    let access = Access::new().user("u", "p").user("v", "q");
    let (registry, caller) = start(Auth::Bearer(access, TokenRules::default())).await;
    let logins = [user("u", "p"), user("v", "q")];
    let pulls = (0..MANY).map(|index| {
        let (caller, access) = (&caller, &logins[index % 2]);
        async move { caller.pull(access, &name(index)).await }
    });
    assert!(all_came(&join_all(pulls).await));
    for request in registry.token_requests() {
        let account = request.parameter("account").unwrap();
        for scope in request.parameters("scope") {
            let index: usize = scope
                .trim_start_matches("repository:team/r")
                .trim_end_matches(":pull")
                .parse()
                .unwrap();
            assert_eq!(account, ["u", "v"][index % 2]);
        }
    }
}

#[tokio::test]
async fn a_shared_token_that_runs_out_is_replaced_by_shared_ones() {
    let (registry, caller) = start(Auth::bearer("u", "p").rules(readable)).await;
    assert!(all_came(&pull_all(&caller).await));
    counts(&registry);
    registry.expire_tokens();
    assert!(all_came(&pull_all(&caller).await));
    assert_eq!(counts(&registry), (6, MANY));
}

#[tokio::test]
async fn a_mount_needs_no_token_where_one_covers_both_repositories() {
    let (registry, caller) = start(Auth::bearer_anonymous().rules(readable)).await;
    let access = anonymous();
    let pushes = (0..=10).map(|index| {
        let (caller, access) = (&caller, &access);
        async move { caller.push(access, &name(index)).await.unwrap() }
    });
    join_all(pushes).await;
    assert_eq!(counts(&registry), (2, 1));
    let scopes = ScopeSet::mount(&caller.repository(&name(3)), &caller.repository(&name(4)));
    let path = format!("v2/{}/blobs/uploads/", name(3));
    caller
        .send(&access, &scopes, Method::POST, &path)
        .await
        .unwrap();
    assert_eq!(counts(&registry), (0, 0));
}

#[tokio::test]
async fn a_repository_that_is_written_to_is_read_with_the_same_token() {
    let (registry, caller) = start(Auth::bearer("u", "p")).await;
    let access = user("u", "p");
    caller.push(&access, &name(0)).await.unwrap();
    registry.expire_tokens();
    counts(&registry);
    caller.pull(&access, &name(0)).await.unwrap();
    caller.push(&access, &name(0)).await.unwrap();
    assert_eq!(
        registry.token_requests()[0].parameters("scope"),
        ["repository:team/r0:pull,push"]
    );
    assert_eq!(counts(&registry), (1, 1));
}

#[tokio::test]
async fn what_may_be_read_but_not_written_is_read_where_the_server_refuses_to_grant_both() {
    let access = Access::new().user_with("u", "p", [Grant::new("*", "pull")]);
    let rules = TokenRules::default();
    let (registry, caller) = start(Auth::Bearer(access, rules)).await;
    let login = user("u", "p");
    let pushes = Fault::on(Kind::Token).matching(|request| {
        let scopes = request.parameters("scope");
        scopes.iter().any(|scope| scope.contains("push"))
    });
    registry.fault(pushes, Action::error(403, "DENIED", "no"));
    caller.pull(&login, &name(1)).await.unwrap();
    caller.push(&login, &name(0)).await.unwrap_err();
    assert_eq!(caller.pull(&login, &name(0)).await.unwrap(), StatusCode::OK);
}

//! Number of requests that are answered 401 before the challenge is known.

use std::sync::Arc;

use futures_util::future::join_all;
use http::StatusCode;
use testkit::{Access, Action, Auth, Fault, Grant, Image, Kind, Registry};
use tokio::sync::Notify;

use super::caller::{Caller, anonymous, user};

/// Repositories of the registries here.
const MANY: usize = 50;

fn name(index: usize) -> String {
    format!("r{index}")
}

async fn start(auth: Auth) -> (Registry, Caller) {
    let registry = Registry::builder().auth(auth).start().await;
    for index in 0..MANY {
        registry.push(&name(index), Some("v1"), &Image::single([]));
    }
    let caller = Caller::of(&registry);
    (registry, caller)
}

/// Requests that were sent away, those by which the transport finds out about TLS left aside.
fn sent_away(registry: &Registry) -> usize {
    registry.count(|request| request.kind != Kind::Ping && request.status == 401)
}

#[tokio::test]
async fn of_all_that_start_together_one_is_sent_away() {
    for (auth, sent) in [
        (Auth::bearer("u", "p"), 1),
        (Auth::basic("u", "p"), 1),
        (Auth::Anonymous, 0),
    ] {
        let (registry, caller) = start(auth).await;
        let access = user("u", "p");
        let outcomes = join_all((0..MANY).map(|index| {
            let (caller, access) = (&caller, &access);
            async move { caller.pull(access, &name(index)).await }
        }))
        .await;
        assert!(
            outcomes
                .iter()
                .all(|outcome| matches!(outcome, Ok(StatusCode::OK)))
        );
        assert_eq!(sent_away(&registry), sent);
        let requests = registry.count(|request| request.kind == Kind::Tags);
        assert_eq!(requests, MANY + sent);
    }
}

#[tokio::test]
async fn where_anybody_may_read_one_writer_is_sent_away() {
    let access = Access::new()
        .user("u", "p")
        .anonymous(Grant::new("*", "pull"));
    let (registry, caller) = start(Auth::Basic(access)).await;
    let access = user("u", "p");
    let pulls = join_all((0..MANY).map(|index| {
        let (caller, access) = (&caller, &access);
        async move { caller.pull(access, &name(index)).await.unwrap() }
    }));
    pulls.await;
    assert_eq!(sent_away(&registry), 0);
    let pushes = join_all((0..MANY).map(|index| {
        let (caller, access) = (&caller, &access);
        async move { caller.push(access, &name(index)).await.unwrap() }
    }));
    pushes.await;
    assert_eq!(sent_away(&registry), 1);
}

#[tokio::test]
async fn the_next_one_asks_when_the_first_goes_away() {
    let (registry, caller) = start(Auth::bearer_anonymous()).await;
    let caller = Arc::new(caller);
    let asked = Arc::new(Notify::new());
    let tell = asked.clone();
    let first = Fault::on(Kind::Tags).nth(1).matching(move |_| {
        tell.notify_one();
        true
    });
    registry.fault(first, Action::StallBeforeAnswer);
    let leader = tokio::spawn({
        let caller = caller.clone();
        async move { caller.pull(&anonymous(), "r0").await.unwrap() }
    });
    asked.notified().await;
    let others = tokio::spawn({
        let caller = caller.clone();
        async move {
            let pulls = (1..MANY).map(|index| {
                let caller = &caller;
                async move { caller.pull(&anonymous(), &name(index)).await.unwrap() }
            });
            join_all(pulls).await
        }
    });
    leader.abort();
    assert!(
        others
            .await
            .unwrap()
            .iter()
            .all(|status| *status == StatusCode::OK)
    );
    assert_eq!(sent_away(&registry), 1);
}

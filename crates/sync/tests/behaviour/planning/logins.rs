//! Reports of runs without writes about destinations that hide content from some users.

use image_syncer_registry::Cause;
use image_syncer_registry::auth::{Credential, Secret};
use image_syncer_registry::transport::TransportOptions;
use image_syncer_sync::report::Summary;
use image_syncer_sync::settings::Intent;
use testkit::{Access, Action, Auth, Fault, Grant, Kind, Registry, TokenRules};

use crate::events::run_events;
use crate::kit::{server, stores_with};
use crate::planning::{image, is_read, to, with};
use crate::run::{rule, settings};

/// Plans, checks or copies one image to `ada/app` as user `ada` with `password`; the right one is `pw`.
async fn run(destination: &Registry, password: &str, intent: Intent) -> Summary {
    let credential = Credential::Basic {
        username: "ada".to_owned(),
        password: Secret::new(password),
    };
    run_as(destination, &credential, intent).await
}

/// Does the same with this login.
async fn run_as(destination: &Registry, credential: &Credential, intent: Intent) -> Summary {
    let source = server().await;
    source.push("from/app", Some("v1"), &image([1, 2]));
    destination.clear_requests();
    let servers = [&source, destination];
    let stores = stores_with(&servers, credential, TransportOptions::default());
    let settings = with(&settings(&[]), intent);
    let from = format!("{}/from/app:v1", source.host());
    let rules = vec![rule(&from, &[to(destination, "ada/app")])];
    let events = run_events(stores, rules, settings).await;
    if intent != Intent::Copy {
        for request in destination.requests() {
            assert!(is_read(request.kind), "{:?} {}", request.kind, request.path);
        }
    }
    events.summary()
}

fn access() -> Access {
    Access::new().user("ada", "pw")
}

#[tokio::test]
async fn a_missing_repository_is_new_where_pushes_create_it() {
    for destination in [
        Registry::builder().docker_hub(access()),
        Registry::builder().harbor(access()),
    ] {
        let destination = destination.namespaces(&["ada"]).start().await;
        for intent in [Intent::Plan, Intent::Check] {
            let planned = run(&destination, "pw", intent).await;
            assert_eq!(
                (planned.planned_new, planned.failed),
                (1, 0),
                "{intent:?} {:?}",
                planned.failures
            );
        }
        let planned = run(&destination, "pw", Intent::Plan).await;
        let copied = run(&destination, "pw", Intent::Copy).await;
        assert_eq!(
            (copied.copied, copied.failed),
            (1, 0),
            "{:?}",
            copied.failures
        );
        assert_eq!(planned.volume, copied.volume);
    }
}

#[tokio::test]
async fn a_refused_request_is_no_answer() {
    let open = Registry::builder().start().await;
    let closed = [
        Registry::builder()
            .auth(Auth::basic("ada", "pw"))
            .start()
            .await,
        Registry::builder()
            .auth(Auth::bearer("ada", "pw"))
            .start()
            .await,
    ];
    let forbidden = Registry::builder().start().await;
    forbidden.fault(Fault::on(Kind::ManifestHead), Action::status(403));
    let policy = Registry::builder().start().await;
    for kind in [Kind::ManifestHead, Kind::ManifestGet] {
        policy.fault(Fault::on(kind), Action::status(412));
    }
    for intent in [Intent::Plan, Intent::Check] {
        for destination in closed.iter().chain([&forbidden]) {
            let summary = run_as(destination, &Credential::Anonymous, intent).await;
            assert_eq!(
                (summary.planned, summary.failed, summary.exit_code()),
                (0, 1, 1)
            );
            let failure = &summary.failures[0].failure;
            assert_eq!(failure.cause, Cause::NoLogin, "{failure}");
            assert!(
                failure
                    .reason
                    .starts_with("not compared: cannot fetch manifest ada/app:v1 at"),
                "{failure}"
            );
        }
        let summary = run_as(&policy, &Credential::Anonymous, intent).await;
        assert_eq!((summary.planned, summary.failed), (0, 1));
        let summary = run_as(&open, &Credential::Anonymous, intent).await;
        assert_eq!((summary.planned_new, summary.failed), (1, 0));
    }
}

#[tokio::test]
async fn a_read_only_login_can_plan() {
    let access = Access::new().user_with("ada", "pw", [Grant::pull()]);
    let auth = Auth::Bearer(access, TokenRules::default());
    let destination = Registry::builder().auth(auth).start().await;
    destination.push("ada/app", Some("v1"), &image([1]));
    for intent in [Intent::Plan, Intent::Check] {
        let planned = run(&destination, "pw", intent).await;
        assert_eq!(
            (planned.planned_moved, planned.failed),
            (1, 0),
            "{:?}",
            planned.failures
        );
    }
}

#[tokio::test]
async fn a_refused_login_makes_no_plan() {
    for auth in [Auth::basic("ada", "pw"), Auth::bearer("ada", "pw")] {
        let destination = Registry::builder().auth(auth).start().await;
        for intent in [Intent::Plan, Intent::Check, Intent::Copy] {
            destination.clear_requests();
            let planned = run(&destination, "wrong", intent).await;
            assert_eq!((planned.planned, planned.failed), (0, 1));
            let cause = planned.failures[0].failure.cause;
            assert_eq!(cause, image_syncer_registry::Cause::LoginRefused);
            // Once without and once with the login: repeating it would repeat the refusal.
            assert!(destination.requests().len() <= 2, "{intent:?}");
        }
    }
}

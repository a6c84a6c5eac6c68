//! Refused logins: how often a login is sent that a host refuses, and what passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use image_syncer_registry::auth::{Credential, DockerFiles, Keychain, KeychainEntry};
use image_syncer_registry::transport::{Transport, TransportOptions};
use image_syncer_registry::{Cause, Client, Error, Options, Registries, Repository};
use testkit::auth::{Denied, TokenRules};
use testkit::{Access, Action, Auth, Authorization, Fault, Grant, Image, Kind, Profile, Registry};

use super::kit::{Kit, basic, client_of, retry, tag};

const REPOSITORIES: usize = 60;
const TAGS: usize = 5;

fn repository(client: &Client, path: &str) -> Repository {
    Repository::new(client.registry().clone(), path).unwrap()
}

/// Heads of 300 tags of 60 repositories that start together.
async fn head_all(client: &Client, pushes: bool) -> Vec<Result<(), Error>> {
    let heads = (0..REPOSITORIES * TAGS).map(|index| async move {
        let repository = repository(client, &format!("r{}", index / TAGS));
        let tag = tag(&format!("v{}", index % TAGS));
        if pushes {
            client
                .head_manifest_for_push(&repository, &tag)
                .await
                .map(drop)
        } else {
            client.head_manifest(&repository, &tag).await.map(drop)
        }
    });
    join_all(heads).await
}

/// Requests with a login that were answered 401 or 403, by the registry and by its token server.
fn refused_logins(server: &Registry) -> usize {
    let with_login = |request: &testkit::Request| {
        matches!(request.authorization, Authorization::Basic { .. })
            && matches!(request.status, 401 | 403)
    };
    let requests = server.requests().into_iter().chain(server.token_requests());
    // The token server's requests may be among those of the registry.
    let mut seen: Vec<String> = Vec::new();
    for request in requests.filter(with_login) {
        seen.push(format!("{request:?}"));
    }
    seen.sort();
    seen.dedup();
    seen.len()
}

#[tokio::test]
async fn a_wrong_password_is_sent_three_times_at_most_however_many_start_together() {
    let forbids =
        |status| Auth::bearer("ada", "pw").rules(|rules| rules.denied = Denied::Fails(status));
    for auth in [
        Auth::basic("ada", "pw"),
        Auth::bearer("ada", "pw"),
        forbids(403),
    ] {
        for pushes in [false, true] {
            let server = Registry::builder().auth(auth.clone()).start().await;
            let (client, _) = client_of(&server.host(), basic("ada", "old"));
            let outcomes = head_all(&client, pushes).await;
            let sent = refused_logins(&server);
            assert!((1..=3).contains(&sent), "{sent} {auth:?}");
            for outcome in outcomes {
                let error = outcome.unwrap_err();
                assert_eq!(error.cause(), Cause::LoginRefused, "{error}");
                let clause = "the login of user \"ada\" (from the test) was refused";
                assert!(error.to_string().contains(clause), "{error}");
            }
            // Later requests send nothing at all.
            let before = server.requests().len();
            assert!(head_all(&client, pushes).await.iter().all(Result::is_err));
            assert_eq!(server.requests().len(), before);
        }
    }
}

#[tokio::test]
async fn a_right_that_is_missing_for_one_repository_says_nothing_about_others() {
    let access = || {
        (5..REPOSITORIES).fold(vec![Grant::new("none", "pull")], |mut grants, index| {
            grants.push(Grant::new(&format!("r{index}"), "pull"));
            grants
        })
    };
    for denied in [Denied::Fails(401), Denied::Fails(403), Denied::LeftOut] {
        let rights = Access::new().user_with("ada", "pw", access());
        let rules = TokenRules {
            denied,
            ..TokenRules::default()
        };
        let kit = Kit::guarded(Profile::distribution(), Auth::Bearer(rights, rules)).await;
        for index in 0..REPOSITORIES {
            for version in 0..TAGS {
                let version = format!("v{version}");
                let image = Image::single([]);
                kit.server
                    .push(&format!("r{index}"), Some(&version), &image);
            }
        }
        let outcomes = head_all(&kit.client, false).await;
        for (index, outcome) in outcomes.iter().enumerate() {
            assert_eq!(outcome.is_ok(), index / TAGS >= 5, "{index} {denied:?}");
        }
    }
}

#[tokio::test]
async fn a_sporadic_refusal_passes() {
    for (auth, credential) in [
        (Auth::basic("ada", "pw"), basic("ada", "pw")),
        (Auth::bearer("ada", "pw"), basic("ada", "pw")),
        (Auth::Anonymous, Credential::Anonymous),
    ] {
        let server = Registry::builder().auth(auth.clone()).start().await;
        let paths: Vec<String> = (0..20).map(|index| format!("r{index}")).collect();
        for path in &paths {
            server.push(path, Some("v1"), &Image::single([]));
        }
        let (client, _) = client_of(&server.host(), credential);
        client
            .head_manifest(&repository(&client, "r0"), &tag("v1"))
            .await
            .unwrap();
        // A load balancer that refuses every third request, for repositories with and without an accepted request
        // before.
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let third = Fault::on(Kind::ManifestHead)
            .matching(move |_| counted.fetch_add(1, Ordering::SeqCst) % 3 == 2)
            .always();
        server.fault(third, Action::status(401));
        for path in &paths {
            let head = client
                .head_manifest(&repository(&client, path), &tag("v1"))
                .await;
            assert!(
                head.unwrap_or_else(|error| panic!("{auth:?}: {error}"))
                    .is_some()
            );
        }
        assert!(count.load(Ordering::SeqCst) >= 25);
    }
}

#[tokio::test]
async fn a_changed_password_is_detected_soon() {
    let server = Registry::builder()
        .auth(Auth::basic("ada", "pw"))
        .start()
        .await;
    server.push("r0", Some("v0"), &Image::single([]));
    let (client, _) = client_of(&server.host(), basic("ada", "pw"));
    client
        .head_manifest(&repository(&client, "r0"), &tag("v0"))
        .await
        .unwrap();
    server.clear_requests();
    let challenged =
        testkit::fault::Answer::new(401).header("www-authenticate", "Basic realm=\"x\"");
    server.fault(Fault::on_any().always(), challenged);
    for index in 0..50 {
        let repository = repository(&client, &format!("r{index}"));
        let error = client
            .head_manifest(&repository, &tag("v0"))
            .await
            .unwrap_err();
        assert_eq!(error.cause(), Cause::LoginRefused);
    }
    // Three refusals, and the login alone.
    assert_eq!(server.requests().len(), 4);
}

/// A registry that challenges at `/v2/` alone and answers `status` for what may not be seen.
async fn hiding(status: u16) -> Registry {
    let server = Registry::builder()
        .auth(Auth::basic("ada", "pw"))
        .start()
        .await;
    server.push("r0", Some("v1"), &Image::single([]));
    let hidden = Fault::on_any()
        .matching(|request| {
            request.kind != Kind::Ping && request.authorization == Authorization::None
        })
        .always();
    server.fault(hidden, Action::status(status));
    server
}

#[tokio::test]
async fn a_login_is_tried_where_only_the_base_asks_for_one() {
    for status in [403, 404] {
        let server = hiding(status).await;
        let (client, _) = client_of(&server.host(), basic("ada", "pw"));
        let repository = repository(&client, "r0");
        for _ in 0..3 {
            let head = client.head_manifest(&repository, &tag("v1")).await.unwrap();
            assert!(head.is_some());
        }
        let kinds = server.requests().into_iter().map(|request| request.kind);
        let kinds: Vec<Kind> = kinds.collect();
        // Without a login; the base; and three times with it. The login is remembered.
        let count = |kind| kinds.iter().filter(|one| **one == kind).count();
        assert_eq!(
            (count(Kind::ManifestHead), count(Kind::Ping)),
            (4, 1),
            "{kinds:?}"
        );
    }
}

#[tokio::test]
async fn no_further_request_without_a_login() {
    let server = hiding(404).await;
    let (client, _) = client_of(&server.host(), Credential::Anonymous);
    let head = client
        .head_manifest_for_push(&repository(&client, "r0"), &tag("v1"))
        .await;
    assert!(head.is_ok());
    let pings = server.count(|request| request.kind == Kind::Ping);
    assert_eq!((server.requests().len(), pings), (1, 0));
}

/// Heads of 300 tags that start together, with a login out of a file that was rewritten from `old` to `new` since it was
/// read; the number of refused logins.
async fn head_all_with_file(old: &str, new: &str, auth: Auth) -> (Vec<Result<(), Error>>, usize) {
    let server = Registry::builder().auth(auth).start().await;
    for index in 0..REPOSITORIES * TAGS {
        let (path, version) = (format!("r{}", index / TAGS), format!("v{}", index % TAGS));
        server.push(&path, Some(&version), &Image::single([]));
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.json");
    let host = server.host();
    let write = |password: &str| {
        let entry = format!("\"username\":\"ada\",\"password\":\"{password}\"");
        std::fs::write(&path, format!("{{\"auths\":{{\"{host}\":{{{entry}}}}}}}")).unwrap();
    };
    write(old);
    let files = DockerFiles::from_paths([path.clone()]);
    let entry =
        KeychainEntry::new(host.clone(), Credential::Anonymous, "the test").with_insecure(true);
    let keychain = Arc::new(Keychain::new(vec![entry], Some(files)).unwrap());
    let registries = Registries::new(
        Options::new(
            Arc::new(Transport::new(TransportOptions::default()).unwrap()),
            Arc::clone(&keychain),
        )
        .with_retry(retry()),
    );
    let client = registries.client(&image_syncer_registry::Registry::parse(&host).unwrap());
    keychain.access(&repository(&client, "r0")).await.unwrap();
    write(new);
    // A file that was read a moment ago is not read again.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::time::resume();
    let outcomes = head_all(&client, false).await;
    (outcomes, refused_logins(&server))
}

#[tokio::test]
async fn a_login_that_the_token_server_refuses_is_renewed_once() {
    for auth in [Auth::bearer("ada", "pw"), Auth::basic("ada", "pw")] {
        let (outcomes, refused) = head_all_with_file("old", "pw", auth.clone()).await;
        for outcome in outcomes {
            outcome.unwrap_or_else(|error| panic!("{auth:?}: {error}"));
        }
        // The first request, and the check of the login alone.
        assert_eq!(refused, 2, "{auth:?}");
        let (outcomes, refused) = head_all_with_file("old", "older", auth.clone()).await;
        for outcome in outcomes {
            assert_eq!(
                outcome.unwrap_err().cause(),
                Cause::LoginRefused,
                "{auth:?}"
            );
        }
        // The renewed login is checked alone, and fails for all.
        assert_eq!(refused, 3, "{auth:?}");
    }
}

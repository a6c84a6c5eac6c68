//! Refused logins: how often a login is sent that a host refuses, and what passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use image_syncer_registry::auth::{Credential, DockerFiles, Keychain, KeychainEntry};
use image_syncer_registry::transport::{Transport, TransportOptions};
use image_syncer_registry::{
    Cause, Client, Error, ManifestPresence, OpenedUpload, Options, Registries, Repository,
};
use testkit::auth::{Denied, TokenRules};
use testkit::profile::{Existence, Unknown};
use testkit::{Access, Action, Auth, Authorization, Fault, Grant, Image, Kind, Profile, Registry};

use super::kit::{Given, Kit, basic, client_of, descriptor, retry, tag};

pub(super) const REPOSITORIES: usize = 60;
pub(super) const TAGS: usize = 5;

pub(super) fn repository(client: &Client, path: &str) -> Repository {
    Repository::new(client.registry().clone(), path).unwrap()
}

/// Heads of 300 tags of 60 repositories that start together.
pub(super) async fn head_all(client: &Client, pushes: bool) -> Vec<Result<(), Error>> {
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
pub(super) fn refused_logins(server: &Registry) -> usize {
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

/// A registry with user and password for every request, which answers 401 for projects that it does not have.
async fn old_harbor() -> Kit {
    let profile = Profile {
        existence: Existence::Namespace,
        unknown_repository: Unknown::ProjectNotFound,
        ..Profile::distribution()
    };
    let server = testkit::Registry::builder()
        .profile(profile)
        .auth(Auth::basic("ada", "pw"))
        .namespaces(&["team"]);
    Kit::of(server.start().await, basic("ada", "pw"))
}

#[tokio::test]
async fn a_project_that_is_missing_is_no_refused_login() {
    for is_known in [false, true] {
        let kit = old_harbor().await;
        if is_known {
            let there = kit.repository("team/app");
            let found = kit.client.head_manifest(&there, &tag("v1")).await;
            assert_eq!(found.unwrap(), None);
            kit.took();
        }
        let missing = kit.repository("nobody/app");
        let blob = descriptor(&testkit::Blob::synthetic(10, 1));
        let errors = [
            kit.client
                .get_manifest(&missing, &tag("v1"))
                .await
                .unwrap_err(),
            kit.client
                .head_manifest(&missing, &tag("v1"))
                .await
                .unwrap_err(),
            match kit
                .client
                .head_manifest_for_push(&missing, &tag("v1"))
                .await
            {
                Ok(ManifestPresence::Unknown(error)) => error,
                other => panic!("{other:?}"),
            },
            kit.client.tags(&missing).next().await.unwrap_err(),
            kit.client.head_blob(&missing, &blob).await.unwrap_err(),
            kit.client
                .open_upload(&missing, &blob, None)
                .await
                .err()
                .unwrap(),
        ];
        for error in errors {
            assert_eq!(error.cause(), Cause::ProjectMissing, "{error}");
        }
    }
}

#[tokio::test]
async fn a_403_without_a_login_asks_for_one() {
    let blob = testkit::Blob::synthetic(10, 1);
    let login = "no login is given for ";
    for credential in [Credential::Anonymous, basic("ada", "pw")] {
        let is_anonymous = credential == Credential::Anonymous;
        for kind in [
            Kind::Mount,
            Kind::UploadPut,
            Kind::ManifestPut,
            Kind::ManifestGet,
            Kind::BlobHead,
            Kind::BlobGet,
            Kind::Tags,
            Kind::ManifestDelete,
        ] {
            let server = testkit::Registry::start(Profile::distribution()).await;
            let kit = Kit::of(server, credential.clone());
            let denied = Action::error(403, "DENIED", "requested access to the resource is denied");
            kit.server.fault(Fault::on(kind).always(), denied.clone());
            // A refused mount is followed by a plain session.
            if kind == Kind::Mount {
                kit.server
                    .fault(Fault::on(Kind::UploadPost).always(), denied);
            }
            let error = request(&kit, kind, &blob).await.unwrap_err();
            let right = match kind {
                Kind::ManifestGet | Kind::BlobHead | Kind::BlobGet | Kind::Tags => {
                    Cause::NoPullRight
                }
                _ => Cause::NoPushRight,
            };
            let cause = if is_anonymous { Cause::NoLogin } else { right };
            assert_eq!(error.cause(), cause, "{kind:?}: {error}");
            assert_eq!(
                error.to_string().matches(login).count(),
                usize::from(is_anonymous),
                "{error}"
            );
        }
    }
}

/// Makes a request of `kind`.
async fn request(kit: &Kit, kind: Kind, blob: &testkit::Blob) -> Result<(), Error> {
    let (client, repository, v1) = (&kit.client, kit.repository("a/b"), tag("v1"));
    let source = Given::of(blob);
    let blob = descriptor(blob);
    let image = super::manifests::image();
    match kind {
        Kind::Mount => client.open_upload(&repository, &blob, None).await.map(drop),
        Kind::UploadPut => match client.open_upload(&repository, &blob, None).await? {
            OpenedUpload::Session(upload) => client.upload(upload, &source).await,
            OpenedUpload::Present { .. } => Ok(()),
        },
        Kind::ManifestPut => {
            let manifest = super::manifests::manifest(&image);
            client
                .put_manifest(&repository, &v1, &manifest)
                .await
                .map(drop)
        }
        Kind::ManifestGet => client.get_manifest(&repository, &v1).await.map(drop),
        Kind::BlobHead => client.has_blob(&repository, &blob).await.map(drop),
        Kind::BlobGet => client.read_blob(&repository, &blob, 100).await.map(drop),
        Kind::Tags => client.tags(&repository).next().await.map(drop),
        Kind::ManifestDelete => client.delete_manifest(&repository, &v1).await,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_reason_of_a_refused_head_costs_a_get_only_if_the_login_is_accepted() {
    let kit = old_harbor().await;
    let missing = kit.repository("nobody/app");
    let v1 = tag("v1");
    let head = kit.client.head_manifest(&missing, &v1).await;
    assert_eq!(head.unwrap_err().cause(), Cause::ProjectMissing);
    let refused = (Kind::ManifestHead, 401);
    // The login alone, and nobody: it would prove nothing if everybody were let in.
    let alone = [(Kind::Ping, 200), (Kind::Ping, 401)];
    let requests = [
        refused,
        refused,
        alone[0],
        alone[1],
        (Kind::ManifestGet, 401),
    ];
    assert_eq!(kit.took(), requests);

    let (client, _) = client_of(&kit.server.host(), basic("ada", "wrong"));
    let head = client.head_manifest(&missing, &v1).await;
    assert_eq!(head.unwrap_err().cause(), Cause::LoginRefused);
    assert_eq!(kit.took(), [refused, refused]);
}

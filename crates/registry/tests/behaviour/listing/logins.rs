//! Logins of APIs.

use image_syncer_registry::auth::{Credential, LoginChoice, Secret};
use image_syncer_registry::{Lister, ListingSettings};
use testkit::profile::{ListingApi, ListingLogin};
use testkit::{Action, Answer, Auth, Authorization, Fault, Kind, Registry};

use super::{Kit, Vendor, apis, fill, kit_of, listed, refused, tags_of};
use crate::client::kit::basic;

fn token(text: &str) -> Credential {
    Credential::Bearer(Secret::new(text))
}

/// Returns the schemes of the logins of all requests at a registry, and forgets the requests.
fn schemes(server: &Registry) -> Vec<&'static str> {
    let requests = server.requests();
    server.clear_requests();
    requests
        .iter()
        .map(|request| request.authorization.scheme())
        .collect()
}

/// Returns a registry with the user `ada`, and the API of the vendor at another host, with its own login.
async fn apart(lister: Lister, api_login: Credential) -> (Kit, Registry) {
    let vendor = Vendor::api(lister);
    let api = vendor.profile.listing_api.clone().unwrap();
    let login = match api.login.clone() {
        ListingLogin::Users => ListingLogin::Basic("robot".to_owned(), "secret".to_owned()),
        other => other,
    };
    let mut profile = vendor.profile.clone();
    profile.listing_api = Some(api.requires(login));
    let elsewhere = Registry::builder()
        .profile(profile)
        .address([127, 0, 0, 2].into());
    let elsewhere = elsewhere.start().await;
    let server = Registry::builder()
        .profile(vendor.profile.clone())
        .auth(Auth::basic("ada", "pw"));
    let settings = ListingSettings::new(lister)
        .with_api(elsewhere.url().parse().unwrap())
        .with_api_login(LoginChoice::Fixed(api_login));
    let kit = kit_of(server.start().await, basic("ada", "pw"), settings);
    (kit, elsewhere)
}

#[tokio::test]
async fn the_login_of_an_api_is_sent_to_its_host_alone() {
    for (lister, login, expected) in [
        (Lister::Harbor, basic("robot", "secret"), &["basic"][..]),
        (Lister::Quay, token("quay-testkit"), &["bearer"]),
        (Lister::Ghcr, token(ListingApi::GITHUB_TOKEN), &["bearer"]),
        (Lister::Gitlab, token("glpat-testkit"), &["bearer"]),
        // User and secret are in the body of the first request.
        (Lister::Hub, basic("user", "secret"), &["none", "bearer"]),
    ] {
        let (kit, elsewhere) = apart(lister, login).await;
        for number in 0..3 {
            elsewhere
                .state()
                .create_repository(&format!("team/app-{number}"));
            kit.server
                .state()
                .tag(&format!("team/app-{number}"), "v1", "sha256:0");
        }
        assert_eq!(listed(&kit, "team").await.unwrap().0.len(), 3, "{lister}");
        assert_eq!(schemes(&elsewhere), expected, "{lister}");
        assert_eq!(kit.server.requests().len(), 0, "{lister}");
        // The registry gets its own login, and nothing of the API's.
        tags_of(&kit, "team/app-1").await.unwrap();
        for request in kit.server.requests() {
            let is_own = match &request.authorization {
                Authorization::None => true,
                Authorization::Basic { user, .. } => user == "ada",
                _ => false,
            };
            assert!(is_own, "{lister}: {}", request.line());
        }
        // A token is kept.
        let scheme = expected.last().unwrap();
        assert!(
            schemes(&elsewhere).iter().all(|found| found == scheme),
            "{lister}"
        );
    }
}

#[tokio::test]
async fn a_redirect_to_another_host_gets_no_login() {
    for vendor in apis() {
        let lister = vendor.lister;
        let kit = vendor
            .start_as(basic("octocat", ListingApi::GITHUB_TOKEN))
            .await;
        fill(&kit, 3);
        let place = format!("http://{}/elsewhere", kit.server.storage_host());
        let redirect = Answer::new(307).header("location", &place);
        kit.server
            .fault(Fault::on(Kind::Listing).always(), Action::Answer(redirect));
        listed(&kit, "team").await.unwrap_err();
        assert_eq!(kit.server.problems(), [""; 0], "{lister}");
    }
}

#[tokio::test]
async fn logins_that_an_api_does_not_know_are_not_sent() {
    for lister in [Lister::Quay, Lister::Gitlab] {
        let vendor = Vendor::api(lister);
        let kit = vendor.start_as(basic("robot", "secret")).await;
        fill(&kit, 3);
        assert_eq!(listed(&kit, "team").await.unwrap().0.len(), 3);
        assert_eq!(schemes(&kit.server), ["none"], "{lister}");
    }
}

#[tokio::test]
async fn wrong_and_missing_logins_are_named() {
    let required = |api: ListingApi| api.requires(ListingLogin::Basic("a".into(), "b".into()));
    let mut messages = Vec::new();
    for (lister, api, login) in [
        (
            Lister::Harbor,
            required(ListingApi::harbor()),
            Credential::Anonymous,
        ),
        (
            Lister::Harbor,
            required(ListingApi::harbor()),
            basic("robot", "wrong"),
        ),
        (Lister::Ghcr, ListingApi::github(), Credential::Anonymous),
        (
            Lister::Ghcr,
            ListingApi::github(),
            basic("octocat", "wrong"),
        ),
        (
            Lister::Hub,
            required(ListingApi::hub()),
            Credential::Anonymous,
        ),
        (Lister::Hub, ListingApi::hub(), basic("user", "wrong")),
        (
            Lister::Quay,
            required(ListingApi::quay()),
            basic("robot", "secret"),
        ),
        (
            Lister::Gitlab,
            required(ListingApi::gitlab()),
            basic("deploy", "secret"),
        ),
    ] {
        let mut vendor = Vendor::api(lister);
        vendor.profile.listing_api = Some(api);
        let kit = vendor.start_as(login).await;
        fill(&kit, 3);
        messages.push(refused(&kit, "team").await);
        assert_eq!(kit.took().len(), 1, "{lister}");
    }
    assert_eq!(
        messages,
        [
            "cannot list the repositories of HOST/team at HOST: the Harbor API answered 401 Unauthorized; no login is used (the entry HOST in the test has none): use a user or a robot account that may list projects, repositories and artifacts, or name the repositories",
            "cannot list the repositories of HOST/team at HOST: the Harbor API answered 401 Unauthorized; the login of user \"robot\" (from the test) is refused: use a user or a robot account that may list projects, repositories and artifacts, or name the repositories",
            "cannot list the repositories of HOST/team at HOST: the GitHub API answered 401 Unauthorized (Requires authentication); no login is used (the entry HOST in the test has none): lists of packages need a personal access token (classic) with the scope `read:packages`, as the password of the registry or as `api-login`; or name the repositories",
            "cannot list the repositories of HOST/team at HOST: the GitHub API answered 401 Unauthorized (Bad credentials); the login of user \"octocat\" (from the test) is refused: lists of packages need a personal access token (classic) with the scope `read:packages`, as the password of the registry or as `api-login`; or name the repositories",
            "cannot list the repositories of HOST/team at HOST: the Docker Hub API answered 401 Unauthorized (unauthorized access to repository); no login is used (the entry HOST in the test has none): use a user name with an access token that may read the namespace, or name the repositories",
            "cannot list the repositories of HOST/team at HOST: the Docker Hub API answered 401 Unauthorized (incorrect authentication credentials); the login of user \"user\" (from the test) is refused: use a user name with an access token that may read the namespace, or name the repositories",
            "cannot list the repositories of HOST/team at HOST: the Quay API answered 401 Unauthorized (quay: Unauthorized); no login is used: set `api-login` to an OAuth token with the scope `repo:read`, or name the repositories",
            "cannot list the repositories of HOST/team at HOST: the GitLab API answered 401 Unauthorized; no login is used: set `api-login` to an access token with the scope `read_api`, or name the repositories",
        ]
    );
}

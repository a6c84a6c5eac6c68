//! Logins of APIs.

use image_syncer_registry::auth::{Credential, Secret};
use image_syncer_registry::{Lister, ListingSettings};
use testkit::profile::{ListingApi, ListingLogin};
use testkit::{Action, Answer, Auth, Authorization, Fault, Kind, Registry};

use super::{Kit, Vendor, fill, listed, refused, tags_of};
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
        .with_api_login(api_login);
    let kit = vendor.client_of(server.start().await, basic("ada", "pw"), settings);
    (kit, elsewhere)
}

#[tokio::test]
async fn the_login_of_an_api_is_sent_to_its_host_alone() {
    for (lister, login, scheme) in [
        (Lister::Harbor, basic("robot", "secret"), "basic"),
        (Lister::Quay, token("quay-testkit"), "bearer"),
        (Lister::Ghcr, token(ListingApi::GITHUB_TOKEN), "bearer"),
        (Lister::Gitlab, token("glpat-testkit"), "bearer"),
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
        assert_eq!(schemes(&elsewhere), [scheme], "{lister}");
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
        let all_scheme = schemes(&elsewhere).into_iter().all(|found| found == scheme);
        assert!(all_scheme, "{lister}");
    }
}

#[tokio::test]
async fn a_redirect_to_another_host_gets_no_login() {
    for lister in [Lister::Harbor, Lister::Quay, Lister::Ghcr, Lister::Gitlab] {
        let vendor = Vendor::api(lister);
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
    for (lister, api, login, message) in [
        (
            Lister::Harbor,
            ListingApi::harbor().requires(ListingLogin::Basic("robot".into(), "secret".into())),
            Credential::Anonymous,
            "",
        ),
        (
            Lister::Harbor,
            ListingApi::harbor(),
            basic("robot", "wrong"),
            "",
        ),
        (
            Lister::Ghcr,
            ListingApi::github(),
            Credential::Anonymous,
            "",
        ),
        (
            Lister::Ghcr,
            ListingApi::github(),
            basic("octocat", "wrong"),
            "",
        ),
        (
            Lister::Quay,
            ListingApi::quay().requires(ListingLogin::Bearer("right".into())),
            basic("robot", "secret"),
            "",
        ),
        (
            Lister::Gitlab,
            ListingApi::gitlab().requires(ListingLogin::Bearer("right".into())),
            basic("deploy", "secret"),
            "",
        ),
    ] {
        let mut vendor = Vendor::api(lister);
        vendor.profile.listing_api = Some(api);
        let kit = vendor.start_as(login).await;
        fill(&kit, 3);
        assert_eq!(refused(&kit, "team").await, message, "{lister}");
        assert_eq!(kit.took().len(), 1, "{lister}");
    }
}

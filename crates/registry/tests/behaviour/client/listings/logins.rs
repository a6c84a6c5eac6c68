//! Logins of the APIs: each is sent to its own host alone, and a refused one is not sent again.

use futures_util::future::join_all;
use image_syncer_registry::auth::{Credential, LoginChoice, SecretFile, SecretSource};
use image_syncer_registry::{Cause, ErrorKind, Lister, ListingSettings, Registry};
use testkit::log::Authorization;
use testkit::profile::{ListingApi, ListingLogin};
use testkit::{Action, Answer, Fault, Kind, Profile};

use super::super::kit::{Kit, basic};
use super::{kit, listed, put_tags, settings, tags};

/// Returns Docker Hub's profile with this API.
fn hub(api: ListingApi) -> Profile {
    Profile {
        listing_api: Some(api),
        ..Profile::docker_hub()
    }
}

/// Returns Harbor's profile, whose API requires this login.
fn harbor(login: ListingLogin) -> Profile {
    Profile {
        listing_api: Some(ListingApi::harbor().requires(login)),
        ..Profile::harbor()
    }
}

fn own(user: &str, password: &str) -> ListingLogin {
    ListingLogin::Basic(user.to_owned(), password.to_owned())
}

/// Returns the logins of all requests to the API.
fn logins(server: &testkit::Registry) -> Vec<Authorization> {
    let requests = server.requests().into_iter();
    let requests = requests.filter(|request| request.kind == Kind::Listing);
    requests.map(|request| request.authorization).collect()
}

fn password(user: &str, password: &str) -> Authorization {
    Authorization::Basic {
        user: user.to_owned(),
        password: password.to_owned(),
    }
}

/// Starts a registry without an API whose settings lead to the API of `api`.
async fn led(api: &testkit::Registry, credential: Credential, settings: ListingSettings) -> Kit {
    let kit = kit(Profile::distribution(), credential, settings).await;
    api.state().create_repository("team/a");
    kit
}

#[tokio::test]
async fn the_api_has_a_login_of_its_own() {
    let api = testkit::Registry::start(harbor(own("robot$ci", "s3cret"))).await;
    let login = LoginChoice::from(basic("robot$ci", "s3cret"));
    let settings = settings(Lister::Harbor, Some(&api)).with_api_login(login);
    let kit = led(&api, basic("ada", "registry-pw"), settings).await;
    assert_eq!(listed(&kit.client, "team").await.unwrap(), ["team/a"]);
    assert_eq!(logins(&api), [password("robot$ci", "s3cret")]);
    assert!(kit.server.requests().is_empty());
}

#[tokio::test]
async fn without_one_the_login_of_the_registry_is_used_where_the_api_accepts_it() {
    let api = testkit::Registry::start(harbor(own("ada", "pw"))).await;
    let kit = led(
        &api,
        basic("ada", "pw"),
        settings(Lister::Harbor, Some(&api)),
    )
    .await;
    assert_eq!(listed(&kit.client, "team").await.unwrap(), ["team/a"]);
    assert_eq!(logins(&api), [password("ada", "pw")]);

    let quay = testkit::Registry::start(Profile::quay()).await;
    let kit = led(
        &quay,
        basic("ada", "pw"),
        settings(Lister::Quay, Some(&quay)),
    )
    .await;
    assert_eq!(listed(&kit.client, "team").await.unwrap(), ["team/a"]);
    assert_eq!(logins(&quay), [Authorization::None]);
}

#[tokio::test]
async fn docker_hub_grants_one_token_for_all_lists() {
    let login = ListingLogin::Exchange("ada".to_owned(), "pw".to_owned());
    let api = testkit::Registry::start(hub(ListingApi::hub().requires(login))).await;
    let kit = led(&api, basic("ada", "pw"), settings(Lister::Hub, Some(&api))).await;
    let lists = (0..4).map(|_| listed(&kit.client, "team"));
    for paths in join_all(lists).await {
        assert_eq!(paths.unwrap(), ["team/a"]);
    }
    let mut lines: Vec<String> = api.requests().iter().map(testkit::Request::line).collect();
    lines.sort();
    let list = "GET /v2/namespaces/team/repositories?page_size=100";
    assert_eq!(lines, [list, list, list, list, "POST /v2/auth/token"]);
}

#[tokio::test]
async fn public_lists_at_another_host_need_no_login_that_it_refuses() {
    let api = testkit::Registry::start(hub(ListingApi::hub())).await;
    let kit = led(&api, basic("ada", "pw"), settings(Lister::Hub, Some(&api))).await;
    for _ in 0..2 {
        assert_eq!(listed(&kit.client, "team").await.unwrap(), ["team/a"]);
    }
    let lines: Vec<String> = api.requests().iter().map(testkit::Request::line).collect();
    let list = "GET /v2/namespaces/team/repositories?page_size=100";
    assert_eq!(lines, ["POST /v2/auth/token", list, list]);
}

#[tokio::test]
async fn a_refused_login_is_sent_once() {
    let kit = kit(
        harbor(own("ada", "right")),
        basic("ada", "wrong-password"),
        settings(Lister::Harbor, None),
    )
    .await;
    let lists = (0..10).map(|number| {
        let client = &kit.client;
        async move { listed(client, &format!("team-{number}")).await }
    });
    for result in join_all(lists).await {
        let error = result.unwrap_err();
        assert_eq!(
            (error.kind(), error.cause()),
            (ErrorKind::Unauthorized, Cause::LoginRefused)
        );
        assert!(!error.to_string().contains("wrong-password"), "{error}");
    }
    assert_eq!(logins(&kit.server), [password("ada", "wrong-password")]);
    let error = listed(&kit.client, "team").await.unwrap_err();
    let host = kit.server.host();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot list the repositories of {host}/team at {host}: the Harbor API answered 401 Unauthorized; the login of user \"ada\" (from auth.yaml) is refused: use a user or a robot \
             account that may list projects, repositories and artifacts, or name the repositories"
        )
    );
}

#[tokio::test]
async fn a_refused_login_is_tried_again_by_the_next_run() {
    let server = testkit::Registry::start(harbor(own("ada", "right"))).await;
    server.state().create_repository("team/a");
    let login = basic("ada", "wrong-password");
    let (registries, _) = super::registries(&server, login, settings(Lister::Harbor, None));
    let client = registries.client(&Registry::parse(&server.host()).unwrap());
    listed(&client, "team").await.unwrap_err();
    listed(&client, "team").await.unwrap_err();
    assert_eq!(server.requests().len(), 1);
    server.change_profile(|profile| {
        let login = own("ada", "wrong-password");
        profile.listing_api = Some(ListingApi::harbor().requires(login));
    });
    registries.forget_refusals();
    assert_eq!(listed(&client, "team").await.unwrap(), ["team/a"]);
}

#[tokio::test]
async fn a_password_that_an_answer_repeats_is_not_shown() {
    let kit = kit(
        Profile::harbor(),
        basic("ada", "hunter22-secret"),
        settings(Lister::Harbor, None),
    )
    .await;
    let echo = r#"{"errors":[{"code":"FORBIDDEN","message":"ada:hunter22-secret may not"}]}"#;
    let echo = Answer::new(403).body("application/json", echo);
    kit.server
        .fault(Fault::on(Kind::Listing).always(), Action::Answer(echo));
    let error = listed(&kit.client, "team").await.unwrap_err();
    assert!(!error.to_string().contains("hunter22"), "{error}");
    assert_eq!(error.cause(), Cause::NoPullRight);
}

#[tokio::test]
async fn a_secret_that_was_replaced_is_read_again() {
    let api = testkit::Registry::start(harbor(own("robot", "new"))).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("password");
    std::fs::write(&path, "old\n").unwrap();
    let file = SecretFile::read(&path).unwrap();
    let login = LoginChoice::password("robot", SecretSource::File(file));
    let settings = settings(Lister::Harbor, Some(&api)).with_api_login(login);
    let kit = led(&api, Credential::Anonymous, settings).await;
    std::fs::write(&path, "new\n").unwrap();
    assert_eq!(listed(&kit.client, "team").await.unwrap(), ["team/a"]);
    assert_eq!(
        logins(&api),
        [password("robot", "old"), password("robot", "new")]
    );
}

#[tokio::test]
async fn a_redirect_to_another_host_gets_no_login() {
    let other = testkit::Registry::start(Profile::harbor()).await;
    let kit = kit(
        Profile::harbor(),
        basic("ada", "pw"),
        settings(Lister::Harbor, None),
    )
    .await;
    put_tags(&kit, "team/a", 1);
    let away = format!("{}/api/v2.0/elsewhere", other.url());
    let away = Answer::new(307).header("location", away);
    kit.server
        .fault(Fault::on(Kind::Listing).always(), Action::Answer(away));
    listed(&kit.client, "team").await.unwrap_err();
    assert!(tags(&kit.client, &kit.repository("team/a")).await.is_ok());
    assert!(!other.requests().is_empty());
    for request in other.requests() {
        assert_eq!(request.authorization, Authorization::None);
    }
}

//! Messages about refused logins, without secrets.

use http::StatusCode;
use image_syncer_registry::auth::{Credential, Secret};
use testkit::{Access, Auth, Authorization, Grant, Image, Kind, Registry, TokenRules};

use super::caller::{Caller, access, anonymous, user};

async fn start(auth: Auth) -> (Registry, Caller) {
    let registry = Registry::builder().auth(auth).start().await;
    registry.push("a", Some("v1"), &Image::single([]));
    let caller = Caller::of(&registry);
    (registry, caller)
}

fn of_registry(registry: &Registry) -> usize {
    registry.count(|request| request.kind != Kind::Ping)
}

#[tokio::test]
async fn a_missing_login_is_named_with_what_to_do() {
    for (auth, tokens) in [(Auth::bearer("u", "p"), 1), (Auth::basic("u", "p"), 0)] {
        let (registry, caller) = start(auth).await;
        let said = caller.pull(&anonymous(), "a").await.unwrap_err().text();
        let host = registry.host();
        let expected = format!(
            "no login is given for {host} (no entry): add an entry for {host} to the auth file"
        );
        assert!(said.starts_with(&expected), "{said}");
        assert_eq!(registry.token_requests().len(), tokens);
        assert_eq!(of_registry(&registry), 1 + tokens);
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_with_user_and_origin_and_sent_once() {
    let (registry, caller) = start(Auth::bearer("u", "p")).await;
    for _ in 0..3 {
        let said = caller
            .pull(&user("u", "wrong-secret"), "a")
            .await
            .unwrap_err()
            .text();
        assert!(
            said.contains(
                "the login of user \"u\" (from auth.yaml) was refused: check user name and password"
            ),
            "{said}"
        );
        assert!(said.contains(&registry.token_host()), "{said}");
        assert!(said.contains("incorrect username or password"), "{said}");
        assert!(!said.contains("wrong-secret"), "{said}");
    }
    assert_eq!(registry.token_requests().len(), 1);
}

#[tokio::test]
async fn a_wrong_password_under_basic_is_final_at_once() {
    let (registry, caller) = start(Auth::basic("u", "p")).await;
    let said = caller
        .pull(&user("u", "wrong-secret"), "a")
        .await
        .unwrap_err()
        .text();
    assert_eq!(
        said,
        "the login of user \"u\" (from auth.yaml) was refused: check user name and password"
    );
    assert_eq!(of_registry(&registry), 2);
}

#[tokio::test]
async fn missing_rights_are_named_and_asked_for_once() {
    let rights = Access::new().user_with("u", "p", [Grant::pull()]);
    let (registry, caller) = start(Auth::Bearer(rights, TokenRules::default())).await;
    let said = caller.push(&user("u", "p"), "a").await.unwrap_err().text();
    assert!(
        said.starts_with(
            "user \"u\" (from auth.yaml) lacks the right repository:a:pull,push, or the repository \
    does not exist"
        ),
        "{said}"
    );
    assert_eq!(
        (of_registry(&registry), registry.token_requests().len()),
        (2, 1)
    );
    // Reading goes on, with the token that is there.
    assert_eq!(
        caller.pull(&user("u", "p"), "a").await.unwrap(),
        StatusCode::OK
    );
    assert_eq!(registry.token_requests().len(), 1);
}

#[tokio::test]
async fn missing_rights_are_final_even_if_the_registry_does_not_say_so() {
    let rights = Access::new().user_with("u", "p", [Grant::pull()]);
    let auth = Auth::Bearer(rights, TokenRules::default())
        .rules(|rules| rules.challenge.basic_for_bad_tokens = true);
    let (registry, caller) = start(auth).await;
    caller.push(&user("u", "p"), "a").await.unwrap_err();
    assert_eq!(
        (of_registry(&registry), registry.token_requests().len()),
        (2, 1)
    );
}

#[tokio::test]
async fn an_identity_token_is_exchanged_by_post() {
    let rights = Access::new()
        .user("u", "p")
        .identity_token("refresh-secret");
    let (registry, caller) = start(Auth::Bearer(rights, TokenRules::default())).await;
    let identity = access(
        Credential::Identity(Secret::new("refresh-secret")),
        "~/.docker/config.json",
    );
    assert_eq!(
        caller.push(&identity, "a").await.unwrap(),
        StatusCode::ACCEPTED
    );
    let asked = &registry.token_requests()[0];
    assert_eq!(
        (asked.method.as_str(), asked.query.as_deref()),
        ("POST", None)
    );
    assert_eq!(asked.authorization, Authorization::None);
}

#[tokio::test]
async fn an_identity_token_that_cannot_be_used_is_told() {
    let rights = Access::new()
        .user("u", "p")
        .identity_token("refresh-secret");
    for (status, expected) in [
        (
            404,
            "it takes no identity tokens, and ~/.docker/config.json gives nothing else: log in with user and password",
        ),
        (
            405,
            "it takes no identity tokens, and ~/.docker/config.json gives nothing else: log in with user and password",
        ),
        (
            401,
            "the holder of the identity token (from ~/.docker/config.json) was refused",
        ),
    ] {
        let rules = TokenRules {
            refuses_post: Some(status),
            ..TokenRules::default()
        };
        let (registry, caller) = start(Auth::Bearer(rights.clone(), rules)).await;
        let identity = access(
            Credential::Identity(Secret::new("refresh-secret")),
            "~/.docker/config.json",
        );
        let said = caller.pull(&identity, "a").await.unwrap_err().text();
        assert!(said.contains(expected), "{said}");
        assert!(!said.contains("refresh-secret"), "{said}");
        assert_eq!(registry.token_requests().len(), 1);
    }
    let (registry, caller) = start(Auth::basic("u", "p")).await;
    let identity = access(
        Credential::Identity(Secret::new("refresh-secret")),
        "~/.docker/config.json",
    );
    let said = caller.pull(&identity, "a").await.unwrap_err().text();
    assert_eq!(
        said,
        format!(
            "{} wants user and password, and ~/.docker/config.json gives an identity token only: log in with user and password",
            registry.host()
        )
    );
}

#[tokio::test]
async fn a_registry_token_is_sent_as_it_is() {
    let (registry, caller) = start(Auth::bearer("u", "p")).await;
    let bearer = access(
        Credential::Bearer(Secret::new("registry-secret")),
        "~/.docker/config.json",
    );
    let said = caller.pull(&bearer, "a").await.unwrap_err().text();
    assert_eq!(
        said,
        "the login of the holder of the registry token (from ~/.docker/config.json) was refused, and may have run \
         out: log in again"
    );
    let requests = registry.requests();
    assert_eq!(
        requests.last().unwrap().authorization,
        Authorization::Bearer("registry-secret".to_owned())
    );
    assert_eq!(registry.token_requests().len(), 0);
}

//! Tokens and permissions.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use testkit::auth::{ChallengeRules, Denied, TokenField};
use testkit::raw::{Client, Login, Payload, RawResponse};
use testkit::{Access, Auth, Grant, Registry, TokenPlace, TokenRules};

fn access() -> Access {
    Access::new()
        .user("user", "secret")
        .identity_token("identity")
        .user_with("limited", "secret", [Grant::new("team/*", "pull")])
        .anonymous(Grant::new("public/*", "pull"))
}

async fn start(rules: TokenRules) -> Registry {
    let auth = Auth::Bearer(access(), rules);
    Registry::builder().auth(auth).start().await
}

fn token_client(registry: &Registry) -> Client {
    Client::new(format!("http://{}", registry.token_host()))
}

fn basic(name: &str, password: &str) -> Login {
    Login::Basic(name.into(), password.into())
}

async fn status(registry: &Registry, token: &str, url: &str) -> u16 {
    let client = Client::new(registry.url()).login(Login::Token(token.into()));
    client.get(url).await.unwrap().status
}

fn token_of(answer: &RawResponse) -> String {
    answer.json()["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_opens_what_was_asked_and_is_allowed() {
    let registry = start(TokenRules::default()).await;
    let client = token_client(&registry).login(basic("limited", "secret"));
    let url =
        "/token?service=testkit&scope=repository:team/a:pull,push&scope=repository:other/b:pull";
    let answer = client.get(url).await.unwrap();
    assert_eq!(answer.json()["expires_in"], json!(300));
    let token = token_of(&answer);
    // 404: authorised, but nothing exists.
    assert_eq!(status(&registry, &token, "/v2/team/a/tags/list").await, 404);
    assert_eq!(status(&registry, &token, "/v2/team/b/tags/list").await, 401);
    assert_eq!(
        status(&registry, &token, "/v2/other/b/tags/list").await,
        401
    );
    let push = Client::new(registry.url()).login(Login::Token(token));
    let push = crate::post(&push, "/v2/team/a/blobs/uploads/").await;
    let challenge = push.header("www-authenticate");
    assert!(challenge.contains("scope=\"repository:team/a:pull,push\""));
    assert!(challenge.contains("error=\"insufficient_scope\""));

    let wrong = token_client(&registry).login(basic("user", "wrong"));
    assert_eq!(wrong.get(url).await.unwrap().status, 401);
    let anonymous = token_client(&registry);
    let url = "/token?service=testkit&scope=repository:public/a:pull";
    let token = token_of(&anonymous.get(url).await.unwrap());
    assert_eq!(
        status(&registry, &token, "/v2/public/a/tags/list").await,
        404
    );
    assert_eq!(registry.token_requests().len(), 3);
}

async fn form(client: &Client, form: &str) -> RawResponse {
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let payload = Payload::Bytes(Bytes::from(form.to_owned()));
    let send = client.send(Method::POST, "/token", &kind, payload);
    send.await.unwrap()
}

#[tokio::test]
async fn oauth() {
    let registry = start(TokenRules::default()).await;
    let client = token_client(&registry);
    let tail =
        "&service=testkit&client_id=x&scope=repository%3Ateam%2Fa%3Apull+repository:team/b:pull";
    let password = format!("grant_type=password&username=user&password=secret{tail}");
    let by_password = form(&client, &password).await;
    let token = token_of(&by_password);
    assert_eq!(status(&registry, &token, "/v2/team/a/tags/list").await, 404);
    assert_eq!(status(&registry, &token, "/v2/team/b/tags/list").await, 404);
    assert_eq!(by_password.json()["refresh_token"], Value::Null);

    let offline = form(&client, &format!("{password}&access_type=offline")).await;
    let refresh = offline.json()["refresh_token"].as_str().unwrap().to_owned();
    for identity in ["identity", &refresh] {
        let body = format!("grant_type=refresh_token&refresh_token={identity}{tail}");
        assert_eq!(form(&client, &body).await.status, 200);
    }
    for (wrong, status) in [
        (
            format!("grant_type=refresh_token&refresh_token=x{tail}"),
            401,
        ),
        (
            format!("grant_type=password&username=user&password=x{tail}"),
            401,
        ),
        (format!("grant_type=magic{tail}"), 400),
        (
            "grant_type=refresh_token&refresh_token=identity".to_owned(),
            400,
        ),
    ] {
        assert_eq!(form(&client, &wrong).await.status, status, "{wrong}");
    }
    registry.set_auth(Auth::Bearer(
        access(),
        TokenRules {
            refuses_post: Some(404),
            ..TokenRules::default()
        },
    ));
    assert_eq!(form(&client, &password).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn tokens_end() {
    let registry = start(TokenRules {
        lifetime: Duration::from_secs(60),
        ..TokenRules::default()
    })
    .await;
    let client = token_client(&registry).login(basic("user", "secret"));
    let url = "/token?service=testkit&scope=repository:team/a:pull";
    let answer = client.get(url).await.unwrap();
    assert_eq!(answer.json()["expires_in"], json!(60));
    let token = token_of(&answer);
    tokio::time::advance(Duration::from_secs(59)).await;
    assert_eq!(status(&registry, &token, "/v2/team/a/tags/list").await, 404);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(status(&registry, &token, "/v2/team/a/tags/list").await, 401);
}

#[tokio::test]
async fn answers_in_other_forms() {
    let registry = start(TokenRules {
        says_lifetime: false,
        issued_at: false,
        field: TokenField::AccessToken,
        padding: 2000,
        ..TokenRules::default()
    })
    .await;
    let client = token_client(&registry).login(basic("user", "secret"));
    let answer = client.get("/token?service=testkit").await.unwrap().json();
    let names: Vec<_> = answer.as_object().unwrap().keys().collect();
    assert_eq!(names, ["access_token"]);
    assert!(answer["access_token"].as_str().unwrap().len() > 2000);
}

#[tokio::test]
async fn scopes_that_are_denied() {
    let ask = async |rules: TokenRules, scopes: &str| {
        let registry = start(rules).await;
        let client = token_client(&registry).login(basic("limited", "secret"));
        let url = format!("/token?service=testkit{scopes}");
        client.get(&url).await.unwrap().status
    };
    let rules = |denied| TokenRules {
        denied,
        ..TokenRules::default()
    };
    let (good, bad) = (
        "&scope=repository:team/a:pull",
        "&scope=repository:other/a:pull",
    );
    let both = format!("{good}{bad}");
    assert_eq!(ask(rules(Denied::LeftOut), &both).await, 200);
    assert_eq!(ask(rules(Denied::Fails(403)), bad).await, 403);
    assert_eq!(ask(rules(Denied::Fails(403)), good).await, 200);
    assert_eq!(ask(rules(Denied::FailsAmongOthers(401)), bad).await, 200);
    assert_eq!(ask(rules(Denied::FailsAmongOthers(401)), &both).await, 401);
    let first = TokenRules {
        first_scope_only: true,
        ..rules(Denied::Fails(403))
    };
    assert_eq!(ask(first, &both).await, 200);
    let delete = "&scope=repository:team/a:delete";
    assert_eq!(ask(TokenRules::quay(), delete).await, 400);
}

#[tokio::test]
async fn forms_of_challenges() {
    let challenges = async |change: &dyn Fn(&mut ChallengeRules), url: &str| {
        let mut rules = TokenRules {
            place: TokenPlace::SamePort("/auth"),
            ..TokenRules::default()
        };
        change(&mut rules.challenge);
        let registry = start(rules).await;
        let answer = Client::new(registry.url()).get(url).await.unwrap();
        assert_eq!(answer.status, 401);
        let lines = answer.headers.get_all("www-authenticate").iter();
        lines
            .map(|line| line.to_str().unwrap().replace(&registry.url(), "URL"))
            .collect::<Vec<_>>()
    };
    let tags = "/v2/a/tags/list";
    let full = "Bearer realm=\"URL/auth\",service=\"testkit\",scope=\"repository:a:pull\"";
    assert_eq!(challenges(&|_| {}, tags).await, [full]);
    let several = |c: &mut ChallengeRules| {
        c.before = vec!["Negotiate".into()];
        c.behind = vec!["Basic realm=\"x\"".into()];
    };
    let lines = challenges(&several, tags).await;
    assert_eq!(lines, ["Negotiate", full, "Basic realm=\"x\""]);
    let one_line = |c: &mut ChallengeRules| {
        several(c);
        c.one_line = true;
    };
    let line = format!("Negotiate, {full}, Basic realm=\"x\"");
    assert_eq!(challenges(&one_line, tags).await, [line]);
    let realm_only = |c: &mut ChallengeRules| {
        c.service = false;
        c.scope = false;
    };
    assert_eq!(
        challenges(&realm_only, tags).await,
        ["Bearer realm=\"URL/auth\""]
    );
    let on_ping = |c: &mut ChallengeRules| c.only_on_ping = true;
    assert_eq!(challenges(&on_ping, tags).await, Vec::<String>::new());
    assert_eq!(challenges(&on_ping, "/v2/").await.len(), 1);
}

#[tokio::test]
async fn user_and_password_with_limits() {
    let registry = Registry::builder()
        .auth(Auth::Basic(access()))
        .start()
        .await;
    let as_user = |name: &str| Client::new(registry.url()).login(basic(name, "secret"));
    let tags = "/v2/team/a/tags/list";
    assert_eq!(as_user("limited").get(tags).await.unwrap().status, 404);
    let push = crate::post(&as_user("limited"), "/v2/team/a/blobs/uploads/").await;
    assert_eq!((push.status, &*push.error_code()), (403, "DENIED"));
    let push = crate::post(&as_user("user"), "/v2/team/a/blobs/uploads/").await;
    assert_eq!(push.status, 202);
    let nobody = Client::new(registry.url());
    assert_eq!(
        nobody.get("/v2/public/a/tags/list").await.unwrap().status,
        404
    );
    assert_eq!(nobody.get(tags).await.unwrap().status, 401);
    let seen = registry.requests();
    assert_eq!(seen[0].authorization.scheme(), "basic");
    assert_eq!(format!("{:?}", seen[0].authorization), "basic");
}

//! Known registries as a whole.

use http::Method;
use testkit::image::media;
use testkit::raw::{Client, Login, Payload, RawResponse, push_over_http};
use testkit::{Access, Grant, Image, Registry};

use crate::post;

fn user() -> Login {
    Login::Exchange("user".into(), "secret".into())
}

fn access() -> Access {
    Access::new()
        .user("user", "secret")
        .anonymous(Grant::pull())
}

async fn manifest(client: &Client, method: Method, url: &str) -> RawResponse {
    let accept = [("accept", media::ACCEPT_ALL)];
    client
        .send(method, url, &accept, Payload::None)
        .await
        .unwrap()
}

#[tokio::test]
async fn aliyun() {
    let registry = Registry::builder()
        .acr_aliyun(access())
        .namespaces(&["team"])
        .hostname("localhost")
        .start()
        .await;
    let client = Client::new(registry.url()).login(user());
    let image = Image::oci().build();
    push_over_http(&client, "team/app", Some("v1"), &image)
        .await
        .unwrap();
    for (name, status) in [("team/deep/app", 403), ("app", 403), ("stranger/app", 403)] {
        let refused = post(&client, &format!("/v2/{name}/blobs/uploads/")).await;
        assert_eq!(
            (refused.status, &*refused.error_code()),
            (status, "DENIED"),
            "{name}"
        );
    }
    let challenge = Client::new(registry.url()).get("/v2/").await.unwrap();
    let challenge = challenge.header("www-authenticate").to_owned();
    assert!(challenge.contains("service=\"registry.aliyuncs.com:cn-hangzhou:26842\""));
    assert!(challenge.contains(&format!("realm=\"http://{}/token\"", registry.token_host())));
    assert_ne!(registry.host(), registry.token_host());
    assert!(registry.host().starts_with("localhost:"));
    assert_eq!(client.get("/v2/_catalog").await.unwrap().status, 401);
    let url = format!("/v2/team/app/manifests/{}", image.digest());
    assert_eq!(manifest(&client, Method::DELETE, &url).await.status, 405);
}

#[tokio::test]
async fn harbor() {
    let registry = Registry::builder()
        .harbor(access())
        .namespaces(&["team"])
        .start()
        .await;
    let client = Client::new(registry.url()).login(user());
    let image = Image::oci().build();
    push_over_http(&client, "team/app", Some("v1"), &image)
        .await
        .unwrap();
    let missing = post(&client, "/v2/nobody/app/blobs/uploads/").await;
    assert_eq!(missing.status, 401);
    assert_eq!(
        missing.json()["errors"][0]["message"],
        "project nobody not found"
    );
    let digest = image.blobs()[0].digest();
    let url = format!("/v2/team/app/blobs/uploads/?mount={digest}&from=nobody/app");
    assert_eq!(post(&client, &url).await.status, 401);

    let nobody = Client::new(registry.url());
    let anonymous = nobody.get("/v2/team/app/tags/list").await.unwrap();
    assert!(anonymous.header("www-authenticate").starts_with("Bearer "));
    let stale = nobody.clone().login(Login::Token("old".into()));
    let stale = stale.get("/v2/team/app/tags/list").await.unwrap();
    assert_eq!(stale.header("www-authenticate"), "Basic realm=\"harbor\"");
    let basic = nobody.login(Login::Basic("user".into(), "secret".into()));
    assert_eq!(
        basic.get("/v2/team/app/tags/list").await.unwrap().status,
        200
    );
    assert!(
        registry
            .token_requests()
            .iter()
            .all(|r| r.path == "/service/token")
    );
    assert_eq!(registry.count(|r| r.path == "/service/token"), 0);
}

#[tokio::test]
async fn docker_hub() {
    let registry = Registry::builder().docker_hub(access()).start().await;
    let image = Image::oci().build();
    registry.push("library/nginx", Some("latest"), &image);
    let client = Client::new(registry.url()).login(user());
    let url = "/v2/library/nginx/manifests/latest";
    let head = manifest(&client, Method::HEAD, url).await;
    assert_eq!(head.header("ratelimit-remaining"), "100;w=21600");
    let get = manifest(&client, Method::GET, url).await;
    assert_eq!(get.header("ratelimit-remaining"), "99;w=21600");
    registry.change_profile(|p| p.pull_limit = Some(1));
    let limited = manifest(&client, Method::GET, url).await;
    assert_eq!(
        (limited.status, &*limited.error_code()),
        (429, "TOOMANYREQUESTS")
    );
    let blob = format!("/v2/library/nginx/blobs/{}", image.blobs()[0].digest());
    assert_eq!(client.get(&blob).await.unwrap().status, 307);
    let unknown = manifest(&client, Method::GET, "/v2/nobody/app/manifests/v1").await;
    assert_eq!(unknown.status, 401);

    // A second scope for a missing repository makes the first one fail.
    let basic = Login::Basic("user".into(), "secret".into());
    let token = Client::new(format!("http://{}", registry.token_host())).login(basic);
    let one = "/token?service=registry.docker.io&scope=repository:library/nginx:pull,push";
    assert_eq!(token.get(one).await.unwrap().status, 200);
    let two = format!("{one}&scope=repository:gcr.io/foreign:pull");
    assert_eq!(token.get(&two).await.unwrap().status, 401);
    let alone = "/token?service=registry.docker.io&scope=repository:gcr.io/foreign:pull";
    assert_eq!(token.get(alone).await.unwrap().status, 200);
}

//! The helper that runs the real registry.

use testkit::raw::{Login, push_over_http};
use testkit::real::DockerRegistry;
use testkit::{Auth, Fault, Image, Kind, Layer, Tls};

fn image() -> Image {
    Image::index([Image::single([Layer::tar("base", 1000)])])
}

#[tokio::test]
async fn a_restarted_registry_keeps_its_contents() {
    testkit::needs!("docker-registry");
    let mut registry = DockerRegistry::builder().start().unwrap();
    let client = registry.client().unwrap();
    push_over_http(&client, "app", Some("v1"), &image())
        .await
        .unwrap();
    let host = registry.host();
    registry.stop();
    client.get("/v2/").await.unwrap_err();
    registry.restart().unwrap();
    assert_eq!(registry.host(), host);
    let tags = client.get("/v2/app/tags/list").await.unwrap();
    assert_eq!(tags.json()["tags"][0], "v1");
    assert!(
        registry
            .storage_dir()
            .join("docker/registry/v2/repositories/app")
            .is_dir()
    );
    assert!(registry.log().contains("listening on"));
}

#[tokio::test]
async fn a_dropped_registry_ends_and_removes_its_files() {
    testkit::needs!("docker-registry");
    let registry = DockerRegistry::builder().start().unwrap();
    let (client, directory) = (registry.client().unwrap(), registry.directory().to_owned());
    drop(registry);
    client.get("/v2/").await.unwrap_err();
    assert!(!directory.exists());
}

#[tokio::test]
async fn tls_and_tokens() {
    testkit::needs!("docker-registry");
    let registry = DockerRegistry::builder()
        .auth(Auth::bearer("user", "secret"))
        .tls(Tls::new())
        .start()
        .unwrap();
    assert!(registry.url().starts_with("https://"));
    let login = |password: &str| Login::Exchange("user".into(), password.into());
    let client = registry.client().unwrap();
    let stranger = client.clone().login(login("wrong"));
    push_over_http(&stranger, "app", Some("v1"), &image())
        .await
        .unwrap_err();
    let client = client.login(login("secret"));
    push_over_http(&client, "app", Some("v1"), &image())
        .await
        .unwrap();
    let tokens = registry.token_server().unwrap();
    assert!(tokens.token_requests().len() > 1);
    tokens.fault(Fault::on(Kind::Token), testkit::Action::status(500));
    push_over_http(&client, "app", Some("v1"), &image())
        .await
        .unwrap_err();
}

#[tokio::test]
async fn passwords_and_settings() {
    testkit::needs!("docker-registry");
    let registry = DockerRegistry::builder()
        .auth(Auth::basic("user", "secret"))
        .without_delete()
        .setting("REGISTRY_HTTP_RELATIVEURLS", "true")
        .start()
        .unwrap();
    let client = registry.client().unwrap();
    assert_eq!(client.get("/v2/").await.unwrap().status, 401);
    let client = client.login(Login::Basic("user".into(), "secret".into()));
    let start = client.send(
        http::Method::POST,
        "/v2/app/blobs/uploads/",
        &[],
        testkit::raw::Payload::empty(),
    );
    assert!(start.await.unwrap().header("location").starts_with("/v2/"));
    let url = format!("/v2/app/blobs/{}", testkit::digest::EMPTY);
    let delete = client.send(http::Method::DELETE, &url, &[], testkit::raw::Payload::None);
    assert_eq!(delete.await.unwrap().status, 405);
}

#[test]
fn what_it_says_when_it_cannot_start_is_the_error() {
    testkit::needs!("docker-registry");
    let broken = DockerRegistry::builder()
        .setting("REGISTRY_STORAGE", "nonsense")
        .start();
    let error = broken.err().unwrap().to_string();
    assert!(error.contains("nonsense"), "{error}");
}

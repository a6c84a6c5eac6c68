//! Clients with the settings of the environment.

use image_syncer_registry::{Reference, Registries};
use testkit::{Auth, Kind, Tls};

use crate::transport::child;

#[tokio::test]
async fn logins_and_roots_come_from_the_environment() {
    let tls = Tls::new();
    let roots = tls.ca_pem();
    let server = testkit::Registry::builder()
        .tls(tls)
        .auth(Auth::basic("ada", "pw"))
        .start()
        .await;
    server.push("a/b", Some("v1"), &super::manifests::image());
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("roots.pem"), roots).unwrap();
    // `ada:pw`
    let login = format!(
        r#"{{"auths":{{"{}":{{"auth":"YWRhOnB3"}}}}}}"#,
        server.host()
    );
    std::fs::write(path("config.json"), login).unwrap();
    let reference = format!("{}/a/b:v1", server.host());
    let environment = [
        ("SSL_CERT_FILE", path("roots.pem")),
        ("DOCKER_CONFIG", path("")),
        ("XDG_RUNTIME_DIR", path("none")),
        ("XDG_CONFIG_HOME", path("none")),
        ("REFERENCE", reference),
    ];
    let environment = environment
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    child(
        "client::environment::child_with_an_environment",
        &environment,
    )
    .await;
    let heads = server.count(|request| request.kind == Kind::ManifestHead && request.status == 200);
    assert_eq!(heads, 1);
}

#[tokio::test]
#[ignore = "a half of another test"]
async fn child_with_an_environment() {
    let reference = Reference::parse(&std::env::var("REFERENCE").unwrap()).unwrap();
    let registries = Registries::from_env().unwrap();
    let client = registries.client(reference.repository.registry());
    let target = reference.target().unwrap();
    let found = client.head_manifest(&reference.repository, &target).await;
    assert!(found.unwrap().is_some());
}

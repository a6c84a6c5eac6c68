//! `--foreign-layers`, and blobs that are embedded in their manifests.

use image_syncer_registry::auth::Credential;
use image_syncer_registry::transport::TransportOptions;
use image_syncer_sync::report::Summary;
use image_syncer_sync::rule::Parts;
use testkit::{Access, Action, Auth, Cut, Fault, Image, Kind, Layer, Profile, Registry};

use crate::kit::{server, stores_with};
use crate::run::{copy, rule, run_over, settings};
use crate::settings::Settings;

fn with_foreign_layers() -> Settings {
    Settings {
        parts: Parts {
            foreign_layers: true,
            ..Parts::default()
        },
        ..settings(&[])
    }
}

/// Returns a layer; equal names and sizes are equal layers, whatever their media type.
fn layer() -> Layer {
    Layer::tar("windows", 200_000)
}

/// Starts a server that is not one of the run's registries, with the layer; returns it with the layer's URL.
async fn elsewhere() -> (Registry, String) {
    let host = server().await;
    host.push("files", Some("v1"), &Image::single([layer()]));
    let url = format!("{}/v2/files/blobs/{}", host.url(), layer().digest());
    (host, url)
}

fn windows(url: &str) -> Image {
    Image::docker()
        .layer(Layer::foreign("windows", 200_000, url))
        .layer(Layer::tar("app", 300))
        .build()
}

/// Copies `image` from a source that needs a login; hosts of the private network may be `allowed`.
async fn copy_from(
    image: &Image,
    allowed: &[&Registry],
    destination: &Registry,
) -> (Summary, Registry) {
    let access = Access::new().user("user", "hidden");
    let source = Registry::builder().auth(Auth::Basic(access)).start().await;
    source.push("from/app", Some("v1"), image);
    let summary = bring_between(&source, allowed, destination).await;
    (summary, source)
}

async fn bring_between(
    source: &Registry,
    allowed: &[&Registry],
    destination: &Registry,
) -> Summary {
    let options = TransportOptions::default().with_private_hosts(
        allowed
            .iter()
            .map(|host| host.host())
            .collect::<Vec<String>>(),
    );
    let login = Credential::Basic {
        username: "user".to_owned(),
        password: image_syncer_registry::auth::Secret::new("hidden"),
    };
    let servers = [source, destination];
    let stores = stores_with(&servers, &login, options);
    let rules = vec![rule(
        &format!("{}/from/app:v1", source.host()),
        &[format!("{}/to/app", destination.host())],
    )];
    run_over(stores, &servers, rules, with_foreign_layers())
        .await
        .0
}

fn reason(summary: &Summary) -> &str {
    assert_eq!(summary.failures.len(), 1);
    &summary.failures[0].failure.reason
}

#[tokio::test]
async fn foreign_layers_are_left_out_unless_they_are_asked_for() {
    let image = windows("https://layers.example/windows");
    let (source, destination) = (server().await, Registry::start(Profile::strict()).await);
    source.push("from/app", Some("v1"), &image);
    let (summary, _) = copy(&source, &[&destination], ":v1", settings(&[])).await;
    assert_eq!(summary.copied, 1);
    let state = destination.state();
    assert!(!state.has_blob("to/app", layer().digest()));
    assert_eq!(
        state.digest("to/app", "v1").as_deref(),
        Some(image.digest())
    );
}

#[tokio::test]
async fn a_foreign_layer_comes_from_the_source_where_that_has_it() {
    let image = Image::docker()
        .layer(Layer::foreign("windows", 200_000, "https://layers.example/").pushed())
        .build();
    let destination = Registry::start(Profile::strict()).await;
    let (summary, _) = copy_from(&image, &[], &destination).await;
    assert_eq!(summary.copied, 1);
    assert!(destination.state().has_blob("to/app", layer().digest()));
}

#[tokio::test]
async fn a_foreign_layer_comes_from_its_url_without_a_login_and_resumed() {
    let (host, url) = elsewhere().await;
    host.fault(
        Fault::on(Kind::BlobGet).nth(1),
        Action::CutResponse {
            after: 100_000,
            how: Cut::Reset,
        },
    );
    let destination = Registry::start(Profile::strict()).await;
    let (summary, source) = copy_from(&windows(&url), &[&host], &destination).await;
    assert_eq!(summary.copied, 1, "{:?}", summary.failures);
    assert!(destination.state().has_blob("to/app", layer().digest()));
    destination.verify_complete("to/app", "v1").unwrap();
    let asked: Vec<_> = host.requests();
    assert_eq!(asked.len(), 2);
    for request in &asked {
        assert_eq!(request.header("authorization"), None);
    }
    assert_eq!(asked[1].header("range"), Some("bytes=100000-"));
    // The registry was asked for it first, with the login.
    let of_layer = |r: &testkit::Request| r.line().contains(layer().digest());
    let with_login = source.count(|r| of_layer(r) && r.header("authorization").is_some());
    assert_eq!((source.count(of_layer), with_login), (1, 1));
}

#[tokio::test]
async fn a_layer_from_a_url_must_match_its_digest() {
    let (host, url) = elsewhere().await;
    let url = url.replace(layer().digest(), Layer::tar("other", 300).digest());
    host.push(
        "files",
        Some("v2"),
        &Image::single([Layer::tar("other", 300)]),
    );
    let destination = Registry::start(Profile::strict()).await;
    let (summary, _) = copy_from(&windows(&url), &[&host], &destination).await;
    assert!(
        reason(&summary).contains("the blob is corrupt"),
        "{}",
        reason(&summary)
    );
    assert_eq!(destination.state().tags("to/app"), [""; 0]);
}

#[tokio::test]
async fn a_url_into_a_private_network_is_not_followed() {
    let (host, url) = elsewhere().await;
    let destination = Registry::start(Profile::strict()).await;
    let (summary, _) = copy_from(&windows(&url), &[], &destination).await;
    let expected = format!(
        "cannot fetch foreign layer {} of from/app at 127.0.0.1: its URL leads to an address of a private network, which \
         is not followed: to allow it, add --allow-private 127.0.0.1",
        layer().digest()
    );
    assert_eq!(reason(&summary), expected);
    assert!(host.requests().is_empty());
}

#[tokio::test]
async fn a_foreign_layer_that_is_nowhere_is_reported() {
    let image = Image::oci()
        .layer(Layer::nondistributable("windows", 200_000))
        .build();
    let destination = Registry::start(Profile::strict()).await;
    let (summary, source) = copy_from(&image, &[], &destination).await;
    let expected = format!(
        "cannot fetch blob {} of from/app at {}: it is a foreign layer that the registry does not have, and its \
         descriptor names no URL to fetch it from",
        layer().digest(),
        source.host()
    );
    assert_eq!(reason(&summary), expected);
}

#[tokio::test]
async fn a_blob_that_is_embedded_in_its_descriptor_is_not_fetched() {
    let (source, destination) = (server().await, server().await);
    let image = Image::oci()
        .layer(Layer::tar("beside", 100))
        .embed_config()
        .build();
    source.push("from/app", Some("v1"), &image);
    let (summary, _) = copy(&source, &[&destination], ":v1", settings(&[])).await;
    assert_eq!(summary.copied, 1);
    assert_eq!(source.count(|r| r.kind == Kind::BlobGet), 1);
    destination.verify_complete("to/app", "v1").unwrap();
    // The same for a filter that needs the config.
    let other = server().await;
    source.clear_requests();
    copy(&source, &[&other], ":v1", settings(&["amd64"])).await;
    assert_eq!(source.count(|r| r.kind == Kind::BlobGet), 1);
    other.verify_complete("to/app", "v1").unwrap();
}

#[tokio::test]
async fn the_registry_itself_sees_no_login_where_a_manifest_names_it() {
    let access = Access::new().user("user", "hidden");
    let source = Registry::builder().auth(Auth::Basic(access)).start().await;
    source.push("files", Some("v1"), &Image::single([layer()]));
    let url = format!("{}/v2/files/blobs/{}", source.url(), layer().digest());
    source.push("from/app", Some("v1"), &windows(&url));
    let destination = Registry::start(Profile::strict()).await;
    let summary = bring_between(&source, &[&source], &destination).await;
    assert!(
        reason(&summary).contains("401 Unauthorized"),
        "{}",
        reason(&summary)
    );
    let of_files = |r: &testkit::Request| r.line().contains("/v2/files/");
    let with_login = source.count(|r| of_files(r) && r.header("authorization").is_some());
    assert!(source.count(of_files) > 0);
    assert_eq!(with_login, 0);
}

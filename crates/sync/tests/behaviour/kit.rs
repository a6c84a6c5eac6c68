//! Registries in this process, and stores over the real client.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use image_syncer_registry::auth::{Credential, Keychain, KeychainEntry};
use image_syncer_registry::transport::{RetryPolicy, Timeouts, Transport, TransportOptions};
use image_syncer_registry::{Descriptor, Digest, Options, Registries};
use image_syncer_sync::Repository;
use image_syncer_sync::store::{Destination, RegistryStores, Source, Stores};
use testkit::{Blob, Image, Layer, Platform, Profile};

/// Creates stores for registries of a test, which speak plain HTTP and need no login.
pub(crate) fn stores_of(servers: &[&testkit::Registry]) -> RegistryStores {
    stores_with(servers, &Credential::Anonymous, TransportOptions::default())
}

/// Creates the same stores with a credential and with `options`, except their time limits.
pub(crate) fn stores_with(
    servers: &[&testkit::Registry],
    credential: &Credential,
    options: TransportOptions,
) -> RegistryStores {
    let hosts: Vec<String> = servers.iter().map(|server| server.host()).collect();
    stores_at(&hosts, credential, options)
}

/// Creates the same stores for the registries at these hosts.
pub(crate) fn stores_at(
    hosts: &[String],
    credential: &Credential,
    options: TransportOptions,
) -> RegistryStores {
    let entry = |host: &String| {
        KeychainEntry::new(host.clone(), credential.clone(), "the test").with_insecure(true)
    };
    let transport = Transport::new(
        options.with_timeouts(Timeouts::default().with_stall(Duration::from_secs(5))),
    );
    RegistryStores::new(Registries::new(
        Options::new(
            Arc::new(transport.unwrap()),
            Arc::new(Keychain::new(hosts.iter().map(entry).collect(), None).unwrap()),
        )
        .with_retry(
            RetryPolicy::default()
                .with_retries(3)
                .with_initial(Duration::from_millis(1))
                .with_max(Duration::from_millis(2)),
        ),
    ))
}

/// Starts a registry with the default profile.
pub(crate) async fn server() -> testkit::Registry {
    testkit::Registry::start(Profile::distribution()).await
}

pub(crate) fn repository(server: &testkit::Registry, path: &str) -> Repository {
    Repository::parse(&format!("{}/{path}", server.host())).unwrap()
}

/// Opens a repository of a registry, which needs no wait.
pub(crate) fn source(
    stores: &RegistryStores,
    server: &testkit::Registry,
    path: &str,
) -> Arc<dyn Source> {
    let source = stores.source(&repository(server, path)).now_or_never();
    source.unwrap().unwrap()
}

/// Opens a repository of a registry, which needs no wait.
pub(crate) fn destination(
    stores: &RegistryStores,
    server: &testkit::Registry,
    path: &str,
) -> Arc<dyn Destination> {
    let destination = stores.destination(&repository(server, path)).now_or_never();
    destination.unwrap().unwrap()
}

pub(crate) fn descriptor(blob: &Blob) -> Descriptor {
    Descriptor {
        media_type: "application/octet-stream".to_owned(),
        digest: Digest::parse(blob.digest()).unwrap(),
        size: Some(blob.size()),
        platform: None,
        annotations: std::collections::BTreeMap::default(),
        urls: Vec::new(),
        artifact_type: None,
    }
}

/// Asserts that the registry holds the blob with the right bytes.
pub(crate) fn assert_arrived(server: &testkit::Registry, path: &str, blob: &Blob) {
    let stored = server.state().blob(path, blob.digest());
    assert!(stored == blob.bytes(), "the blob is not there, or differs");
}

/// Asserts that no server saw a request that a correct client never makes.
pub(crate) fn assert_good(servers: &[&testkit::Registry]) {
    for server in servers {
        assert_eq!(server.problems(), [""; 0]);
    }
}

/// Returns an image of one layer.
pub(crate) fn image(seed: u64) -> Image {
    Image::single([Layer::synthetic(1_000, seed)])
}

/// Returns an index of three platforms, whose layers have the seeds from `seed` on.
pub(crate) fn index(seed: u64) -> Image {
    let child = |(arch, seed): (&str, u64)| {
        Image::oci()
            .platform(Platform::linux(arch))
            .layer(Layer::synthetic(1_000, seed))
            .build()
    };
    Image::index(
        ["amd64", "arm64", "s390x"]
            .into_iter()
            .zip(seed..)
            .map(child),
    )
}

//! Lists of repositories, and of tags with digests: detection of the API, logins, and the fallback to plain lists.

mod detection;
mod logins;
mod tags;

use std::sync::Arc;

use image_syncer_registry::auth::{Credential, Keychain, KeychainEntry};
use image_syncer_registry::transport::{Transport, TransportOptions};
use image_syncer_registry::{
    Client, Error, ListedTag, Lister, ListingSettings, Listings, Options, Registries, Registry,
    Repository,
};
use testkit::profile::{ListKind, ListingApi, ListingFault};
use testkit::{Image, Profile};
use url::Url;

use super::kit::{Heard, Kit, retry};

/// Returns the settings of `list` with this base URL of the API.
fn settings(list: Lister, api: Option<&testkit::Registry>) -> ListingSettings {
    let settings = ListingSettings::new(list);
    match api {
        Some(api) => settings.with_api(Url::parse(&api.url()).unwrap()),
        None => settings,
    }
}

/// Starts a registry whose lists are set by `settings`.
async fn kit(profile: Profile, credential: Credential, settings: ListingSettings) -> Kit {
    of(
        testkit::Registry::start(profile).await,
        credential,
        settings,
    )
}

fn of(server: testkit::Registry, credential: Credential, settings: ListingSettings) -> Kit {
    let (registries, heard) = registries(&server, credential, settings);
    let registry = Registry::parse(&server.host()).unwrap();
    Kit {
        client: registries.client(&registry),
        server,
        heard,
    }
}

fn registries(
    server: &testkit::Registry,
    credential: Credential,
    settings: ListingSettings,
) -> (Registries, Arc<Heard>) {
    let host = server.host();
    let heard = Arc::new(Heard::default());
    let options = TransportOptions::default().with_observer(heard.clone());
    let entry = KeychainEntry::new(&host, credential, "auth.yaml").with_insecure(true);
    let keychain = Keychain::new(vec![entry], None).unwrap();
    let transport = Arc::new(Transport::new(options).unwrap());
    let listings = Listings::new([(host.clone(), settings)]).unwrap();
    let options = Options::new(transport, Arc::new(keychain))
        .with_retry(retry())
        .with_listings(listings);
    (Registries::new(options), heard)
}

/// Returns Harbor with this fault in a list.
fn harbor_with(list: ListKind, fault: ListingFault) -> Profile {
    Profile {
        listing_api: Some(ListingApi::harbor().fault(list, fault)),
        ..Profile::harbor()
    }
}

/// Returns the paths of the listed repositories, in the order of the list.
async fn listed(client: &Client, prefix: &str) -> Result<Vec<String>, Error> {
    let mut pages = client.list_repositories(prefix);
    let mut paths = Vec::new();
    while let Some(page) = pages.next().await? {
        assert!(!page.repositories.is_empty(), "an empty page was given");
        paths.extend(page.repositories.iter().map(|it| it.path().to_owned()));
        assert_eq!(page.listed, paths.len() as u64);
    }
    assert!(pages.next().await?.is_none(), "the end is the end");
    Ok(paths)
}

/// Returns the listed tags of a repository.
async fn tags(client: &Client, repository: &Repository) -> Result<Vec<ListedTag>, Error> {
    let mut pages = client.list_tags(repository);
    let mut tags = Vec::new();
    while let Some(page) = pages.next().await? {
        assert!(!page.is_empty(), "an empty page was given");
        tags.extend(page);
    }
    Ok(tags)
}

/// Stores `count` tags of as many images to a repository: `t000`, …
fn put_tags(kit: &Kit, path: &str, count: usize) {
    for number in 0..count {
        let image = Image::oci().label(format!("{path} {number}")).build();
        let tag = format!("t{number:03}");
        kit.server.state().put_image(path, Some(&tag), &image);
    }
}

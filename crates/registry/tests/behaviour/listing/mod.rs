//! Lists of repositories and tags by the APIs of vendors, each against a registry that has that API.

mod faults;
mod logins;
mod repositories;
mod tags;

use image_syncer_registry::auth::Credential;
use image_syncer_registry::transport::{Timeouts, TransportOptions};
use image_syncer_registry::{Error, ListedTag, Lister, ListingSettings, Listings};
use testkit::profile::{ListKind, ListingApi, ListingFault};
use testkit::{Kind, Profile, Registry};

use crate::client::kit::{Kit, basic, client_with};

/// A lister with the registry that it is for.
#[derive(Clone, Debug)]
struct Vendor {
    lister: Lister,
    profile: Profile,
    /// Kind of the requests for its lists.
    kind: Kind,
}

/// The listers of APIs, which are all that page by the hundred.
fn apis() -> Vec<Vendor> {
    [
        (Lister::Hub, Profile::docker_hub()),
        (Lister::Harbor, Profile::harbor()),
        (Lister::Quay, Profile::quay()),
        (Lister::Ghcr, Profile::ghcr()),
        (Lister::Gitlab, Profile::gitlab()),
    ]
    .map(|(lister, profile)| Vendor {
        lister,
        profile,
        kind: Kind::Listing,
    })
    .into()
}

fn catalog() -> Vendor {
    Vendor {
        lister: Lister::Catalog,
        profile: Profile::distribution(),
        kind: Kind::Catalog,
    }
}

fn google() -> Vendor {
    Vendor {
        lister: Lister::Google,
        profile: Profile::google(),
        kind: Kind::Tags,
    }
}

impl Vendor {
    fn api(lister: Lister) -> Self {
        let found = apis().into_iter().find(|vendor| vendor.lister == lister);
        found.unwrap()
    }

    /// Returns the same whose list of this kind is wrong.
    fn with_fault(mut self, list: ListKind, fault: ListingFault) -> Self {
        let api = self.profile.listing_api.take().unwrap();
        self.profile.listing_api = Some(api.fault(list, fault));
        self
    }

    /// Starts the registry, and a client that uses the lister.
    async fn start(&self) -> Kit {
        self.start_as(self.login()).await
    }

    async fn start_as(&self, login: Credential) -> Kit {
        let server = Registry::start(self.profile.clone()).await;
        kit_of(server, login, ListingSettings::new(self.lister))
    }

    /// Returns the login that the API needs.
    fn login(&self) -> Credential {
        match self.lister {
            Lister::Ghcr => basic("octocat", ListingApi::GITHUB_TOKEN),
            _ => Credential::Anonymous,
        }
    }

    /// Starts a registry with `count` repositories `team/app-…`, which have a tag each.
    async fn with_repositories(&self, count: usize) -> Kit {
        let kit = self.start().await;
        fill(&kit, count);
        kit
    }
}

/// Returns a registry with a client that lists by these settings.
fn kit_of(server: Registry, login: Credential, settings: ListingSettings) -> Kit {
    let listings = Listings::new([(server.host(), settings)]).unwrap();
    let options = TransportOptions::default()
        .with_timeouts(Timeouts::default().with_stall(std::time::Duration::from_secs(2)));
    let (client, heard) = client_with(&server.host(), login, options, |options| {
        options.with_listings(listings)
    });
    Kit {
        server,
        client,
        heard,
    }
}

/// Creates `count` repositories `team/app-…`, which have a tag each.
fn fill(kit: &Kit, count: usize) {
    let digest = format!("sha256:{}", "a".repeat(64));
    for number in 0..count {
        let name = format!("team/app-{number:04}");
        kit.server.state().tag(&name, "v1", &digest);
    }
}

/// Reads all pages. Returns the paths with the last total.
async fn listed(kit: &Kit, prefix: &str) -> Result<(Vec<String>, Option<u64>), Error> {
    let mut pages = kit.client.list_repositories(prefix);
    let mut paths = Vec::new();
    let mut total = None;
    while let Some(page) = pages.next().await? {
        let names = page.repositories.iter();
        paths.extend(names.map(|repository| repository.path().to_owned()));
        assert_eq!(page.listed, u64::try_from(paths.len()).unwrap());
        total = page.total;
    }
    assert!(pages.next().await?.is_none(), "the end is the end");
    Ok((paths, total))
}

/// Returns the error of a list, with `HOST` for the host of the registry and `ELSEWHERE` for the storage host.
async fn refused(kit: &Kit, prefix: &str) -> String {
    shown(kit, &listed(kit, prefix).await.unwrap_err().to_string())
}

fn shown(kit: &Kit, text: &str) -> String {
    text.replace(&kit.server.host(), "HOST")
        .replace(&kit.server.storage_host(), "ELSEWHERE")
}

/// Returns the warnings so far, shown like errors.
fn warnings(kit: &Kit) -> Vec<String> {
    let warnings = kit.heard.warnings();
    warnings.iter().map(|text| shown(kit, text)).collect()
}

/// Reads all tags of a repository, sorted.
async fn tags_of(kit: &Kit, path: &str) -> Result<Vec<ListedTag>, Error> {
    let mut pages = kit.client.list_tags(&kit.repository(path));
    let mut tags = Vec::new();
    while let Some(page) = pages.next().await? {
        tags.extend(page);
    }
    tags.sort_by(|a, b| a.tag.as_str().cmp(b.tag.as_str()));
    Ok(tags)
}

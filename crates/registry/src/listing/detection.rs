//! The lister of a registry, and what was learned about its lists.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::{BoxFuture, FutureExt as _};
use serde::Deserialize;
use url::Url;

use crate::auth::{Credential, Secret, is_google};
use crate::client::Client;
use crate::error::Error;
use crate::keyed_once::{KeyedOnce, SingleFlight};
use crate::listing::ghcr::Ghcr;
use crate::listing::gitlab::Gitlab;
use crate::listing::google::Google;
use crate::listing::harbor::Harbor;
use crate::listing::hub::Hub;
use crate::listing::quay::Quay;
use crate::listing::vendor::{ApiList, ApiPage};
use crate::listing::{Lister, ListingSettings, VendorApi, document};
use crate::lock::lock;
use crate::reference::{Registry, Repository, Resource};
use crate::transport::authority;

/// Maximum number of logins that are remembered.
const MAX_LOGINS: usize = 64;
/// Number of repositories in a row whose tags the API refuses to list, after which it is not queried any more.
const MAX_REFUSALS: u32 = 3;
/// Harbor's description of itself, which needs no login.
const SYSTEM_INFO: &str = "api/v2.0/systeminfo";
/// Maximum number of bytes of that description.
const MAX_INFO_BYTES: u64 = 1024 * 1024;
/// Maximum number of remembered namespaces.
const MAX_NAMESPACES: usize = 4096;

/// Facts about the lists of one registry that were learned in this run.
pub(crate) struct ListingMemory {
    /// Result of the probe for Harbor.
    harbor: SingleFlight<HarborProbe>,
    tokens: KeyedOnce<Credential, Secret>,
    logins: Mutex<ApiLogins>,
    turn: tokio::sync::Mutex<()>,
    /// Repositories in a row whose tags the API refused to list.
    refusals: AtomicU32,
    /// The API does not list tags.
    lists_no_tags: AtomicBool,
    /// The API has listed the tags of a repository.
    has_listed_tags: AtomicBool,
    /// A warning about it was given.
    is_reported: AtomicBool,
    /// Namespaces, by name, with true if their lists of tags may lack some.
    partial: KeyedOnce<String, bool>,
    /// Owners whose lists are at their second place.
    places: Mutex<HashMap<String, usize>>,
}

/// Result of the probe for Harbor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HarborProbe {
    Harbor,
    Other,
    /// Every try was answered with an error of a server. The next run probes again.
    Unclear,
}

/// Logins that the API accepted or refused.
#[derive(Default)]
struct ApiLogins {
    proven: HashSet<Credential>,
    refused: HashMap<Credential, Error>,
}

impl Default for ListingMemory {
    fn default() -> Self {
        Self {
            harbor: SingleFlight::default(),
            tokens: KeyedOnce::new(MAX_LOGINS),
            logins: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            refusals: AtomicU32::new(0),
            lists_no_tags: AtomicBool::new(false),
            has_listed_tags: AtomicBool::new(false),
            is_reported: AtomicBool::new(false),
            partial: KeyedOnce::new(MAX_NAMESPACES),
            places: Mutex::default(),
        }
    }
}

/// The way to list the repositories of a registry.
pub(super) enum Listing {
    Vendor(Arc<dyn VendorApi>),
    Catalog,
    None,
}

impl ListingMemory {
    /// Waits until no other request tests `credential`; `None` if the API accepted it, or it is none.
    pub(crate) async fn login_turn(
        &self,
        credential: &Credential,
    ) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let is_known = || {
            *credential == Credential::Anonymous || lock(&self.logins).proven.contains(credential)
        };
        if is_known() {
            return None;
        }
        let turn = self.turn.lock().await;
        (!is_known()).then_some(turn)
    }
    /// Returns the error of a request with `credential`, if the API refuses it.
    pub(crate) fn login_refusal(&self, credential: &Credential) -> Option<Error> {
        lock(&self.logins).refused.get(credential).cloned()
    }
    /// Records that the API accepted `credential`.
    pub(crate) fn login_accepted(&self, credential: &Credential) {
        let mut logins = lock(&self.logins);
        if logins.proven.len() < MAX_LOGINS && !logins.proven.contains(credential) {
            logins.proven.insert(credential.clone());
        }
    }
    /// Records that the API refused `credential`, unless it accepted it before.
    pub(crate) fn login_refused(&self, credential: &Credential, error: &Error) {
        let mut logins = lock(&self.logins);
        if logins.refused.len() < MAX_LOGINS && !logins.proven.contains(credential) {
            logins.refused.insert(credential.clone(), error.clone());
        }
    }
    /// Forgets which logins and lists the API refused.
    pub(crate) fn forget_refusals(&self) {
        lock(&self.logins).refused.clear();
        self.harbor.forget(|probe| *probe == HarborProbe::Unclear);
        self.refusals.store(0, Ordering::Relaxed);
        self.lists_no_tags.store(false, Ordering::Relaxed);
        self.is_reported.store(false, Ordering::Relaxed);
    }
    /// Returns the token for `credential`, with `fetch` if there is none.
    pub(crate) async fn token(
        &self,
        credential: &Credential,
        fetch: BoxFuture<'_, Result<Secret, Error>>,
    ) -> Result<Secret, Error> {
        self.tokens.get(credential.clone(), |_| true, fetch).await
    }
    /// Drops the token for `credential`; returns `false` if there was none.
    pub(crate) fn forget_token(&self, credential: &Credential) -> bool {
        let Some(token) = self.tokens.peek(credential) else {
            return false;
        };
        self.tokens.forget(|other| *other == token);
        true
    }
    /// Returns whether the API may list tags.
    pub(super) fn may_list_tags(&self) -> bool {
        !self.lists_no_tags.load(Ordering::Relaxed)
    }
    /// Records that the API listed the tags of a repository.
    pub(super) fn listed_tags(&self) {
        self.has_listed_tags.store(true, Ordering::Relaxed);
        self.refusals.store(0, Ordering::Relaxed);
    }
    /// Returns whether the API has listed the tags of a repository.
    pub(super) fn has_listed_tags(&self) -> bool {
        self.has_listed_tags.load(Ordering::Relaxed)
    }
    /// Records that the API refused to list the tags of a repository, or of all. Returns whether a warning is due: once,
    /// and for a repository that is merely unknown only when the API is given up.
    pub(super) fn refused_tags(&self, is_final: bool, is_unknown: bool) -> bool {
        let refusals = self
            .refusals
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1);
        let gives_up = is_final || refusals >= MAX_REFUSALS;
        if gives_up {
            self.lists_no_tags.store(true, Ordering::Relaxed);
        }
        (gives_up || !is_unknown) && !self.is_reported.swap(true, Ordering::Relaxed)
    }
    /// Returns the first page of a list, at the place where other lists of its owner were found.
    pub(super) fn first_page(&self, mut list: ApiList) -> ApiPage {
        if let Some(place) = lock(&self.places).get(list.owner()) {
            list.place = *place;
        }
        ApiPage::first(list)
    }
    /// Records the place at which a list was found.
    pub(super) fn record_place(&self, list: &ApiList) {
        let mut places = lock(&self.places);
        if places.len() < MAX_NAMESPACES && !places.contains_key(list.owner()) {
            places.insert(list.owner().to_owned(), list.place);
        }
    }
    /// Returns whether the lists of tags in a namespace may lack some, with `fetch` if that is unknown.
    pub(super) async fn is_partial(
        &self,
        namespace: &str,
        fetch: BoxFuture<'_, Result<bool, Error>>,
    ) -> Result<bool, Error> {
        self.partial
            .get(namespace.to_owned(), |_| true, fetch)
            .await
    }
}

impl Client {
    /// Returns whether a list with digests is known to exist for the tags of `repository`: [`Client::list_tags`] then costs
    /// a request for each hundred tags, and a HEAD for each tag is saved. With `may_probe`, an unknown host is probed for
    /// Harbor, once; without it, no request is sent.
    pub async fn lists_digests(&self, repository: &Repository, may_probe: bool) -> bool {
        if !self.listing_memory().may_list_tags() {
            return false;
        }
        let settings = self.listing_settings(repository.path());
        let api = match self.known_listing(&settings).await {
            Some(listing) => listing,
            None if may_probe => match self.probed_listing(&settings).await {
                Ok(listing) => listing,
                Err(_) => return false,
            },
            None => return false,
        };
        match api {
            Listing::Vendor(api) if api.requires_login() => {
                let resource = Resource::Repository(repository.clone());
                let access = self
                    .api_access(api, &settings, &resource, "list tags")
                    .await;
                access.is_ok_and(|access| access.has_login())
            }
            Listing::Vendor(api) => api.states_digests(),
            Listing::Catalog | Listing::None => false,
        }
    }

    /// Returns the way to list, after a probe if the host is unknown.
    pub(super) async fn listing(&self, settings: &ListingSettings) -> Result<Listing, Error> {
        match self.known_listing(settings).await {
            Some(listing) => Ok(listing),
            None => self.probed_listing(settings).await,
        }
    }

    /// Returns the way to list, if no request is needed to know it.
    pub(super) async fn known_listing(&self, settings: &ListingSettings) -> Option<Listing> {
        let lister = match settings.list {
            Lister::Auto => by_host(self.registry()),
            lister => Some(lister),
        };
        if let Some(lister) = lister {
            return Some(vendor(lister, self.registry()).map_or_else(
                || match lister {
                    Lister::None => Listing::None,
                    _ => Listing::Catalog,
                },
                Listing::Vendor,
            ));
        }
        if let Some(probe) = self.listing_memory().harbor.peek() {
            return Some(of_unknown_host(probe == HarborProbe::Harbor));
        }
        let is_harbor = self.has_harbor_challenge(&self.registry().into()).await;
        is_harbor.map(of_unknown_host)
    }

    /// Probes an unknown host for Harbor.
    async fn probed_listing(&self, settings: &ListingSettings) -> Result<Listing, Error> {
        let probe = self.probe_harbor(settings);
        let probe = async {
            match probe.await {
                Ok(true) => Ok(HarborProbe::Harbor),
                Ok(false) => Ok(HarborProbe::Other),
                // A proxy in front of the registry may answer anything for other paths than those of a registry.
                Err(error) if error.status().is_some() => Ok(HarborProbe::Unclear),
                Err(error) => Err(error),
            }
        };
        let probe = self
            .listing_memory()
            .harbor
            .get(|_| true, probe.boxed())
            .await?;
        Ok(of_unknown_host(probe == HarborProbe::Harbor))
    }

    async fn probe_harbor(&self, settings: &ListingSettings) -> Result<bool, Error> {
        #[derive(Deserialize)]
        struct Info {
            #[allow(dead_code, reason = "its presence is the sign")]
            auth_mode: String,
        }
        let registry = self.registry();
        let action: Arc<str> =
            format!("find out how to list the repositories of {registry}").into();
        let resource = Resource::Registry(registry.clone());
        let access = self
            .api_access(Arc::new(Harbor), settings, &resource, &action)
            .await?;
        // The host is not known to be Harbor, so it gets no login.
        let mut access = access.without_login();
        let url = access.url(SYSTEM_INFO, &action)?;
        let page = self
            .api_get(&mut access, &url, MAX_INFO_BYTES, &action, |status| {
                !matches!(status.as_u16(), 408 | 429 | 502..=504)
            })
            .await?;
        Ok(page.status == http::StatusCode::OK
            && document::read::<Info>(&page.answer.bytes).is_ok())
    }
}

fn of_unknown_host(is_harbor: bool) -> Listing {
    if is_harbor {
        Listing::Vendor(Arc::new(Harbor))
    } else {
        Listing::Catalog
    }
}

/// Returns the API of a lister; `None` if it has none.
fn vendor(lister: Lister, registry: &Registry) -> Option<Arc<dyn VendorApi>> {
    Some(match lister {
        Lister::Harbor => Arc::new(Harbor),
        Lister::Hub => Arc::new(Hub),
        Lister::Ghcr => Arc::new(Ghcr),
        Lister::Quay => Arc::new(Quay::new(registry)),
        Lister::Gitlab => Arc::new(Gitlab),
        Lister::Google => Arc::new(Google::new(registry.clone())),
        Lister::Auto | Lister::Catalog | Lister::None => return None,
    })
}

impl ListingSettings {
    /// Returns the host of the API of `registry`, if it is another one.
    pub fn api_host(&self, registry: &Registry) -> Option<Registry> {
        let base = match (&self.api, self.list) {
            (Some(url), _) => url.clone(),
            (None, Lister::Auto) => base_of(by_host(registry)?, registry)?,
            (None, lister) => base_of(lister, registry)?,
        };
        let host = Registry::parse(authority(&base)).ok()?;
        (host != *registry).then_some(host)
    }
}

/// Returns the base URL of a vendor's own API.
fn base_of(lister: Lister, registry: &Registry) -> Option<Url> {
    Url::parse(vendor(lister, registry)?.base(registry)?).ok()
}

/// Returns the lister of a host that belongs to a vendor.
pub(super) fn by_host(registry: &Registry) -> Option<Lister> {
    if registry.is_docker_hub() {
        return Some(Lister::Hub);
    }
    match registry.as_str() {
        "ghcr.io" => Some(Lister::Ghcr),
        "quay.io" => Some(Lister::Quay),
        "registry.gitlab.com" => Some(Lister::Gitlab),
        _ => is_google(registry).then_some(Lister::Google),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_vendors_are_known() {
        for (host, expected) in [
            ("docker.io", Some(Lister::Hub)),
            ("registry-1.docker.io", Some(Lister::Hub)),
            ("ghcr.io", Some(Lister::Ghcr)),
            ("quay.io", Some(Lister::Quay)),
            ("gcr.io", Some(Lister::Google)),
            ("eu.gcr.io", Some(Lister::Google)),
            ("europe-west1-docker.pkg.dev", Some(Lister::Google)),
            ("registry.gitlab.com", Some(Lister::Gitlab)),
            ("registry.example.com", None),
            ("quay.io:8443", None),
            ("notgcr.io", None),
        ] {
            let registry = Registry::parse(host).unwrap();
            assert_eq!(by_host(&registry), expected, "{host}");
        }
    }
}

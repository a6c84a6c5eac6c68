//! Client of one registry.
//!
//! [`call`] is the pipeline of all requests; each family of endpoints has a module on top of it.

mod authorization;
mod blob_copy;
mod blob_request;
mod blobs;
mod call;
mod call_outcome;
mod capabilities;
mod catalog;
mod checked_url;
mod delete;
mod foreign;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod links;
mod manifests;
mod name_list;
mod permits;
mod ping;
mod prepare;
mod ranges;
mod reader;
mod redirect_targets;
mod referrers;
mod registries;
mod registry_check;
mod request;
mod request_context;
mod tags;
mod uploads;
mod vendor_api;
mod vendor_login;

use std::sync::Arc;

pub use blob_copy::CopiedBlob;
pub use blobs::Presence;
pub use catalog::CatalogPages;
pub use manifests::{ManifestHead, ManifestPresence, PushedManifest};
pub use ping::{Ping, PingLogin};
pub use reader::{BlobReader, BlobSize, BlobSource, BlobStream, RangeOptions};
pub use referrers::{IndexedBy, IndexedReferrers, Referrers, ReferrersOrigin};
pub use registries::{Options, Registries};
pub use tags::TagPages;
pub use uploads::{OpenedUpload, Upload};
pub(crate) use vendor_api::{ApiAccess, FetchedPage};

use crate::auth::{Authenticator, Authenticators, Keychain};
use crate::listing::{ListingMemory, Listings};
use crate::reference::Registry;
use crate::transport::{RequestGuard, RetryPolicy, Transport};
use capabilities::RegistryCapabilities;
pub(crate) use links::next_link;
use reader::RangeBudget;
use redirect_targets::RedirectTargets;
pub(crate) use request::in_query;

/// A client of one registry: cheap to clone, shared by all tasks.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    /// Permission that requests need which move a tag.
    tag_guard: Option<Arc<dyn RequestGuard>>,
}

struct Inner {
    registry: Registry,
    transport: Arc<Transport>,
    keychain: Arc<Keychain>,
    retry: RetryPolicy,
    auth: Arc<Authenticator>,
    authenticators: Arc<Authenticators>,
    /// Other registries that this one redirects to.
    targets: RedirectTargets,
    /// Capabilities of the registry as observed in this run.
    capabilities: RegistryCapabilities,
    /// Memory for blobs that are fetched in ranges; shared by all clients of a run.
    room: Arc<RangeBudget>,
    /// Settings of lists.
    listings: Arc<Listings>,
    /// Facts about the lists of the registry that were learned in this run.
    listing: ListingMemory,
}

impl Client {
    fn new(
        registry: &Registry,
        options: &Options,
        authenticators: &Arc<Authenticators>,
        room: Arc<RangeBudget>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                registry: registry.clone(),
                transport: Arc::clone(&options.transport),
                keychain: Arc::clone(&options.keychain),
                retry: options.retry,
                auth: authenticators.get(registry),
                authenticators: Arc::clone(authenticators),
                targets: RedirectTargets::default(),
                capabilities: RegistryCapabilities::default(),
                room,
                listings: Arc::clone(&options.listings),
                listing: ListingMemory::default(),
            }),
            tag_guard: None,
        }
    }

    /// Creates the client of a registry that this one redirects to.
    fn client_of_target(&self, registry: &Registry) -> Self {
        let options = Options {
            transport: Arc::clone(&self.inner.transport),
            keychain: Arc::clone(&self.inner.keychain),
            retry: self.inner.retry,
            listings: Arc::clone(&self.inner.listings),
        };
        let authenticators = &self.inner.authenticators;
        Self::new(registry, &options, authenticators, self.range_budget())
    }

    /// Returns the same client for a caller that may lose the right to move tags. `guard` is checked right before each
    /// request that pushes a tag (also that of a list of referrers) or deletes a manifest, after all waits: for a permit,
    /// a pause, a retry or a connection. If it refuses, the request is not sent, and the error has
    /// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled). Blobs and manifests by digest need no permission.
    #[must_use]
    pub fn with_tag_guard(mut self, guard: Arc<dyn RequestGuard>) -> Self {
        self.tag_guard = Some(guard);
        self
    }

    /// Returns the registry.
    pub fn registry(&self) -> &Registry {
        &self.inner.registry
    }

    /// Returns the memory for blobs that are fetched in ranges.
    fn range_budget(&self) -> Arc<RangeBudget> {
        Arc::clone(&self.inner.room)
    }

    /// Returns whether ranges are worth a request beside the blob.
    fn answers_ranges(&self) -> bool {
        self.inner.capabilities.answers_ranges()
    }

    /// Records that a range was answered with something else.
    fn ignores_ranges(&self) {
        self.inner.capabilities.no_ranges();
    }

    /// Reports a warning about this registry to the observer.
    pub(crate) fn warn(&self, text: &str) {
        self.inner
            .transport
            .observer()
            .warning(self.inner.registry.as_str(), text);
    }
}

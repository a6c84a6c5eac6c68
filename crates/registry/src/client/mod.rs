//! The handle on one registry.
//!
//! [`call`] is the pipeline that every request goes through; the endpoint families stand on it, one a file.

mod blobs;
mod call;
mod capabilities;
mod checked_url;
mod foreign;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod links;
mod manifests;
mod ranges;
mod reader;
mod referrers;
mod registries;
mod repository_context;
mod request;
mod tags;
mod uploads;

use std::sync::Arc;

pub use blobs::Presence;
pub use manifests::{ManifestHead, ManifestPresence, PushedManifest};
pub use reader::{BlobReader, BlobSize, BlobSource, BlobStream, RangeOptions};
pub use referrers::{IndexedBy, IndexedReferrers, Referrers, ReferrersOrigin};
pub use registries::{Options, Registries};
pub use tags::TagPages;
pub use uploads::{OpenedUpload, Upload};

use crate::auth::{Authenticator, Keychain};
use crate::reference::Registry;
use crate::transport::{RetryPolicy, Transport};
use capabilities::RegistryCapabilities;
use reader::RangeBudget;

/// A handle on one registry: cheap to clone, shared by all tasks.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Registry,
    transport: Arc<Transport>,
    keychain: Arc<Keychain>,
    retry: RetryPolicy,
    auth: Authenticator,
    /// What this registry was found to do and not to do, for as long as the run lasts.
    habits: RegistryCapabilities,
    /// For blobs that come in ranges; shared by all clients of a run.
    room: Arc<RangeBudget>,
}

impl Client {
    fn new(registry: &Registry, options: &Options, room: Arc<RangeBudget>) -> Self {
        let auth = Authenticator::new(
            registry.clone(),
            Arc::clone(&options.transport),
            options.retry,
        )
        .trusting(options.keychain.trusted_realms());
        Self {
            inner: Arc::new(Inner {
                registry: registry.clone(),
                transport: Arc::clone(&options.transport),
                keychain: Arc::clone(&options.keychain),
                retry: options.retry,
                auth,
                habits: RegistryCapabilities::default(),
                room,
            }),
        }
    }

    /// Which registry.
    pub fn registry(&self) -> &Registry {
        &self.inner.registry
    }

    /// The room for blobs that come in ranges.
    fn range_budget(&self) -> Arc<RangeBudget> {
        Arc::clone(&self.inner.room)
    }

    /// Whether ranges of blobs may be asked for beside the blobs.
    fn answers_ranges(&self) -> bool {
        self.inner.habits.answers_ranges()
    }

    /// The registry answered a range with something else.
    fn ignores_ranges(&self) {
        self.inner.habits.no_ranges();
    }

    /// Tells a person something about this registry.
    fn warn(&self, text: &str) {
        self.inner
            .transport
            .observer()
            .warning(self.inner.registry.as_str(), text);
    }
}

//! Long-lived state, and the runs that share it.
//!
//! A [`Session`] owns what is learned and shared: connections and their limits, tokens, facts about destinations and
//! the records of earlier runs. [`Session::run`] starts a run. Any number of runs share a session, one after the other
//! and at the same time: they share downloads, uploads, tokens and limits. A failure or a stop of one run does not
//! affect the others.
//!
//! # Age of facts
//!
//! | Fact | Believed |
//! |---|---|
//! | tags of sources; tags and manifests at destinations | for the run that requested them |
//! | blobs at destinations | by runs that began before the fact was learned; for later runs it is a hint, as in the records: a lookup or a mount confirms it |
//! | refused logins | for five minutes, or until a file with a secret changes |
//! | behavior of a registry: mounts, forms of uploads, tokens | for an hour |
//! | manifests of sources | as long as they fit in the cache: the content of a digest never changes |
//!
//! Ages are checked when a run begins; runs in progress keep the facts that they began with. What is too old is dropped,
//! so that the memory of a session does not grow with the number of its runs.

mod aging;
mod copy;
mod handle;
mod options;
mod repositories;

use std::sync::Arc;
use std::time::Duration;

use image_syncer_registry::transport::{RegistryLimits, Transport};
use image_syncer_registry::{Options, Registries, Registry};
use tokio::time::Instant;
use tracing::Instrument;

use crate::copy::SharedState;
use crate::engine::Engine;
use crate::event::Listener;
use crate::inventory::BlobFacts;
use crate::inventory::records::Records;
use crate::rule::RuleSet;
use crate::settings::{Intent, RunSettings};
use crate::store::{Archives, EndpointStores, LeasedStores, PushedStores, RegistryStores, Stores};

pub use crate::store::Lease;
pub use crate::tag_divider::TagDivider;
use aging::{AgingFacts, AgingRegistries};
pub use copy::{CopyError, ImageResult};
pub use handle::{RunEnd, RunHandle};
pub use options::{RunOptions, SessionOptions};
pub use repositories::FoundRepository;

/// Long-lived state of any number of runs. Cheap to clone.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    /// State of all runs, without facts.
    shared: SharedState,
    facts: AgingFacts,
    records: Option<Arc<Records>>,
    blob_facts: Option<Arc<dyn BlobFacts>>,
    archives: Archives,
    /// `None` if the stores were given.
    registries: Option<SessionRegistries>,
}

/// Registries of a session.
struct SessionRegistries {
    transport: Arc<Transport>,
    clients: AgingRegistries,
}

impl Session {
    /// Creates a session with registries and image layouts. See [`Session::from_env`] for the usual settings.
    pub fn new(registries: Options, options: SessionOptions) -> Self {
        let transport = Arc::clone(&registries.transport);
        let registries = Arc::new(Registries::new(registries));
        let stores = RegistryStores::new(Arc::clone(&registries));
        let stores = EndpointStores::with_archives(stores, options.archives.clone());
        let registries = SessionRegistries {
            transport,
            clients: AgingRegistries::new(registries),
        };
        Self::build(Arc::new(stores), Some(registries), options)
    }

    /// Creates a session with the settings of the environment: credentials of docker and podman, certificates of the
    /// system and of `certs.d`, and proxies. It uses no records.
    ///
    /// # Errors
    /// If the connections cannot be set up.
    pub fn from_env() -> Result<Self, image_syncer_registry::Error> {
        Ok(Self::new(Options::from_env()?, SessionOptions::default()))
    }

    /// Creates a session over `stores`.
    pub fn over(stores: Arc<dyn Stores>, options: SessionOptions) -> Self {
        Self::build(stores, None, options)
    }

    fn build(
        stores: Arc<dyn Stores>,
        registries: Option<SessionRegistries>,
        options: SessionOptions,
    ) -> Self {
        let SessionOptions {
            images,
            transfers,
            records,
            blob_facts,
            archives,
        } = options;
        Self {
            inner: Arc::new(Inner {
                shared: SharedState::new(stores, transfers, images),
                facts: AgingFacts::default(),
                records,
                blob_facts,
                archives,
                registries,
            }),
        }
    }

    /// Starts a run that copies the images of `rules`. Their events go to `listener`.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn run(&self, rules: impl Into<RuleSet>, listener: Arc<dyn Listener>) -> RunHandle {
        self.run_with(rules, RunOptions::default(), listener)
    }

    /// Starts a run with `options`.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn run_with(
        &self,
        rules: impl Into<RuleSet>,
        options: RunOptions,
        listener: Arc<dyn Listener>,
    ) -> RunHandle {
        let RunOptions {
            intent,
            listing,
            stop,
            progress,
            lease,
            tag_divider,
            pushed,
        } = options;
        let settings = RunSettings {
            intent,
            listing,
            records: self.inner.records.clone(),
            blob_facts: self.inner.blob_facts.clone(),
            progress,
            tag_divider,
            ..RunSettings::default()
        };
        self.inner.archives.watch(&listener);
        let mut state = self.state_for(intent);
        if let Some(lease) = lease {
            state.stores = Arc::new(LeasedStores::new(state.stores, lease));
        }
        if let Some(pushed) = pushed {
            state.stores = Arc::new(PushedStores::new(
                state.stores,
                pushed,
                Arc::clone(&listener),
            ));
        }
        let engine = Engine::within(&state, settings, listener);
        let progress = Arc::clone(engine.progress());
        let signals = stop.clone();
        let rules = rules.into();
        let run = async move { engine.run(rules, signals).await };
        RunHandle {
            progress,
            stop,
            started: Instant::now(),
            task: tokio::spawn(run.in_current_span()),
            end: None,
        }
    }

    /// Announces that the session ends after `grace`, with all of its runs: waits that would last longer, for a retry
    /// or for a registry that asked for a pause, end immediately.
    pub fn set_shutdown_deadline(&self, grace: Duration) {
        if let Some(registries) = &self.inner.registries {
            registries.transport.set_shutdown_deadline(grace);
        }
    }

    /// Returns the limits of `registry` at this moment; they are unknown for a session without registries.
    pub fn registry_limits(&self, registry: &Registry) -> RegistryLimits {
        let registries = self.inner.registries.as_ref();
        registries
            .map(|registries| registries.transport.registry_limits(registry))
            .unwrap_or_default()
    }

    /// Returns the stores, for requests outside of a run.
    pub(crate) fn stores(&self) -> Arc<dyn Stores> {
        Arc::clone(&self.inner.shared.stores)
    }

    /// Returns the state for a further run. A run that writes nothing shares no facts: its plans are none for others.
    fn state_for(&self, intent: Intent) -> SharedState {
        let Inner { shared, facts, .. } = &*self.inner;
        if let Some(registries) = &self.inner.registries {
            registries.clients.renew();
        }
        match intent {
            Intent::Copy => SharedState {
                facts: facts.current(),
                ..shared.clone()
            },
            Intent::Plan | Intent::Check | Intent::List => shared.without_facts(),
        }
    }
}

#[cfg(test)]
mod tests;

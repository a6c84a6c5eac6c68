//! The one place that connects the parts of a run: transport, registries, stores, engine.

use std::sync::Arc;

use image_syncer_registry::transport::{Observer, Transport};
use image_syncer_registry::{Options, Registries};
use image_syncer_sync::Listener;
use image_syncer_sync::engine::{Engine, Stop};
use image_syncer_sync::settings::RunSettings;
use image_syncer_sync::store::RegistryStores;

use crate::run::active::ActiveRun;
use crate::run::spec::RegistryAccess;

/// Builds a run that sends its requests to `observer` and its events to `listener`.
///
/// # Errors
/// The TLS configuration cannot be built.
pub(super) fn connect(
    access: RegistryAccess,
    settings: RunSettings,
    stop: Stop,
    observer: Arc<dyn Observer>,
    listener: Arc<dyn Listener>,
) -> anyhow::Result<ActiveRun> {
    let transport = Arc::new(Transport::new(access.transport.with_observer(observer))?);
    let registries = Registries::new(
        Options::new(Arc::clone(&transport), Arc::new(access.keychain)).with_retry(access.retry),
    );
    let stores = Arc::new(RegistryStores::new(registries));
    Ok(ActiveRun {
        engine: Engine::new(stores, settings, listener),
        transport,
        stop,
    })
}

//! The one place that connects the parts of a run.

use std::sync::Arc;

use image_syncer_registry::Options;
use image_syncer_registry::transport::{Observer, Transport};
use image_syncer_sync::inventory::records::Records;
use image_syncer_sync::session::{Session, SessionOptions};

use crate::run::spec::RegistryAccess;

/// Builds a session that sends its requests to `observer`. At most `transfers` downloads are in flight.
///
/// # Errors
/// The TLS configuration cannot be built.
pub(crate) fn open_session(
    access: RegistryAccess,
    transfers: Option<usize>,
    records: Option<Arc<Records>>,
    observer: Arc<dyn Observer>,
) -> anyhow::Result<Session> {
    let transport = Arc::new(Transport::new(access.transport.with_observer(observer))?);
    let registries = Options::new(transport, Arc::new(access.keychain))
        .with_retry(access.retry)
        .with_listings(access.listings);
    let options = SessionOptions::default()
        .with_transfers(transfers)
        .with_records(records);
    Ok(Session::new(registries, options))
}

//! The one place that connects the parts of a run.

use std::sync::Arc;

use image_syncer_registry::Options;
use image_syncer_registry::transport::{Observer, Transport};
use image_syncer_sync::Archives;
use image_syncer_sync::inventory::BlobFacts;
use image_syncer_sync::inventory::records::Records;
use image_syncer_sync::session::{Session, SessionOptions};

use crate::run::spec::RegistryAccess;

/// Parts of a session beside its registries.
pub(crate) struct SessionParts {
    /// Maximum number of downloads in flight; `None` for the limits of the hosts alone.
    pub(crate) transfers: Option<usize>,
    /// Records of earlier runs.
    pub(crate) records: Option<Arc<Records>>,
    /// Archives of images, of which some may be open.
    pub(crate) archives: Archives,
    /// Observer of all requests.
    pub(crate) observer: Arc<dyn Observer>,
}

/// Builds a session.
///
/// # Errors
/// The TLS configuration cannot be built.
pub(crate) fn open_session(access: RegistryAccess, parts: SessionParts) -> anyhow::Result<Session> {
    open_session_with(access, parts, None)
}

/// Builds a session that also uses what other processes know about blobs.
///
/// # Errors
/// The TLS configuration cannot be built.
pub(crate) fn open_session_with(
    access: RegistryAccess,
    parts: SessionParts,
    facts: Option<Arc<dyn BlobFacts>>,
) -> anyhow::Result<Session> {
    let transport = access.transport.with_observer(parts.observer);
    let transport = Arc::new(Transport::new(transport)?);
    let registries = Options::new(transport, Arc::new(access.keychain))
        .with_retry(access.retry)
        .with_listings(access.listings);
    let options = SessionOptions::default()
        .with_transfers(parts.transfers)
        .with_records(parts.records)
        .with_archives(parts.archives)
        .with_blob_facts(facts);
    Ok(Session::new(registries, options))
}

//! State of the HTTP routes.

use std::sync::Arc;

use image_syncer_sync::config::ServiceConfig;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::service::http::Reporter;
use crate::service::http::access::Access;

/// Maximum number of plans at a time.
const PLANS: usize = 2;
/// Maximum number of streams of events: some connections stay free for everything else.
const STREAMS: usize = 128;

/// State of the HTTP routes.
pub(crate) struct HttpState {
    /// Rights of clients.
    pub(super) access: Arc<Access>,
    /// Permits of plans in progress.
    pub(super) plans: Semaphore,
    /// Permits of streams of events.
    pub(super) streams: Arc<Semaphore>,
    /// Cancelled at the end of the service: streams of events end, and so do requests that wait.
    pub(crate) closing: CancellationToken,
    /// Prints lines.
    pub(crate) reporter: Reporter,
}

impl HttpState {
    /// Creates the state, and looks up the tokens.
    ///
    /// # Errors
    /// A sentence, if a token cannot be read.
    pub(crate) fn new(
        config: &ServiceConfig,
        environment: impl Fn(&str) -> Option<String>,
        reporter: Reporter,
    ) -> Result<Self, String> {
        Ok(Self {
            access: Arc::new(Access::new(config, environment, reporter.clone())?),
            plans: Semaphore::new(PLANS),
            streams: Arc::new(Semaphore::new(STREAMS)),
            closing: CancellationToken::new(),
            reporter,
        })
    }
}

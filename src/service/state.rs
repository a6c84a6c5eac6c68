//! The parts of a running service, for its HTTP routes and pages.

use crate::service::events::LiveEvents;
use crate::service::runs::Runs;

/// The parts of a running service.
pub(crate) struct ServiceState {
    /// The runs, and the rules that they carry out.
    pub(crate) runs: Runs,
    /// Events for clients.
    pub(crate) events: LiveEvents,
}

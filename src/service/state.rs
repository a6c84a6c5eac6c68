//! The parts of a running service, for its HTTP routes and pages.

use std::sync::Arc;

use axum::extract::FromRef;

use crate::metrics::Metrics;
use crate::service::events::LiveEvents;
use crate::service::health::Health;
use crate::service::history::History;
use crate::service::hooks::Hooks;
use crate::service::http::state::HttpState;
use crate::service::registries::RegistryStats;
use crate::service::reload::Reload;
use crate::service::rule_health::RuleHealths;
use crate::service::runs::Runs;
use crate::service::schedule::Schedules;
use crate::service::workers::Workers;

/// The parts of a running service.
pub(crate) struct ServiceState {
    /// The runs, and the rules that they carry out.
    pub(crate) runs: Runs,
    /// Events for clients.
    pub(crate) events: LiveEvents,
    /// Times of the next runs.
    pub(crate) schedules: Schedules,
    /// Health of the rules.
    pub(crate) rule_health: RuleHealths,
    /// Health of the service.
    pub(crate) health: Health,
    /// State of the registries.
    pub(crate) registries: RegistryStats,
    /// Workers that share the runs.
    pub(crate) workers: Workers,
    /// Reloads of the files.
    pub(crate) reload: Reload,
    /// Runs of the past, and what is where since when.
    pub(crate) history: History,
    /// Metrics of the process.
    pub(crate) metrics: Metrics,
    /// Hooks that registries call.
    pub(crate) hooks: Hooks,
    /// Rights and limits of HTTP clients.
    pub(crate) http: HttpState,
}

/// The routes of hooks get nothing but the hooks.
impl FromRef<Arc<ServiceState>> for Hooks {
    fn from_ref(state: &Arc<ServiceState>) -> Self {
        state.hooks.clone()
    }
}

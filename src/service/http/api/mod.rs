//! The API, below `/api/v1`.

mod events;
mod images;
pub(super) mod openapi;
mod plan;
mod registries;
mod reload;
mod report;
mod rules;
mod runs;
mod sync;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use image_syncer_sync::config::TokenScope::{Read, Sync};
use tokio::time::timeout;

use crate::service::history::HistoryError;
use crate::service::http::problem::Problem;
use crate::service::http::routes::Routes;
use crate::service::run::{Run, RunId};
use crate::service::runs::RequestError;
use crate::service::state::ServiceState;

/// Maximum time for which a request waits until the history has what happened before it.
const MAX_FLUSH: Duration = Duration::from_secs(1);

/// Returns the routes of the API.
pub(super) fn routes(state: &Arc<ServiceState>) -> Routes {
    Routes::new(state)
        .open(Method::GET, "/api/v1/openapi.json", openapi::document)
        .guarded(Read, Method::GET, "/api/v1/rules", rules::list)
        .guarded(Read, Method::GET, "/api/v1/rules/{name}", rules::show)
        .guarded(Sync, Method::POST, "/api/v1/rules/{name}/sync", sync::sync)
        .guarded(Read, Method::POST, "/api/v1/rules/{name}/plan", plan::plan)
        .guarded(Read, Method::GET, "/api/v1/runs", runs::list)
        .guarded(Read, Method::GET, "/api/v1/runs/{id}", runs::show)
        .guarded(Sync, Method::POST, "/api/v1/runs/{id}/cancel", runs::cancel)
        .guarded(
            Read,
            Method::GET,
            "/api/v1/runs/{id}/images",
            images::images,
        )
        .guarded(
            Read,
            Method::GET,
            "/api/v1/runs/{id}/report",
            report::report,
        )
        .guarded(Sync, Method::POST, "/api/v1/reload", reload::reload)
        .guarded(Read, Method::GET, "/api/v1/registries", registries::list)
        .guarded(Read, Method::GET, "/api/v1/workers", workers::list)
        .guarded(Read, Method::GET, "/api/v1/events", events::events)
}

impl From<RequestError> for Problem {
    fn from(error: RequestError) -> Self {
        let detail = error.to_string();
        match error {
            RequestError::UnknownRule(_) => Self::not_found(detail),
            RequestError::OutOfScope(_) => {
                Self::new(axum::http::StatusCode::UNPROCESSABLE_ENTITY, detail)
            }
            RequestError::Stopping => Self::unavailable(detail),
        }
    }
}

/// Returns the id in a path.
fn run_id(text: &str) -> Result<RunId, Problem> {
    let id = text.parse::<RunId>();
    id.map_err(|error| Problem::not_found(error.to_string()))
}

/// Returns the run with this id.
async fn find_run(state: &ServiceState, id: RunId) -> Result<Run, Problem> {
    let unfinished = state.runs.unfinished();
    if let Some(run) = unfinished.into_iter().find(|run| run.id == id) {
        return Ok(run);
    }
    let run = state.history.run(id).await?;
    run.ok_or_else(|| Problem::not_found(format!("there is no run {id}")))
}

/// Waits until the history has what happened before, as long as that does not take too long.
async fn flush(state: &ServiceState) {
    // What is missing then comes with a later request.
    let _ = timeout(MAX_FLUSH, state.history.flush()).await;
}

impl From<HistoryError> for Problem {
    fn from(error: HistoryError) -> Self {
        Self::unavailable(error.to_string())
    }
}

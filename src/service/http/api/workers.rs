//! Workers.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

#[cfg(test)]
use crate::service::http::api::Problem;
use crate::service::state::ServiceState;
use crate::service::workers::WorkerRow;

/// Workers of shared runs.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(in crate::service::http) struct WorkerList {
    /// The workers, in the order of their starts; empty for a service on its own.
    workers: Vec<WorkerRow>,
}

/// Lists the workers that share their runs with this service, and were seen lately.
#[cfg_attr(test, utoipa::path(
    get, path = "/api/v1/workers", tag = "service",
    security((), ("token" = ["read"]), ("cookie" = ["read"])),
    responses(
        (status = 200, description = "the workers", body = WorkerList),
        (status = "default", description = "an error", body = Problem, content_type = "application/problem+json"),
    ),
))]
pub(in crate::service::http) async fn list(
    State(state): State<Arc<ServiceState>>,
) -> Json<WorkerList> {
    Json(WorkerList {
        workers: state.workers.rows().to_vec(),
    })
}

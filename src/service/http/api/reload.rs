//! Reload of the files.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use crate::service::http::api::Problem;
use crate::service::reload::ReloadOutcome;
use crate::service::state::ServiceState;

/// Reads the files again. Runs in progress finish under the old rules; files with mistakes leave them in force.
#[cfg_attr(test, utoipa::path(
    post, path = "/api/v1/reload", tag = "service",
    security((), ("token" = ["sync"]), ("cookie" = ["sync"])),
    responses(
        (status = 200, description = "the files are in force", body = ReloadOutcome),
        (status = 422, description = "the files have mistakes; the old rules stay in force", body = Problem,
            content_type = "application/problem+json"),
        (status = "default", description = "an error", body = Problem, content_type = "application/problem+json"),
    ),
))]
pub(in crate::service::http) async fn reload(
    State(state): State<Arc<ServiceState>>,
) -> Result<Json<ReloadOutcome>, Problem> {
    let outcome = tokio::select! {
        outcome = state.reload.request() => outcome,
        () = state.http.closing.cancelled() => {
            return Err(Problem::unavailable("the service is stopping"));
        }
    };
    let refused = |mistakes| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, mistakes);
    outcome.map(Json).map_err(refused)
}

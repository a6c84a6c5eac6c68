//! Health of the service, for probes.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use crate::metrics::CONTENT_TYPE as CONTENT_TYPE_OF_METRICS;
use crate::service::http::problem::Problem;
use crate::service::http::routes::Routes;
use crate::service::state::ServiceState;

/// Returns the routes of probes.
pub(super) fn routes(state: &Arc<ServiceState>) -> Routes {
    Routes::new(state)
        .open(Method::GET, "/healthz", healthz)
        .open(Method::GET, "/readyz", readyz)
        .open(Method::GET, "/metrics", metrics)
}

/// Answer to a probe.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(super) struct Probe {
    /// `ok`.
    status: &'static str,
}

/// Checks that the service makes progress: restart it if it does not.
#[cfg_attr(test, utoipa::path(
    get, path = "/healthz", tag = "probes", security(()),
    responses(
        (status = 200, description = "the service makes progress", body = Probe),
        (status = 503, description = "the scheduler or a run hangs", body = Problem,
            content_type = "application/problem+json"),
    ),
))]
pub(super) async fn healthz(
    State(state): State<Arc<ServiceState>>,
) -> Result<Json<Probe>, Problem> {
    answer(state.health.live())
}

/// Checks that the service can be used: the files are read, and the history is open.
#[cfg_attr(test, utoipa::path(
    get, path = "/readyz", tag = "probes", security(()),
    responses(
        (status = 200, description = "the service is ready", body = Probe),
        (status = 503, description = "the service is starting or stopping", body = Problem,
            content_type = "application/problem+json"),
    ),
))]
pub(super) async fn readyz(State(state): State<Arc<ServiceState>>) -> Result<Json<Probe>, Problem> {
    answer(state.health.ready())
}

/// Shows the metrics, for Prometheus.
#[cfg_attr(test, utoipa::path(
    get, path = "/metrics", tag = "probes", security(()),
    responses(
        (status = 200, description = "the metrics", body = String,
            content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    ),
))]
pub(super) async fn metrics(State(state): State<Arc<ServiceState>>) -> Response {
    let media_type = [(CONTENT_TYPE, CONTENT_TYPE_OF_METRICS)];
    (media_type, state.metrics.encode()).into_response()
}

fn answer(health: Result<(), String>) -> Result<Json<Probe>, Problem> {
    health.map_err(Problem::unavailable)?;
    Ok(Json(Probe { status: "ok" }))
}

//! Registries.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

#[cfg(test)]
use crate::service::http::api::Problem;
use crate::service::registries::RegistryRow;
use crate::service::state::ServiceState;

/// Registries that requests were sent to.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(in crate::service::http) struct RegistryList {
    /// The registries, by name.
    registries: Vec<RegistryRow>,
}

/// Lists the registries with their requests, limits, pauses and errors since the start of the service.
#[cfg_attr(test, utoipa::path(
    get, path = "/api/v1/registries", tag = "service",
    security((), ("token" = ["read"]), ("cookie" = ["read"])),
    responses(
        (status = 200, description = "the registries", body = RegistryList),
        (status = "default", description = "an error", body = Problem, content_type = "application/problem+json"),
    ),
))]
pub(in crate::service::http) async fn list(
    State(state): State<Arc<ServiceState>>,
) -> Json<RegistryList> {
    Json(RegistryList {
        registries: state.registries.rows(),
    })
}

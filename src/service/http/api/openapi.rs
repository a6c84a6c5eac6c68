//! The `OpenAPI` document. A test derives it from the routes and compares: a program that derives it itself has 0.5 MB
//! more code.

use axum::http::HeaderName;
use axum::http::header::CONTENT_TYPE;

#[cfg(test)]
pub(in crate::service::http) mod derived;

/// The document as a file.
pub(in crate::service::http) const FILE: &str = include_str!("../../../../docs/openapi.json");

/// Shows this document.
#[cfg_attr(test, utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "document", security(()),
    responses((status = 200, description = "the OpenAPI document", body = Object)),
))]
pub(in crate::service::http) async fn document() -> ([(HeaderName, &'static str); 1], &'static str)
{
    ([(CONTENT_TYPE, "application/json")], FILE)
}

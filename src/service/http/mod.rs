//! The HTTP server of the service: its API, and who may use it.

pub(crate) mod access;
mod api;
mod body;
pub(crate) mod connection;
mod headers;
mod login;
mod probes;
pub(crate) mod problem;
mod reporter;
mod routes;
mod server;
pub(crate) mod state;
#[cfg(test)]
mod tests;
mod tls;

use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use axum::middleware::{from_fn, from_fn_with_state};

use crate::service::hooks::routes::{call, call_with_token};
use crate::service::http::access::{Guard, check};
use crate::service::http::headers::Completion;
use crate::service::http::routes::Routes;
use crate::service::page;
use crate::service::state::ServiceState;

pub(crate) use reporter::Reporter;
pub(crate) use server::{Server, ServerLimits};

/// Returns all routes of the service.
pub(crate) fn router(state: &Arc<ServiceState>, has_page: bool) -> Router {
    let mut router = routes(state).into_router();
    if has_page {
        let guard = from_fn_with_state(Guard::by_method(&state.http.access), check);
        let pages = page::router().route_layer(guard).merge(page::open_router());
        router = router.merge(pages.with_state(Arc::clone(state)));
    }
    let completion = Completion {
        has_page,
        reporter: state.http.reporter.clone(),
    };
    router
        // The outermost layer comes last.
        .layer(from_fn(body::bound))
        .layer(from_fn_with_state(completion, headers::complete))
}

/// Returns all routes that the `OpenAPI` document describes.
fn routes(state: &Arc<ServiceState>) -> Routes {
    api::routes(state)
        .merge(probes::routes(state))
        .merge(login::routes(state))
        // The hooks check the secret of their callers.
        .open(Method::POST, "/hooks/{kind}", call)
        .open(Method::POST, "/hooks/{kind}/{token}", call_with_token)
}

//! Routes with the rights that they need.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};
use image_syncer_sync::config::TokenScope;

use crate::service::http::access::{Guard, check};
use crate::service::state::ServiceState;

/// Routes and their names, so that documents can be compared with them.
pub(super) struct Routes {
    state: Arc<ServiceState>,
    router: Router<Arc<ServiceState>>,
    names: Vec<(Method, &'static str)>,
}

impl Routes {
    /// Creates an empty set of routes.
    pub(super) fn new(state: &Arc<ServiceState>) -> Self {
        Self {
            state: Arc::clone(state),
            router: Router::new(),
            names: Vec::new(),
        }
    }

    /// Adds a route that everybody may use.
    pub(super) fn open<H, T>(self, method: Method, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, Arc<ServiceState>>,
        T: 'static,
    {
        let route = on(filter(&method), handler);
        self.add(method, path, route)
    }

    /// Adds a route that needs `scope`.
    pub(super) fn guarded<H, T>(
        self,
        scope: TokenScope,
        method: Method,
        path: &'static str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, Arc<ServiceState>>,
        T: 'static,
    {
        let guard = Guard::new(&self.state.http.access, scope);
        let route = on(filter(&method), handler).route_layer(from_fn_with_state(guard, check));
        self.add(method, path, route)
    }

    /// Adds other routes.
    pub(super) fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.names.extend(other.names);
        self
    }

    /// Returns the router.
    pub(super) fn into_router(self) -> Router {
        self.router.with_state(self.state)
    }

    /// Returns the methods and paths.
    #[cfg(test)]
    pub(super) fn names(&self) -> &[(Method, &'static str)] {
        &self.names
    }

    fn add(
        mut self,
        method: Method,
        path: &'static str,
        route: MethodRouter<Arc<ServiceState>>,
    ) -> Self {
        self.router = self.router.route(path, route);
        self.names.push((method, path));
        self
    }
}

fn filter(method: &Method) -> MethodFilter {
    match *method {
        Method::POST => MethodFilter::POST,
        Method::PUT => MethodFilter::PUT,
        Method::DELETE => MethodFilter::DELETE,
        _ => MethodFilter::GET,
    }
}

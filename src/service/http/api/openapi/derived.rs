//! The document, derived from the routes.

use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::service::hooks::routes as hooks;
use crate::service::http::api::{
    events, images, openapi, plan, registries, reload, report, rules, runs, sync, workers,
};
use crate::service::http::{login, probes};

/// The API of a running service.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "image-syncer",
        description = "Rules, runs and events of `image-syncer serve`. Errors are `application/problem+json`.",
    ),
    paths(
        openapi::document,
        rules::list, rules::show, sync::sync, plan::plan,
        runs::list, runs::show, runs::cancel, images::images, report::report,
        reload::reload, registries::list, workers::list, events::events,
        login::log_in, login::log_out, probes::healthz, probes::readyz, probes::metrics,
        hooks::call, hooks::call_with_token,
    ),
    modifiers(&Schemes),
)]
pub(in crate::service::http) struct Document;

/// Ways to authenticate.
struct Schemes;

impl Modify for Schemes {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        let token = token.description(Some(
            "a token of `service.tokens`, which may `read`, or `sync` as well",
        ));
        let cookie = ApiKeyValue::with_description(
            crate::service::http::access::COOKIE_NAME,
            "the login of the page; writes need the header `X-Image-Syncer: 1` as well",
        );
        let hook = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        let hook = hook.description(Some("the secret of the hook in `service.hooks`"));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(token.build()));
        components.add_security_scheme("hook", SecurityScheme::Http(hook.build()));
        components.add_security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    }
}

//! Login of the page: the token once, then a cookie.

use std::sync::Arc;

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;

use crate::service::http::access::{COOKIE_NAME, LOGIN_TIME, accepts_pages, same_origin};
use crate::service::http::connection::Connection;
use crate::service::http::problem::Problem;
use crate::service::http::routes::Routes;
use crate::service::state::ServiceState;

const FORWARDED_PROTOCOL: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Returns the routes of the login.
pub(super) fn routes(state: &Arc<ServiceState>) -> Routes {
    Routes::new(state)
        .open(Method::POST, "/login", log_in)
        .open(Method::POST, "/logout", log_out)
}

/// Login of the page.
#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(super) struct LoginForm {
    /// The token.
    #[cfg_attr(test, schema(format = Password))]
    token: String,
    /// Path of the page that a browser opens next.
    back: Option<String>,
}

/// Starts a login: the answer sets a cookie. A browser is sent to a page, others get 204.
#[cfg_attr(test, utoipa::path(
    post, path = "/login", tag = "login", security(()),
    request_body(content = LoginForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 204, description = "the cookie is set"),
        (status = 303, description = "the cookie is set; for browsers"),
        (status = 401, description = "the token is unknown", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "an error", body = Problem, content_type = "application/problem+json"),
    ),
))]
pub(super) async fn log_in(
    State(state): State<Arc<ServiceState>>,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
    form: Result<Form<LoginForm>, FormRejection>,
) -> Response {
    match start(&state, &connection, &headers, form).await {
        Ok(response) => response,
        Err(problem) if accepts_pages(&headers) => {
            let is_limited = problem.status() == StatusCode::TOO_MANY_REQUESTS;
            let why = if is_limited { "later" } else { "unknown" };
            Redirect::to(&format!("/login?failed={why}")).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

async fn start(
    state: &ServiceState,
    connection: &Connection,
    headers: &HeaderMap,
    form: Result<Form<LoginForm>, FormRejection>,
) -> Result<Response, Problem> {
    same_origin(headers)?;
    // The message of the parser may contain a part of the token.
    let Ok(Form(form)) = form else {
        return Err(Problem::bad_request("the form has no field `token`"));
    };
    let peer = connection.peer.ip();
    let client = state.http.access.verified(peer, &form.token).await?;
    let id = state.http.access.log_in(&client, &form.token);
    let id = id.ok_or_else(|| Problem::unavailable("the machine has no random numbers"))?;
    let name = client.name.as_deref().unwrap_or_default();
    let text = format!("login with the token `{name}` from {peer}");
    state.http.reporter.note(&text);
    let proxied = headers.get(FORWARDED_PROTOCOL);
    let is_secure = connection.is_tls || proxied.is_some_and(|protocol| protocol == "https");
    let cookie = cookie(id.reveal(), LOGIN_TIME.as_secs(), is_secure);
    let back = form.back.filter(|back| is_own_path(back));
    let mut response = if accepts_pages(headers) {
        Redirect::to(back.as_deref().unwrap_or("/")).into_response()
    } else {
        StatusCode::NO_CONTENT.into_response()
    };
    set(&mut response, &cookie);
    Ok(response)
}

/// Ends the login.
#[cfg_attr(test, utoipa::path(
    post, path = "/logout", tag = "login", security(()),
    responses(
        (status = 204, description = "the cookie is removed"),
        (status = 303, description = "the cookie is removed; for browsers"),
        (status = "default", description = "an error", body = Problem, content_type = "application/problem+json"),
    ),
))]
pub(super) async fn log_out(
    State(state): State<Arc<ServiceState>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    same_origin(&headers)?;
    state.http.access.log_out(&headers);
    let mut response = if accepts_pages(&headers) {
        Redirect::to("/").into_response()
    } else {
        StatusCode::NO_CONTENT.into_response()
    };
    set(&mut response, &cookie("", 0, false));
    Ok(response)
}

fn cookie(id: &str, seconds: u64, is_secure: bool) -> String {
    let secure = if is_secure { "; Secure" } else { "" };
    format!("{COOKIE_NAME}={id}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

fn set(response: &mut Response, cookie: &str) {
    if let Ok(mut value) = HeaderValue::from_str(cookie) {
        value.set_sensitive(true);
        response.headers_mut().insert(SET_COOKIE, value);
    }
}

/// Returns true for a path of this service, and false for anything that leads to another one.
fn is_own_path(path: &str) -> bool {
    let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic());
    let leads_away = path.starts_with("//") || path.contains('\\');
    is_plain && path.starts_with('/') && !leads_away
}

#[cfg(test)]
mod tests {
    use super::is_own_path;

    #[test]
    fn a_login_leads_to_this_service_only() {
        for (next, is_own) in [
            ("/", true),
            ("/runs/01?state=failed", true),
            ("//attacker.example", false),
            ("/\\attacker.example", false),
            ("https://attacker.example", false),
            ("javascript:alert(1)", false),
            ("/\r\nx: y", false),
            ("", false),
        ] {
            assert_eq!(is_own_path(next), is_own, "{next:?}");
        }
    }
}

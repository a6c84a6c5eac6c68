//! Routes of the pages.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::Markup;
use serde::Deserialize;

use crate::service::page::assets;
use crate::service::page::format::segment;
use crate::service::page::layout::Page;
use crate::service::page::reader::{LANG_COOKIE, PageAccess, Reader, THEME_COOKIE, Theme};
use crate::service::page::source;
use crate::service::page::templates;
use crate::service::page::text::Lang;
use crate::service::run::{Cause, Purpose, RunId, Scope};
use crate::service::runs::{RequestError, RunRequest};
use crate::service::state::ServiceState;

/// Header of requests of the script, which other sites cannot send.
const SCRIPT_HEADER: &str = "x-image-syncer";

/// Content that pages may have: files of this server only, and no style or script within a document.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

type Service = State<Arc<ServiceState>>;

/// Returns the pages, which need the right to read, and their forms, which need the right to sync.
pub(crate) fn router() -> Router<Arc<ServiceState>> {
    Router::new()
        .route("/", get(|| async { Redirect::to("/rules") }))
        .route("/rules", get(rules))
        .route("/rules/{name}", get(rule))
        .route("/rules/{name}/sync", post(sync))
        .route("/rules/{name}/check", post(check))
        .route("/runs", get(runs))
        .route("/runs/{id}", get(run))
        .route("/runs/{id}/cancel", post(cancel))
}

/// Returns the pages that everybody may read.
pub(crate) fn open_router() -> Router<Arc<ServiceState>> {
    Router::new()
        .route("/login", get(login))
        .route("/preferences", get(preferences))
        .route("/assets/{name}", get(assets::asset))
}

/// Returns the page of an error.
pub(crate) fn error_page(headers: &HeaderMap, uri: &Uri, status: StatusCode) -> Response {
    let reader = Reader::new(headers, uri, PageAccess::default());
    failure(&reader, status, None)
}

fn failure(reader: &Reader, status: StatusCode, reason: Option<&str>) -> Response {
    let page = templates::error::page(reader, status, reason);
    (status, document(reader, &page)).into_response()
}

fn document(reader: &Reader, page: &Page) -> Response {
    answer(page.document(reader))
}

/// Returns markup with the headers of pages.
fn answer(markup: Markup) -> Response {
    let fields = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ];
    (fields, Html(markup.into_string())).into_response()
}

/// Filter of the rules.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RulesQuery {
    q: String,
    state: String,
    page: String,
    part: String,
}

async fn rules(State(state): Service, reader: Reader, Query(query): Query<RulesQuery>) -> Response {
    let filter = query.state.parse().unwrap_or_default();
    let page = query.page.parse().unwrap_or_default();
    let view = source::rules(&state, &query.q, filter, page).await;
    match query.part.as_str() {
        "rules" => answer(templates::rules::part(&reader, &view)),
        _ => document(&reader, &templates::rules::page(&reader, &view)),
    }
}

/// Part of a page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PartQuery {
    part: String,
}

async fn rule(
    State(state): Service,
    reader: Reader,
    Path(name): Path<String>,
    Query(query): Query<PartQuery>,
) -> Response {
    let Some(view) = source::rule(&state, &name).await else {
        return failure(&reader, StatusCode::NOT_FOUND, None);
    };
    match query.part.as_str() {
        "rule" => answer(templates::rule::part(&reader, &view)),
        _ => document(&reader, &templates::rule::page(&reader, &view)),
    }
}

/// Filter of the runs.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RunsQuery {
    rule: String,
    state: String,
    before: String,
    part: String,
}

async fn runs(State(state): Service, reader: Reader, Query(query): Query<RunsQuery>) -> Response {
    let shown = query.state.parse().ok();
    let before = query.before.parse().ok();
    let view = source::runs(&state, query.rule.trim(), shown, before).await;
    match query.part.as_str() {
        "runs" => answer(templates::runs::part(&reader, &view)),
        _ => document(&reader, &templates::runs::page(&reader, &view)),
    }
}

/// Filter of the images of a run.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ImagesQuery {
    pub(super) q: String,
    pub(super) outcome: String,
    pub(super) after: String,
    part: String,
}

async fn run(
    State(state): Service,
    reader: Reader,
    Path(id): Path<String>,
    Query(query): Query<ImagesQuery>,
) -> Response {
    let id: Option<RunId> = id.parse().ok();
    let view = match id {
        Some(id) => source::run(&state, id, &query).await,
        None => None,
    };
    let Some(view) = view else {
        return failure(&reader, StatusCode::NOT_FOUND, None);
    };
    match query.part.as_str() {
        "live" => answer(templates::run::part(&reader, &view)),
        "images" => answer(templates::run_images::part(
            &reader,
            &view.run,
            &view.images,
        )),
        _ => document(&reader, &templates::run::page(&reader, &view)),
    }
}

async fn sync(
    State(state): Service,
    reader: Reader,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Response {
    start(&state, &reader, &headers, &name, Purpose::Sync)
}

async fn check(
    State(state): Service,
    reader: Reader,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Response {
    start(&state, &reader, &headers, &name, Purpose::Check)
}

fn start(
    state: &ServiceState,
    reader: &Reader,
    headers: &HeaderMap,
    rule: &str,
    purpose: Purpose,
) -> Response {
    let request = RunRequest {
        rule: rule.into(),
        cause: Cause::Api,
        purpose,
        scope: Scope::default(),
    };
    match state.runs.request(request) {
        Ok(accepted) => done(headers, &format!("/runs/{}", accepted.id)),
        Err(error) => {
            let status = match error {
                RequestError::UnknownRule(_) => StatusCode::NOT_FOUND,
                RequestError::OutOfScope(_) => StatusCode::BAD_REQUEST,
                RequestError::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            };
            failure(reader, status, Some(&error.to_string()))
        }
    }
}

async fn cancel(
    State(state): Service,
    reader: Reader,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let is_cancelled = id.parse().is_ok_and(|id| state.runs.cancel(id));
    if is_cancelled {
        return done(&headers, &format!("/runs/{}", segment(&id)));
    }
    let reason = reader.texts().is_over;
    failure(&reader, StatusCode::CONFLICT, Some(reason))
}

/// Answers an accepted request: leads a browser to a page, and tells the script about it.
fn done(headers: &HeaderMap, path: &str) -> Response {
    match HeaderValue::from_str(path) {
        Ok(location) if headers.contains_key(SCRIPT_HEADER) => {
            (StatusCode::ACCEPTED, [(header::LOCATION, location)]).into_response()
        }
        _ => Redirect::to(path).into_response(),
    }
}

/// Path to which a login or a choice leads.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LoginQuery {
    back: String,
    failed: Option<String>,
}

async fn login(reader: Reader, Query(query): Query<LoginQuery>) -> Response {
    let page = templates::login::page(&reader, own_path(&query.back), query.failed.as_deref());
    document(&reader, &page)
}

/// A choice of the reader.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Preferences {
    theme: String,
    lang: String,
    back: String,
}

/// Keeps a choice in a cookie, which holds nothing else.
async fn preferences(Query(choice): Query<Preferences>) -> Response {
    let theme: Option<Theme> = choice.theme.parse().ok();
    let lang = Lang::from_tag(&choice.lang);
    let cookie = match (theme, lang) {
        (Some(theme), _) => format!("{THEME_COOKIE}={theme}"),
        (None, Some(lang)) => format!("{LANG_COOKIE}={}", lang.tag()),
        (None, None) => return StatusCode::BAD_REQUEST.into_response(),
    };
    let cookie = format!("{cookie}; Path=/; Max-Age=31536000; SameSite=Lax");
    (
        [(header::SET_COOKIE, cookie)],
        Redirect::to(own_path(&choice.back)),
    )
        .into_response()
}

/// Returns `path` if it is one of this server, or that of the rules.
fn own_path(path: &str) -> &str {
    let mut characters = path.bytes();
    let is_path =
        characters.next() == Some(b'/') && !matches!(characters.next(), Some(b'/' | b'\\'));
    if is_path && path.bytes().all(|byte| (0x21..0x7f).contains(&byte)) {
        path
    } else {
        "/rules"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_and_logins_lead_to_this_server_only() {
        assert_eq!(own_path("/runs?rule=a%2Fb"), "/runs?rule=a%2Fb");
        assert_eq!(own_path("/"), "/");
        for foreign in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\nb",
            "/\t/evil.example",
            "rules",
        ] {
            assert_eq!(own_path(foreign), "/rules", "{foreign}");
        }
    }
}

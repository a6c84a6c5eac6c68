//! Routes of the pages.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::Markup;
use serde::Deserialize;

use crate::service::history::HistoryError;
use crate::service::page::assets;
use crate::service::page::format::segment;
use crate::service::page::layout::Page;
use crate::service::page::reader::{LANG_COOKIE, PageAccess, Reader, THEME_COOKIE, Theme};
use crate::service::page::source;
use crate::service::page::templates;
use crate::service::page::text::Lang;
use crate::service::page::view::reload::ReloadView;
use crate::service::page::view::run::RunView;
use crate::service::run::{Cause, RunPurpose, Scope};
use crate::service::runs::{RequestError, RunRequest};
use crate::service::state::ServiceState;

/// Header of requests of the script, which other sites cannot send.
const SCRIPT_HEADER: &str = "x-image-syncer";

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
        .route(
            templates::reload::PATH,
            get(|| async { Redirect::to("/rules") }).post(reload),
        )
        .route("/registries", get(registries))
        .route("/differences", get(differences))
        .route("/image", get(image))
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

fn answer(markup: Markup) -> Response {
    Html(markup.into_string()).into_response()
}

/// Reason why there is no page.
enum Missing {
    /// There is no such thing.
    Unknown,
    /// The history cannot be read.
    History(HistoryError),
}

impl From<HistoryError> for Missing {
    fn from(error: HistoryError) -> Self {
        Self::History(error)
    }
}

/// Returns the part of a page that a request names, the whole page, or the page of an error.
fn respond<V>(
    reader: &Reader,
    view: Result<V, Missing>,
    part: impl FnOnce(&V) -> Option<Markup>,
    page: impl FnOnce(&Reader, &V) -> Page,
) -> Response {
    match view {
        Ok(view) => part(&view).map_or_else(|| document(reader, &page(reader, &view)), answer),
        Err(Missing::Unknown) => failure(reader, StatusCode::NOT_FOUND, None),
        Err(Missing::History(error)) => {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            failure(reader, status, Some(&error.to_string()))
        }
    }
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
    let part = |view: &_| (query.part == "rules").then(|| templates::rules::part(&reader, view));
    respond(
        &reader,
        view.map_err(Missing::from),
        part,
        templates::rules::page,
    )
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
    let view = match source::rule(&state, &name).await {
        Ok(view) => view.ok_or(Missing::Unknown),
        Err(error) => Err(Missing::History(error)),
    };
    let part = |view: &_| (query.part == "rule").then(|| templates::rule::part(&reader, view));
    respond(&reader, view, part, templates::rule::page)
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
    let part = |view: &_| (query.part == "runs").then(|| templates::runs::part(&reader, view));
    respond(
        &reader,
        view.map_err(Missing::from),
        part,
        templates::runs::page,
    )
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
    let view = match id.parse() {
        Ok(id) => source::run(&state, id, &query).await,
        Err(_) => Ok(None),
    };
    let view = match view {
        Ok(view) => view.ok_or(Missing::Unknown),
        Err(error) => Err(Missing::History(error)),
    };
    let part = |view: &RunView| match query.part.as_str() {
        "live" => Some(templates::run::part(&reader, view)),
        "images" => Some(templates::run_images::part(
            &reader,
            &view.run,
            &view.images,
        )),
        _ => None,
    };
    respond(&reader, view, part, templates::run::page)
}

async fn registries(
    State(state): Service,
    reader: Reader,
    Query(query): Query<PartQuery>,
) -> Response {
    let (rows, workers) = (state.registries.rows(), state.workers.rows());
    let part = |rows: &Vec<_>| match query.part.as_str() {
        "registries" => Some(templates::registries::part(&reader, rows)),
        "workers" => Some(templates::workers::part(&reader, &workers)),
        _ => None,
    };
    respond(&reader, Ok(rows), part, |reader, rows| {
        templates::registries::page(reader, rows, &workers)
    })
}

/// Selection of differences.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct DifferencesQuery {
    rule: String,
    repository: String,
    after: String,
    page: String,
    part: String,
}

async fn differences(
    State(state): Service,
    reader: Reader,
    Query(query): Query<DifferencesQuery>,
) -> Response {
    let DifferencesQuery {
        rule,
        repository,
        after,
        page,
        part,
    } = &query;
    let page = page.parse().unwrap_or_default();
    if !repository.is_empty() {
        let view = source::repository(&state, rule, repository, after).await;
        let view = view.map_err(Missing::from);
        return respond(
            &reader,
            view,
            |_| None,
            templates::differences::repository_page,
        );
    }
    if !rule.is_empty() {
        let view = source::rule_differences(&state, rule, after, page).await;
        let part =
            |view: &_| (part == "rule").then(|| templates::differences::rule_part(&reader, view));
        let view = view.map_err(Missing::from);
        return respond(&reader, view, part, templates::differences::rule_page);
    }
    let view = source::differences(&state, page).await;
    let part =
        |view: &_| (part == "differences").then(|| templates::differences::part(&reader, view));
    let view = view.map_err(Missing::from);
    respond(&reader, view, part, templates::differences::page)
}

/// Reference or digest of an image.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ImageQuery {
    q: String,
}

async fn image(State(state): Service, reader: Reader, Query(query): Query<ImageQuery>) -> Response {
    let view = source::image(&state, &query.q).await;
    respond(
        &reader,
        view.map_err(Missing::from),
        |_| None,
        templates::image::page,
    )
}

async fn sync(
    State(state): Service,
    reader: Reader,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Response {
    start(&state, &reader, &headers, &name, RunPurpose::Sync)
}

async fn check(
    State(state): Service,
    reader: Reader,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Response {
    start(&state, &reader, &headers, &name, RunPurpose::Check)
}

fn start(
    state: &ServiceState,
    reader: &Reader,
    headers: &HeaderMap,
    rule: &str,
    purpose: RunPurpose,
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

/// Reads the files again, and shows the result.
async fn reload(State(state): Service, reader: Reader) -> Response {
    let Some(view) = source::reload(&state).await else {
        return failure(&reader, StatusCode::SERVICE_UNAVAILABLE, None);
    };
    let status = match view {
        ReloadView::InForce { .. } => StatusCode::OK,
        ReloadView::Mistakes(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let page = templates::reload::page(&reader, &view);
    (status, document(&reader, &page)).into_response()
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

//! Images of runs.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;

use crate::service::history::{ImageFilter, ImageOutcome, ImagePage};
use crate::service::http::api::{Problem, find_run, flush, run_id};
#[cfg(test)]
use crate::service::run::RunId;
use crate::service::state::ServiceState;

/// Number of images on a page, unless the client says.
const PAGE: usize = 100;
/// Maximum number of images on a page.
pub(super) const MAX_PAGE: usize = 1_000;

/// Selection of images.
#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::IntoParams))]
#[cfg_attr(test, into_params(parameter_in = Query))]
pub(in crate::service::http) struct ImageQuery {
    /// Outcome.
    #[cfg_attr(test, param(value_type = Option<ImageOutcome>))]
    outcome: Option<String>,
    /// Part of the reference at the source or destination; upper and lower case are the same.
    q: Option<String>,
    /// Number of an image: only later ones.
    after: Option<i64>,
    /// Maximum number of images: 1 to 1000, by default 100.
    #[cfg_attr(test, param(minimum = 1, maximum = 1000))]
    limit: Option<usize>,
}

/// Lists the images of a run that were not unchanged, in the order in which they ended.
#[cfg_attr(test, utoipa::path(
    get, path = "/api/v1/runs/{id}/images", tag = "runs",
    params(("id" = RunId, Path, description = "id of the run"), ImageQuery),
    security((), ("token" = ["read"]), ("cookie" = ["read"])),
    responses(
        (status = 200, description = "a page of images", body = ImagePage),
        (status = 404, description = "there is no such run", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "the history cannot be read", body = Problem,
            content_type = "application/problem+json"),
        (status = "default", description = "an error", body = Problem, content_type = "application/problem+json"),
    ),
))]
pub(in crate::service::http) async fn images(
    State(state): State<Arc<ServiceState>>,
    Path(id): Path<String>,
    Query(query): Query<ImageQuery>,
) -> Result<Json<ImagePage>, Problem> {
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        let detail = format!("the limit is not a number from 1 to {MAX_PAGE}");
        return Err(Problem::bad_request(detail));
    }
    let outcome = query.outcome.as_deref().map(outcome).transpose()?;
    let run = find_run(&state, run_id(&id)?).await?;
    flush(&state).await;
    let filter = ImageFilter {
        outcome,
        text: query.q,
        after: query.after,
        limit,
    };
    Ok(Json(state.history.images(run.id, filter).await?))
}

fn outcome(text: &str) -> Result<ImageOutcome, Problem> {
    text.parse().map_err(|_| {
        Problem::bad_request(
            "the outcome is not one of `copied`, `different`, `skipped`, `failed` and `interrupted`",
        )
    })
}

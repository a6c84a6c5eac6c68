//! Runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::service::history::RunFilter;
use crate::service::http::api::{Problem, find_run, flush, run_id};
use crate::service::run::{Run, RunId, RunState};
use crate::service::state::ServiceState;

/// Number of runs on a page, unless the client says.
const PAGE: usize = 50;
/// Maximum number of runs on a page.
const MAX_PAGE: usize = 500;

/// A page of runs.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(in crate::service::http) struct RunList {
    /// The runs, the newest first.
    runs: Vec<Run>,
    /// Value of `before` for the next page; missing on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<RunId>,
}

/// Selection of runs.
#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::IntoParams))]
#[cfg_attr(test, into_params(parameter_in = Query))]
pub(in crate::service::http) struct RunQuery {
    /// Name of the rule.
    rule: Option<String>,
    /// State.
    state: Option<RunState>,
    /// Id of a run: only older ones.
    before: Option<RunId>,
    /// Maximum number of runs: 1 to 500, by default 50.
    #[cfg_attr(test, param(minimum = 1, maximum = 500))]
    limit: Option<usize>,
}

/// Lists runs, the newest first: those that wait or are in progress, and those of the history.
#[cfg_attr(test, utoipa::path(
    get, path = "/api/v1/runs", tag = "runs", params(RunQuery),
    security((), ("token" = ["read"]), ("cookie" = ["read"])),
    responses(
        (status = 200, description = "a page of runs", body = RunList),
        (status = "default", description = "an error", body = Problem, content_type = "application/problem+json"),
    ),
))]
pub(in crate::service::http) async fn list(
    State(state): State<Arc<ServiceState>>,
    Query(query): Query<RunQuery>,
) -> Result<Json<RunList>, Problem> {
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        let detail = format!("the limit is not a number from 1 to {MAX_PAGE}");
        return Err(Problem::bad_request(detail));
    }
    let mut runs: BTreeMap<RunId, Run> = state
        .runs
        .unfinished()
        .into_iter()
        .filter(|run| query.has(run))
        .map(|run| (run.id, run))
        .collect();
    flush(&state).await;
    let older = state.history.runs(RunFilter {
        rules: query.rule.iter().map(|rule| rule.as_str().into()).collect(),
        state: query.state,
        before: query.before,
        limit: limit + 1,
    });
    for run in older.await? {
        // The numbers in memory are newer, unless the run has ended since.
        if run.state.is_over() || !runs.contains_key(&run.id) {
            runs.insert(run.id, run);
        }
    }
    let is_last = runs.len() <= limit;
    let runs: Vec<Run> = runs.into_values().rev().take(limit).collect();
    let oldest = runs.last().map(|run| run.id);
    Ok(Json(RunList {
        runs,
        next: oldest.filter(|_| !is_last),
    }))
}

impl RunQuery {
    fn has(&self, run: &Run) -> bool {
        let rule = self.rule.as_deref();
        rule.is_none_or(|rule| *rule == *run.rule)
            && self.state.is_none_or(|state| state == run.state)
            && self.before.is_none_or(|before| run.id < before)
    }
}

/// Shows a run.
#[cfg_attr(test, utoipa::path(
    get, path = "/api/v1/runs/{id}", tag = "runs",
    params(("id" = RunId, Path, description = "id of the run")),
    security((), ("token" = ["read"]), ("cookie" = ["read"])),
    responses(
        (status = 200, description = "the run", body = Run),
        (status = 404, description = "there is no such run", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "an error", body = Problem, content_type = "application/problem+json"),
    ),
))]
pub(in crate::service::http) async fn show(
    State(state): State<Arc<ServiceState>>,
    Path(id): Path<String>,
) -> Result<Json<Run>, Problem> {
    find_run(&state, run_id(&id)?).await.map(Json)
}

/// Cancels a run. Its images in flight may go on for the grace period.
#[cfg_attr(test, utoipa::path(
    post, path = "/api/v1/runs/{id}/cancel", tag = "runs",
    params(("id" = RunId, Path, description = "id of the run")),
    security((), ("token" = ["sync"]), ("cookie" = ["sync"])),
    responses(
        (status = 202, description = "the run ends", body = Run),
        (status = 404, description = "there is no such run", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "the run is over", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "an error", body = Problem, content_type = "application/problem+json"),
    ),
))]
pub(in crate::service::http) async fn cancel(
    State(state): State<Arc<ServiceState>>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Run>), Problem> {
    let id = run_id(&id)?;
    let is_cancelled = state.runs.cancel(id);
    let run = find_run(&state, id).await?;
    if is_cancelled {
        return Ok((StatusCode::ACCEPTED, Json(run)));
    }
    let detail = format!("the run {id} is over already");
    Err(Problem::new(StatusCode::CONFLICT, detail))
}

//! Requests for runs.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use crate::service::http::api::Problem;
use crate::service::http::body::JsonBody;
use crate::service::run::{Cause, Run, RunId, RunPurpose, Scope};
use crate::service::runs::RunRequest;
use crate::service::state::ServiceState;

/// Maximum time that a request may wait for the end of its run, in seconds.
const MAX_WAIT: u64 = 600;
/// Maximum number of tags of a request.
const MAX_TAGS: usize = 1_000;

/// Part of a rule.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub(in crate::service::http) struct SyncRequest {
    /// Tags; all of the rule by default. A rule over several repositories needs `repository` as well.
    #[cfg_attr(test, schema(max_items = 1000))]
    tags: Vec<String>,
    /// Source repository; all of the rule by default.
    repository: Option<String>,
    /// Push images again that exist, as `--force` does.
    force: bool,
    /// Check everything below the root of existing images, as `--verify` does.
    verify: bool,
    /// Time to wait for the end of the run, such as `60s` or `5m`; at most `10m`.
    wait: Option<String>,
}

/// Waiting for a run.
#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::IntoParams))]
#[cfg_attr(test, into_params(parameter_in = Query))]
pub(in crate::service::http) struct WaitQuery {
    /// Time to wait for the end of the run, such as `60s` or `5m`; at most `10m`.
    wait: Option<String>,
}

/// Accepted request.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(in crate::service::http) struct AcceptedRun {
    /// Id of the run.
    id: RunId,
    /// True if the request was merged with an earlier one, whose run had not started.
    merged: bool,
}

impl SyncRequest {
    /// Returns the part of the rule.
    pub(super) fn scope(self) -> Result<Scope, Problem> {
        if self.tags.len() > MAX_TAGS {
            let detail = format!("there are more than {MAX_TAGS} tags. Leave them out for all.");
            return Err(Problem::bad_request(detail));
        }
        Ok(Scope {
            repository: self.repository,
            tags: self.tags,
            force: self.force,
            verify: self.verify,
            ..Scope::default()
        })
    }
}

/// Requests a run of a rule. A request during a run of the rule waits for its end, and further ones are merged.
#[cfg_attr(test, utoipa::path(
    post, path = "/api/v1/rules/{name}/sync", tag = "rules",
    params(("name" = String, Path, description = "name of the rule, percent-encoded"), WaitQuery),
    request_body(content = Option<SyncRequest>, content_type = "application/json"),
    security((), ("token" = ["sync"]), ("cookie" = ["sync"])),
    responses(
        (status = 200, description = "the run has ended within `wait`", body = Run),
        (status = 202, description = "the run was requested", body = AcceptedRun,
            headers(("Location" = String, description = "path of the run"))),
        (status = 404, description = "there is no such rule", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "the rule has no such part", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "the service is stopping", body = Problem,
            content_type = "application/problem+json"),
        (status = "default", description = "an error", body = Problem, content_type = "application/problem+json"),
    ),
))]
pub(in crate::service::http) async fn sync(
    State(state): State<Arc<ServiceState>>,
    Path(name): Path<String>,
    Query(query): Query<WaitQuery>,
    JsonBody(body): JsonBody<SyncRequest>,
) -> Result<Response, Problem> {
    let wait = query.wait.as_ref().or(body.wait.as_ref());
    let wait = wait.map(|text| duration(text)).transpose()?;
    let accepted = state.runs.request(RunRequest {
        rule: name.into(),
        cause: Cause::Api,
        purpose: RunPurpose::Sync,
        scope: body.scope()?,
    })?;
    let id = accepted.id;
    let location = (LOCATION, format!("/api/v1/runs/{id}"));
    if let Some(wait) = wait
        && let Some(run) = ended(&state, id, wait).await
    {
        return Ok((StatusCode::OK, [location], Json(run)).into_response());
    }
    let body = Json(AcceptedRun {
        id,
        merged: accepted.merged,
    });
    Ok((StatusCode::ACCEPTED, [location], body).into_response())
}

/// Waits for the end of a run; `None` if it takes longer than `wait`, or the service ends.
async fn ended(state: &ServiceState, id: RunId, wait: Duration) -> Option<Run> {
    tokio::select! {
        run = state.runs.wait(id) => run,
        () = tokio::time::sleep(wait) => None,
        () = state.http.closing.cancelled() => None,
    }
}

fn duration(text: &str) -> Result<Duration, Problem> {
    let parse = || {
        let minutes = text.strip_suffix('m').map(|number| (number, 60));
        let (number, unit) =
            minutes.or_else(|| text.strip_suffix('s').map(|number| (number, 1)))?;
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse::<u64>().ok().filter(|_| is_number)?;
        number
            .checked_mul(unit)
            .filter(|seconds| *seconds <= MAX_WAIT)
    };
    parse().map(Duration::from_secs).ok_or_else(|| {
        Problem::bad_request("the time to wait is invalid. Write a number with its unit, such as 60s or 5m; at most 10m.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_to_wait_is_bounded() {
        for (text, seconds) in [
            ("60s", Some(60)),
            ("0s", Some(0)),
            ("10m", Some(600)),
            ("11m", None),
            ("601s", None),
            ("99999999999999999999m", None),
            ("18446744073709551615m", None),
            ("+5s", None),
            ("60", None),
            ("s", None),
            ("", None),
            ("1é", None),
        ] {
            let parsed = duration(text).ok().map(|time| time.as_secs());
            assert_eq!(parsed, seconds, "{text}");
        }
    }
}

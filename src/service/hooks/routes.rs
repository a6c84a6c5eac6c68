//! The routes of hooks.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::caller::{self, Access};
use super::matching;
use super::push::PayloadError;
use super::{HookKind, Hooks};
use crate::service::http::problem::Problem;
use crate::service::run::RunId;
use crate::service::runs::RequestError;
use crate::service::secret::SharedSecret;
use crate::ui::LineLabel;

/// Maximum size of a body, in bytes.
const MAX_BODY: usize = 1 << 20;

/// Time after which a registry may call a service again that is stopping, in seconds.
const RETRY_AFTER: u32 = 10;

/// Answer to a hook.
#[derive(Debug, Serialize, PartialEq, Eq)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(untagged)]
pub(in crate::service) enum HookAnswer {
    /// Rules copy what was pushed.
    Accepted {
        /// Runs that start at once, or were requested before and have not started.
        runs: Vec<RunId>,
        /// Rules whose next run includes the push.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        gathered: Vec<Arc<str>>,
    },
    /// Nothing starts.
    Ignored {
        /// The reason.
        ignored: String,
    },
}

/// Refused call.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error("there is no hook of this kind. Add it to `service.hooks`.")]
    NotConfigured,
    #[error(
        "the call has no secret. Send it in the header Authorization, or at the end of the path."
    )]
    NoSecret,
    #[error("the secret of the call is wrong")]
    WrongSecret,
    #[error("the body is larger than 1 MiB, or was not received completely")]
    Body,
    #[error("{0}")]
    Malformed(String),
    #[error("{0}")]
    Run(#[from] RequestError),
}

/// Receives the call of a registry. Its form depends on the kind.
#[cfg_attr(test, utoipa::path(
    post, path = "/hooks/{kind}", tag = "hooks",
    params(("kind" = String, Path, description = "kind of the hook, such as `harbor`")),
    request_body(content = Object, content_type = "application/json"),
    security(("hook" = [])),
    responses(
        (status = 200, description = "nothing starts", body = HookAnswer),
        (status = 202, description = "runs start, at once or in some seconds", body = HookAnswer),
        (status = 401, description = "the secret is missing or wrong", body = Problem,
            content_type = "application/problem+json"),
        (status = 404, description = "there is no such hook", body = Problem,
            content_type = "application/problem+json"),
        (status = "default", description = "an error", body = Problem, content_type = "application/problem+json"),
    ),
))]
pub(in crate::service) async fn call(
    State(hooks): State<Hooks>,
    Path(kind): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    respond(&hooks, &kind, None, &headers, body).await
}

/// Receives the call of a registry that cannot send a header, with the secret in the path.
#[cfg_attr(test, utoipa::path(
    post, path = "/hooks/{kind}/{token}", tag = "hooks",
    params(
        ("kind" = String, Path, description = "kind of the hook, such as `hub`"),
        ("token" = String, Path, description = "the secret of the hook"),
    ),
    request_body(content = Object, content_type = "application/json"),
    security(()),
    responses(
        (status = 200, description = "nothing starts", body = HookAnswer),
        (status = 202, description = "runs start, at once or in some seconds", body = HookAnswer),
        (status = 401, description = "the secret is missing or wrong", body = Problem,
            content_type = "application/problem+json"),
        (status = 404, description = "there is no such hook", body = Problem,
            content_type = "application/problem+json"),
        (status = "default", description = "an error", body = Problem, content_type = "application/problem+json"),
    ),
))]
pub(in crate::service) async fn call_with_token(
    State(hooks): State<Hooks>,
    Path((kind, token)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    respond(&hooks, &kind, Some(&token), &headers, body).await
}

/// Answers a call.
pub(super) async fn respond(
    hooks: &Hooks,
    kind: &str,
    token: Option<&str>,
    headers: &HeaderMap,
    body: Body,
) -> Response {
    let kind = kind.parse::<HookKind>().ok();
    let configured = kind.and_then(|kind| Some((kind, hooks.0.secrets.get(&kind)?)));
    let Some((kind, secret)) = configured else {
        return Problem::from(Refusal::NotConfigured).into_response();
    };
    let answer = match authenticated(secret, token, headers, body).await {
        Ok(body) => handle(hooks, kind, &body),
        Err(refusal) => Err(refusal),
    };
    record(hooks, kind, &answer);
    match answer {
        Ok(answer @ HookAnswer::Accepted { .. }) => {
            (StatusCode::ACCEPTED, Json(answer)).into_response()
        }
        Ok(answer) => Json(answer).into_response(),
        Err(refusal) => Problem::from(refusal).into_response(),
    }
}

/// Reads the body of a caller with the secret. Those without it cannot make the service read a body, unless it is signed.
async fn authenticated(
    secret: &SharedSecret,
    token: Option<&str>,
    headers: &HeaderMap,
    body: Body,
) -> Result<axum::body::Bytes, Refusal> {
    let access = caller::check(secret, headers, token);
    match access {
        Access::NoSecret => return Err(Refusal::NoSecret),
        Access::WrongSecret => return Err(Refusal::WrongSecret),
        Access::Granted | Access::Signed => {}
    }
    let body = to_bytes(body, MAX_BODY).await.map_err(|_| Refusal::Body)?;
    if access == Access::Signed && !caller::is_signed(secret, headers, &body) {
        return Err(Refusal::WrongSecret);
    }
    Ok(body)
}

/// Requests the runs of the pushes in a body.
fn handle(hooks: &Hooks, kind: HookKind, body: &[u8]) -> Result<HookAnswer, Refusal> {
    let ignored = |ignored| Ok(HookAnswer::Ignored { ignored });
    let pushes = match kind.parse(body) {
        Ok(pushes) => pushes,
        Err(PayloadError::NoPush(why)) => return ignored(why),
        Err(PayloadError::Malformed(why)) => return Err(Refusal::Malformed(why)),
    };
    let changes = match matching::changes(&hooks.0.runs.rules(), &pushes) {
        Ok(changes) => changes,
        Err(why) => return ignored(why),
    };
    if hooks.0.runs.is_stopping() {
        return Err(RequestError::Stopping.into());
    }
    let (mut runs, mut gathered) = (Vec::new(), Vec::new());
    for (rule, changes) in changes {
        match hooks.0.gatherer.add(&rule, changes) {
            Ok(Some(run)) => runs.push(run),
            Ok(None) => gathered.push(rule),
            // The rules were read again in between.
            Err(RequestError::UnknownRule(_) | RequestError::OutOfScope(_)) => {}
            Err(stopping @ RequestError::Stopping) => return Err(stopping.into()),
        }
    }
    Ok(HookAnswer::Accepted { runs, gathered })
}

/// Counts a call, and reports it in a line, unless it is one of many.
fn record(hooks: &Hooks, kind: HookKind, answer: &Result<HookAnswer, Refusal>) {
    let (label, result, text) = match answer {
        Ok(HookAnswer::Accepted { runs, gathered }) => {
            (LineLabel::Note, "accepted", accepted(runs, gathered))
        }
        Ok(HookAnswer::Ignored { ignored }) => {
            let text = format!("ignored: {ignored}");
            (LineLabel::Note, "ignored", text)
        }
        Err(refusal) => {
            let text = format!("refused: {refusal}");
            (LineLabel::Warning, refusal.result(), text)
        }
    };
    hooks.0.metrics.count_hook(kind.into(), result);
    // Anybody can cause refusals, and registries report each blob and each pull.
    let is_one_of_many = !matches!(answer, Ok(HookAnswer::Accepted { .. }));
    let text = format!("hook {kind}: {text}");
    if !is_one_of_many || hooks.0.repeated.is_news(&text) {
        (hooks.0.report)(label, &text);
    }
}

/// Describes an accepted call.
fn accepted(runs: &[RunId], gathered: &[Arc<str>]) -> String {
    let runs = runs.iter().map(|run| format!("run {run}"));
    let gathered = gathered
        .iter()
        .map(|rule| format!("{rule} in some seconds"));
    runs.chain(gathered).collect::<Vec<_>>().join(", ")
}

impl Refusal {
    /// Returns the result for the metrics.
    fn result(&self) -> &'static str {
        match self {
            Self::NoSecret | Self::WrongSecret => "denied",
            Self::NotConfigured | Self::Body | Self::Malformed(_) => "invalid",
            Self::Run(_) => "stopping",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NotConfigured => StatusCode::NOT_FOUND,
            Self::NoSecret => StatusCode::UNAUTHORIZED,
            Self::WrongSecret => StatusCode::FORBIDDEN,
            Self::Body => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Run(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let problem = Self::new(refusal.status(), refusal.to_string());
        match refusal {
            Refusal::Run(_) => problem.after(RETRY_AFTER),
            _ => problem,
        }
    }
}

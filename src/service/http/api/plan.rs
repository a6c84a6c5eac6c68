//! Plans: what a run would copy.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use image_syncer_sync::engine::Stop;
use image_syncer_sync::report::Report;
use image_syncer_sync::{Event, Listener};
use tokio::time::timeout;

use crate::report::ReportWriter;
use crate::run_summary::{RunSummary, Traffic};
use crate::service::http::api::Problem;
use crate::service::http::api::sync::SyncRequest;
use crate::service::http::body::JsonBody;
use crate::service::state::ServiceState;

/// Maximum time of a plan.
const MAX_TIME: Duration = Duration::from_secs(300);
/// Maximum size of a plan, in bytes.
const MAX_SIZE: usize = 64 * 1024 * 1024;

/// Compares the sources of a rule with its destinations, and writes nothing. The answer is the document of
/// `plan --output json`.
#[cfg_attr(test, utoipa::path(
    post, path = "/api/v1/rules/{name}/plan", tag = "rules",
    params(("name" = String, Path, description = "name of the rule, percent-encoded")),
    request_body(content = Option<SyncRequest>, content_type = "application/json"),
    security((), ("token" = ["read"]), ("cookie" = ["read"])),
    responses(
        (status = 200, description = "the plan, in the form of a report", body = Object),
        (status = 404, description = "there is no such rule", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "the plan is too large", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "the rule has no such part", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "the plan takes too long, or there are too many", body = Problem,
            content_type = "application/problem+json"),
        (status = "default", description = "an error", body = Problem, content_type = "application/problem+json"),
    ),
))]
pub(in crate::service::http) async fn plan(
    State(state): State<Arc<ServiceState>>,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<SyncRequest>,
) -> Result<Response, Problem> {
    let scope = body.scope()?;
    let permit = state.http.plans.try_acquire();
    let _permit = permit.map_err(|_| {
        Problem::unavailable("other plans are in progress. Try again later.").after(10)
    })?;
    let stop = Stop::new(Duration::ZERO);
    // The comparison ends with the request, also if the client has left.
    let _guard = stop.abandon.clone().drop_guard();
    let listener = Arc::new(PlanWriter {
        report: Report::new(),
        writer: ReportWriter::begin(BoundedBuffer::default(), "plan"),
    });
    let (handle, rules) = state
        .runs
        .plan(&name, &scope, stop.clone(), listener.clone())?;
    let end = tokio::select! {
        end = timeout(MAX_TIME, handle.wait()) => end,
        () = state.http.closing.cancelled() => {
            return Err(Problem::unavailable("the service is stopping"));
        }
    };
    let end = end.map_err(|_| {
        let minutes = MAX_TIME.as_secs() / 60;
        let detail = format!(
            "the plan takes more than {minutes} minutes. Send `repository` or `tags` for a part of the rule."
        );
        Problem::unavailable(detail)
    })?;
    let mut summary = listener.report.summary();
    summary.finish(summary.rules, end.stopped);
    let document = listener.writer.end(&RunSummary {
        shard: None,
        summary: &summary,
        rules: &rules,
        hosts: &[],
        traffic: Traffic {
            fetched: end.fetched,
            sent: end.sent,
        },
        elapsed: end.elapsed,
        exit_code: summary.exit_code(),
    });
    let document = document.map_err(|_| {
        let most = MAX_SIZE / 1024 / 1024;
        let detail = format!(
            "the plan is larger than {most} MiB. Send `repository` or `tags` for a part of the rule."
        );
        Problem::new(axum::http::StatusCode::PAYLOAD_TOO_LARGE, detail)
    })?;
    Ok(([(CONTENT_TYPE, "application/json")], document.0).into_response())
}

/// Writes the document, and keeps the summary for its end.
struct PlanWriter {
    report: Report,
    writer: ReportWriter<BoundedBuffer>,
}

impl Listener for PlanWriter {
    fn event(&self, event: &Event) {
        self.report.event(event);
        self.writer.event(event);
    }
}

/// Text in memory, of bounded size.
#[derive(Default)]
struct BoundedBuffer(Vec<u8>);

impl Write for BoundedBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_SIZE {
            return Err(io::Error::other("it is too large"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

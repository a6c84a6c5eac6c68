//! Reports of runs.

use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde_json::json;

#[cfg(test)]
use crate::service::history::ImageRecord;
use crate::service::history::{FailureGroup, History, ImageFilter};
use crate::service::http::api::images::MAX_PAGE;
use crate::service::http::api::{Problem, find_run, flush, run_id};
use crate::service::run::{Run, RunId};
use crate::service::state::ServiceState;

/// Version of the document. It rises if a field is removed or changes its meaning, not if one is added.
const VERSION: u32 = 1;

/// The document, for its schema. It is written a page of images at a time.
#[cfg(test)]
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "the document is written in parts")]
pub(in crate::service::http) struct RunReport {
    /// Version of the document: 1.
    version: u32,
    /// The program.
    #[cfg_attr(test, schema(value_type = Object))]
    program: (),
    /// The run.
    run: Run,
    /// Its failures by side, cause and host, the most frequent first.
    failures: Vec<FailureGroup>,
    /// Its images that were not unchanged, in the order in which they ended.
    images: Vec<ImageRecord>,
}

/// Shows all that the history knows about a run, as one document.
#[cfg_attr(test, utoipa::path(
    get, path = "/api/v1/runs/{id}/report", tag = "runs",
    params(("id" = RunId, Path, description = "id of the run")),
    security((), ("token" = ["read"]), ("cookie" = ["read"])),
    responses(
        (status = 200, description = "the report", body = RunReport),
        (status = 404, description = "there is no such run", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "the history cannot be read", body = Problem,
            content_type = "application/problem+json"),
        (status = "default", description = "an error", body = Problem, content_type = "application/problem+json"),
    ),
))]
pub(in crate::service::http) async fn report(
    State(state): State<Arc<ServiceState>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = run_id(&id)?;
    flush(&state).await;
    let run = find_run(&state, id).await?;
    let failures = state.history.failures(id).await?;
    let head = head(&run, &failures).map_err(|error| Problem::unavailable(error.to_string()))?;
    let writer = ReportStream {
        history: state.history.clone(),
        run: id,
        next: Next::Head(head),
    };
    let parts = stream::try_unfold(writer, |mut writer| async move {
        let part = writer.part().await?;
        Ok::<_, io::Error>(part.map(|part| (Bytes::from(part), writer)))
    });
    let media_type = [(CONTENT_TYPE, "application/json")];
    Ok((media_type, Body::from_stream(parts)).into_response())
}

fn head(run: &Run, failures: &[FailureGroup]) -> serde_json::Result<String> {
    let program = json!({"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")});
    let (run, failures) = (
        serde_json::to_string(run)?,
        serde_json::to_string(failures)?,
    );
    Ok(format!(
        "{{\n  \"version\": {VERSION},\n  \"program\": {program},\n  \"run\": {run},\n  \"failures\": {failures},\n  \
         \"images\": ["
    ))
}

/// Writes the document in parts, so that it needs no memory.
struct ReportStream {
    history: History,
    run: RunId,
    next: Next,
}

/// Next part of the document.
enum Next {
    Head(String),
    Images { after: i64, is_first: bool },
    End,
}

impl ReportStream {
    /// Returns the next part; `None` at the end. An error ends the connection, so that no client takes the part for the
    /// whole.
    async fn part(&mut self) -> io::Result<Option<String>> {
        match std::mem::replace(&mut self.next, Next::End) {
            Next::Head(head) => {
                self.next = Next::Images {
                    after: 0,
                    is_first: true,
                };
                Ok(Some(head))
            }
            Next::Images { after, is_first } => self.images(after, is_first).await.map(Some),
            Next::End => Ok(None),
        }
    }

    async fn images(&mut self, after: i64, mut is_first: bool) -> io::Result<String> {
        let filter = ImageFilter {
            after: (!is_first).then_some(after),
            limit: MAX_PAGE,
            ..ImageFilter::default()
        };
        let page = self.history.images(self.run, filter).await;
        let page = page.map_err(io::Error::other)?;
        let mut text = String::new();
        for image in &page.images {
            text.push_str(if is_first { "\n    " } else { ",\n    " });
            text.push_str(&serde_json::to_string(image)?);
            is_first = false;
        }
        if let Some(after) = page.next {
            self.next = Next::Images { after, is_first };
        } else {
            text.push_str(if is_first { "]\n}\n" } else { "\n  ]\n}\n" });
        }
        Ok(text)
    }
}

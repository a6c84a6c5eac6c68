//! Bodies of requests, which are bounded in size and time.

use std::error::Error;
use std::iter::successors;
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::{StreamExt as _, stream};
use hyper::body::Body as _;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use crate::service::http::problem::Problem;

/// Maximum size of a body, in bytes.
const MAX_BODY: usize = 1024 * 1024;
/// Maximum time to read a body.
const MAX_TIME: Duration = Duration::from_secs(10);

/// Reason why a body cannot be read to its end.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum BodyError {
    #[error("the body is larger than 1 MiB")]
    TooLarge,
    #[error("the body took more than 10 seconds")]
    TooSlow,
}

/// Bounds the body in size and time. It is read by the route, so not for a client without the right.
pub(super) async fn bound(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let length = parts.headers.get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > MAX_BODY as u64) {
        return Problem::from(BodyError::TooLarge).into_response();
    }
    let body = if body.is_end_stream() {
        body
    } else {
        bounded(body)
    };
    next.run(Request::from_parts(parts, body)).await
}

fn bounded(body: Body) -> Body {
    let deadline = Instant::now() + MAX_TIME;
    let start = (body.into_data_stream(), MAX_BODY);
    let parts = stream::try_unfold(start, move |(mut data, left)| async move {
        let part = timeout_at(deadline, data.next()).await;
        let Some(part) = part.map_err(|_| BodyError::TooSlow)? else {
            return Ok(None);
        };
        let part = part?;
        let left = left.checked_sub(part.len()).ok_or(BodyError::TooLarge)?;
        Ok::<_, BoxError>(Some((part, (data, left))))
    });
    Body::from_stream(parts)
}

async fn read(body: Body) -> Result<Bytes, Problem> {
    let read = to_bytes(body, MAX_BODY).await;
    read.map_err(|error| {
        let mut sources = successors(Some(&error as &(dyn Error + 'static)), |error| {
            Error::source(*error)
        });
        let known = sources.find_map(|error| error.downcast_ref::<BodyError>().copied());
        known.map_or_else(
            || Problem::bad_request("the body is incomplete"),
            Problem::from,
        )
    })
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        let status = match error {
            BodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::TooSlow => StatusCode::REQUEST_TIMEOUT,
        };
        Self::new(status, error.to_string())
    }
}

/// A body in JSON. An empty body is the default.
pub(super) struct JsonBody<T>(pub(super) T);

impl<S, T> FromRequest<S> for JsonBody<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Default,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let is_json = is_json(request.headers());
        let bytes = read(request.into_body()).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        // Forms of foreign pages cannot have this type.
        if !is_json {
            let detail =
                "the body is not JSON. Send it with the header Content-Type: application/json.";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        // An array of all fields would be accepted as well.
        if bytes.trim_ascii_start().first() != Some(&b'{') {
            return Err(Problem::bad_request("the body is not a JSON object"));
        }
        let parsed = serde_json::from_slice(&bytes);
        let value = parsed
            .map_err(|error| Problem::bad_request(format!("the body is invalid: {error}")))?;
        Ok(Self(value))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE);
    let text = value.and_then(|value| value.to_str().ok());
    text.is_some_and(|text| {
        let essence = text.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/json")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_too_slow() {
        let endless = stream::pending::<Result<Bytes, BoxError>>();
        let problem = read(bounded(Body::from_stream(endless))).await.err();
        let status = problem.map(|problem| problem.status());
        assert_eq!(status, Some(StatusCode::REQUEST_TIMEOUT));
    }
}

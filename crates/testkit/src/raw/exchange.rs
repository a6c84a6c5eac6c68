//! One request and its answer on a new connection.

use std::io;

use bytes::Bytes;
use http::header;
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};

use super::RawResponse;
use super::body::Sent;

pub(super) async fn over_http1<S>(
    stream: S,
    request: http::Request<Sent>,
) -> io::Result<RawResponse>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    // Its errors reach the request as well.
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await;
    let answer = finish(response).await;
    driver.abort();
    answer
}

pub(super) async fn over_http2<S>(
    stream: S,
    mut request: http::Request<Sent>,
) -> io::Result<RawResponse>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // The host is in the URI, from which hyper makes the pseudo-header.
    if let Some(host) = request.headers_mut().remove(header::HOST) {
        let path = request.uri().clone();
        let uri = http::Uri::builder()
            .scheme("http")
            .authority(host.as_bytes());
        let path = path
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str);
        *request.uri_mut() = uri.path_and_query(path).build().map_err(io::Error::other)?;
    }
    let executor = TokioExecutor::new();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(executor, TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await;
    let answer = finish(response).await;
    driver.abort();
    answer
}

async fn finish(
    response: hyper::Result<http::Response<hyper::body::Incoming>>,
) -> io::Result<RawResponse> {
    let (parts, body) = response.map_err(io::Error::other)?.into_parts();
    let (body, complete) = read(body).await;
    Ok(RawResponse {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body,
        complete,
    })
}

/// Reads everything. Returns false if the body is incomplete.
async fn read(mut body: hyper::body::Incoming) -> (Bytes, bool) {
    let mut all = bytes::BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return (all.freeze(), false);
        };
        if let Ok(data) = frame.into_data() {
            all.extend_from_slice(&data);
        }
    }
    (all.freeze(), true)
}

//! The steps of every request: log, latency, fault, checks, authentication, endpoint, answer.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Response, header};
use hyper::body::Incoming;

use super::body::{Damage, End, Outgoing, Running};
use super::call::Call;
use super::connection::{Connection, Role};
use super::incoming::RequestBody;
use super::rate_limit::RateLimit;
use super::{endpoints, judge, route};
use crate::auth;
use crate::fault::{Action, Answer};
use crate::log::{Authorization, Kind, Request};
use crate::reply::{Content, Reply};

/// Changes of an answer by a fault.
#[derive(Default)]
struct Changes {
    damage: Damage,
    length: Option<u64>,
    without: Vec<&'static str>,
    with: Vec<(&'static str, String)>,
    lose: Option<crate::fault::Cut>,
}

/// Answers one request.
pub(crate) async fn serve(
    connection: Connection,
    request: hyper::Request<Incoming>,
) -> Response<Outgoing> {
    let (parts, incoming) = request.into_parts();
    let shared = Arc::clone(&connection.shared);
    let (observed, base) = observe(&connection, &parts);
    let log = match (connection.role, observed.kind) {
        (_, Kind::Token) => &shared.logs.token,
        (Role::Storage, _) => &shared.logs.storage,
        _ => &shared.logs.registry,
    };
    let entry = log.begin(observed);
    let running = Arc::new(Running(Arc::clone(&entry)));

    let is_limited = connection.role == Role::Registry && entry.request().kind != Kind::Token;
    let limit = shared.rate_limit.as_ref().filter(|_| is_limited);
    let refusal = limit.and_then(RateLimit::refuse);
    let latency = shared.conditions().latency;
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let mut call = Call {
        body: RequestBody {
            incoming,
            running: Arc::clone(&running),
            wire: Arc::clone(&connection.wire),
            end: None,
            rate: rate(&connection),
            taken: 0,
        },
        profile: shared.profile(),
        entry,
        caller: auth::Caller::default(),
        base,
        connection,
    };
    let action = shared.faults.fire(call.request());
    let mut changes = Changes::default();
    let reply = match strike(&mut call, action, &mut changes).await {
        Some(reply) => reply,
        None => match refusal {
            Some(reply) => reply,
            None => endpoint(&mut call).await,
        },
    };
    if let Some(how) = changes.lose {
        call.connection.wire.cut(how);
        std::future::pending::<()>().await;
    }
    finish(call, running, reply, changes)
}

fn rate(connection: &Connection) -> Box<dyn Fn() -> Option<u64> + Send + Sync> {
    let shared = Arc::clone(&connection.shared);
    Box::new(move || shared.conditions().bandwidth)
}

/// Returns the request for the log, and the base of the URL that the client used.
fn observe(connection: &Connection, parts: &http::request::Parts) -> (Request, String) {
    let path = parts.uri.path();
    let query = parts.uri.query();
    let mut route = route::route(&parts.method, path, query);
    if route.kind == Kind::Other
        && connection.role == Role::Registry
        && let Some(listing) = endpoints::listing_route(&connection.shared, &parts.method, path)
    {
        route = listing;
    }
    let token = connection.role == Role::Token || connection.shared.is_token_path(path);
    if token {
        route.kind = Kind::Token;
    } else if connection.role == Role::Storage && endpoints::is_storage_path(path) {
        route.kind = Kind::Storage;
    }
    let host = parts
        .headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| parts.uri.authority().map(http::uri::Authority::as_str));
    let scheme = if connection.secure { "https" } else { "http" };
    let base = format!("{scheme}://{}", host.unwrap_or_default());
    let request = Request {
        sequence: 0,
        connection: connection.number,
        version: parts.version,
        kind: route.kind,
        repository: route.repository,
        reference: route.reference,
        method: parts.method.clone(),
        path: path.to_owned(),
        query: query.map(str::to_owned),
        authorization: Authorization::of(&parts.headers),
        headers: parts.headers.clone(),
        status: 0,
        request_bytes: 0,
        response_bytes: 0,
    };
    (request, base)
}

/// Applies a fault before the endpoint. Returns an answer if the endpoint must not be called.
async fn strike(call: &mut Call, action: Option<Action>, changes: &mut Changes) -> Option<Reply> {
    match action? {
        Action::Answer(answer) => {
            if !answer.early {
                call.body.drain(u64::MAX).await;
            }
            return Some(replace(answer));
        }
        Action::Html => {
            call.body.drain(u64::MAX).await;
            let page = "<!DOCTYPE html><html><body><h1>Sign in</h1></body></html>";
            return Some(Reply::new(200).bytes("text/html; charset=utf-8", page));
        }
        Action::CutBeforeAnswer(how) => {
            call.connection.wire.cut(how);
            std::future::pending::<()>().await;
        }
        Action::StallBeforeAnswer => {
            call.body.drain(u64::MAX).await;
            std::future::pending::<()>().await;
        }
        Action::CutRequest { after, how } => call.body.end = Some((after, End::Cut(how))),
        Action::StallRequest { after } => call.body.end = Some((after, End::Stall)),
        Action::CutResponse { after, how } => changes.damage.end = Some((after, End::Cut(how))),
        Action::StallResponse { after } => changes.damage.end = Some((after, End::Stall)),
        Action::Corrupt { offset } => changes.damage.corrupt = Some(offset),
        Action::WrongLength(length) => changes.length = Some(length),
        Action::WithoutHeaders(names) => changes.without = names,
        Action::WithHeaders(headers) => changes.with = headers,
        Action::LoseReply(how) => changes.lose = Some(how),
        Action::ExpireTokens => call.connection.shared.tokens.expire(),
        Action::ExpireItsToken => {
            if let Authorization::Bearer(token) = &call.request().authorization {
                call.connection.shared.tokens.expire_one(token);
            }
        }
        Action::CollectGarbage => {
            call.connection.shared.state.collect_garbage();
        }
        Action::Delay(time) => tokio::time::sleep(time).await,
        Action::Hold(gate) => gate.pass().await,
    }
    None
}

fn replace(answer: Answer) -> Reply {
    let mut reply = Reply::new(answer.status);
    if !answer.body.is_empty() {
        reply = reply.bytes(answer.content_type, answer.body);
    }
    if let Some(retry_after) = answer.retry_after {
        reply = reply.with(header::RETRY_AFTER, &retry_after.text());
    }
    for (name, value) in answer.headers {
        reply = reply.named(name, &value);
    }
    reply
}

async fn endpoint(call: &mut Call) -> Reply {
    judge::request(call);
    let shared = Arc::clone(&call.connection.shared);
    if call.request().kind == Kind::Token {
        return endpoints::token(call).await;
    }
    // Listing APIs have their own logins.
    if call.connection.role == Role::Registry && call.request().kind != Kind::Listing {
        let realm = shared.realm();
        match auth::check(&shared.auth(), &shared.tokens, &realm, call.request()) {
            Ok(caller) => call.caller = caller,
            Err(reply) => return reply,
        }
    }
    endpoints::dispatch(call).await
}

fn finish(call: Call, running: Arc<Running>, reply: Reply, changes: Changes) -> Response<Outgoing> {
    let Call {
        mut body,
        entry,
        connection,
        profile,
        ..
    } = call;
    if !body.at_end() {
        // As Go's server does: the answer is sent immediately, and the rest of the body is read up to a limit, so that
        // the connection can be reused. Beyond the limit, dropping the body ends the connection.
        let limit = profile.drain_limit;
        tokio::spawn(async move { body.drain(limit).await });
    }
    let head = entry.request().method == http::Method::HEAD;
    let own_length = reply.headers.get(header::CONTENT_LENGTH);
    let own_length = own_length.and_then(|length| length.to_str().ok()?.parse().ok());
    let length = changes.length.or(own_length).unwrap_or(reply.content.len());
    let outgoing = Outgoing {
        unsaid: !head && changes.without.contains(&"content-length"),
        announced: if head { 0 } else { length },
        content: if head {
            Content::Bytes(bytes::Bytes::new())
        } else {
            *reply.content
        },
        damage: changes.damage,
        offset: 0,
        wire: Arc::clone(&connection.wire),
        running: Some(running),
        entry: Arc::clone(&entry),
        rate: rate(&connection),
        pause: None,
    };
    entry.answered(reply.status);
    let mut response = Response::new(outgoing);
    *response.status_mut() =
        http::StatusCode::from_u16(reply.status).unwrap_or(http::StatusCode::IM_A_TEAPOT);
    let headers = response.headers_mut();
    *headers = *reply.headers;
    let profile = connection.shared.profile();
    let is_registry = connection.role == Role::Registry
        && profile.web_server.is_none()
        && entry.request().kind != Kind::Listing;
    if is_registry && entry.request().path.starts_with("/v2") {
        headers.insert(
            "docker-distribution-api-version",
            HeaderValue::from_static("registry/2.0"),
        );
    }
    let has_length = !matches!(reply.status, 100..200 | 204 | 304);
    if has_length {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    change_headers(headers, changes.without, changes.with);
    response
}

fn change_headers(
    headers: &mut http::HeaderMap,
    without: Vec<&'static str>,
    with: Vec<(&'static str, String)>,
) {
    for name in without {
        headers.remove(name);
    }
    for (name, value) in with {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

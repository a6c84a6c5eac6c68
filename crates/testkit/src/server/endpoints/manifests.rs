//! Manifests: GET and HEAD, PUT, DELETE.

use http::header;
use serde_json::json;

use super::accept::{self, NegotiatedManifest};
use super::{invention, validate};
use crate::digest;
use crate::image::Manifest;
use crate::log::Kind;
use crate::profile::{DeleteRule, Immutable, NameRule, Referrers};
use crate::reply::{self, Reply};
use crate::server::call::Call;
use crate::server::route::is_tag;

pub(super) fn get(call: &Call) -> Reply {
    let (repository, reference) = (call.repository(), call.reference());
    let head = call.request().kind == Kind::ManifestHead;
    if let Some(status) = call.profile.manifest_head.filter(|_| head) {
        return reply::unsupported(status);
    }
    if let Err(refusal) = count_pull(call, head) {
        return refusal;
    }
    if !reference.contains(':') && !is_tag(reference) {
        return super::not_found();
    }
    invention::invent_by_tag(call);
    let reply = find(call, repository, reference);
    match call.profile.pull_limit {
        Some(limit) => {
            let used = call.connection.shared.state.lock().pulls;
            let left = format!("{};w=21600", limit.saturating_sub(used));
            reply
                .named("ratelimit-limit", &format!("{limit};w=21600"))
                .named("ratelimit-remaining", &left)
                .named("docker-ratelimit-source", "203.0.113.5")
        }
        None => reply,
    }
}

fn find(call: &Call, repository: &str, reference: &str) -> Reply {
    let state = call.connection.shared.state.lock();
    let Some(repository_state) = state.repositories.get(repository) else {
        return reply::manifest_unknown(repository, reference);
    };
    let Some(manifest) = repository_state.manifest(reference).cloned() else {
        return reply::manifest_unknown(repository, reference);
    };
    let by_tag = !reference.contains(':');
    match accept::negotiate(call, repository_state, &manifest, by_tag) {
        NegotiatedManifest::AsStored => serve(call, &manifest),
        NegotiatedManifest::Converted(manifest) => serve(call, &manifest),
        NegotiatedManifest::Unacceptable(message) => Reply::error(404, "MANIFEST_UNKNOWN", message),
    }
}

fn serve(call: &Call, manifest: &Manifest) -> Reply {
    let etag = format!("\"{}\"", manifest.digest);
    let decorate = |mut reply: Reply| {
        if call.profile.etag {
            reply = reply.with(header::ETAG, &etag);
        }
        if call.profile.content_digest {
            reply = reply.named("docker-content-digest", &manifest.digest);
        }
        reply
    };
    let known = call.request().header("if-none-match");
    if call.profile.etag && known.is_some_and(|k| k == etag || k == manifest.digest) {
        return Reply::new(304);
    }
    let media_type = format!(
        "{}{}",
        manifest.media_type, call.profile.content_type_suffix
    );
    decorate(Reply::new(200).bytes(&media_type, manifest.bytes.clone()))
}

/// Counts a GET against the pull limit.
fn count_pull(call: &Call, head: bool) -> Result<(), Reply> {
    let Some(limit) = call.profile.pull_limit else {
        return Ok(());
    };
    let mut state = call.connection.shared.state.lock();
    if head {
        return Ok(());
    }
    if state.pulls >= limit {
        let message = "You have reached your pull rate limit.";
        let refusal = Reply::error(429, "TOOMANYREQUESTS", message);
        return Err(refusal
            .with(header::RETRY_AFTER, "60")
            .named("ratelimit-limit", &format!("{limit};w=21600"))
            .named("ratelimit-remaining", "0;w=21600")
            .named("docker-ratelimit-source", "203.0.113.5"));
    }
    state.pulls += 1;
    Ok(())
}

pub(super) async fn put(call: &mut Call) -> Reply {
    let (limit, status) = call.profile.manifest_limit;
    let body = match call.body.all(limit).await {
        Ok(body) => body,
        Err(Some(_)) => return Reply::error(499, "UNKNOWN", "client disconnected"),
        Err(None) => {
            let detail = json!("http: request body too large");
            return Reply::detailed(status, "MANIFEST_INVALID", "manifest invalid", detail);
        }
    };
    let media_type = call.request().header("content-type").unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    let mut manifest = Manifest::new(media_type, body);
    if let Err(refusal) = named_well(call, &mut manifest)
        .and_then(|()| validate::document(call, &manifest))
        .and_then(|()| validate::links(call, &manifest))
    {
        return refusal;
    }
    if call.profile.rewrites_manifests {
        let text = String::from_utf8_lossy(&manifest.bytes).into_owned();
        manifest = Manifest::new(media_type, text + "\n");
    }
    store(call, &manifest)
}

/// Checks that the reference is a tag, or the digest of the document.
fn named_well(call: &Call, manifest: &mut Manifest) -> Result<(), Reply> {
    let reference = call.reference();
    if !reference.contains(':') {
        return if is_tag(reference) {
            Ok(())
        } else if call.profile.names == NameRule::Any {
            Err(super::not_found())
        } else {
            Err(Reply::error(
                400,
                "TAG_INVALID",
                "manifest tag did not match URI",
            ))
        };
    }
    let actual = digest::same_algorithm(reference, &manifest.digested());
    if actual.as_deref() != Some(reference) {
        let message = "provided digest did not match uploaded content";
        return Err(Reply::error(400, "DIGEST_INVALID", message));
    }
    reference.clone_into(&mut manifest.digest);
    Ok(())
}

fn store(call: &Call, manifest: &Manifest) -> Reply {
    let (repository, reference) = (call.repository(), call.reference());
    let mut tags = Vec::new();
    if !reference.contains(':') {
        tags.push(reference.to_owned());
    }
    let named = if call.profile.tag_parameter {
        call.request().parameters("tag")
    } else {
        Vec::new()
    };
    tags.extend(named.iter().cloned());
    let mut state = call.connection.shared.state.lock();
    let stored = state.create_repository(repository);
    if let Some(rule) = call.profile.immutable_tags
        && tags.iter().any(|tag| stored.tag(tag).is_some())
    {
        return immutable(rule);
    }
    let current = stored.manifest(reference).map(|m| m.digest.as_str());
    if call.profile.conditional_put && !condition_holds(call, current) {
        let message = "the condition of the request does not hold";
        return Reply::error(412, "PRECONDITION_FAILED", message);
    }
    stored.put_manifest(manifest.clone());
    for tag in &tags {
        stored.set_tag(tag, &manifest.digest);
    }
    drop(state);

    let digest = &manifest.digest;
    let mut reply = Reply::new(201);
    if call.profile.content_digest {
        reply = reply.named("docker-content-digest", digest);
    }
    if call.profile.manifest_location {
        let location = format!("{}/v2/{repository}/manifests/{digest}", call.base);
        reply = reply.location(&location);
    }
    for tag in named {
        reply = reply.add(http::HeaderName::from_static("oci-tag"), &tag);
    }
    let says = matches!(
        call.profile.referrers,
        Referrers::Api | Referrers::HeaderWithoutApi
    );
    match manifest.links().subject {
        Some(subject) if says => reply.named("oci-subject", &subject.digest),
        _ => reply,
    }
}

/// Checks `If-Match` and `If-None-Match` against the present digest of the reference.
fn condition_holds(call: &Call, current: Option<&str>) -> bool {
    let names = |field: &str, digest: Option<&str>| {
        call.request().header(field).map(|list| {
            list.split(',').map(str::trim).any(|etag| {
                digest.is_some_and(|digest| etag == "*" || etag == format!("\"{digest}\""))
            })
        })
    };
    names("if-match", current).unwrap_or(true) && !names("if-none-match", current).unwrap_or(false)
}

fn immutable(rule: Immutable) -> Reply {
    match rule {
        Immutable::Ecr => Reply::error(
            400,
            "TAG_INVALID",
            "tag invalid: The image tag already exists and cannot be overwritten because the repository is immutable.",
        ),
        Immutable::Harbor => Reply::error(
            412,
            "PRECONDITION",
            "Failed to process request due to the tag configured as immutable.",
        ),
        Immutable::Quay => Reply::error(409, "TAG_IMMUTABLE", "tag is immutable"),
    }
}

pub(super) fn delete(call: &Call) -> Reply {
    let (repository, reference) = (call.repository(), call.reference());
    let state = &call.connection.shared.state;
    let by_tag = !reference.contains(':');
    let gone = match call.profile.delete {
        DeleteRule::Nothing => return reply::unsupported(405),
        DeleteRule::ByDigest(status) if by_tag => return tag_delete_refused(call, status),
        _ if by_tag => state.untag(repository, reference),
        _ => state.remove_manifest(repository, reference),
    };
    if gone {
        Reply::new(202)
    } else {
        Reply::error(404, "MANIFEST_UNKNOWN", "manifest unknown")
    }
}

fn tag_delete_refused(call: &Call, status: u16) -> Reply {
    if call.profile.name == "distribution" {
        let message = "provided digest did not match uploaded content";
        return Reply::error(status, "DIGEST_INVALID", message);
    }
    reply::unsupported(status)
}

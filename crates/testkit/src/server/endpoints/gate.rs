//! Checks that a repository exists, or may exist, at this registry.

use http::header::WWW_AUTHENTICATE;
use serde_json::json;

use crate::profile::{Existence, NameRule, Profile, Unknown};
use crate::reply::{self, Reply};
use crate::server::call::Call;
use crate::server::route::is_name;

/// Refuses requests for impossible repositories.
pub(super) fn check(call: &Call) -> Result<(), Reply> {
    let Some(name) = &call.request().repository else {
        return Ok(());
    };
    let profile = &call.profile;
    if !is_name(name) {
        match profile.names {
            NameRule::Any if looks_like_reference(name) => {}
            NameRule::Any => return Err(super::not_found()),
            _ => return Err(invalid(name)),
        }
    }
    if let NameRule::Levels(levels) = profile.names
        && name.split('/').count() != levels
    {
        let message = "requested access to the resource is denied";
        return Err(reply::denied(message));
    }
    if let Some(from) = call.request().parameter("from")
        && profile.unknown_repository == Unknown::ProjectNotFound
        && !exists(call, &from)
    {
        return Err(project_not_found(&from));
    }
    if exists(call, name) {
        return Ok(());
    }
    let pushes = !matches!(call.request().method.as_str(), "GET" | "HEAD" | "DELETE");
    let passes = if pushes {
        profile.existence == Existence::Nothing
    } else {
        // Each endpoint has its own 404.
        profile.unknown_repository == Unknown::NotFound
    };
    if passes {
        Ok(())
    } else {
        Err(unknown(call, name))
    }
}

/// Checks that a push to the repository may begin, or that something may be pulled.
fn exists(call: &Call, name: &str) -> bool {
    let state = call.connection.shared.state.lock();
    match call.profile.existence {
        Existence::Nothing | Existence::Repository => state.repositories.contains_key(name),
        Existence::Namespace => {
            let namespace = name.split('/').next().unwrap_or_default();
            state.namespaces.contains(namespace)
        }
    }
}

fn unknown(call: &Call, name: &str) -> Reply {
    let Profile {
        unknown_repository, ..
    } = &*call.profile;
    match unknown_repository {
        Unknown::NotFound => reply::name_unknown(name),
        Unknown::Denied => reply::denied("requested access to the resource is denied"),
        Unknown::ProjectNotFound => project_not_found(name),
        Unknown::Unauthorized => {
            let realm = call.connection.shared.realm();
            let challenge = format!(
                "Bearer realm=\"{realm}\",scope=\"repository:{name}:pull\",error=\"insufficient_scope\""
            );
            Reply::detailed(401, "UNAUTHORIZED", "authentication required", json!(null))
                .with(WWW_AUTHENTICATE, &challenge)
        }
    }
}

/// Answers as Harbor does: a caller with any credential gets a challenge for another one.
fn project_not_found(name: &str) -> Reply {
    let project = name.split('/').next().unwrap_or_default();
    let message = format!("project {project} not found");
    Reply::error(401, "UNAUTHORIZED", &message).with(WWW_AUTHENTICATE, "Basic realm=\"harbor\"")
}

fn invalid(name: &str) -> Reply {
    Reply::detailed(
        400,
        "NAME_INVALID",
        "invalid repository name",
        json!({"name": name}),
    )
}

/// Returns true for `HOST.example/name`, which the pattern of distribution's router takes for a name with a host.
fn looks_like_reference(name: &str) -> bool {
    let host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    name.split_once('/')
        .is_some_and(|(first, rest)| !first.is_empty() && first.chars().all(host) && is_name(rest))
}

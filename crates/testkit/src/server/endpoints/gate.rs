//! Whether a repository is one that this registry has, or could have.

use http::header::WWW_AUTHENTICATE;
use serde_json::json;

use crate::profile::{Existence, NameRule, Profile, Unknown};
use crate::server::pipeline::Call;
use crate::server::reply::{self, Reply};
use crate::server::route::is_name;

/// Refuses requests for repositories that cannot be.
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

/// Whether a push to the repository may begin, or something can be there to pull.
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

/// As Harbor says it: to a caller with a credential, whatever it is, with a challenge for another.
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

/// `HOST.example/name`: what the pattern of distribution's router takes for a name with a host in front.
fn looks_like_reference(name: &str) -> bool {
    let host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    name.split_once('/')
        .is_some_and(|(first, rest)| !first.is_empty() && first.chars().all(host) && is_name(rest))
}

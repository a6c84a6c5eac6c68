//! Listing APIs of vendors, one per file.

mod github;
mod gitlab;
mod harbor;
mod hub;
mod login;
mod page;
mod quay;
mod target;

use std::sync::Arc;
use std::time::SystemTime;

use http::Method;
use serde_json::{Value, json};

use self::page::Page;
use self::target::Target;
use crate::log::Kind;
use crate::profile::{ListingApi, Vendor};
use crate::reply::Reply;
use crate::server::call::Call;
use crate::server::route::Route;
use crate::server::shared::Shared;
use crate::state::Repository;

/// Returns the route of a request to a listing API, whether this registry has one or not. Docker Hub's lies below
/// `/v2/`, at another host, so that only a registry with that API has it.
pub(crate) fn route(shared: &Shared, method: &Method, path: &str) -> Option<Route> {
    let target = Target::parse(method, path)?;
    let profile = shared.profile();
    let served = profile.listing_api.as_ref().map(|api| api.vendor);
    if target.vendor() == Vendor::Hub && served != Some(Vendor::Hub) {
        return None;
    }
    Some(Route {
        kind: Kind::Listing,
        repository: target.repository(),
        reference: None,
    })
}

/// Answers a request to a listing API.
pub(super) async fn answer(call: &mut Call) -> Reply {
    let profile = Arc::clone(&call.profile);
    let request = call.request();
    let target = Target::parse(&request.method, &request.path);
    let (Some(target), Some(api)) = (target, &profile.listing_api) else {
        return super::not_found();
    };
    if api.vendor != target.vendor() {
        return super::not_found();
    }
    if target == Target::HubLogin {
        return login::exchange(call, api).await;
    }
    if target.needs_login()
        && let Err(refusal) = login::check(call, api)
    {
        return refusal;
    }
    let answer = match &target {
        Target::HarborSystem => Ok(harbor::system()),
        Target::HarborProjects => harbor::projects(call, api),
        Target::HarborProject(name) => harbor::project(call, api, name),
        Target::HarborRepositories(project) => harbor::repositories(call, api, project),
        Target::HarborArtifacts(repository) => harbor::artifacts(call, api, repository),
        Target::HubRepositories(namespace) => hub::repositories(call, api, namespace),
        Target::HubTags(repository) => hub::tags(call, api, repository),
        Target::QuayRepositories => quay::repositories(call, api),
        Target::QuayTags(repository) => quay::tags(call, api, repository),
        Target::GithubPackages(owner) => github::packages(call, api, owner),
        Target::GithubVersions(owner, package) => github::versions(call, api, owner, package),
        Target::GitlabGroup(group) => gitlab::group(call, api, group),
        Target::GitlabProject(project) => gitlab::project(call, api, project),
        Target::HubLogin | Target::Unknown(_) => Err(missing(api, "Not Found")),
    };
    answer.unwrap_or_else(|refusal| refusal)
}

/// Returns an error in the vendor's form.
fn refusal(vendor: Vendor, status: u16, message: &str) -> Reply {
    let document = match vendor {
        Vendor::Harbor => {
            let code = match status {
                401 => "UNAUTHORIZED",
                403 => "FORBIDDEN",
                404 => "NOT_FOUND",
                _ => "UNPROCESSABLE_ENTITY",
            };
            json!({"errors": [{"code": code, "message": message}]})
        }
        Vendor::Hub => json!({"message": message, "errinfo": {}}),
        Vendor::Quay => json!({
            "detail": message, "error_message": message, "error_type": "quay", "title": "quay", "status": status,
            "type": "https://quay.io/api/v1/error/quay",
        }),
        Vendor::Github => json!({
            "message": message, "documentation_url": "https://docs.github.com/rest/packages/packages",
            "status": status.to_string(),
        }),
        Vendor::Gitlab => json!({"message": format!("{status} {message}")}),
    };
    Reply::new(status).json(&document)
}

/// Returns the vendor's 404.
fn missing(api: &ListingApi, message: &str) -> Reply {
    refusal(api.vendor, 404, message)
}

/// Returns the names of the repositories for which `test` returns true, sorted.
fn names(call: &Call, test: impl Fn(&str) -> bool) -> Vec<String> {
    let state = call.connection.shared.state.lock();
    let names = state.repositories.keys();
    names.filter(|name| test(name)).cloned().collect()
}

/// Returns the owners of repositories: namespaces, organisations or projects, sorted.
fn namespaces(call: &Call) -> Vec<String> {
    let state = call.connection.shared.state.lock();
    state.namespaces.iter().cloned().collect()
}

/// Returns a value that is computed from a repository.
fn of_repository<T>(
    call: &Call,
    api: &ListingApi,
    name: &str,
    compute: impl FnOnce(&Repository) -> T,
) -> Result<T, Reply> {
    let state = call.connection.shared.state.lock();
    let repository = state.repositories.get(name).map(compute);
    repository.ok_or_else(|| missing(api, &format!("repository {name} not found")))
}

/// A tag of a repository.
#[derive(Clone)]
struct Tagged {
    name: String,
    digest: String,
    media_type: String,
    size: u64,
    pushed: SystemTime,
}

/// Returns the tags of a repository: the newest first, and those of the same time by name.
fn tagged(repository: &Repository) -> Vec<Tagged> {
    let mut tags: Vec<Tagged> = repository
        .tags()
        .map(|(tag, digest)| {
            let manifest = repository.manifests.get(digest);
            Tagged {
                name: tag.to_owned(),
                digest: digest.to_owned(),
                media_type: manifest.map_or_else(String::new, |found| found.media_type.clone()),
                size: manifest.map_or(0, crate::image::Manifest::size),
                pushed: repository.pushed(tag),
            }
        })
        .collect();
    tags.sort_by(|a, b| b.pushed.cmp(&a.pushed).then_with(|| a.name.cmp(&b.name)));
    tags
}

/// Formats a time as RFC 3339 with milliseconds.
fn rfc3339(time: SystemTime) -> String {
    let time = jiff::Timestamp::try_from(time).unwrap_or_default();
    format!("{time:.3}")
}

/// Maps the entries of a page to JSON.
fn entries<T>(page: &Page<T>, entry: impl Fn(&T) -> Value) -> Value {
    page.entries.iter().map(entry).collect()
}

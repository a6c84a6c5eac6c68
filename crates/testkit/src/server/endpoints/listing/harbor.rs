//! Harbor: projects, their repositories, and artifacts with their tags. `X-Total-Count` is the total, `Link` leads on.

use http::header;
use serde_json::{Value, json};

use super::page::{Asked, Page, page_path};
use super::{entries, missing, names, namespaces, of_repository, page, refusal, rfc3339};
use crate::profile::{ListKind, ListingApi, ListingFault};
use crate::reply::Reply;
use crate::server::call::Call;
use crate::state::Repository;

/// Maximum of `page_size`, above which the request is refused.
fn asked(call: &Call, api: &ListingApi) -> Result<Asked, Reply> {
    let size = call.request().parameter("page_size");
    let size = size.and_then(|size| size.parse::<usize>().ok());
    if size.is_some_and(|size| size > api.page_size) {
        let message = format!(
            "page_size in query should be less than or equal to {}",
            api.page_size
        );
        return Err(refusal(api.vendor, 422, &message));
    }
    Ok(Asked::of(call, api, "page_size", 10))
}

/// Answers everybody, without the version, which only users see.
pub(super) fn system() -> Reply {
    Reply::new(200).json(&json!({
        "auth_mode": "db_auth", "primary_auth_mode": false, "self_registration": false, "banner_message": "",
        "oidc_provider_name": "", "current_time": "2023-11-14T22:13:20.000Z",
    }))
}

pub(super) fn projects(call: &Call, api: &ListingApi) -> Result<Reply, Reply> {
    let all = namespaces(call);
    let page = page::cut(api, ListKind::Projects, &all, asked(call, api)?)?;
    let document = entries(&page, |name| described(call, api, &all, name));
    Ok(counted(call, &page, &document))
}

pub(super) fn project(call: &Call, api: &ListingApi, name: &str) -> Result<Reply, Reply> {
    let all = namespaces(call);
    if !all.iter().any(|known| known == name) {
        return Err(missing(api, &format!("project {name} not found")));
    }
    Ok(Reply::new(200).json(&described(call, api, &all, name)))
}

fn described(call: &Call, api: &ListingApi, all: &[String], name: &str) -> Value {
    let inside = names(call, |repository| is_inside(repository, name));
    let registry_id = api.proxies.iter().any(|proxy| proxy == name);
    json!({
        "name": name, "registry_id": registry_id.then_some(1), "project_id": number(all, name), "owner_name": "admin", "deleted": false,
        "repo_count": inside.len(), "metadata": {"public": "true"},
        "creation_time": "2023-11-14T22:13:20.000Z", "update_time": "2023-11-14T22:13:20.000Z",
    })
}

pub(super) fn repositories(call: &Call, api: &ListingApi, project: &str) -> Result<Reply, Reply> {
    let projects = namespaces(call);
    if !projects.iter().any(|known| known == project) {
        return Err(missing(api, &format!("project {project} not found")));
    }
    let all = names(call, |name| is_inside(name, project));
    let page = page::cut(api, ListKind::Repositories, &all, asked(call, api)?)?;
    let document = entries(&page, |name| {
        json!({
            "id": number(&all, name), "name": name, "project_id": number(&projects, project), "pull_count": 0,
            "artifact_count": 1, "creation_time": "2023-11-14T22:13:20.000Z",
            "update_time": "2023-11-14T22:13:20.000Z",
        })
    });
    Ok(counted(call, &page, &document))
}

pub(super) fn artifacts(call: &Call, api: &ListingApi, name: &str) -> Result<Reply, Reply> {
    let is = |name: &str, value: &str| call.request().parameter(name).as_deref() == Some(value);
    let with_tags = !is("with_tag", "false");
    let with_accessories = is("with_accessory", "true");
    let has = |fault| api.has_fault(ListKind::Tags, fault);
    let (hides, lacks) = (
        has(ListingFault::HidesAccessories),
        has(ListingFault::NoAccessories),
    );
    let all = of_repository(call, api, name, |found| {
        let mut all = listed(found, with_tags, with_accessories && !hides);
        let objects = all.iter_mut().filter_map(Value::as_object_mut);
        for artifact in objects.filter(|_| lacks) {
            artifact.remove("accessories");
        }
        all
    })?;
    let page = page::cut(api, ListKind::Tags, &all, asked(call, api)?)?;
    let document = entries(&page, Value::clone);
    Ok(counted(call, &page, &document))
}

/// Returns the artifacts of a repository: those with tags, and those that no other one names. Referrers are
/// accessories of their subjects, and no artifacts of the list, even with a tag.
fn listed(repository: &Repository, with_tags: bool, with_accessories: bool) -> Vec<Value> {
    let mut children = Vec::new();
    let mut accessories = Vec::new();
    for manifest in repository.manifests.values() {
        let links = manifest.links();
        children.extend(links.children.into_iter().map(|link| link.digest));
        let subject = links.subject.map(|link| link.digest);
        let subject = subject.filter(|digest| repository.manifests.contains_key(digest));
        accessories.extend(subject.map(|subject| (subject, manifest.digest.clone())));
    }
    let mut artifacts = Vec::new();
    for manifest in repository.manifests.values() {
        let (tags, _) = repository.tags_of(&manifest.digest);
        let is_accessory = accessories.iter().any(|(_, own)| *own == manifest.digest);
        if is_accessory || (tags.is_empty() && children.contains(&manifest.digest)) {
            continue;
        }
        let id = artifacts.len() + 1;
        let own = accessories.iter().filter(|(of, _)| *of == manifest.digest);
        let own: Vec<Value> = own
            .map(|(subject, digest)| {
                json!({"type": "signature.cosign", "digest": digest, "subject_artifact_digest": subject})
            })
            .collect();
        let own = (with_accessories && !own.is_empty()).then_some(own);
        artifacts.push(artifact(
            repository,
            &manifest.digest,
            id,
            with_tags,
            &json!(own),
        ));
    }
    artifacts
}

fn artifact(
    repository: &Repository,
    digest: &str,
    id: usize,
    with_tags: bool,
    accessories: &Value,
) -> Value {
    let (tags, pushed) = repository.tags_of(digest);
    let manifest = repository.manifests.get(digest);
    let tags: Vec<Value> = tags
        .into_iter()
        .map(|tag| {
            json!({
                "name": tag, "artifact_id": id, "immutable": false,
                "push_time": rfc3339(repository.pushed(tag)), "pull_time": "0001-01-01T00:00:00.000Z",
            })
        })
        .collect();
    let tags = if with_tags && !tags.is_empty() {
        json!(tags)
    } else {
        Value::Null
    };
    json!({
        "id": id, "type": "IMAGE", "digest": digest, "size": manifest.map(crate::image::Manifest::size),
        "manifest_media_type": manifest.map(|found| &found.media_type), "push_time": rfc3339(pushed),
        "pull_time": "0001-01-01T00:00:00.000Z", "tags": tags, "accessories": accessories,
    })
}

fn is_inside(repository: &str, project: &str) -> bool {
    repository.split('/').next() == Some(project) && repository.len() > project.len()
}

fn number(all: &[String], name: &str) -> usize {
    all.iter().position(|other| other == name).unwrap_or(0) + 1
}

/// Returns a page with its total and the link to the next one, which is a path.
fn counted<T>(call: &Call, page: &Page<T>, document: &Value) -> Reply {
    let reply = Reply::new(200).json(document);
    let reply = reply.named("x-total-count", &page.total.to_string());
    let path = &call.request().path;
    let next = if page.elsewhere {
        page.next_url(call, path)
    } else {
        page.next.map(|next| page_path(call, path, next))
    };
    let mut links = Vec::new();
    if page.number > 1 {
        let before = page_path(call, path, page.number - 1);
        links.push(format!("<{before}>; rel=\"prev\""));
    }
    links.extend(next.map(|next| format!("<{next}>; rel=\"next\"")));
    if links.is_empty() {
        reply
    } else {
        reply.with(header::LINK, &links.join(" , "))
    }
}

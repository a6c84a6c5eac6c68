//! GitHub packages: arrays, and a `Link` to the next page, whose path has the owner's number instead of its name.

use http::header;
use serde_json::{Value, json};

use super::page::{Asked, Page};
use super::target::Owner;
use super::{entries, missing, names, namespaces, of_repository, page, refusal, rfc3339};
use crate::profile::{ListKind, ListingApi};
use crate::reply::Reply;
use crate::server::call::Call;

pub(super) fn packages(call: &Call, api: &ListingApi, owner: &Owner) -> Result<Reply, Reply> {
    let owner = known(call, api, owner)?;
    if call.request().parameter("package_type").as_deref() != Some("container") {
        return Err(refusal(api.vendor, 400, "Invalid argument."));
    }
    let all = names(call, |name| is_owned(name, &owner.name));
    let page = page::cut(api, ListKind::Repositories, &all, asked(call, api))?;
    let list = entries(&page, |name| {
        let (_, name) = name.split_once('/').unwrap_or_default();
        json!({
            "id": 1, "name": name, "package_type": "container", "owner": {"login": owner.name}, "version_count": 1,
            "visibility": "public", "created_at": "2023-11-14T22:13:20Z", "updated_at": "2023-11-14T22:13:20Z",
        })
    });
    Ok(linked(call, &page, &owner, "", &list))
}

pub(super) fn versions(
    call: &Call,
    api: &ListingApi,
    owner: &Owner,
    package: &str,
) -> Result<Reply, Reply> {
    let owner = known(call, api, owner)?;
    let name = format!("{}/{package}", owner.name);
    let all = of_repository(call, api, &name, |found| {
        let mut versions = Vec::new();
        for digest in found.manifests.keys() {
            let (tags, pushed) = found.tags_of(digest);
            let tags: Vec<String> = tags.into_iter().map(str::to_owned).collect();
            versions.push((pushed, digest.clone(), tags));
        }
        versions.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        versions
    })?;
    let page = page::cut(api, ListKind::Tags, &all, asked(call, api))?;
    let list = entries(&page, |(pushed, digest, tags)| {
        json!({
            "id": 1, "name": digest, "created_at": "2023-11-14T22:13:20Z",
            "updated_at": rfc3339(*pushed).replace(".000", ""),
            "metadata": {"package_type": "container", "container": {"tags": tags}},
        })
    });
    let encoded =
        percent_encoding::utf8_percent_encode(package, percent_encoding::NON_ALPHANUMERIC);
    let below = format!("/container/{encoded}/versions");
    Ok(linked(call, &page, &owner, &below, &list))
}

fn asked(call: &Call, api: &ListingApi) -> Asked {
    Asked::of(call, api, "per_page", 30)
}

fn is_owned(name: &str, owner: &str) -> bool {
    name.split_once('/')
        .is_some_and(|(first, _)| first == owner)
}

/// Returns the owner by name, if it exists and is of the kind in the path.
fn known(call: &Call, api: &ListingApi, owner: &Owner) -> Result<Owner, Reply> {
    let all = namespaces(call);
    let name = if owner.by_number {
        let number = owner.name.parse::<usize>().ok();
        number.and_then(|number| all.get(number.checked_sub(1)?))
    } else {
        all.iter().find(|name| **name == owner.name)
    };
    match name {
        Some(name) if api.users.contains(name) == owner.user => Ok(Owner {
            name: name.clone(),
            ..owner.clone()
        }),
        _ => Err(missing(api, "Not Found")),
    }
}

fn linked<T>(call: &Call, page: &Page<T>, owner: &Owner, below: &str, list: &Value) -> Reply {
    let number = namespaces(call).iter().position(|name| *name == owner.name);
    let kind = if owner.user { "user" } else { "organizations" };
    let path = format!("/{kind}/{}/packages{below}", number.map_or(0, |at| at + 1));
    let reply = page.linked(call, &path, Reply::new(200).json(list));
    reply.with(header::CACHE_CONTROL, "private, max-age=60, s-maxage=60")
}

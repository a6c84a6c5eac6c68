//! Docker Hub: `count`, `next` as a whole URL, `results`.

use serde_json::{Value, json};

use super::page::{Asked, Page};
use super::{entries, missing, names, of_repository, page, rfc3339, tagged};
use crate::profile::{ListKind, ListingApi};
use crate::reply::Reply;
use crate::server::call::Call;

pub(super) fn repositories(call: &Call, api: &ListingApi, owner: &str) -> Result<Reply, Reply> {
    let all = names(call, |name| {
        let inside = name.split_once('/');
        inside.is_some_and(|(namespace, rest)| namespace == owner && !rest.contains('/'))
    });
    let known = call
        .connection
        .shared
        .state
        .lock()
        .namespaces
        .contains(owner);
    if !known {
        return Err(missing(api, "object not found"));
    }
    let page = page::cut(api, ListKind::Repositories, &all, asked(call, api))?;
    let results = entries(&page, |name| {
        json!({
            "name": name.rsplit('/').next(), "namespace": owner, "repository_type": "image", "status": 1,
            "status_description": "active", "description": "", "is_private": false, "star_count": 0,
            "pull_count": 0, "last_updated": "2023-11-14T22:13:20.000Z",
            "date_registered": "2023-11-14T22:13:20.000Z",
        })
    });
    Ok(results_of(call, &page, &results))
}

pub(super) fn tags(call: &Call, api: &ListingApi, name: &str) -> Result<Reply, Reply> {
    let all = of_repository(call, api, name, tagged)?;
    let page = page::cut(api, ListKind::Tags, &all, asked(call, api))?;
    let results = entries(&page, |tag| {
        let pushed = rfc3339(tag.pushed);
        json!({
            "name": tag.name, "digest": tag.digest, "media_type": tag.media_type, "full_size": tag.size,
            "tag_status": "active", "tag_last_pushed": pushed, "tag_last_pulled": null, "last_updated": pushed,
            "content_type": "image", "v2": true, "images": [],
        })
    });
    Ok(results_of(call, &page, &results))
}

fn asked(call: &Call, api: &ListingApi) -> Asked {
    Asked::of(call, api, "page_size", 10)
}

fn results_of<T>(call: &Call, page: &Page<T>, results: &Value) -> Reply {
    Reply::new(200).json(&json!({
        "count": page.total, "next": page.next_url(call, &call.request().path), "previous": null,
        "results": results,
    }))
}

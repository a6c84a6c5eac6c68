//! GitLab: registry repositories of a group, with those of its subgroups, or of a project. `X-Next-Page` leads on, and
//! is empty at the end.

use serde_json::{Value, json};

use super::page::{Asked, Page};
use super::{entries, missing, names, namespaces, page};
use crate::profile::{ListKind, ListingApi};
use crate::reply::Reply;
use crate::server::call::Call;

pub(super) fn group(call: &Call, api: &ListingApi, path: &str) -> Result<Reply, Reply> {
    if !namespaces(call).iter().any(|name| name == path) {
        return Err(missing(api, "Group Not Found"));
    }
    list(call, api, &names(call, |name| is_below(name, path)))
}

pub(super) fn project(call: &Call, api: &ListingApi, path: &str) -> Result<Reply, Reply> {
    let is_group = namespaces(call).iter().any(|name| name == path);
    let all = names(call, |name| name == path || is_below(name, path));
    if is_group || all.is_empty() {
        return Err(missing(api, "Project Not Found"));
    }
    list(call, api, &all)
}

fn is_below(name: &str, path: &str) -> bool {
    name.strip_prefix(path)
        .is_some_and(|rest| rest.starts_with('/'))
}

fn list(call: &Call, api: &ListingApi, all: &[String]) -> Result<Reply, Reply> {
    let asked = Asked::of(call, api, "per_page", 20);
    let page = page::cut(api, ListKind::Repositories, all, asked)?;
    let host = call.base.split_once("//").map_or("", |(_, host)| host);
    let document = entries(&page, |path| {
        json!({
            "id": 1, "name": "", "path": path, "project_id": 1, "location": format!("{host}/{path}"),
            "created_at": "2023-11-14T22:13:20.000Z", "cleanup_policy_started_at": null,
        })
    });
    Ok(numbered(call, &page, &document))
}

/// Totals are left out above 10,000, where counting takes too long for GitLab.
fn numbered<T>(call: &Call, page: &Page<T>, document: &Value) -> Reply {
    let next = page.next.map_or_else(String::new, |next| next.to_string());
    let reply = Reply::new(200)
        .json(document)
        .named("x-page", &page.number.to_string())
        .named("x-per-page", &page.size.to_string())
        .named("x-next-page", &next);
    let reply = match page.total {
        0..=10_000 => reply
            .named("x-total", &page.total.to_string())
            .named("x-total-pages", &page.pages().to_string()),
        _ => reply,
    };
    page.linked(call, &call.request().path, reply)
}

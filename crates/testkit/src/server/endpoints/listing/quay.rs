//! Quay: repositories by an opaque `next_page`, tags by number with `has_additional`. There are no totals.

use serde_json::{Map, Value, json};

use super::page::Asked;
use super::{entries, names, of_repository, page, refusal, tagged};
use crate::profile::{ListKind, ListingApi};
use crate::reply::Reply;
use crate::server::call::Call;

pub(super) fn repositories(call: &Call, api: &ListingApi) -> Result<Reply, Reply> {
    let request = call.request();
    let namespace = request
        .parameter("namespace")
        .filter(|name| !name.is_empty());
    let public = request.parameter("public").as_deref() == Some("true");
    if namespace.is_none() && !public {
        let message = "namespace, starred or public are required for this API call";
        return Err(refusal(api.vendor, 400, message));
    }
    let all = names(call, |name| match (&namespace, name.split_once('/')) {
        (Some(namespace), Some((owner, _))) => owner == namespace,
        (None, Some(_)) => true,
        (_, None) => false,
    });
    let token = request
        .parameter("next_page")
        .filter(|token| !token.is_empty());
    let number = match token.as_deref().map(|token| token.strip_prefix("gAAAA-")) {
        None => Some(1),
        Some(number) => number.and_then(|number| number.parse().ok()),
    };
    let Some(number) = number else {
        return Err(refusal(api.vendor, 400, "Invalid page token"));
    };
    let size = api.page_size;
    let page = page::cut(api, ListKind::Repositories, &all, Asked { number, size })?;
    let repositories = entries(&page, |name| {
        let (namespace, name) = name.split_once('/').unwrap_or_default();
        json!({
            "namespace": namespace, "name": name, "description": null, "is_public": true, "kind": "image",
            "state": "NORMAL",
        })
    });
    let mut document = Map::new();
    document.insert("repositories".to_owned(), repositories);
    if let Some(next) = page.next {
        document.insert("next_page".to_owned(), json!(format!("gAAAA-{next}")));
    }
    Ok(Reply::new(200).json(&Value::Object(document)))
}

pub(super) fn tags(call: &Call, api: &ListingApi, name: &str) -> Result<Reply, Reply> {
    let all = of_repository(call, api, name, tagged)?;
    let asked = Asked::of(call, api, "limit", 50);
    let page = page::cut(api, ListKind::Tags, &all, asked)?;
    let tags = entries(&page, |tag| {
        let since = tag.pushed.duration_since(std::time::SystemTime::UNIX_EPOCH);
        let modified = httpdate::fmt_http_date(tag.pushed).replace("GMT", "-0000");
        json!({
            "name": tag.name, "reversion": false, "start_ts": since.map_or(0, |age| age.as_secs()),
            "manifest_digest": tag.digest, "is_manifest_list": false, "size": tag.size,
            "last_modified": modified,
        })
    });
    let document =
        json!({"tags": tags, "page": page.number, "has_additional": page.next.is_some()});
    Ok(Reply::new(200).json(&document))
}

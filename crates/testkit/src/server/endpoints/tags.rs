//! Lists of tags and of repositories, with pages.

use std::collections::BTreeMap;
use std::time::SystemTime;

use http::header;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use crate::profile::{LinkForm, Paging, TagsRule};
use crate::reply::{self, Reply};
use crate::server::call::Call;
use crate::state::Repository;

pub(super) fn list(call: &Call) -> Reply {
    let rule = &call.profile.tags;
    let name = call.repository();
    if let Some(status) = rule.refuses_users.filter(|_| call.caller.user.is_some()) {
        let message = "requested access to the resource is denied";
        return Reply::error(status, "DENIED", message);
    }
    let state = call.connection.shared.state.lock();
    let repository = state.repositories.get(name);
    let children = if rule.google {
        children(&state.repositories, name)
    } else {
        Vec::new()
    };
    let parent = Repository::default();
    let repository = repository.or_else(|| (!children.is_empty()).then_some(&parent));
    let Some(repository) =
        repository.filter(|r| rule.null_when_empty || r.tags().len() > 0 || !children.is_empty())
    else {
        return reply::name_unknown(name);
    };
    let mut tags: Vec<String> = repository.tags().map(|(tag, _)| tag.to_owned()).collect();
    if !rule.creation_order {
        tags.sort();
    }
    let page = match page(call, rule, tags) {
        Ok(page) => page,
        Err(refusal) => return refusal,
    };
    let mut document = Map::new();
    document.insert("name".into(), json!(name));
    document.insert(
        "tags".into(),
        if page.entries.is_empty() && rule.null_when_empty {
            Value::Null
        } else {
            json!(page.entries)
        },
    );
    if rule.google {
        document.insert("child".into(), json!(children));
        document.insert("manifest".into(), google(repository));
    }
    let reply = Reply::new(200).json(&Value::Object(document));
    linked(call, rule, page.next, reply)
}

pub(super) fn catalog(call: &Call) -> Reply {
    if !call.profile.catalog {
        return Reply::error(401, "UNAUTHORIZED", "authentication required");
    }
    // Unlike tag lists, the catalog has pages in every version of distribution.
    let rule = TagsRule {
        paging: Paging::Link(call.profile.catalog_link),
        page_size: 1000,
        always_pages: false,
        refuses_large_n: Some(400),
        ignores_bad_n: true,
        ..call.profile.tags.clone()
    };
    let names = call.connection.shared.state.repositories();
    match page(call, &rule, names) {
        Ok(page) => {
            let document = json!({"repositories": page.entries});
            linked(call, &rule, page.next, Reply::new(200).json(&document))
        }
        Err(refusal) => refusal,
    }
}

pub(super) struct Page {
    pub(super) entries: Vec<String>,
    /// Returns the number of entries on a full page and the last entry, if there are more pages.
    pub(super) next: Option<(usize, String)>,
}

pub(super) fn page(call: &Call, rule: &TagsRule, all: Vec<String>) -> Result<Page, Reply> {
    if rule.paging == Paging::None {
        return Ok(Page {
            entries: all,
            next: None,
        });
    }
    let request = call.request();
    let token = request.parameter("token");
    let (n, last) = match token.as_deref().and_then(|token| token.split_once('~')) {
        Some((n, last)) => (Some(n.to_owned()), Some(last.to_owned())),
        None => (request.parameter("n"), request.parameter("last")),
    };
    let asked = match n {
        None => None,
        Some(n) => match n.parse::<usize>() {
            Ok(n) => Some(n),
            Err(_) if rule.ignores_bad_n => None,
            Err(_) => return Err(bad_n(400, &n)),
        },
    };
    let mut size = asked.unwrap_or(if rule.always_pages {
        rule.page_size
    } else {
        usize::MAX
    });
    if size > rule.page_size {
        match rule.refuses_large_n {
            Some(status) if asked.is_some() => {
                return Err(bad_n(status, &asked.unwrap_or(0).to_string()));
            }
            _ if asked.is_some() || rule.always_pages => size = rule.page_size,
            _ => {}
        }
    }
    let rest: Vec<String> = match last {
        None => all,
        Some(last) if rule.creation_order => {
            let place = all.iter().position(|entry| *entry == last);
            all.into_iter().skip(place.map_or(0, |p| p + 1)).collect()
        }
        Some(last) => all.into_iter().filter(|entry| *entry > last).collect(),
    };
    let more = rest.len() > size;
    let entries: Vec<String> = rest.into_iter().take(size).collect();
    let next = entries.last().filter(|_| more).cloned();
    Ok(Page {
        next: next.map(|last| (size, last)),
        entries,
    })
}

fn bad_n(status: u16, n: &str) -> Reply {
    let n: Value = n.parse::<u64>().map_or_else(|_| json!(n), |n| json!(n));
    Reply::detailed(
        status,
        "PAGINATION_NUMBER_INVALID",
        "invalid number of results requested",
        json!({"n": n}),
    )
}

/// Adds the link to the next page, if there is one.
pub(super) fn linked(
    call: &Call,
    rule: &TagsRule,
    next: Option<(usize, String)>,
    reply: Reply,
) -> Reply {
    let (Some((n, last)), Paging::Link(form)) = (next, rule.paging) else {
        return reply;
    };
    let path = &call.request().path;
    let base = &call.base;
    let last = utf8_percent_encode(&last, NON_ALPHANUMERIC);
    let mut query = format!("last={last}&n={n}");
    if let Some(wanted) = call.request().parameter("artifactType") {
        let wanted = utf8_percent_encode(&wanted, NON_ALPHANUMERIC);
        query = format!("artifactType={wanted}&{query}");
    }
    let value = match form {
        LinkForm::Relative => format!("<{path}?{query}>; rel=\"next\""),
        LinkForm::Absolute => format!("<{base}{path}?{query}>; rel=\"next\""),
        LinkForm::Several => format!(
            "<{path}?n={n}>; rel=\"first\", <{path}?{query}>; title=\"a, b\"; rel=\"next\", <{path}>; rel=\"up\""
        ),
        LinkForm::Unquoted => format!("<{path}?{query}>; rel=next"),
        LinkForm::Opaque => format!("<{path}?token={n}~{last}>; rel=\"next\""),
        LinkForm::Loop => {
            let query = call.request().query.as_deref();
            let query = query.map_or_else(|| format!("n={n}"), str::to_owned);
            format!("<{path}?{query}>; rel=\"next\"")
        }
        LinkForm::OtherHost => {
            let elsewhere = call.connection.shared.bases().storage;
            format!("<{elsewhere}{path}?{query}>; rel=\"next\"")
        }
        LinkForm::Elsewhere => {
            let elsewhere = call.connection.shared.bases().storage;
            format!("<{elsewhere}/pages?{query}>; rel=\"next\"")
        }
        LinkForm::Bare => format!("{path}?{query}; rel=\"next\""),
        LinkForm::Broken => format!("<{path}?{query}; rel=\"next\""),
        LinkForm::WrongPath => {
            let (_, shorter) = path["/v2/".len()..].split_once('/').unwrap_or_default();
            format!("</v2/{shorter}?{query}>; rel=\"next\"")
        }
    };
    reply.with(header::LINK, &value)
}

/// Returns all digests with their tags and times, as Artifact Registry does: numbers are texts, except for
/// `timeUploadedMs`, which only the older Container Registry sends as text.
fn google(repository: &Repository) -> Value {
    let entries = repository.manifests.values().map(|manifest| {
        let (tags, pushed) = repository.tags_of(&manifest.digest);
        let pushed = pushed.duration_since(SystemTime::UNIX_EPOCH);
        let pushed = pushed.map_or(0, |age| age.as_millis());
        let entry = json!({
            "imageSizeBytes": manifest.size().to_string(), "layerId": "", "mediaType": manifest.media_type,
            "tag": tags, "timeCreatedMs": "0", "timeUploadedMs": u64::try_from(pushed).unwrap_or(u64::MAX),
        });
        (manifest.digest.clone(), entry)
    });
    Value::Object(entries.collect())
}

/// Returns the components below a name that lead to repositories, sorted.
fn children<'a>(repositories: &'a BTreeMap<String, Repository>, name: &str) -> Vec<&'a str> {
    let begin = format!("{name}/");
    let below = repositories.range(begin.clone()..);
    let below = below.map_while(|(other, _)| other.strip_prefix(&begin));
    let mut children: Vec<&str> = below
        .map(|rest| rest.split('/').next().unwrap_or(rest))
        .collect();
    children.sort_unstable();
    children.dedup();
    children
}

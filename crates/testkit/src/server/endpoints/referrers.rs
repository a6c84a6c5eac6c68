//! The referrers API.

use serde_json::{Value, json};

use super::{invention, tags};
use crate::image::media;
use crate::profile::{Referrers, TagsRule};
use crate::reply::{self, Reply};
use crate::server::call::Call;
use crate::state::Repository;

pub(super) fn list(call: &Call) -> Reply {
    match call.profile.referrers {
        Referrers::Api | Referrers::ApiWithoutHeader => {}
        Referrers::Absent | Referrers::HeaderWithoutApi => return super::not_found(),
        Referrers::Refused(status) => return reply::unsupported(status),
        Referrers::Html => return Reply::new(200).bytes("text/html", "<html>Not here</html>"),
        Referrers::Hollow => return index(&[]),
        Referrers::Elsewhere => {
            let elsewhere = call.connection.shared.bases().storage;
            return Reply::new(303).location(&format!("{elsewhere}{}", call.request().path));
        }
    }
    invention::invent(call, call.reference());
    let state = call.connection.shared.state.lock();
    let Some(repository) = state.repositories.get(call.repository()) else {
        return reply::name_unknown(call.repository());
    };
    let rule = call.profile.referrers_list;
    if let Some(status) = rule.unknown_subject
        && repository.manifest(call.reference()).is_none()
    {
        return Reply::error(status, "MANIFEST_INVALID", "manifest invalid");
    }
    let wanted = call.request().parameter("artifactType");
    let wanted = wanted.filter(|_| rule.filters);
    let all = referrers(repository, call.reference(), wanted.as_deref());
    let pages = TagsRule {
        paging: rule.paging,
        page_size: rule.page_size,
        always_pages: true,
        ..call.profile.tags.clone()
    };
    let digests = all.iter().map(|(digest, _)| digest.clone()).collect();
    let page = match tags::page(call, &pages, digests) {
        Ok(page) => page,
        Err(refusal) => return refusal,
    };
    let descriptors: Vec<Value> = all
        .into_iter()
        .filter(|(digest, _)| page.entries.contains(digest))
        .map(|(_, descriptor)| descriptor)
        .collect();
    let reply = tags::linked(call, &pages, page.next, index(&descriptors));
    match wanted {
        Some(_) => reply.named("oci-filters-applied", "artifactType"),
        None => reply,
    }
}

/// Returns the referrers of `subject`, by digest.
pub(super) fn referrers(
    repository: &Repository,
    subject: &str,
    wanted: Option<&str>,
) -> Vec<(String, Value)> {
    repository
        .manifests
        .values()
        .filter(|manifest| {
            let named = manifest.links().subject;
            named.is_some_and(|named| named.digest == subject)
        })
        .map(|manifest| (manifest.digest.clone(), manifest.referrer_descriptor()))
        .filter(|(_, descriptor)| {
            wanted.is_none_or(|wanted| descriptor.get("artifactType") == Some(&json!(wanted)))
        })
        .collect()
}

fn index(descriptors: &[Value]) -> Reply {
    let index = json!({
        "schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": descriptors,
    });
    Reply::new(200).bytes(media::OCI_INDEX, index.to_string())
}

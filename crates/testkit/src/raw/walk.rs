//! Everything below the tags of a repository, over HTTP.

use std::collections::BTreeMap;

use http::Method;
use serde_json::Value;

use super::{Client, Payload, RawResponse};
use crate::blob::Blob;
use crate::image::media;

/// Walks all tags of `repository`: every manifest, every child and every blob must exist and hash to its digest.
/// Returns each tag with the digest of its manifest; a missing repository has none. A listed tag that does not exist is
/// left out: `docker-registry` lists a tag while it writes it, and for ever if it was killed then.
///
/// # Errors
/// A missing or wrong part, with its tag, or a missing answer.
pub async fn verify_over_http(
    client: &Client,
    repository: &str,
) -> Result<BTreeMap<String, String>, String> {
    let list = get(client, &format!("/v2/{repository}/tags/list")).await?;
    if list.status == 404 {
        return Ok(BTreeMap::new());
    }
    if list.status != 200 {
        return Err(format!("the tags of {repository}: {}", list.status));
    }
    if !list.header("link").is_empty() {
        return Err(format!("{repository} has more than one page of tags"));
    }
    let mut tags = BTreeMap::new();
    for tag in items(&list.json(), "/tags") {
        let tag = tag.as_str().unwrap_or_default();
        let digest = below(client, repository, tag)
            .await
            .map_err(|why| format!("{repository}:{tag}: {why}"))?;
        tags.extend(digest.map(|digest| (tag.to_owned(), digest)));
    }
    Ok(tags)
}

/// Walks everything below a tag. Returns the digest of the tag, if it exists.
async fn below(client: &Client, repository: &str, tag: &str) -> Result<Option<String>, String> {
    let mut root = None;
    let mut open = vec![("manifests", tag.to_owned())];
    while let Some((kind, reference)) = open.pop() {
        let answer = get(client, &format!("/v2/{repository}/{kind}/{reference}")).await?;
        if answer.status == 404 && root.is_none() {
            return Ok(None);
        }
        if answer.status != 200 || !answer.complete {
            return Err(format!("{kind} {reference}: {}", answer.status));
        }
        // The root is requested by its tag.
        let digest = if root.is_none() {
            answer.header("docker-content-digest").to_owned()
        } else {
            reference
        };
        if !Blob::with_digest(&digest, answer.body.clone()).verifies() {
            return Err(format!("{kind} {digest} has other bytes"));
        }
        if kind == "manifests" {
            open.extend(named(&answer.json()));
        }
        root.get_or_insert(digest);
    }
    Ok(root)
}

/// Returns the descriptors of a manifest or an index.
fn named(document: &Value) -> Vec<(&'static str, String)> {
    let children = items(document, "/manifests")
        .into_iter()
        .map(|m| ("manifests", m));
    let layers = items(document, "/layers")
        .into_iter()
        .map(|layer| ("blobs", layer));
    let config = document
        .get("config")
        .cloned()
        .map(|config| ("blobs", config));
    let descriptors = children.chain(layers).chain(config);
    descriptors
        .filter_map(|(kind, entry)| Some((kind, entry.get("digest")?.as_str()?.to_owned())))
        .collect()
}

fn items(document: &Value, pointer: &str) -> Vec<Value> {
    let list = document.pointer(pointer).and_then(Value::as_array);
    list.cloned().unwrap_or_default()
}

async fn get(client: &Client, path: &str) -> Result<RawResponse, String> {
    let accept = [("accept", media::ACCEPT_ALL)];
    client
        .send(Method::GET, path, &accept, Payload::None)
        .await
        .map_err(|error| format!("{path}: {error}"))
}

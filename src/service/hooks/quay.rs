//! Notifications of Quay about a push to a repository.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::push::{self, MAX_EVENTS, PayloadError, Push, Pushed};

#[derive(Deserialize)]
struct Payload {
    /// `quay.io/namespace/name`
    docker_url: String,
    updated_tags: Option<Tags>,
}

/// Names of tags. Old versions sent a map to ids of images.
#[derive(Deserialize)]
#[serde(untagged)]
enum Tags {
    List(Vec<String>),
    Map(Map<String, Value>),
}

/// Returns the pushes of a body.
pub(super) fn parse(body: &[u8]) -> Result<Vec<Push>, PayloadError> {
    let payload: Payload = push::json(body)?;
    // Other events, such as builds and scans, have no such list.
    let tags = payload.updated_tags.ok_or_else(PayloadError::nothing)?;
    let tags: Vec<String> = match tags {
        Tags::List(tags) => tags,
        Tags::Map(tags) => tags.into_iter().map(|(tag, _)| tag).collect(),
    };
    if tags.len() > MAX_EVENTS {
        return Err(PayloadError::too_many());
    }
    let name = &payload.docker_url;
    if tags.is_empty() {
        return push::collect(std::iter::once(Push::named(name, Pushed::Anything)));
    }
    let pushed = tags.iter().map(|tag| Pushed::tag_or_digest(Some(tag)));
    push::collect(pushed.map(|pushed| Push::named(name, pushed?)))
}

//! Webhooks of Harbor, in the formats `Default` and `CloudEvents`.

use image_syncer_registry::{Reference, Tag};
use serde::Deserialize;

use super::push::{self, MAX_EVENTS, PayloadError, Push, Pushed};

/// Types of the event, in both formats.
const PUSHES: [&str; 2] = ["PUSH_ARTIFACT", "harbor.artifact.pushed"];

#[derive(Deserialize)]
struct Payload {
    r#type: String,
    /// Fields of the format `Default`.
    event_data: Option<EventData>,
    /// Fields of the format `CloudEvents`.
    data: Option<EventData>,
}

#[derive(Deserialize)]
struct EventData {
    #[serde(default)]
    resources: Vec<Resource>,
    repository: Option<NamedRepository>,
}

#[derive(Deserialize)]
struct Resource {
    tag: Option<String>,
    digest: Option<String>,
    #[serde(rename = "resource_url")]
    url: Option<String>,
}

#[derive(Deserialize)]
struct NamedRepository {
    repo_full_name: Option<String>,
}

/// Returns the pushes of a body.
pub(super) fn parse(body: &[u8]) -> Result<Vec<Push>, PayloadError> {
    let payload: Payload = push::json(body)?;
    if !PUSHES.contains(&payload.r#type.as_str()) {
        return Err(PayloadError::other_event(&payload.r#type));
    }
    let data = payload.event_data.or(payload.data);
    let data = data.ok_or_else(PayloadError::nothing)?;
    if data.resources.len() > MAX_EVENTS {
        return Err(PayloadError::too_many());
    }
    let name = data.repository.and_then(|it| it.repo_full_name);
    push::collect(data.resources.iter().map(|it| it.push(name.as_deref())))
}

impl Resource {
    /// Returns the push of an artifact in the repository `name`, a path. The registry is only in the URL.
    fn push(&self, name: Option<&str>) -> Option<Push> {
        let reference = self.url.as_deref().map(Reference::parse);
        let reference = reference.and_then(Result::ok);
        let tag = reference.as_ref().and_then(|it| it.tag.as_ref());
        let tag = self.tag.as_deref().or(tag.map(Tag::as_str));
        let pushed = Pushed::tag_or_digest(tag)?;
        let push = match reference {
            Some(reference) => Push::named(&reference.repository.to_string(), pushed),
            None => Push::new(None, name?, pushed),
        };
        Some(push?.with_digest(self.digest.as_deref()))
    }
}

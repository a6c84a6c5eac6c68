//! Notifications of the registry distribution.

use image_syncer_registry::manifest::media_type;
use serde::Deserialize;

use super::push::{self, MAX_EVENTS, PayloadError, Push, Pushed};

#[derive(Deserialize)]
struct Envelope {
    events: Vec<Event>,
}

/// An event; ACR sends the same as a document of its own.
#[derive(Deserialize)]
pub(super) struct Event {
    pub(super) action: Option<String>,
    target: Option<Target>,
    request: Option<Request>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    media_type: Option<String>,
    repository: Option<String>,
    url: Option<String>,
    tag: Option<String>,
    digest: Option<String>,
}

#[derive(Deserialize)]
struct Request {
    host: Option<String>,
}

/// Returns the pushes of manifests in an envelope of notifications.
pub(super) fn parse(body: &[u8]) -> Result<Vec<Push>, PayloadError> {
    let envelope: Envelope = push::json(body)?;
    if envelope.events.len() > MAX_EVENTS {
        return Err(PayloadError::too_many());
    }
    push::collect(envelope.events.iter().map(Event::push))
}

impl Event {
    /// Returns the push of a manifest; `None` for other events.
    pub(super) fn push(&self) -> Option<Push> {
        let target = self.target.as_ref()?;
        if self.action.as_deref() != Some("push") || !target.is_manifest() {
            return None;
        }
        let host = self.request.as_ref().and_then(|it| it.host.as_deref());
        let host = host.filter(|host| !host.is_empty());
        let pushed = Pushed::tag_or_digest(target.tag.as_deref())?;
        let push = Push::new(host, target.repository.as_deref()?, pushed)?;
        Some(push.with_digest(target.digest.as_deref()))
    }
}

impl Target {
    /// Returns true for a manifest. Blobs cause the same events.
    fn is_manifest(&self) -> bool {
        const MANIFESTS: [&str; 7] = [
            media_type::OCI_INDEX,
            media_type::OCI_MANIFEST,
            media_type::OCI_ARTIFACT,
            media_type::DOCKER_LIST,
            media_type::DOCKER_MANIFEST,
            media_type::DOCKER_SCHEMA1,
            media_type::DOCKER_SCHEMA1_SIGNED,
        ];
        let media_type = self.media_type.as_deref().unwrap_or_default();
        self.tag.as_deref().is_some_and(|tag| !tag.is_empty())
            || MANIFESTS.contains(&media_type)
            || self
                .url
                .as_deref()
                .is_some_and(|url| url.contains("/manifests/"))
    }
}

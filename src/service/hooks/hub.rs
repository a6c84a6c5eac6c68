//! Webhooks of Docker Hub. Their `callback_url` is never requested.

use serde::Deserialize;

use super::push::{self, PayloadError, Push, Pushed};

#[derive(Deserialize)]
struct Payload {
    push_data: PushData,
    repository: NamedRepository,
}

#[derive(Deserialize)]
struct PushData {
    tag: Option<String>,
}

#[derive(Deserialize)]
struct NamedRepository {
    repo_name: String,
}

/// Returns the push of a body.
pub(super) fn parse(body: &[u8]) -> Result<Vec<Push>, PayloadError> {
    let payload: Payload = push::json(body)?;
    let pushed = Pushed::tag_or_digest(payload.push_data.tag.as_deref());
    let name = &payload.repository.repo_name;
    let push = pushed.and_then(|pushed| Push::new(Some("docker.io"), name, pushed));
    push::collect(std::iter::once(push))
}

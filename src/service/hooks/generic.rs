//! Calls of anything else: `{"registry": "…", "repository": "…", "tags": ["…"]}`.

use image_syncer_registry::{Registry, Repository};
use serde::Deserialize;

use super::push::{self, MAX_EVENTS, PayloadError, Push, Pushed};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    registry: Option<String>,
    repository: String,
    #[serde(default)]
    tags: Vec<String>,
}

/// Returns the pushes of a body. Without tags, anything in the repository may have changed.
pub(super) fn parse(body: &[u8]) -> Result<Vec<Push>, PayloadError> {
    let payload: Payload = push::json(body)?;
    if payload.tags.len() > MAX_EVENTS {
        return Err(PayloadError::too_many());
    }
    let push = |pushed| payload.push(pushed).map_err(PayloadError::Malformed);
    if payload.tags.is_empty() {
        return Ok(vec![push(Pushed::Anything)?]);
    }
    let tags = payload.tags.iter().map(|tag| {
        let tag = image_syncer_registry::Tag::parse(tag);
        push(Pushed::Tag(tag.map_err(|error| {
            PayloadError::Malformed(error.to_string())
        })?))
    });
    tags.collect()
}

impl Payload {
    /// Returns the push; a person wrote the names, so the error says what is wrong with them.
    fn push(&self, pushed: Pushed) -> Result<Push, String> {
        let path = &self.repository;
        let is_full = path.split('/').next().is_some_and(|first| {
            path.contains('/') && (first.contains(['.', ':']) || first == "localhost")
        });
        let push = match &self.registry {
            Some(registry) => {
                let registry = Registry::parse(registry).map_err(|error| error.to_string())?;
                Repository::new(registry.clone(), path).map_err(|error| error.to_string())?;
                Push::new(Some(registry.as_str()), path, pushed)
            }
            None if is_full => Push::named(path, pushed),
            None => Push::new(None, path, pushed),
        };
        push.ok_or_else(|| "`repository` is not the name of a repository".to_owned())
    }
}

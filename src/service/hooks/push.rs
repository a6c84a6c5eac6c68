//! Pushes, as hooks report them.

use image_syncer_registry::{Digest, Registry, Repository, Tag};

/// Maximum number of events in one call.
pub(super) const MAX_EVENTS: usize = 1_000;

/// A push that a registry reports: a hint of what may have changed. Nothing in it is ever requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Push {
    /// The registry; `None` for any.
    pub(crate) registry: Option<Registry>,
    /// Path of the repository.
    pub(crate) path: String,
    /// Pushed content.
    pub(crate) pushed: Pushed,
    /// Digest of the manifest, if the registry states it.
    pub(crate) digest: Option<Digest>,
}

/// Pushed content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// A tag.
    Tag(Tag),
    /// A manifest without a tag: a part of an index that follows, or a referrer.
    Digest,
    /// Unknown images of the repository.
    Anything,
}

/// Reason why a call reports no push.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PayloadError {
    /// The body is not what this kind of hook sends.
    #[error("{0}")]
    Malformed(String),
    /// The body reports something else.
    #[error("{0}")]
    NoPush(String),
}

impl Push {
    /// Returns a push; `None` if a name is invalid. `registry` is `None` for any registry.
    pub(super) fn new(registry: Option<&str>, path: &str, pushed: Pushed) -> Option<Self> {
        let registry = registry.map(Registry::parse).transpose().ok()?;
        // Any registry except Docker Hub checks the path and keeps it.
        let checked = registry
            .clone()
            .or_else(|| Registry::parse("a.example").ok());
        let repository = Repository::new(checked?, path).ok()?;
        Some(Self {
            registry,
            path: repository.path().to_owned(),
            pushed,
            digest: None,
        })
    }

    /// Returns the push of a full name, `registry/path`; `None` if it is invalid.
    pub(super) fn named(name: &str, pushed: Pushed) -> Option<Self> {
        let repository = Repository::parse(name).ok()?;
        Some(Self {
            registry: Some(repository.registry().clone()),
            path: repository.path().to_owned(),
            pushed,
            digest: None,
        })
    }

    /// Adds the digest that the registry states; one of another form is left out.
    pub(super) fn with_digest(mut self, digest: Option<&str>) -> Self {
        self.digest = digest.and_then(|digest| Digest::parse(digest).ok());
        self
    }
}

impl Pushed {
    /// Returns the push of `tag`, or without one the push of a digest; `None` if the tag is invalid.
    pub(super) fn tag_or_digest(tag: Option<&str>) -> Option<Self> {
        match tag {
            None | Some("") => Some(Self::Digest),
            // Harbor and ACR write the digest where they have no tag.
            Some(digest) if digest.contains(':') => Some(Self::Digest),
            Some(tag) => Tag::parse(tag).ok().map(Self::Tag),
        }
    }
}

impl PayloadError {
    /// Returns the error of a body that is not the expected JSON document.
    pub(super) fn json(error: &serde_json::Error) -> Self {
        // The message of serde_json may quote the body.
        let kind = match error.classify() {
            serde_json::error::Category::Data => "another structure than expected",
            serde_json::error::Category::Eof => "the document ends early",
            _ => "invalid syntax",
        };
        Self::Malformed(format!(
            "the body is not JSON of this kind of hook: {kind} at line {}, column {}",
            error.line(),
            error.column()
        ))
    }

    /// Returns the error of an event that is not a push.
    pub(super) fn other_event(name: &str) -> Self {
        let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
        Self::NoPush(format!("the event `{name}` is not a push"))
    }

    /// Returns the error of a body without any usable push.
    pub(super) fn nothing() -> Self {
        Self::NoPush("no event is the push of a manifest".to_owned())
    }

    /// Returns the error of a body with too many events.
    pub(super) fn too_many() -> Self {
        Self::Malformed(format!("the body has more than {MAX_EVENTS} events"))
    }
}

/// Parses the JSON of a hook.
pub(super) fn json<'a, T: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<T, PayloadError> {
    serde_json::from_slice(body).map_err(|error| PayloadError::json(&error))
}

/// Returns the pushes of a body, if there are any.
pub(super) fn collect(
    pushes: impl Iterator<Item = Option<Push>>,
) -> Result<Vec<Push>, PayloadError> {
    let pushes: Vec<Push> = pushes.flatten().take(MAX_EVENTS + 1).collect();
    match pushes.len() {
        0 => Err(PayloadError::nothing()),
        1..=MAX_EVENTS => Ok(pushes),
        _ => Err(PayloadError::too_many()),
    }
}

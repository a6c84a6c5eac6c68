//! References: registry, repository, tag and digest as people write them (distribution's grammar).

use std::fmt;
use std::sync::Arc;

use crate::digest::Digest;

/// A registry as a name: `host` or `host:port`, lower case. All names of Docker Hub (`docker.io`,
/// `index.docker.io`, `registry-1.docker.io`, `registry.hub.docker.com`) are the one registry `docker.io`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Registry(Arc<str>);

/// A repository of a registry; displays as `registry/path`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Repository {
    registry: Registry,
    path: Arc<str>,
}

/// A tag: `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Tag(Arc<str>);

/// What a manifest request names.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Target {
    /// A tag, which may move.
    Tag(Tag),
    /// A digest, which may not.
    Digest(Digest),
}

/// A repository with a tag, a digest, both or neither, as a person writes it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Reference {
    /// Where the image lives.
    pub repository: Repository,
    /// The tag, if one was written. Nothing is implied by its absence here.
    pub tag: Option<Tag>,
    /// The digest, if one was written; it decides what is fetched.
    pub digest: Option<Digest>,
}

/// Why a text is not a reference. Reads as a sentence that names the text and says what to write instead.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct ReferenceError(String);

impl Registry {
    /// Reads `host` or `host:port`; folds the names of Docker Hub.
    pub fn parse(_text: &str) -> Result<Self, ReferenceError> {
        todo!()
    }
    /// Docker Hub.
    pub fn docker_hub() -> Self {
        Self(Arc::from("docker.io"))
    }
    /// Whether this is Docker Hub.
    pub fn is_docker_hub(&self) -> bool {
        &*self.0 == "docker.io"
    }
    /// The name, `host` or `host:port`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The host to connect to, without port; IPv6 without brackets removed. `registry-1.docker.io` for Docker Hub.
    pub fn api_host(&self) -> &str {
        todo!()
    }
    /// The port, where one was written.
    pub fn port(&self) -> Option<u16> {
        todo!()
    }
}

impl Repository {
    /// A repository of `registry` by its path, which is checked. On Docker Hub a path of one component gets
    /// `library/` in front.
    pub fn new(_registry: Registry, _path: &str) -> Result<Self, ReferenceError> {
        todo!()
    }
    /// Reads `[registry/]path` with the rules for the first component (compat.md section 4).
    pub fn parse(_text: &str) -> Result<Self, ReferenceError> {
        todo!()
    }
    /// The registry.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }
    /// The path within the registry.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl Tag {
    /// Reads a tag.
    pub fn parse(_text: &str) -> Result<Self, ReferenceError> {
        todo!()
    }
    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Reference {
    /// Reads `[registry/]path[:tag][@digest]`.
    pub fn parse(_text: &str) -> Result<Self, ReferenceError> {
        todo!()
    }
    /// What a manifest request names: the digest if there is one, else the tag.
    pub fn target(&self) -> Option<Target> {
        todo!()
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}
impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

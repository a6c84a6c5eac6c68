//! References: registry, repository, tag and digest as people write them (distribution's grammar).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::digest::{Digest, Hasher};
use crate::quote::quoted;

mod grammar;
mod resource;
#[cfg(test)]
mod tests;

pub(crate) use resource::Resource;

/// Name of Docker Hub in references and reports.
const HUB: &str = "docker.io";
/// API host of Docker Hub.
const HUB_API: &str = "registry-1.docker.io";
/// All the names of Docker Hub that people write.
const HUB_NAMES: [&str; 4] = [HUB, "index.docker.io", HUB_API, "registry.hub.docker.com"];
/// The longest path of a repository (distribution's grammar).
const MAX_PATH: usize = 255;

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

/// Tag or digest of a manifest request.
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
    /// Repository of the image.
    pub repository: Repository,
    /// The tag, if one was written. Nothing is implied by its absence here.
    pub tag: Option<Tag>,
    /// The digest, if one was written; it decides what is fetched.
    pub digest: Option<Digest>,
}

/// Error of a text that is not a reference. Reads as a sentence that names the text and says what to write instead.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct ReferenceError(String);

impl ReferenceError {
    /// `text` is not a `noun`, and why.
    fn new(text: &str, noun: &str, why: impl fmt::Display) -> Self {
        Self(format!("{} is not a {noun}: {why}", quoted(text)))
    }
}

impl Registry {
    /// Reads `host` or `host:port`; folds the names of Docker Hub. A host without a dot needs its port (`localhost`
    /// excepted), since a reference could not tell it from a user of Docker Hub.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let refuse = |why: String| ReferenceError::new(text, "registry", why);
        grammar::check_surroundings(text).map_err(refuse)?;
        grammar::check_no_at(text).map_err(refuse)?;
        if let Some((host, _)) = text.split_once('/') {
            return Err(refuse(format!(
                "a registry has no path, write {}",
                quoted(host)
            )));
        }
        if !grammar::is_registry(text) {
            return Err(refuse(format!(
                "a host without a dot needs its port, write {}",
                quoted(&format!("{text}:443"))
            )));
        }
        Self::from_component(text).map_err(refuse)
    }
    /// Returns whether a name without a tag is a registry whose repository is missing (`localhost`,
    /// `harbor.example.com`), and no repository of Docker Hub.
    pub fn is_without_repository(name: &str) -> bool {
        grammar::is_bare_registry(name)
    }
    /// A registry from the first component of a reference.
    fn from_component(text: &str) -> Result<Self, String> {
        let name = grammar::normal_domain(text)?;
        if HUB_NAMES.contains(&name.as_str()) {
            return Ok(Self::docker_hub());
        }
        Ok(Self(Arc::from(name)))
    }
    /// Docker Hub.
    pub fn docker_hub() -> Self {
        Self(Arc::from(HUB))
    }
    /// Returns whether this is Docker Hub.
    pub fn is_docker_hub(&self) -> bool {
        &*self.0 == HUB
    }
    /// The name, `host` or `host:port`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The host to connect to, without port; `registry-1.docker.io` for Docker Hub. An IPv6 address keeps its
    /// brackets, as in a URL.
    pub fn api_host(&self) -> &str {
        if self.is_docker_hub() {
            return HUB_API;
        }
        grammar::split_port(&self.0).0
    }
    /// Returns the name, shared.
    pub(crate) fn name(&self) -> Arc<str> {
        self.0.clone()
    }
    /// The port, where one was written.
    pub fn port(&self) -> Option<u16> {
        grammar::split_port(&self.0).1?.parse().ok()
    }
}

impl Repository {
    /// A repository of `registry` by its path, which is checked. On Docker Hub a path of one component gets
    /// `library/` in front.
    pub fn new(registry: Registry, path: &str) -> Result<Self, ReferenceError> {
        Self::from_parts(registry, path).map_err(|why| ReferenceError::new(path, "repository", why))
    }
    fn from_parts(registry: Registry, path: &str) -> Result<Self, String> {
        grammar::check_path(path)?;
        let path: Arc<str> = if registry.is_docker_hub() && !path.contains('/') {
            Arc::from(format!("library/{path}"))
        } else {
            Arc::from(path)
        };
        if path.len() > MAX_PATH {
            return Err(format!(
                "its path has {} characters, more than {MAX_PATH}",
                path.len()
            ));
        }
        Ok(Self { registry, path })
    }
    /// Reads `[registry/]path` with the rules for the first component: one that holds `.` or `:`, or is `localhost`,
    /// is the registry; any other belongs to a path on Docker Hub (docs/files.md#rules).
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let refuse = |why: String| ReferenceError::new(text, "repository", why);
        grammar::check_surroundings(text).map_err(refuse)?;
        grammar::check_no_at(text).map_err(refuse)?;
        Self::from_name(text).map_err(refuse)
    }
    fn from_name(name: &str) -> Result<Self, String> {
        match name.split_once('/') {
            Some((first, path)) if grammar::is_registry(first) => {
                Self::from_parts(Registry::from_component(first)?, path)
            }
            None if grammar::is_image_id(name) => Err(format!(
                "64 hexadecimal digits alone look like an image id; write `library/{name}` if it is a repository"
            )),
            None if name.starts_with('[') => Err(
                "a repository must follow the registry, as in `[::1]:5000/repository`".to_owned(),
            ),
            None if grammar::is_bare_registry(name) => Err(grammar::no_repository(name)),
            _ => Self::from_parts(Registry::docker_hub(), name),
        }
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
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        grammar::check_tag(text).map_err(|why| ReferenceError::new(text, "tag", why))?;
        Ok(Self(Arc::from(text)))
    }
    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Tag {
    /// The tag that lists what refers to `subject` at registries without a referrers API (distribution-spec,
    /// "Referrers Tag Schema"): the algorithm cut to 32 characters, `-`, the encoded part cut to 64, with `-` for
    /// whatever a tag may not have.
    pub fn of_referrers_to(subject: &Digest) -> Self {
        let (algorithm, encoded) = subject.as_str().split_once(':').unwrap_or_default();
        let parts = algorithm.chars().take(32).chain(['-']);
        let tag: String = parts
            .chain(encoded.chars().take(64))
            .map(|c| match c {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' => c,
                _ => '-',
            })
            .collect();
        Self(Arc::from(tag))
    }
}

impl Target {
    /// Reads a digest, which has a colon, or else a tag, which has none.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.contains(':') {
            let digest = Digest::parse(text).map_err(|error| ReferenceError(error.to_string()))?;
            return Ok(Self::Digest(digest));
        }
        Tag::parse(text).map(Self::Tag)
    }
}

impl Reference {
    /// Reads `[registry/]path[:tag][@digest]`.
    ///
    /// A digest must be one that can be verified (sha256 or sha512).
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let refuse = |why: String| ReferenceError::new(text, "reference", why);
        grammar::check_surroundings(text).map_err(refuse)?;
        Self::from_text(text).map_err(refuse)
    }
    fn from_text(text: &str) -> Result<Self, String> {
        let (rest, digest) = match text.split_once('@') {
            Some((_, digest)) if digest.contains('/') => return Err(grammar::NO_USER.to_owned()),
            Some((rest, digest)) => (rest, Some(verifiable(digest)?)),
            None => (text, None),
        };
        let (name, tag) = grammar::split_tag(rest);
        if grammar::is_bare_registry(name) {
            return Err(grammar::no_repository(rest));
        }
        let tag = match tag {
            Some("") => return Err("nothing follows the colon, where a tag is expected".to_owned()),
            Some(tag) => Some(Tag::parse(tag).map_err(|error| error.0)?),
            None => None,
        };
        Ok(Self {
            repository: Repository::from_name(name)?,
            tag,
            digest,
        })
    }
    /// Returns the target of a manifest request: the digest if there is one, else the tag.
    pub fn target(&self) -> Option<Target> {
        let digest = self.digest.clone().map(Target::Digest);
        digest.or_else(|| self.tag.clone().map(Target::Tag))
    }
}

fn verifiable(text: &str) -> Result<Digest, String> {
    let digest = Digest::parse(text).map_err(|error| error.to_string())?;
    Hasher::new(&digest).map_err(|error| error.to_string())?;
    Ok(digest)
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
impl FromStr for Registry {
    type Err = ReferenceError;
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}
impl FromStr for Repository {
    type Err = ReferenceError;
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}
impl FromStr for Tag {
    type Err = ReferenceError;
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}
impl FromStr for Target {
    type Err = ReferenceError;
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}
impl FromStr for Reference {
    type Err = ReferenceError;
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}

//! Repositories at the ends of a copy.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use image_syncer_registry::{ReferenceError, Registry};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::store::FilePath;

/// A named set of images at an endpoint. Displays as `registry/path`, or as `oci:DIRECTORY#name`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Repository {
    endpoint: Endpoint,
    path: Arc<str>,
}

/// A place with repositories.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Endpoint {
    /// A registry.
    Registry(Registry),
    /// An OCI image layout: a directory.
    Layout(FilePath),
    /// An archive of images: a tar file.
    Archive(FilePath),
}

impl Repository {
    /// Parses the repository of a registry, `[registry/]path`.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        image_syncer_registry::Repository::parse(text).map(Self::from)
    }
    /// Returns the repository `name` of an image layout. The name is that of a repository (`docker.io/library/alpine`);
    /// images without one are in the repository with an empty name.
    pub fn in_layout(directory: &Path, name: &str) -> Self {
        Self {
            endpoint: Endpoint::Layout(FilePath::new(directory)),
            path: Arc::from(name),
        }
    }
    /// Returns the repository `path` of `endpoint`; `None` if its registry cannot have one of that name.
    pub(crate) fn at(endpoint: &Endpoint, path: &str) -> Option<Self> {
        match endpoint {
            Endpoint::Registry(registry) => {
                let repository = image_syncer_registry::Repository::new(registry.clone(), path);
                repository.ok().map(Self::from)
            }
            Endpoint::Layout(_) | Endpoint::Archive(_) => Some(Self {
                endpoint: endpoint.clone(),
                path: Arc::from(path),
            }),
        }
    }
    /// Returns the endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
    /// Returns the path within a registry, or the name within a file.
    pub fn path(&self) -> &str {
        &self.path
    }
    /// Returns the repository within its registry; `None` if it is in a file.
    pub fn in_registry(&self) -> Option<image_syncer_registry::Repository> {
        match &self.endpoint {
            Endpoint::Registry(registry) => {
                image_syncer_registry::Repository::new(registry.clone(), &self.path).ok()
            }
            Endpoint::Layout(_) | Endpoint::Archive(_) => None,
        }
    }
    /// Returns the full name of the images of the repository (`docker.io/library/alpine`), wherever they are.
    pub fn image_name(&self) -> String {
        match &self.endpoint {
            Endpoint::Registry(_) => self.to_string(),
            Endpoint::Layout(_) | Endpoint::Archive(_) => self.path.to_string(),
        }
    }
    /// Returns whether content of this repository could be mounted in `other`.
    pub(crate) fn is_sibling_of(&self, other: &Self) -> bool {
        self.endpoint == other.endpoint && self.path != other.path
    }
}

/// Returns true if `path` is `prefix` or below it. Every path is below an empty prefix.
pub(crate) fn is_below(path: &str, prefix: &str) -> bool {
    let rest = path.strip_prefix(prefix);
    prefix.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Endpoint {
    /// Returns the name in the records, which is the same in every working directory.
    pub(crate) fn record_name(&self) -> Cow<'_, str> {
        match self {
            Self::Registry(registry) => Cow::Borrowed(registry.as_str()),
            Self::Layout(directory) => format!("oci:{}", directory.absolute().display()).into(),
            Self::Archive(file) => format!("oci-archive:{}", file.absolute().display()).into(),
        }
    }
    /// Parses a [name](Self::name), as the user wrote it or as the records have it.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        if let Some(directory) = name.strip_prefix("oci:") {
            return Some(Self::Layout(FilePath::new(Path::new(directory))));
        }
        if let Some(file) = name.strip_prefix("oci-archive:") {
            return Some(Self::Archive(FilePath::new(Path::new(file))));
        }
        Registry::parse(name).ok().map(Self::Registry)
    }
    /// Returns the registry, if it is one.
    pub fn registry(&self) -> Option<&Registry> {
        match self {
            Self::Registry(registry) => Some(registry),
            Self::Layout(_) | Self::Archive(_) => None,
        }
    }
    /// Returns the name in messages and logs: the host of a registry, or the path of a file with its scheme.
    pub fn name(&self) -> Cow<'_, str> {
        match self {
            Self::Registry(registry) => Cow::Borrowed(registry.as_str()),
            Self::Layout(_) | Self::Archive(_) => Cow::Owned(self.to_string()),
        }
    }
}

impl From<image_syncer_registry::Repository> for Repository {
    fn from(repository: image_syncer_registry::Repository) -> Self {
        Self {
            path: Arc::from(repository.path()),
            endpoint: Endpoint::Registry(repository.registry().clone()),
        }
    }
}

impl FromStr for Repository {
    type Err = ReferenceError;
    /// Parses the text that a repository displays as.
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (endpoint, name) = text.split_once('#').unwrap_or((text, ""));
        match Endpoint::from_name(endpoint) {
            Some(endpoint @ (Endpoint::Layout(_) | Endpoint::Archive(_))) => Ok(Self {
                endpoint,
                path: Arc::from(name),
            }),
            _ => Self::parse(text),
        }
    }
}

impl Serialize for Repository {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Repository {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(registry) => registry.fmt(f),
            Self::Layout(directory) => write!(f, "oci:{}", directory.as_written().display()),
            Self::Archive(file) => write!(f, "oci-archive:{}", file.as_written().display()),
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.endpoint {
            Endpoint::Registry(registry) => write!(f, "{registry}/{}", self.path),
            endpoint if self.path.is_empty() => endpoint.fmt(f),
            endpoint => write!(f, "{endpoint}#{}", self.path),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn two_spellings_of_a_directory_are_one_endpoint() {
        let written = Repository::in_layout(Path::new("./store"), "quay.io/a");
        let absolute = std::env::current_dir().unwrap().join("store");
        let same = Repository::in_layout(&absolute, "quay.io/a");
        assert_eq!(written, same);
        assert_eq!(written.to_string(), "oci:./store#quay.io/a");
        let name = format!("oci:{}", absolute.display());
        assert_eq!(written.endpoint().record_name(), name);
        assert_eq!(Endpoint::from_name(&name), Some(same.endpoint().clone()));
        assert_ne!(
            written,
            Repository::in_layout(Path::new("other"), "quay.io/a")
        );
    }

    #[test]
    fn a_repository_reads_as_it_is_shown() {
        for text in [
            "r.example/a/b",
            "oci:store",
            "oci:./store#quay.io/a",
            "oci-archive:a.tar#b",
        ] {
            let repository: Repository = text.parse().unwrap();
            assert_eq!(repository.to_string(), text);
            let json = serde_json::to_string(&repository).unwrap();
            assert_eq!(
                serde_json::from_str::<Repository>(&json).unwrap(),
                repository
            );
        }
    }
}

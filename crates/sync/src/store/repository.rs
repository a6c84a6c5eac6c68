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
    Archive(ArchiveFormat, FilePath),
}

/// Format of an archive. Either is read by its content; the format matters for an archive that is written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum ArchiveFormat {
    /// An OCI image layout in a tar file.
    Oci,
    /// The same with a `manifest.json`, by which `docker load` finds images of one platform.
    Docker,
}

/// Kind of files that hold images.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FileKind {
    /// A directory in the OCI image layout.
    Layout,
    /// A tar file.
    Archive(ArchiveFormat),
}

impl FileKind {
    /// All kinds.
    const ALL: [Self; 3] = [
        Self::Layout,
        Self::Archive(ArchiveFormat::Oci),
        Self::Archive(ArchiveFormat::Docker),
    ];
    /// Returns the scheme of references, with its colon.
    pub(crate) fn scheme(self) -> &'static str {
        match self {
            Self::Layout => "oci:",
            Self::Archive(ArchiveFormat::Oci) => "oci-archive:",
            Self::Archive(ArchiveFormat::Docker) => "docker-archive:",
        }
    }
    /// Returns the noun for the place that a path of this kind names.
    pub(crate) fn place(self) -> &'static str {
        match self {
            Self::Layout => "DIRECTORY",
            Self::Archive(_) => "FILE",
        }
    }
    /// Splits the scheme of a file from the rest of a reference; `None` for other texts.
    pub(crate) fn strip(text: &str) -> Option<(Self, &str)> {
        Self::ALL
            .into_iter()
            .find_map(|kind| Some((kind, text.strip_prefix(kind.scheme())?)))
    }
}

impl Repository {
    /// Parses the repository of a registry, `[registry/]path`.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        image_syncer_registry::Repository::parse(text).map(Self::from)
    }
    /// Returns the repository `name` of an image layout. The name is that of a repository (`docker.io/library/alpine`);
    /// images without one are in the repository with an empty name.
    pub fn in_layout(directory: &Path, name: &str) -> Self {
        Self::in_file(&Endpoint::in_file(FileKind::Layout, directory), name)
    }
    /// Returns the repository `name` of a layout or an archive.
    pub(crate) fn in_file(endpoint: &Endpoint, name: &str) -> Self {
        Self {
            endpoint: endpoint.clone(),
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
            Endpoint::Layout(_) | Endpoint::Archive(..) => Some(Self::in_file(endpoint, path)),
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
            Endpoint::Layout(_) | Endpoint::Archive(..) => None,
        }
    }
    /// Returns the full name of the images of the repository (`docker.io/library/alpine`), wherever they are.
    pub fn image_name(&self) -> String {
        match &self.endpoint {
            Endpoint::Registry(_) => self.to_string(),
            Endpoint::Layout(_) | Endpoint::Archive(..) => self.path.to_string(),
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
            Self::Layout(path) | Self::Archive(_, path) => {
                let scheme = self.file_kind().map_or("", FileKind::scheme);
                format!("{scheme}{}", path.absolute().display()).into()
            }
        }
    }
    /// Parses a [name](Self::name), as the user wrote it or as the records have it.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match FileKind::strip(name) {
            Some((kind, path)) => Some(Self::in_file(kind, Path::new(path))),
            None => Registry::parse(name).ok().map(Self::Registry),
        }
    }
    /// Returns the layout or the archive at `path`.
    pub(crate) fn in_file(kind: FileKind, path: &Path) -> Self {
        let path = FilePath::new(path);
        match kind {
            FileKind::Layout => Self::Layout(path),
            FileKind::Archive(format) => Self::Archive(format, path),
        }
    }
    /// Returns the kind of file; `None` for a registry.
    pub(crate) fn file_kind(&self) -> Option<FileKind> {
        match self {
            Self::Registry(_) => None,
            Self::Layout(_) => Some(FileKind::Layout),
            Self::Archive(format, _) => Some(FileKind::Archive(*format)),
        }
    }
    /// Returns the path of a layout or an archive; `None` for a registry.
    pub fn path(&self) -> Option<&FilePath> {
        match self {
            Self::Registry(_) => None,
            Self::Layout(path) | Self::Archive(_, path) => Some(path),
        }
    }
    /// Returns the registry, if it is one.
    pub fn registry(&self) -> Option<&Registry> {
        match self {
            Self::Registry(registry) => Some(registry),
            Self::Layout(_) | Self::Archive(..) => None,
        }
    }
    /// Returns the name in messages and logs: the host of a registry, or the path of a file with its scheme.
    pub fn name(&self) -> Cow<'_, str> {
        match self {
            Self::Registry(registry) => Cow::Borrowed(registry.as_str()),
            Self::Layout(_) | Self::Archive(..) => Cow::Owned(self.to_string()),
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
            Some(endpoint) if endpoint.registry().is_none() => Ok(Self::in_file(&endpoint, name)),
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
            Self::Layout(path) | Self::Archive(_, path) => {
                let scheme = self.file_kind().map_or("", FileKind::scheme);
                write!(f, "{scheme}{}", path.as_written().display())
            }
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
            "docker-archive:-",
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

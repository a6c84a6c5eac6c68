//! Names of images in a layout.
//!
//! A root of `index.json` is named by annotations. Tools write them differently: containerd, `BuildKit` and Docker write
//! the full name as `io.containerd.image.name` and the bare tag as `org.opencontainers.image.ref.name`; Podman writes
//! the full name as the latter; skopeo writes the text that the user gives, often a bare tag. Both annotations are written
//! with the full name, which all of them read.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use image_syncer_registry::{Reference, Tag};

use crate::store::FileKind;

/// Annotation with the full name, of containerd.
pub(crate) const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// Annotation with a name that is unique in a layout (image-spec, "Annotations").
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Tag of a full name that has neither a tag nor a digest.
const DEFAULT_TAG: &str = "latest";

/// Full name of an image: a repository with a tag.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LayoutName {
    /// Repository with its registry, in its full form: `docker.io/library/alpine`.
    pub(crate) repository: String,
    /// The tag.
    pub(crate) tag: Tag,
}

/// Name of a root as its annotations state it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RootName {
    /// A full name.
    Full(LayoutName),
    /// A bare tag, which names an image of the repository that the user gives.
    Tag(Tag),
    /// No usable name, or one with a digest and no tag: the root is known by its digest alone.
    Unnamed,
}

impl LayoutName {
    /// Creates the name of `tag` in `repository`.
    pub(crate) fn new(repository: impl Into<String>, tag: Tag) -> Self {
        let repository = repository.into();
        Self { repository, tag }
    }
    /// Returns the annotations of a root with this name.
    pub(crate) fn annotations(&self) -> BTreeMap<String, String> {
        let name = self.to_string();
        BTreeMap::from([
            (CONTAINERD_NAME.to_owned(), name.clone()),
            (REF_NAME.to_owned(), name),
        ])
    }
}

impl fmt::Display for LayoutName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

impl RootName {
    /// Reads the name from the two annotations: containerd's name; else a full `ref.name`; else `ref.name` as a tag.
    pub(crate) fn from_annotations(containerd: Option<&str>, ref_name: Option<&str>) -> Self {
        if let Some(name) = containerd.and_then(Self::from_full) {
            return name;
        }
        let Some(text) = ref_name else {
            return Self::Unnamed;
        };
        // A name of one component without a tag reads as a tag, which skopeo's users write.
        let bare = (!text.contains(['/', ':', '@'])).then(|| Tag::parse(text));
        match bare {
            Some(Ok(tag)) => Self::Tag(tag),
            Some(Err(_)) => Self::Unnamed,
            None => Self::from_full(text).unwrap_or(Self::Unnamed),
        }
    }
    fn from_full(text: &str) -> Option<Self> {
        let reference = Reference::parse(text).ok()?;
        let repository = reference.repository.to_string();
        Some(match (reference.tag, reference.digest) {
            (Some(tag), _) => Self::Full(LayoutName { repository, tag }),
            (None, Some(_)) => Self::Unnamed,
            (None, None) => Self::Full(LayoutName {
                repository,
                tag: Tag::parse(DEFAULT_TAG).ok()?,
            }),
        })
    }
    /// Returns the tag of the root in `repository`, which the user gives. A bare tag belongs to every repository.
    pub(crate) fn tag_in(&self, repository: &str) -> Option<&Tag> {
        match self {
            Self::Full(name) if name.repository == repository => Some(&name.tag),
            Self::Tag(tag) => Some(tag),
            _ => None,
        }
    }
}

/// Splits `PATH:REF`, as skopeo writes it, if `PATH` exists and the whole text does not, or if `PATH` is that of a new
/// archive, `….tar`. Otherwise, all of `text` is the path. The longest path that exists counts, since both parts may have
/// colons.
pub(crate) fn split_path(
    kind: FileKind,
    text: &str,
    exists: impl Fn(&Path) -> bool,
) -> (PathBuf, Option<&str>) {
    let whole = PathBuf::from(text);
    if exists(&whole) {
        return (whole, None);
    }
    let found = text
        .rmatch_indices(':')
        .filter_map(|(at, _)| Some((text.get(..at)?, text.get(at + 1..)?)))
        .find(|(path, name)| !path.is_empty() && !name.is_empty() && exists(Path::new(path)));
    let new_archive = || {
        let at = text.find(".tar:")? + ".tar".len();
        let is_archive = matches!(kind, FileKind::Archive(_));
        let name = text
            .get(at + 1..)
            .filter(|name| is_archive && !name.is_empty());
        Some((text.get(..at)?, name?))
    };
    match found.or_else(new_archive) {
        Some((path, name)) => (PathBuf::from(path), Some(name)),
        None => (whole, None),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::store::ArchiveFormat;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn full(repository: &str, tag: &str) -> RootName {
        RootName::Full(LayoutName::new(repository, Tag::parse(tag).unwrap()))
    }

    #[test]
    fn names_are_read_as_the_tools_write_them() {
        let alpine = || full("docker.io/library/alpine", "3.20");
        let by_digest = format!("docker.io/library/alpine@{DIGEST}");
        let tag = |text| RootName::Tag(Tag::parse(text).unwrap());
        for (containerd, ref_name, expected) in [
            // Docker, containerd and BuildKit.
            (
                Some("docker.io/library/alpine:3.20"),
                Some("3.20"),
                alpine(),
            ),
            // Podman, and this program.
            (None, Some("docker.io/library/alpine:3.20"), alpine()),
            (None, Some("alpine:3.20"), alpine()),
            (
                None,
                Some("localhost:5000/a/b:v1"),
                full("localhost:5000/a/b", "v1"),
            ),
            // The first of two different names counts.
            (Some("alpine:3.20"), Some("quay.io/a/b:v1"), alpine()),
            (Some("not a name"), Some("alpine:3.20"), alpine()),
            // A full name without a tag.
            (
                Some("alpine"),
                None,
                full("docker.io/library/alpine", "latest"),
            ),
            (None, Some("quay.io/a/b"), full("quay.io/a/b", "latest")),
            (Some(by_digest.as_str()), None, RootName::Unnamed),
            // skopeo and umoci.
            (None, Some("3.20"), tag("3.20")),
            (None, Some("alpine"), tag("alpine")),
            (None, Some("my image"), RootName::Unnamed),
            (None, Some("a/B:C"), RootName::Unnamed),
            (None, Some(""), RootName::Unnamed),
            (Some(""), None, RootName::Unnamed),
            (None, None, RootName::Unnamed),
        ] {
            let read = RootName::from_annotations(containerd, ref_name);
            assert_eq!(read, expected, "{containerd:?} {ref_name:?}");
        }
    }

    #[test]
    fn a_written_name_is_read_again() {
        let name = LayoutName::new("docker.io/library/alpine", Tag::parse("3.20").unwrap());
        let annotations = name.annotations();
        assert_eq!(annotations.len(), 2);
        let get = |key| annotations.get(key).map(String::as_str);
        assert_eq!(get(REF_NAME), Some("docker.io/library/alpine:3.20"));
        let read = RootName::from_annotations(get(CONTAINERD_NAME), get(REF_NAME));
        assert_eq!(read, RootName::Full(name.clone()));
        let read = RootName::from_annotations(None, get(REF_NAME));
        assert_eq!(read, RootName::Full(name));
    }

    #[test]
    fn a_bare_tag_belongs_to_the_repository_that_the_user_gives() {
        let tag = |root: &RootName, repository| root.tag_in(repository).map(Tag::to_string);
        let bare = RootName::Tag(Tag::parse("v1").unwrap());
        assert_eq!(tag(&bare, "quay.io/a/b"), Some("v1".to_owned()));
        let named = full("quay.io/a/b", "v1");
        assert_eq!(tag(&named, "quay.io/a/b"), Some("v1".to_owned()));
        assert_eq!(tag(&named, "quay.io/a/c"), None);
        assert_eq!(tag(&RootName::Unnamed, "quay.io/a/b"), None);
    }

    #[test]
    fn a_path_with_a_name_is_split_where_the_path_exists() {
        let split = |text: &'static str, existing: &[&str]| {
            let (path, name) = split_path(FileKind::Layout, text, |path| {
                existing.iter().any(|e| path == Path::new(e))
            });
            (path.display().to_string(), name)
        };
        let path = |text: &str| text.to_owned();
        let full = "dir:docker.io/library/alpine:3.20";
        assert_eq!(split("dir:v1", &["dir"]), (path("dir"), Some("v1")));
        assert_eq!(
            split(full, &["dir"]),
            (path("dir"), Some("docker.io/library/alpine:3.20"))
        );
        assert_eq!(split("dir:v1", &["dir", "dir:v1"]), (path("dir:v1"), None));
        assert_eq!(split("dir:v1", &[]), (path("dir:v1"), None));
        assert_eq!(split("dir:", &["dir"]), (path("dir:"), None));
        assert_eq!(
            split("/a:b/c:v1", &["/a", "/a:b/c"]),
            (path("/a:b/c"), Some("v1"))
        );
        assert_eq!(split(":v1", &[""]), (path(":v1"), None));
        assert_eq!(split("new.tar:v1", &[]), (path("new.tar:v1"), None));
        // An archive that does not exist yet.
        let archive = FileKind::Archive(ArchiveFormat::Docker);
        let split = |text| split_path(archive, text, |_| false);
        assert_eq!(
            split("a/new.tar:alpine:3.20"),
            (PathBuf::from("a/new.tar"), Some("alpine:3.20"))
        );
        for text in ["new:v1", "new.tar:", "new.tar"] {
            assert_eq!(split(text), (PathBuf::from(text), None));
        }
    }
}

//! Globs over the names of a layout or an archive: `oci:DIRECTORY#docker.io/library/*`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use globset::GlobBuilder;

use crate::rule::RuleError;
use crate::store::{Archives, Endpoint, FileKind, LayoutNames, layout_names, split_layout_path};

/// Characters that make a name a glob.
const WILDCARDS: [char; 4] = ['*', '?', '[', '{'];

/// Returns the sources that a glob over the names of a layout or an archive matches, one for each repository. An archive
/// without a name stands for all of its images, those without a name included. A text without a glob is returned as it
/// is. `*` matches slashes and colons as well, since a name has its tag. Blocks: reads the layout or the archive.
///
/// # Errors
/// If the layout or the archive cannot be read, the glob is malformed, or nothing matches.
pub fn expand_layout_glob(text: &str, archives: &Archives) -> Result<Vec<String>, RuleError> {
    let Some(glob) = NameGlob::parse(text) else {
        return Ok(vec![text.to_owned()]);
    };
    let refused = |why: String| RuleError(format!("{text}: {why}"));
    let names = layout_names(&glob.endpoint, archives);
    let names = names.map_err(|error| refused(error.to_string()))?;
    let sources = glob.sources(&names).map_err(refused)?;
    if sources.is_empty() {
        return Err(refused(glob.no_match(&names)));
    }
    Ok(sources)
}

/// A glob over the names of a layout or an archive.
struct NameGlob<'a> {
    endpoint: Endpoint,
    /// `None` for all images.
    glob: Option<&'a str>,
}

impl<'a> NameGlob<'a> {
    /// Returns the glob of a text that has one. An expression between slashes is none.
    fn parse(text: &'a str) -> Option<Self> {
        let (kind, rest) = FileKind::strip(text)?;
        let (path, glob) = match rest.split_once('#') {
            Some((path, name)) if name.contains(WILDCARDS) && !name.contains(":/") => {
                (path, Some(name))
            }
            None if is_whole_archive(kind, rest) => (rest, None),
            _ => return None,
        };
        let endpoint = Endpoint::in_file(kind, Path::new(path));
        Some(Self { endpoint, glob })
    }
    /// Returns the sources of `names` that match.
    fn sources(&self, names: &LayoutNames) -> Result<Vec<String>, String> {
        let endpoint = &self.endpoint;
        let glob = GlobBuilder::new(self.glob.unwrap_or("*"))
            .literal_separator(false)
            .build();
        let matcher = glob
            .map_err(|error| error.kind().to_string())?
            .compile_matcher();
        let mut tags: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for name in &names.full {
            if matcher.is_match(name.to_string()) {
                let repository = tags.entry(&name.repository).or_default();
                repository.push(name.tag.as_str());
            }
        }
        let named = tags
            .into_iter()
            .map(|(repository, tags)| format!("{endpoint}#{repository}:{}", tags.join(",")));
        let mut sources: Vec<String> = named.collect();
        if self.glob.is_none() {
            sources.extend(
                names
                    .bare_tags
                    .iter()
                    .map(|tag| format!("{endpoint}#:{tag}")),
            );
            sources.extend(
                names
                    .unnamed
                    .iter()
                    .map(|digest| format!("{endpoint}#@{digest}")),
            );
        }
        Ok(sources)
    }
    /// Returns the reason for a glob without a match, with names that exist.
    fn no_match(&self, names: &LayoutNames) -> String {
        let endpoint = &self.endpoint;
        let full: Vec<String> = shown(&names.full);
        let tags: Vec<String> = shown(&names.bare_tags);
        match (full.as_slice(), tags.as_slice()) {
            ([], []) => match names.unnamed.first() {
                Some(digest) => {
                    format!("no image there has a name. Write its digest: {endpoint}#@{digest}.")
                }
                None => "no image is there.".to_owned(),
            },
            ([], [first, ..]) => format!(
                "the images there have no full names, but tags: {}. Write {endpoint}#:{first}.",
                tags.join(", ")
            ),
            _ => format!(
                "no name matches. Names are, for example: {}",
                full.join(", ")
            ),
        }
    }
}

/// Returns true for an archive without a name, as skopeo writes names included.
fn is_whole_archive(kind: FileKind, path: &str) -> bool {
    let is_archive = matches!(kind, FileKind::Archive(_)) && !path.is_empty();
    is_archive && split_layout_path(kind, path, Path::exists).1.is_none()
}

/// Returns the first names as texts.
fn shown<T: ToString>(names: &BTreeSet<T>) -> Vec<String> {
    names.iter().take(5).map(ToString::to_string).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_that_match_become_sources() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let root = |name: &str| {
            serde_json::json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": 2,
                "annotations": {"org.opencontainers.image.ref.name": name}})
        };
        let names = [
            "quay.io/a/b:v2",
            "docker.io/library/alpine:3.20",
            "quay.io/a/b:v1",
            "bare",
        ];
        let index = serde_json::json!({"schemaVersion": 2, "manifests": names.map(root)});
        std::fs::write(path.join("index.json"), index.to_string()).unwrap();
        std::fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        let at = |name: &str| format!("oci:{}#{name}", path.display());
        let expanded = |name: &str| expand_layout_glob(&at(name), &Archives::default());
        let all = [at("docker.io/library/alpine:3.20"), at("quay.io/a/b:v1,v2")];
        assert_eq!(expanded("*").unwrap(), all);
        assert_eq!(expanded("quay.io/*:v1").unwrap(), [at("quay.io/a/b:v1")]);
        assert_eq!(expanded("{docker,quay}.io/*").unwrap(), all);
        let error = expanded("ghcr.io/*").unwrap_err().to_string();
        assert!(error.ends_with("no name matches. Names are, for example: docker.io/library/alpine:3.20, quay.io/a/b:v1, quay.io/a/b:v2"), "{error}");
        assert!(expanded("[").is_err());
        // Not globs.
        for text in [
            at("quay.io/a/b:v1"),
            at("a:/v.*/"),
            "quay.io/a:/x*/".to_owned(),
        ] {
            assert_eq!(
                expand_layout_glob(&text, &Archives::default()).unwrap(),
                [text]
            );
        }
        let index = serde_json::json!({"schemaVersion": 2, "manifests": [root("v2"), root("v1")]});
        std::fs::write(path.join("index.json"), index.to_string()).unwrap();
        let error = expanded("*").unwrap_err().to_string();
        let why = format!(
            "the images there have no full names, but tags: v1, v2. Write oci:{}#:v1.",
            path.display()
        );
        assert!(error.ends_with(&why), "{error}");
        let error = expand_layout_glob("oci:nowhere#*", &Archives::default())
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "oci:nowhere#*: cannot open the layout in oci:nowhere: there is no such directory"
        );
    }
}

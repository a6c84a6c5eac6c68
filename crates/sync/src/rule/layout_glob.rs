//! Globs over the names of a layout: `oci:DIRECTORY#docker.io/library/*`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use globset::GlobBuilder;

use crate::rule::RuleError;
use crate::store::{LayoutNames, layout_names};

/// Characters that make a name a glob.
const WILDCARDS: [char; 4] = ['*', '?', '[', '{'];

/// Returns the sources that a glob over the names of a layout matches, one for each repository. A text without a glob is
/// returned as it is. `*` matches slashes and colons as well, since a name has its tag. Blocks: reads the layout.
///
/// # Errors
/// If the layout cannot be read, the glob is malformed, or nothing matches.
pub fn expand_layout_glob(text: &str) -> Result<Vec<String>, RuleError> {
    let Some((directory, glob)) = glob_of(text) else {
        return Ok(vec![text.to_owned()]);
    };
    let refused = |why: String| RuleError(format!("{text}: {why}"));
    let matcher = GlobBuilder::new(glob).literal_separator(false).build();
    let matcher = matcher.map_err(|error| refused(error.kind().to_string()))?;
    let matcher = matcher.compile_matcher();
    let names = layout_names(Path::new(directory)).map_err(|error| refused(error.to_string()))?;
    let mut tags: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in &names.full {
        if matcher.is_match(name.to_string()) {
            let repository = tags.entry(&name.repository).or_default();
            repository.push(name.tag.as_str());
        }
    }
    if tags.is_empty() {
        return Err(refused(no_match(directory, &names)));
    }
    let source = |(repository, tags): (&str, Vec<&str>)| {
        format!("oci:{directory}#{repository}:{}", tags.join(","))
    };
    Ok(tags.into_iter().map(source).collect())
}

/// Returns the reason for a glob without a match, with names that exist.
fn no_match(directory: &str, names: &LayoutNames) -> String {
    let full: Vec<String> = shown(&names.full);
    let tags: Vec<String> = shown(&names.bare_tags);
    match (full.as_slice(), tags.as_slice()) {
        ([], []) => "no image of the layout has a name. Write its digest.".to_owned(),
        ([], [first, ..]) => format!(
            "the images of the layout have no full names, but tags: {}. Write oci:{directory}:{first}.",
            tags.join(", ")
        ),
        _ => format!(
            "no name matches. Names are, for example: {}",
            full.join(", ")
        ),
    }
}

/// Returns the first names as texts.
fn shown<T: ToString>(names: &BTreeSet<T>) -> Vec<String> {
    names.iter().take(5).map(ToString::to_string).collect()
}

/// Returns the directory and the glob of a text that has one. An expression between slashes is none.
fn glob_of(text: &str) -> Option<(&str, &str)> {
    let (directory, name) = text.strip_prefix("oci:")?.split_once('#')?;
    (name.contains(WILDCARDS) && !name.contains(":/")).then_some((directory, name))
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
        let expanded = |name: &str| expand_layout_glob(&at(name));
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
            assert_eq!(expand_layout_glob(&text).unwrap(), [text]);
        }
        let index = serde_json::json!({"schemaVersion": 2, "manifests": [root("v2"), root("v1")]});
        std::fs::write(path.join("index.json"), index.to_string()).unwrap();
        let error = expanded("*").unwrap_err().to_string();
        let why = format!(
            "the images of the layout have no full names, but tags: v1, v2. Write oci:{}:v1.",
            path.display()
        );
        assert!(error.ends_with(&why), "{error}");
        let error = expand_layout_glob("oci:nowhere#*").unwrap_err().to_string();
        assert_eq!(
            error,
            "oci:nowhere#*: cannot open the layout in oci:nowhere: there is no such directory"
        );
    }
}

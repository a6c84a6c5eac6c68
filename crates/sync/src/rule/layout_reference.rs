//! References to images in layouts: `oci:DIRECTORY#NAME`, and `oci:DIRECTORY:NAME` as skopeo writes it.

use std::path::Path;

use image_syncer_registry::Tag;

use crate::Repository;
use crate::rule::RuleError;
use crate::rule::source::{ParsedReference, ParsedSelection};
use crate::store::{Endpoint, split_layout_path};

/// Scheme of layouts.
const LAYOUT: &str = "oci:";

/// Schemes of files that are not supported.
const ARCHIVES: [&str; 2] = ["oci-archive:", "docker-archive:"];

impl<'a> ParsedReference<'a> {
    /// Parses the reference of an image in a layout. Returns `None` for other texts.
    ///
    /// # Errors
    /// If the directory or the name is missing or malformed.
    pub(super) fn parse_in_layout(
        text: &'a str,
        exists: impl Fn(&Path) -> bool,
    ) -> Option<Result<Self, RuleError>> {
        if let Some(scheme) = ARCHIVES.iter().find(|scheme| text.starts_with(**scheme)) {
            let scheme = scheme.trim_end_matches(':');
            return Some(Err(RuleError(format!(
                "{text}: {scheme} is not supported. Write oci:DIRECTORY#NAME for a directory in the OCI layout, which \
                 skopeo copies from and to an archive."
            ))));
        }
        let rest = text.strip_prefix(LAYOUT)?;
        Some(match rest.split_once('#') {
            Some((directory, name)) => Self::in_layout(text, Path::new(directory), name),
            None => match split_layout_path(rest, exists) {
                (directory, Some(name)) => Self::with_ref_name(text, &directory, name),
                (directory, None) => directory_of(text, &directory).map(|repository| Self {
                    repository,
                    chosen: ParsedSelection::Nothing,
                }),
            },
        })
    }
    fn in_layout(text: &str, directory: &Path, name: &'a str) -> Result<Self, RuleError> {
        let layout = directory_of(text, directory)?;
        if name.is_empty() {
            return Err(RuleError(format!(
                "{text}: the name after the # is missing. Write {layout}#NAME, or {layout}."
            )));
        }
        let parsed = Self::parse_in_registry(name)?;
        let repository = Repository::in_layout(directory, &parsed.repository.to_string());
        Ok(Self {
            repository,
            ..parsed
        })
    }
    /// Parses `name` as skopeo does: a name of one component is a tag.
    fn with_ref_name(text: &str, directory: &Path, name: &'a str) -> Result<Self, RuleError> {
        if name.contains(['/', ':', '@']) {
            return Self::in_layout(text, directory, name);
        }
        let tag = Tag::parse(name).map_err(|error| RuleError(format!("{text}: {error}")))?;
        Ok(Self {
            repository: directory_of(text, directory)?,
            chosen: ParsedSelection::Tags(vec![tag]),
        })
    }
}

/// Returns the repository of the images without a name in `directory`.
fn directory_of(text: &str, directory: &Path) -> Result<Repository, RuleError> {
    if directory.as_os_str().is_empty() {
        return Err(RuleError(format!(
            "{text}: the directory is missing. Write oci:DIRECTORY, or oci:DIRECTORY#NAME."
        )));
    }
    Ok(Repository::in_layout(directory, ""))
}

/// Returns `repository` with the name of the images of `source`, if it is a layout without a name.
///
/// # Errors
/// If the source has no name either.
pub(super) fn with_name_of(
    repository: Repository,
    source: &Repository,
    text: &str,
) -> Result<Repository, RuleError> {
    let Endpoint::Layout(directory) = repository.endpoint() else {
        return Ok(repository);
    };
    if !repository.path().is_empty() {
        return Ok(repository);
    }
    let name = source.image_name();
    if name.is_empty() {
        return Err(RuleError(format!(
            "{text}: the image has no name there. Write {repository}#NAME."
        )));
    }
    Ok(Repository::in_layout(directory.as_written(), &name))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::rule::{Naming, Rule, RuleDestination, RuleSource, Selection};

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn shown(text: &str) -> String {
        let existing = |path: &Path| path == Path::new("store");
        match ParsedReference::parse_in_layout(text, existing) {
            None => "no layout".to_owned(),
            Some(Err(error)) => error.to_string(),
            Some(Ok(parsed)) => {
                let chosen = match parsed.chosen {
                    ParsedSelection::Nothing => "all".to_owned(),
                    ParsedSelection::Tags(tags) => {
                        let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
                        format!("{tags:?}")
                    }
                    ParsedSelection::Expression(expression) => format!("/{expression}/"),
                    ParsedSelection::Digest { digest, .. } => digest.to_string(),
                };
                format!("{} {chosen}", parsed.repository)
            }
        }
    }

    #[test]
    fn references_to_layouts() {
        let by_digest = format!("oci:store#alpine@{DIGEST}");
        let by_digest_shown = format!("oci:store#docker.io/library/alpine {DIGEST}");
        for (text, expected) in [
            ("oci:store", "oci:store all"),
            ("oci:new", "oci:new all"),
            (
                "oci:store#alpine:3.20",
                "oci:store#docker.io/library/alpine [\"3.20\"]",
            ),
            (
                "oci:./a:b#quay.io/a/b:v1,v2",
                "oci:./a:b#quay.io/a/b [\"v1\", \"v2\"]",
            ),
            ("oci:store#quay.io/a/b", "oci:store#quay.io/a/b all"),
            ("oci:store#quay.io/a/b:/v.*/", "oci:store#quay.io/a/b /v.*/"),
            (&by_digest, &by_digest_shown),
            ("oci:store:quay.io/a/b:v1", "oci:store#quay.io/a/b [\"v1\"]"),
            ("oci:store:v1", "oci:store [\"v1\"]"),
            ("oci:new:v1", "oci:new:v1 all"),
            (
                "oci:",
                "oci:: the directory is missing. Write oci:DIRECTORY, or oci:DIRECTORY#NAME.",
            ),
            (
                "oci:#a",
                "oci:#a: the directory is missing. Write oci:DIRECTORY, or oci:DIRECTORY#NAME.",
            ),
            (
                "oci:store#",
                "oci:store#: the name after the # is missing. Write oci:store#NAME, or oci:store.",
            ),
            ("quay.io/a/b:v1", "no layout"),
            ("ocis:v1", "no layout"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
        for text in ["oci-archive:a.tar", "docker-archive:a.tar:x"] {
            assert!(
                shown(text).contains("is not supported. Write oci:DIRECTORY#NAME"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_destination_without_a_name_gets_that_of_the_source() {
        let destination = |source: &str, text: &str| {
            let source = RuleSource::parse(source).unwrap();
            RuleDestination::parse(text, &source).map(|to| (to.repository.to_string(), to.naming))
        };
        let (repository, naming) = destination("alpine:3.20", "oci:new").unwrap();
        assert_eq!(repository, "oci:new#docker.io/library/alpine");
        assert_eq!(naming, Naming::Keep);
        let (repository, naming) = destination("alpine:3.20", "oci:new#a/b:2024").unwrap();
        assert_eq!(repository, "oci:new#docker.io/a/b");
        assert_eq!(naming, Naming::Tags(vec![Tag::parse("2024").unwrap()]));
        let (repository, _) = destination("oci:old#quay.io/a/b:v1", "oci:new").unwrap();
        assert_eq!(repository, "oci:new#quay.io/a/b");
        assert_eq!(
            destination("oci:old", "oci:new").unwrap_err().to_string(),
            "oci:new: the image has no name there. Write oci:new#NAME."
        );
    }

    #[test]
    fn a_rule_reads_a_layout() {
        let no_default = |_: &Repository| Err(RuleError("no default".to_owned()));
        let rule = Rule::parse("oci:old#alpine:3.20", &["r.example/a:v1"], &no_default).unwrap();
        assert_eq!(
            rule.source.repository,
            Repository::in_layout(Path::new("old"), "docker.io/library/alpine")
        );
        assert_eq!(
            rule.source.select,
            Selection::Tags(vec![Tag::parse("3.20").unwrap()])
        );
    }
}

//! References to images in layouts and archives: `oci:DIRECTORY#NAME`, `oci-archive:FILE#NAME`, and the same with a colon, as
//! skopeo writes it.

use std::path::Path;

use image_syncer_registry::Tag;

use crate::Repository;
use crate::rule::RuleError;
use crate::rule::source::{ParsedReference, ParsedSelection, parse_digest, parse_tags};
use crate::store::{Endpoint, FileKind, split_layout_path};

impl<'a> ParsedReference<'a> {
    /// Parses the reference of an image in a layout or an archive. Returns `None` for other texts.
    ///
    /// # Errors
    /// If the path or the name is missing or malformed.
    pub(super) fn parse_in_file(
        text: &'a str,
        exists: impl Fn(&Path) -> bool,
    ) -> Option<Result<Self, RuleError>> {
        let (kind, rest) = FileKind::strip(text)?;
        Some(match rest.split_once('#') {
            Some((path, name)) => Self::in_file(text, (kind, Path::new(path)), name),
            None => match split_layout_path(kind, rest, exists) {
                (path, Some(name)) => Self::with_ref_name(text, (kind, &path), name),
                (path, None) => file_at(text, (kind, &path)).map(|repository| Self {
                    repository,
                    chosen: ParsedSelection::Nothing,
                }),
            },
        })
    }
    fn in_file(text: &str, file: (FileKind, &Path), name: &'a str) -> Result<Self, RuleError> {
        let whole = file_at(text, file)?;
        if name.is_empty() {
            return Err(RuleError(format!(
                "{text}: the name after the # is missing. Write {whole}#NAME, or {whole}."
            )));
        }
        if let Some(chosen) = without_name(text, &whole, name)? {
            return Ok(Self {
                repository: whole,
                chosen,
            });
        }
        let parsed = Self::parse_in_registry(name)?;
        let repository = Repository::in_file(whole.endpoint(), &parsed.repository.to_string());
        Ok(Self {
            repository,
            ..parsed
        })
    }
    /// Parses `name` as skopeo does: a name of one component is a tag.
    fn with_ref_name(
        text: &str,
        file: (FileKind, &Path),
        name: &'a str,
    ) -> Result<Self, RuleError> {
        if name.contains(['/', ':', '@']) {
            return Self::in_file(text, file, name);
        }
        let tag = Tag::parse(name).map_err(|error| RuleError(format!("{text}: {error}")))?;
        Ok(Self {
            repository: file_at(text, file)?,
            chosen: ParsedSelection::Tags(vec![tag]),
        })
    }
}

/// Returns true if the text names a layout or an archive, or an image in one.
pub fn is_file_reference(text: &str) -> bool {
    FileKind::strip(text).is_some()
}

/// Returns the repository of the images without a name at a path.
fn file_at(text: &str, (kind, path): (FileKind, &Path)) -> Result<Repository, RuleError> {
    if path.as_os_str().is_empty() {
        let (scheme, place) = (kind.scheme(), kind.place());
        return Err(RuleError(format!(
            "{text}: the path is missing. Write {scheme}{place}, or {scheme}{place}#NAME."
        )));
    }
    if let Some(rest) = path.to_str().and_then(|path| path.strip_prefix("//")) {
        let scheme = kind.scheme();
        return Err(RuleError(format!(
            "{text}: a path follows the colon, without slashes of its own. Write {scheme}{rest}, or {scheme}/{rest}."
        )));
    }
    Ok(Repository::in_file(&Endpoint::in_file(kind, path), ""))
}

/// Parses the tags or the digest of an image that has no other name: `:v1` or `@sha256:…`. Returns `None` for a name.
fn without_name<'a>(
    text: &str,
    whole: &Repository,
    name: &'a str,
) -> Result<Option<ParsedSelection<'a>>, RuleError> {
    if let Some(digest) = name.strip_prefix('@') {
        let digest = parse_digest(text, digest)?;
        return Ok(Some(ParsedSelection::Digest { digest, tag: None }));
    }
    let Some(tags) = name.strip_prefix(':') else {
        return Ok(None);
    };
    Ok(Some(match tags.strip_prefix('/') {
        None => ParsedSelection::Tags(parse_tags(text, &format!("{whole}#"), tags)?),
        Some(expression) => match expression.strip_suffix('/') {
            Some(expression) => ParsedSelection::Expression(expression),
            None => {
                return Err(RuleError(format!(
                    "{text}: the expression has no closing slash. Write {whole}#:/{expression}/."
                )));
            }
        },
    }))
}

/// Returns `repository` with the name of the images of `source`, if it is in a layout or an archive and has none.
///
/// # Errors
/// If the source has no name either.
pub(super) fn with_name_of(
    repository: Repository,
    source: &Repository,
    text: &str,
) -> Result<Repository, RuleError> {
    if repository.endpoint().file_kind().is_none() || !repository.path().is_empty() {
        return Ok(repository);
    }
    let name = source.image_name();
    if name.is_empty() {
        return Err(RuleError(format!(
            "{text}: the image has no name there. Write {repository}#NAME."
        )));
    }
    Ok(Repository::in_file(repository.endpoint(), &name))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::rule::{Naming, Rule, RuleDestination, RuleSource, Selection};

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn shown(text: &str) -> String {
        let existing = |path: &Path| path == Path::new("store");
        match ParsedReference::parse_in_file(text, existing) {
            None => "no file".to_owned(),
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
        let unnamed = format!("oci:store#@{DIGEST}");
        let unnamed_shown = format!("oci:store {DIGEST}");
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
                "oci:: the path is missing. Write oci:DIRECTORY, or oci:DIRECTORY#NAME.",
            ),
            (
                "oci:#a",
                "oci:#a: the path is missing. Write oci:DIRECTORY, or oci:DIRECTORY#NAME.",
            ),
            (
                "oci:store#",
                "oci:store#: the name after the # is missing. Write oci:store#NAME, or oci:store.",
            ),
            ("oci-archive:a.tar", "oci-archive:a.tar all"),
            ("docker-archive:-", "docker-archive:- all"),
            (
                "oci-archive:a.tar#quay.io/a/b:v1",
                "oci-archive:a.tar#quay.io/a/b [\"v1\"]",
            ),
            ("docker-archive:store:v1", "docker-archive:store [\"v1\"]"),
            (
                "docker-archive:",
                "docker-archive:: the path is missing. Write docker-archive:FILE, or docker-archive:FILE#NAME.",
            ),
            (
                "docker-archive:new.tar:alpine:3.20",
                "docker-archive:new.tar#docker.io/library/alpine [\"3.20\"]",
            ),
            (
                "oci-archive://new.tar",
                "oci-archive://new.tar: a path follows the colon, without slashes of its own. Write oci-archive:new.tar, or oci-archive:/new.tar.",
            ),
            // Images without a name.
            ("oci:store#:v1,v2", "oci:store [\"v1\", \"v2\"]"),
            ("oci:store#:/v.*/", "oci:store /v.*/"),
            (&unnamed, &unnamed_shown),
            (
                "oci:store#:/v",
                "oci:store#:/v: the expression has no closing slash. Write oci:store#:/v/.",
            ),
            (
                "oci:store#:",
                "oci:store#:: the tag after the colon is missing. Write oci:store#:TAG, or oci:store# for every tag.",
            ),
            ("quay.io/a/b:v1", "no file"),
            ("ocis:v1", "no file"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
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

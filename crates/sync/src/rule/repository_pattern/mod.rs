//! Patterns over repositories: `harbor.example.com/team-*/**` (docs/config.md).

mod braces;
mod filter;
mod glob;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use image_syncer_registry::Registry;

use crate::Repository;
use crate::rule::source::{parse_tags, split_tags};
use crate::rule::{Pattern, RuleError, RuleSource, Selection};
use crate::store::{Endpoint, FileKind};

pub use filter::RepositoryFilter;
use glob::PathGlob;

/// Maximum number of patterns that the braces of one pattern stand for.
const MAX_PATTERNS: usize = 1_000;

/// Sources that one text stands for.
///
/// Alternatives in braces are expanded first, so that `r.example/{a,b/*}` is one source and one pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourcePattern {
    /// Repositories that the text names, which need no listing.
    pub named: Vec<RuleSource>,
    /// Patterns, for which repositories are listed.
    pub listed: Vec<RepositoryPattern>,
}

/// A pattern over the repositories of an endpoint. Displays as the user wrote it, without alternatives in braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryPattern {
    text: Arc<str>,
    endpoint: Endpoint,
    glob: PathGlob,
    select: Selection,
}

impl SourcePattern {
    /// Parses any source of the classic files, or a pattern: `registry/glob[:tags | :/regex/]` or
    /// `oci:DIRECTORY#registry/glob`, also over an archive.
    ///
    /// In a glob, `*` and `?` match within a component, `[…]` matches one character, `**` any number of components (at
    /// least one at the end), and `{a,b}` stands for both texts. A text whose only wildcards are braces names repositories. Unlike the name of a
    /// repository, a glob needs its registry: `team-*/**` might as well be a registry without a dot. On Docker Hub a glob of one
    /// component gets `library/` in front, as a name does.
    ///
    /// # Errors
    /// If the text is neither: the reason, and the text to write.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let refused = |why: String| RuleError(format!("{text}: {why}."));
        let (head, name, tail) = split(text);
        // A user in front is refused there, without the password.
        let has_user = name
            .split_once('@')
            .is_some_and(|(_, rest)| rest.contains('/'));
        if !has_wildcard(name) || has_user {
            let named = vec![RuleSource::parse(text)?];
            return Ok(Self {
                named,
                ..Self::default()
            });
        }
        check_host(name).map_err(refused)?;
        let names = braces::expand(name).map_err(refused)?;
        if names.iter().filter(|name| has_wildcard(name)).count() > MAX_PATTERNS {
            return Err(refused(format!(
                "the braces stand for more than {MAX_PATTERNS} patterns"
            )));
        }
        // Compiled once for all.
        let expression = expression(text, name, tail)?;
        let mut all = Self::default();
        // Two spellings may name one repository.
        let mut seen = std::collections::HashSet::with_capacity(names.len());
        for name in names {
            let whole = format!("{head}{name}");
            if has_wildcard(&name) {
                let pattern = RepositoryPattern::parse(&whole, expression.as_ref())?;
                all.listed.push(RepositoryPattern {
                    text: format!("{whole}{tail}").into(),
                    ..pattern
                });
                continue;
            }
            let mut source = RuleSource::parse(&whole)?;
            let tags = name.split_at_checked(split_tags(&name).0.len());
            let tags = tags.map(|(_, tags)| tags.to_owned());
            if let Some(expression) = &expression {
                source.select = expression.clone();
            }
            if seen.insert((source.repository.clone(), tags)) {
                all.named.push(source);
            }
        }
        Ok(all)
    }
}

impl RepositoryPattern {
    /// Parses a pattern without alternatives, and with tags unless it has an `expression`.
    fn parse(text: &str, expression: Option<&Selection>) -> Result<Self, RuleError> {
        let refused = |why: String| RuleError(format!("{text}: {why}."));
        let (head, name, _) = split(text);
        let (name, select) = match expression {
            Some(expression) => (name, expression.clone()),
            None => tags(text, name)?,
        };
        let (endpoint, path) = match FileKind::strip(head) {
            None => registry_of(name).map_err(refused)?,
            Some((kind, path)) => {
                let path = path.trim_end_matches('#');
                let glob = name_in_file(kind, path, name).map_err(refused)?;
                (Endpoint::in_file(kind, Path::new(path)), glob)
            }
        };
        let is_layout = endpoint.registry().is_none();
        let glob = if is_layout {
            PathGlob::parse(&path, |it| is_in_name(it) || it == ':')
        } else {
            PathGlob::parse(&path, is_in_name)
        };
        let glob = glob.map_err(refused)?;
        Ok(Self {
            text: text.into(),
            endpoint,
            glob,
            select,
        })
    }

    /// Returns the endpoint whose repositories are listed.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Returns the registry; `None` for the names of a layout.
    pub fn registry(&self) -> Option<&Registry> {
        self.endpoint.registry()
    }

    /// Returns the components before the first wildcard; empty for a whole registry.
    pub fn literal_prefix(&self) -> &str {
        self.glob.literal_prefix()
    }

    /// Returns the images that the pattern itself selects; [`Selection::All`] without tags in its text.
    pub fn select(&self) -> &Selection {
        &self.select
    }

    /// Returns true if the pattern matches `repository`.
    pub fn matches(&self, repository: &Repository) -> bool {
        *repository.endpoint() == self.endpoint && self.glob.matches(repository.path())
    }

    /// Returns true if the pattern may match a repository below the component `first`, such as a project of Harbor.
    pub fn may_match_below(&self, first: &str) -> bool {
        self.glob.may_match_below(first)
    }

    /// Returns a repository that the pattern matches, with `filler` for its wildcards and `depth` components for `**`.
    /// `None` if no repository can have that name.
    pub(super) fn example(&self, filler: char, depth: usize) -> Option<Repository> {
        let path = self.glob.example(filler, depth);
        let repository = Repository::at(&self.endpoint, &path)?;
        self.matches(&repository).then_some(repository)
    }
}

impl fmt::Display for RepositoryPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Splits a source into the directory of a layout, the name, and the expression with its colon.
fn split(text: &str) -> (&str, &str, &str) {
    let start = match (FileKind::strip(text), text.find('#')) {
        (Some(_), Some(hash)) => hash + 1,
        // Only names have wildcards.
        (Some(_), None) => text.len(),
        (None, _) => 0,
    };
    let (head, rest) = text.split_at_checked(start).unwrap_or((text, ""));
    let end = rest.find(":/").unwrap_or(rest.len());
    let (name, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
    (head, name, tail)
}

/// Returns true if the text has a wildcard. The brackets of an IPv6 address are none.
fn has_wildcard(text: &str) -> bool {
    let text = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(text, |(_, rest)| rest),
        None => text,
    };
    text.contains(['*', '?', '[', '{'])
}

/// Returns true for characters of the names of repositories.
fn is_in_name(character: char) -> bool {
    character.is_ascii_lowercase() || character.is_ascii_digit() || "._-".contains(character)
}

/// Returns true if the first component of a name is its registry.
fn is_host(component: &str) -> bool {
    component == "localhost" || component.contains(['.', ':'])
}

/// Refuses wildcards in the host.
fn check_host(name: &str) -> Result<(), String> {
    let (host, _) = name.split_once('/').unwrap_or((name, ""));
    if is_host(host) && has_wildcard(host) {
        return Err("the host is never a pattern. Write one source for each registry".to_owned());
    }
    Ok(())
}

/// Splits the registry from a glob.
fn registry_of(name: &str) -> Result<(Endpoint, String), String> {
    let Some((host, path)) = name.split_once('/').filter(|(host, _)| is_host(host)) else {
        return Err(format!(
            "a pattern needs its registry. Write docker.io/{name} for Docker Hub, or HOST/{name}"
        ));
    };
    let registry = Registry::parse(host).map_err(|why| why.to_string())?;
    let in_library = registry.is_docker_hub() && !path.contains('/') && path != "**";
    let path = if in_library {
        format!("library/{path}")
    } else {
        path.to_owned()
    };
    Ok((Endpoint::Registry(registry), path))
}

/// Checks that a glob over the names of a layout or an archive has a registry, as these names have.
fn name_in_file(kind: FileKind, path: &str, name: &str) -> Result<String, String> {
    let (host, _) = name.split_once('/').unwrap_or((name, ""));
    let scheme = kind.scheme();
    if path.is_empty() {
        let place = kind.place();
        return Err(format!("the path is missing. Write {scheme}{place}#NAME"));
    }
    if is_host(host) || host.contains('*') && name.contains('/') || name == "**" {
        return Ok(name.to_owned());
    }
    Err(format!(
        "the names there begin with their registry. Write {scheme}{path}#docker.io/{name}, or {scheme}{path}#**/{name} for every registry"
    ))
}

/// Parses the expression after a name; `None` without one.
fn expression(text: &str, name: &str, tail: &str) -> Result<Option<Selection>, RuleError> {
    let Some(expression) = tail.strip_prefix(":/") else {
        return Ok(None);
    };
    let Some(expression) = expression.strip_suffix('/') else {
        return Err(RuleError(format!(
            "{text}: the expression has no closing slash. Write {name}:/{expression}/."
        )));
    };
    Ok(Some(match expression {
        "" => Selection::All,
        expression => Selection::Matching(Pattern::new(expression)?),
    }))
}

/// Splits the tags from a name, and parses them.
fn tags<'a>(text: &str, name: &'a str) -> Result<(&'a str, Selection), RuleError> {
    if name.contains('@') {
        return Err(RuleError(format!(
            "{text}: a digest names one image, and a pattern many repositories. Write the repository, or remove the digest."
        )));
    }
    let (name, tags) = split_tags(name);
    match tags {
        None => Ok((name, Selection::All)),
        Some(tags) if has_wildcard(tags) => Err(RuleError(format!(
            "{text}: tags in a source are no globs. Write {name}, and the glob {tags} as `tags` of the rule."
        ))),
        Some(tags) => Ok((name, Selection::Tags(parse_tags(text, name, tags)?))),
    }
}

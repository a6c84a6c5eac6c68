//! Repositories that a rule leaves out.

use std::fmt;
use std::sync::Arc;

use crate::Repository;
use crate::rule::repository_pattern::glob::PathGlob;
use crate::rule::repository_pattern::{MAX_PATTERNS, braces, is_in_name};
use crate::rule::{Pattern, RuleError};

/// A filter on repositories: globs on the path or on `host/path`, or an expression between slashes that is found in
/// `host/path`.
///
/// `library/` may be left out for Docker Hub, as everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryFilter {
    text: Arc<str>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Globs(Vec<PathGlob>),
    Expression(Pattern),
}

impl RepositoryFilter {
    /// Parses a filter.
    ///
    /// # Errors
    /// For an invalid glob or expression: why, and what to write.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let refused = |why: String| RuleError(format!("{text}: {why}."));
        if text.is_empty() {
            return Err(RuleError(
                "the pattern is empty. Write a glob such as **/tmp-*, or an expression such as /-scratch$/."
                    .to_owned(),
            ));
        }
        let kind = if let Some(rest) = text.strip_prefix('/') {
            let Some(expression) = rest.strip_suffix('/') else {
                let why = format!("the expression has no closing slash. Write {text}/");
                return Err(refused(why));
            };
            Kind::Expression(Pattern::new(expression)?)
        } else {
            let globs = braces::expand(text).map_err(refused)?;
            if globs.len() > MAX_PATTERNS {
                let why = format!("the braces stand for more than {MAX_PATTERNS} patterns");
                return Err(refused(why));
            }
            let globs = globs.iter().map(|glob| parse_glob(glob));
            Kind::Globs(globs.collect::<Result<_, _>>().map_err(refused)?)
        };
        Ok(Self {
            text: text.into(),
            kind,
        })
    }

    /// Returns the filter as the user wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns true if the filter matches `repository`.
    pub fn matches(&self, repository: &Repository) -> bool {
        let name = repository.image_name();
        match &self.kind {
            Kind::Expression(expression) => expression.matches_text(&name),
            Kind::Globs(globs) => {
                let path = name.split_once('/').map_or("", |(_, path)| path);
                let short = name.strip_prefix("docker.io/library/");
                let names = [Some(&*name), Some(path), short];
                let mut names = names.into_iter().flatten();
                names.any(|name| globs.iter().any(|glob| glob.matches(name)))
            }
        }
    }
}

impl fmt::Display for RepositoryFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parse_glob(glob: &str) -> Result<PathGlob, String> {
    // In the first component, a colon begins a port.
    let path = glob.split_once('/').map_or(glob, |(_, path)| path);
    if path.contains(':') {
        return Err("it has a tag, and a repository is left out with all of its tags. Leave tags out with `exclude` of `tags`".to_owned());
    }
    PathGlob::parse(glob, |it| is_in_name(it) || it == ':')
}

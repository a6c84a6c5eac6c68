//! Images that a user names for a list.

use std::fmt;
use std::sync::Arc;

use globset::{GlobBuilder, GlobMatcher};
use image_syncer_registry::Registry;

use crate::Endpoint;
use crate::rule::{RepositoryPattern, RuleError, RuleSource, Selection, SourcePattern};

/// Characters that make the name of an image in a file a glob.
const WILDCARDS: [char; 4] = ['*', '?', '[', '{'];

/// Images, or repositories, that are listed.
#[derive(Clone, Debug)]
pub struct ImageScope {
    text: Arc<str>,
    parts: Vec<ScopePart>,
}

/// Part of a scope with a list of its own.
#[derive(Clone, Debug)]
pub(super) enum ScopePart {
    /// Images of a repository.
    Repository(RuleSource),
    /// Repositories that match a pattern, or their images if the pattern selects some.
    Pattern(Arc<RepositoryPattern>),
    /// All repositories of a registry.
    Registry(Endpoint),
    /// Images of a file whose names match.
    File {
        /// The file or directory.
        endpoint: Endpoint,
        /// Glob over names; `None` for all images.
        names: Option<GlobMatcher>,
    },
}

impl ImageScope {
    /// Parses a source of images:
    ///
    /// - every source of a rule, with or without tags: `registry/repository:v1,v2`;
    /// - a pattern over repositories: `registry/team/*` lists repositories, `registry/team/*:/^v1/` their images;
    /// - a registry, whose repositories are listed;
    /// - a file, all of whose images are listed: `oci:DIRECTORY`; with a glob over their names: `oci:DIRECTORY#*:v1`.
    ///
    /// # Errors
    /// If the text is none of them: the reason, and the text to write.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let registry = || match Registry::parse(text) {
            Ok(registry) if Registry::is_without_repository(text) => Some(registry),
            _ => None,
        };
        let parts = if let Some(file) = file_part(text)? {
            vec![file]
        } else if let Some(registry) = registry() {
            vec![ScopePart::Registry(Endpoint::Registry(registry))]
        } else {
            let SourcePattern { named, listed } = SourcePattern::parse(text)?;
            if let (Some(named), Some(listed)) = (named.first(), listed.first())
                && *listed.select() == Selection::All
            {
                let named = &named.repository;
                return Err(RuleError(format!(
                    "{text} stands for the repository {named} and the pattern {listed}. List them one after the other."
                )));
            }
            let named = named.into_iter().map(ScopePart::Repository);
            let parts = named.chain(listed.into_iter().map(|it| ScopePart::Pattern(it.into())));
            parts.collect()
        };
        Ok(Self {
            text: text.into(),
            parts,
        })
    }

    /// Returns true if the scope lists repositories, not images.
    pub fn has_repositories(&self) -> bool {
        self.parts.iter().any(|part| match part {
            ScopePart::Registry(_) => true,
            ScopePart::Pattern(pattern) => *pattern.select() == Selection::All,
            ScopePart::Repository(_) | ScopePart::File { .. } => false,
        })
    }

    /// Returns true if everything is in files, so that details need no request.
    pub fn is_local(&self) -> bool {
        self.parts.iter().all(|part| {
            let endpoint = match part {
                ScopePart::Repository(source) => source.repository.endpoint(),
                ScopePart::Pattern(pattern) => pattern.endpoint(),
                ScopePart::Registry(endpoint) | ScopePart::File { endpoint, .. } => endpoint,
            };
            endpoint.registry().is_none()
        })
    }

    /// Returns the parts.
    pub(super) fn parts(&self) -> &[ScopePart] {
        &self.parts
    }
}

impl fmt::Display for ImageScope {
    /// Writes the text of the user.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Parses a file without a name, or with a glob over names. Returns `None` for other texts.
fn file_part(text: &str) -> Result<Option<ScopePart>, RuleError> {
    let (file, name) = match text.split_once('#') {
        Some((file, name)) => (file, Some(name)),
        None => (text, None),
    };
    let Ok(RuleSource { repository, select }) = RuleSource::parse(file) else {
        return Ok(None);
    };
    let is_file = repository.endpoint().registry().is_none() && repository.path().is_empty();
    if !is_file || select != Selection::All {
        return Ok(None);
    }
    let names = match name {
        None => None,
        Some(glob) if glob.contains(WILDCARDS) && !glob.contains(":/") => {
            let matcher = GlobBuilder::new(glob).literal_separator(false).build();
            let refused = |error: globset::Error| RuleError(format!("{text}: {}", error.kind()));
            Some(matcher.map_err(refused)?.compile_matcher())
        }
        Some(_) => return Ok(None),
    };
    Ok(Some(ScopePart::File {
        endpoint: repository.endpoint().clone(),
        names,
    }))
}

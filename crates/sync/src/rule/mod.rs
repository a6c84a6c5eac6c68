//! Rules: one source selector and its destinations (docs/files.md#rules).

mod conflict;
mod destination;
mod distinct_ids;
mod identity;
mod if_empty;
mod immutable;
mod layout_glob;
mod layout_reference;
mod named_tags;
mod options;
mod overrides;
mod parts;
mod pattern_rule;
mod platform;
mod referrers;
mod repository_pattern;
mod rule_filter;
mod rule_set;
mod scope;
mod source;
mod tag_pattern;
pub mod tag_policy;
mod template;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image_syncer_registry::{Tag, Target};
use serde::{Deserialize, Serialize, Serializer};

use crate::Repository;
use crate::id::RuleId;
use crate::shard::TagParts;

pub use crate::discover::is_referrer_tag;
pub(crate) use conflict::ConflictDecision;
pub use conflict::{ConflictAction, ConflictPolicy};
pub use destination::{Naming, RuleDestination};
pub use distinct_ids::with_distinct_ids;
pub use if_empty::IfEmpty;
pub use immutable::Immutable;
pub use layout_glob::expand_layout_glob;
pub use layout_reference::is_file_reference;
pub use named_tags::{NamedTags, TagConflict};
pub use options::CopyOptions;
pub(crate) use options::{ReferrerChecks, fingerprint};
pub use overrides::OptionOverrides;
pub use parts::Parts;
pub use pattern_rule::PatternRule;
pub use platform::{PlatformError, PlatformFilter};
pub use referrers::Referrers;
pub use repository_pattern::{RepositoryFilter, RepositoryPattern, SourcePattern};
pub use rule_filter::RuleFilter;
pub use rule_set::RuleSet;
pub use scope::RuleScope;
pub use source::{Pattern, RuleSource, Selection};
pub use tag_pattern::TagPattern;
pub use tag_policy::TagPolicy;
pub(crate) use template::check_at_harbor;
pub use template::{
    DestinationClaims, DestinationTemplate, Rename, RenamePattern, TagTemplate, TemplateError,
};

/// One source and its destinations.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Identity of the rule in events.
    pub id: RuleId,
    /// The source as the user wrote it: the rule's name in messages and reports.
    pub name: Arc<str>,
    /// Position in the user's file.
    pub location: Option<Location>,
    /// Images to copy.
    pub source: RuleSource,
    /// Destinations; never empty.
    pub destinations: Vec<RuleDestination>,
    /// Options of the copies, for destinations without their own.
    pub options: Arc<CopyOptions>,
    /// Policy if the source has no image that the rule selects.
    pub if_empty: IfEmpty,
    /// Parts of the selected tags that this process copies; `None` for all. Empty results are judged by all of them.
    pub tag_parts: Option<TagParts>,
}

/// A place in a file. Displays as `images.yaml:3`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// The file. In serialised data, characters that are not Unicode are replaced.
    #[serde(serialize_with = "file_as_text")]
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

fn file_as_text<S: Serializer>(file: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&file.to_string_lossy())
}

/// Error of a text that is not a rule. The message says what to write instead.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct RuleError(pub String);

impl Rule {
    /// Parses a rule from the texts of the classic files. `default_destination` returns the repository that an empty
    /// destination means, or an error if there is none.
    pub fn parse(
        source: &str,
        destinations: &[&str],
        default_destination: &dyn Fn(&Repository) -> Result<Repository, RuleError>,
    ) -> Result<Self, RuleError> {
        let name = Arc::from(source);
        let source = RuleSource::parse(source)?;
        let mut parsed: Vec<RuleDestination> = Vec::with_capacity(destinations.len());
        for text in destinations {
            let destination = if text.is_empty() {
                RuleDestination {
                    repository: default_destination(&source.repository)?,
                    naming: Naming::Keep,
                    options: None,
                }
            } else {
                RuleDestination::parse(text, &source)?
            };
            if !parsed.contains(&destination) {
                parsed.push(destination);
            }
        }
        if parsed.is_empty() {
            return Err(RuleError(format!(
                "{name} has no destination. Write at least one, or \"\" for the default."
            )));
        }
        let mut rule = Self {
            id: RuleId::new(&name, None),
            name,
            location: None,
            source,
            destinations: parsed,
            options: Arc::default(),
            if_empty: IfEmpty::default(),
            tag_parts: None,
        };
        rule.drop_repeated_tags();
        Ok(rule)
    }

    /// Returns the rule with this place, and with the id that it has there.
    #[must_use]
    pub fn located_at(self, location: Location) -> Self {
        Self {
            id: RuleId::new(&self.name, Some((&location.file, location.line))),
            location: Some(location),
            ..self
        }
    }

    /// Returns the file and the line of the rule.
    fn place(&self) -> Option<(&Path, usize)> {
        let location = self.location.as_ref()?;
        Some((&location.file, location.line))
    }

    /// Returns the options of the copies to `destination`, one of the rule's.
    pub fn options_for<'a>(&'a self, destination: &'a RuleDestination) -> &'a Arc<CopyOptions> {
        destination.options.as_ref().unwrap_or(&self.options)
    }

    /// Returns true if the rule copies referrers with images to a destination.
    pub(crate) fn copies_referrers(&self) -> bool {
        let mut destinations = self.destinations.iter();
        destinations.any(|destination| self.options_for(destination).referrers.is_some())
    }

    /// Returns true if the rule copies referrers with images to `repository`.
    pub(crate) fn copies_referrers_to(&self, repository: &Repository) -> bool {
        let mut destinations = self.destinations.iter();
        destinations.any(|destination| {
            destination.repository == *repository
                && self.options_for(destination).referrers.is_some()
        })
    }

    /// Returns true if the rule copies `tag` of its source, if it exists. Of a policy, only the stages for names are
    /// applied.
    pub(crate) fn selects_tag(&self, tag: &Tag) -> bool {
        match &self.source.select {
            Selection::All => true,
            Selection::Matching(pattern) => pattern.matches(tag),
            Selection::Policy(policy) => policy.matches_name(tag),
            Selection::Tags(tags) => tags.contains(tag),
            Selection::Digest { .. } => false,
        }
    }

    /// Returns the images that the rule names, with their tags at `destination`; `None` if a list of the source's tags
    /// is needed.
    pub fn spelled_out(&self, destination: &RuleDestination) -> Option<Vec<(Target, Option<Tag>)>> {
        let images: Vec<(Target, Option<Tag>)> = match &self.source.select {
            Selection::Tags(tags) => tags
                .iter()
                .map(|tag| (Target::Tag(tag.clone()), Some(tag.clone())))
                .collect(),
            Selection::Digest { digest, tag } => {
                vec![(Target::Digest(digest.clone()), tag.clone())]
            }
            Selection::All | Selection::Matching(_) | Selection::Policy(_) => return None,
        };
        let named = images.into_iter().enumerate();
        let named = named.map_while(|(position, (target, tag))| {
            let name = match &destination.naming {
                Naming::Keep => tag,
                Naming::Untagged => None,
                Naming::Tags(tags) => Some(tags.get(position)?.clone()),
                // For listed tags only.
                Naming::Template(_) => return None,
            };
            Some((target, name))
        });
        Some(named.collect())
    }

    /// Returns true if this process copies `tag`.
    pub(crate) fn has_own(&self, tag: &Tag) -> bool {
        let parts = self.tag_parts.as_ref();
        parts.is_none_or(|parts| parts.contains(tag))
    }

    /// Returns true if this process copies the image that is called `tag`, or `target` without a tag.
    pub(crate) fn has_own_image(&self, target: &Target, tag: Option<&Tag>) -> bool {
        let parts = self.tag_parts.as_ref();
        parts.is_none_or(|parts| parts.contains_image(target, tag))
    }

    /// Removes duplicate source tags that would get the same names at every destination.
    fn drop_repeated_tags(&mut self) {
        let Selection::Tags(tags) = &mut self.source.select else {
            return;
        };
        let renames = |destinations: &[RuleDestination], position: usize| -> Vec<Option<Tag>> {
            destinations
                .iter()
                .map(|destination| match &destination.naming {
                    Naming::Tags(names) => names.get(position).cloned(),
                    Naming::Keep | Naming::Template(_) | Naming::Untagged => None,
                })
                .collect()
        };
        let mut seen = std::collections::HashSet::new();
        let keep: Vec<bool> = tags
            .iter()
            .enumerate()
            .map(|(position, tag)| {
                seen.insert((tag.clone(), renames(&self.destinations, position)))
            })
            .collect();
        retain_positions(tags, &keep);
        for destination in &mut self.destinations {
            if let Naming::Tags(names) = &mut destination.naming {
                retain_positions(names, &keep);
            }
        }
    }
}

fn retain_positions<T>(items: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    items.retain(|_| keep.next().copied().unwrap_or(true));
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

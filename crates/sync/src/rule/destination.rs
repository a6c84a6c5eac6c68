//! Destinations of rules.

use std::sync::Arc;

use image_syncer_registry::{Digest, Tag};

use crate::Repository;
use crate::rule::layout_reference::with_name_of;
use crate::rule::source::{ParsedReference, ParsedSelection, RuleSource, Selection};
use crate::rule::{CopyOptions, RuleError, TagTemplate};

/// A repository and the names that images get there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleDestination {
    /// The repository.
    pub repository: Repository,
    /// The names.
    pub naming: Naming,
    /// Options of the copies to this destination, if they are not those of the rule.
    pub options: Option<Arc<CopyOptions>>,
}

/// Names of images at a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Naming {
    /// As at the source; an image by digest without a tag stays untagged.
    Keep,
    /// These tags, pairwise with the source's tags (or the one tag for an image by digest).
    Tags(Vec<Tag>),
    /// A function of the tag, for tags that are listed.
    Template(Arc<TagTemplate>),
    /// By digest only.
    Untagged,
}

impl RuleDestination {
    /// Reads `registry/repository[:tags | @digest]` as a destination of `source`: every row of the table of
    /// docs/files.md#rules but the empty destination.
    pub fn parse(text: &str, source: &RuleSource) -> Result<Self, RuleError> {
        let ParsedReference { repository, chosen } = ParsedReference::parse(text)?;
        let repository = with_name_of(repository, &source.repository, text)?;
        let naming = match chosen {
            ParsedSelection::Nothing => Naming::Keep,
            ParsedSelection::Expression(_) => {
                return Err(RuleError(format!(
                    "{text}: a destination cannot have an expression. Write {repository}."
                )));
            }
            ParsedSelection::Tags(tags) => {
                no_port(text, &repository, &tags)?;
                renamed(text, &repository, tags, source)?
            }
            ParsedSelection::Digest { digest, tag } => {
                same_digest(text, &repository, &digest, source)?;
                tag.map_or(Naming::Untagged, |tag| Naming::Tags(vec![tag]))
            }
        };
        Ok(Self {
            repository,
            naming,
            options: None,
        })
    }

    /// Checks what [`RuleDestination::parse`] checks without knowing the source.
    ///
    /// # Errors
    /// If no source could be copied there.
    pub fn check(text: &str) -> Result<(), RuleError> {
        let ParsedReference { repository, chosen } = ParsedReference::parse(text)?;
        match chosen {
            ParsedSelection::Tags(tags) => no_port(text, &repository, &tags),
            ParsedSelection::Nothing
            | ParsedSelection::Expression(_)
            | ParsedSelection::Digest { .. } => Ok(()),
        }
    }
}

/// Refuses `name:5000`, which is the tag 5000 of an image of Docker itself and was meant as a registry: nobody else can
/// push there.
fn no_port(text: &str, repository: &Repository, tags: &[Tag]) -> Result<(), RuleError> {
    let ([tag], Some(_)) = (tags, repository.endpoint().registry()) else {
        return Ok(());
    };
    let is_port = tag.as_str().len() >= 4 && tag.as_str().parse::<u16>().is_ok();
    if text.contains('/') || !is_port {
        return Ok(());
    }
    Err(RuleError(format!(
        "{text}: a registry without a repository. Write {text}/REPOSITORY, or docker.io/library/{text} for an image of Docker Hub."
    )))
}

pub(super) fn renamed(
    text: &str,
    repository: &Repository,
    tags: Vec<Tag>,
    source: &RuleSource,
) -> Result<Naming, RuleError> {
    let count = match &source.select {
        Selection::All | Selection::Matching(_) | Selection::Policy(_) => {
            return Err(RuleError(format!(
                "{text}: several tags cannot get one name. Write {repository} to keep their names, or name the tags at the source."
            )));
        }
        Selection::Tags(tags) => tags.len(),
        Selection::Digest { .. } => 1,
    };
    if tags.len() != count {
        return Err(RuleError(format!(
            "{text}: {} at the destination for {} at the source. Write one for each, in the same order.",
            counted(tags.len()),
            counted(count)
        )));
    }
    if let Some((position, tag)) = tags
        .iter()
        .enumerate()
        .find(|(position, tag)| tags.iter().take(*position).any(|t| t == *tag))
        && distinct_sources(source, tags.iter().position(|t| t == tag), position)
    {
        return Err(RuleError(format!(
            "{text}: two images cannot both get the name {tag}"
        )));
    }
    Ok(Naming::Tags(tags))
}

fn distinct_sources(source: &RuleSource, first: Option<usize>, second: usize) -> bool {
    match (&source.select, first) {
        (Selection::Tags(tags), Some(first)) => tags.get(first) != tags.get(second),
        _ => true,
    }
}

fn same_digest(
    text: &str,
    repository: &Repository,
    digest: &Digest,
    source: &RuleSource,
) -> Result<(), RuleError> {
    match &source.select {
        Selection::Digest { digest: wanted, .. } if wanted == digest => Ok(()),
        Selection::Digest { digest: wanted, .. } => Err(RuleError(format!(
            "{text}: a copy keeps its digest. Write {repository}@{wanted}, or {repository}."
        ))),
        _ => Err(RuleError(format!(
            "{text}: a digest at the destination needs the same digest at the source. Write {repository}, or name the digest at the source."
        ))),
    }
}

fn counted(tags: usize) -> String {
    if tags == 1 {
        "1 tag".to_owned()
    } else {
        format!("{tags} tags")
    }
}

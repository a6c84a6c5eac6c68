//! Sources of rules.

use std::path::Path;
use std::sync::Arc;

use image_syncer_registry::{Digest, DigestError, Hasher, Registry, Tag};

use crate::Repository;
use crate::rule::{RuleError, TagPolicy};

/// A repository and a selection of its images.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RuleSource {
    /// The repository.
    pub repository: Repository,
    /// Selected images.
    pub select: Selection,
}

/// Selection of images of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Selection {
    /// Every tag.
    All,
    /// These tags, in this order. They need no list of the source's tags, and a missing one is a failure. A tag is
    /// listed twice only if it gets two names at a destination.
    Tags(Vec<Tag>),
    /// Tags in which the expression is found.
    Matching(Pattern),
    /// Tags that the policy selects.
    Policy(Arc<TagPolicy>),
    /// One image by its digest; the tag, if written, names it at the destination.
    Digest {
        /// Decides what is fetched.
        digest: Digest,
        /// The tag written beside it.
        tag: Option<Tag>,
    },
}

impl Selection {
    /// Returns true if the tags of the source must be listed.
    pub fn is_listed(&self) -> bool {
        match self {
            Self::All | Self::Matching(_) | Self::Policy(_) => true,
            Self::Tags(_) | Self::Digest { .. } => false,
        }
    }
}

/// An unanchored expression in RE2 syntax.
#[derive(Debug, Clone)]
pub struct Pattern(regex::Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}
impl Eq for Pattern {}
impl std::hash::Hash for Pattern {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Pattern {
    /// Compiles the expression between the slashes.
    pub fn new(expression: &str) -> Result<Self, RuleError> {
        regex::Regex::new(expression).map(Self).map_err(|error| {
            let what = match &error {
                regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
                // The library shows the position on several lines; the last one has the reason.
                other => {
                    let text = other.to_string();
                    text.lines()
                        .next_back()
                        .unwrap_or_default()
                        .trim_start_matches("error: ")
                        .to_owned()
                }
            };
            RuleError(format!(
                "the expression /{expression}/ cannot be used: {what}"
            ))
        })
    }
    /// Returns whether the expression is found in the tag.
    pub fn matches(&self, tag: &Tag) -> bool {
        self.matches_text(tag.as_str())
    }
    /// Returns true if the expression is found in `text`, a tag or a part of one.
    pub(crate) fn matches_text(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
    /// Returns the groups of the first match in `text`.
    pub(crate) fn captures<'a>(&self, text: &'a str) -> Option<regex::Captures<'a>> {
        self.0.captures(text)
    }
    /// Returns the number of groups.
    pub(crate) fn group_count(&self) -> usize {
        self.0.captures_len().saturating_sub(1)
    }
    /// The expression without its slashes.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl RuleSource {
    /// Reads `registry/repository[:tags | :/regex/ | @digest]` (docs/files.md#rules).
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        if text.is_empty() {
            return Err(RuleError(
                "the source is empty. Write registry/repository, with :tag or @digest.".into(),
            ));
        }
        let ParsedReference { repository, chosen } = ParsedReference::parse(text)?;
        let select = match chosen {
            // An empty expression is found in every tag.
            ParsedSelection::Nothing | ParsedSelection::Expression("") => Selection::All,
            ParsedSelection::Tags(tags) => Selection::Tags(tags),
            ParsedSelection::Expression(expression) => {
                Selection::Matching(Pattern::new(expression)?)
            }
            ParsedSelection::Digest { digest, tag } => Selection::Digest { digest, tag },
        };
        Ok(Self { repository, select })
    }
}

/// A parsed reference, of a source or a destination.
pub(super) struct ParsedReference<'a> {
    pub(super) repository: Repository,
    pub(super) chosen: ParsedSelection<'a>,
}

/// The part after a repository.
pub(super) enum ParsedSelection<'a> {
    Nothing,
    Tags(Vec<Tag>),
    Expression(&'a str),
    Digest { digest: Digest, tag: Option<Tag> },
}

impl<'a> ParsedReference<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, RuleError> {
        let in_file = Self::parse_in_file(text, Path::exists);
        in_file.unwrap_or_else(|| Self::parse_in_registry(text))
    }

    pub(super) fn parse_in_registry(text: &'a str) -> Result<Self, RuleError> {
        // `nginx://` selects every tag of nginx; a scheme is followed by a name.
        if let Some((scheme, rest)) = text.split_once("://")
            && !rest.is_empty()
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        {
            return Err(credentials_error(text));
        }
        // A colon before a slash begins an expression; a port follows the colon of a host.
        if let Some((name, expression)) = text.split_once(":/") {
            let Some(expression) = expression.strip_suffix('/') else {
                return Err(RuleError(format!(
                    "{text}: the expression has no closing slash. Write {name}:/{expression}/."
                )));
            };
            return Ok(Self {
                repository: repository(name)?,
                chosen: ParsedSelection::Expression(expression),
            });
        }
        if let Some((name, digest)) = text.split_once('@') {
            return Self::by_digest(text, name, digest);
        }
        let (name, tags) = split_tags(text);
        if tags.is_some() && Registry::is_without_repository(name) {
            // The colon is that of a port.
            repository(text)?;
        }
        let chosen = match tags {
            None => ParsedSelection::Nothing,
            Some(tags) => ParsedSelection::Tags(parse_tags(text, name, tags)?),
        };
        Ok(Self {
            repository: repository(name)?,
            chosen,
        })
    }

    fn by_digest(text: &str, name: &str, digest: &str) -> Result<Self, RuleError> {
        if digest.contains(',') {
            return Err(RuleError(format!(
                "{text}: nothing can follow a digest. Write one rule for the digest and one for the tags."
            )));
        }
        if digest.contains('/') {
            return Err(credentials_error(text));
        }
        let digest = parse_digest(text, digest)?;
        let (name, tags) = split_tags(name);
        let tag = match tags {
            None => None,
            Some(tags) => match <[Tag; 1]>::try_from(parse_tags(text, name, tags)?) {
                Ok([tag]) => Some(tag),
                Err(_) => {
                    return Err(RuleError(format!(
                        "{text}: a digest names one image, so only one tag can precede the @"
                    )));
                }
            },
        };
        Ok(Self {
            repository: repository(name)?,
            chosen: ParsedSelection::Digest { digest, tag },
        })
    }
}

/// Parses a digest that can be verified.
pub(super) fn parse_digest(text: &str, digest: &str) -> Result<Digest, RuleError> {
    let refused = |error: DigestError| RuleError(format!("{text}: {error}"));
    let digest = Digest::parse(digest).map_err(refused)?;
    Hasher::new(&digest).map_err(refused)?;
    Ok(digest)
}

/// Returns the error for a scheme or a user in front, without the password.
fn credentials_error(text: &str) -> RuleError {
    match Repository::parse(text) {
        Err(error) => RuleError(error.to_string()),
        Ok(_) => RuleError("a scheme or a user precedes the name. Remove it.".to_owned()),
    }
}

fn repository(name: &str) -> Result<Repository, RuleError> {
    if let Some((first, _)) = name.split_once(',') {
        return Err(RuleError(format!(
            "{name}: tags follow a colon. Write {first}:TAG,TAG."
        )));
    }
    Repository::parse(name).map_err(|error| RuleError(error.to_string()))
}

/// Splits at the colon that begins the tags. It is after the last slash; a colon before that begins a port.
pub(super) fn split_tags(text: &str) -> (&str, Option<&str>) {
    let last = text.rfind('/').map_or(0, |slash| slash + 1);
    // An IPv6 host without a path is no repository; its colons are not tags.
    match text
        .get(last..)
        .filter(|rest| !rest.starts_with('['))
        .and_then(|rest| rest.find(':'))
    {
        Some(colon) => match text.split_at_checked(last + colon) {
            Some((name, rest)) => (name, rest.strip_prefix(':')),
            None => (text, None),
        },
        None => (text, None),
    }
}

pub(super) fn parse_tags(text: &str, name: &str, tags: &str) -> Result<Vec<Tag>, RuleError> {
    if tags.is_empty() {
        return Err(RuleError(format!(
            "{text}: the tag after the colon is missing. Write {name}:TAG, or {name} for every tag."
        )));
    }
    let last = tags.matches(',').count();
    tags.split(',')
        .enumerate()
        .map(|(position, tag)| {
            // Blanks are ignored around a comma, but not at the ends of the list.
            let tag = if position == 0 { tag } else { tag.trim_start() };
            let tag = if position == last {
                tag
            } else {
                tag.trim_end()
            };
            if tag.is_empty() {
                return Err(RuleError(format!(
                    "{text}: tag {} of the list is empty. Remove the comma, or write the tag.",
                    position + 1
                )));
            }
            Tag::parse(tag).map_err(|error| {
                if tag.contains(['*', '?', '^', '$', '(', '[']) {
                    RuleError(format!(
                        "{text}: {tag} is not a tag. For an expression write {name}:/{}/.",
                        if tag == "*" { "" } else { tag }
                    ))
                } else {
                    RuleError(format!("{text}: {error}"))
                }
            })
        })
        .collect()
}

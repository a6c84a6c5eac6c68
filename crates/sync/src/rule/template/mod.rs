//! Templates of destinations: `registry.example.com/mirror/{repository}` (docs/config.md).
//!
//! | Field | Value |
//! |---|---|
//! | `{repository}` | whole path |
//! | `{name}`, `{namespace}` | last component, and the rest. An empty `{namespace}/` is left out |
//! | `{registry}` | `host[:port]`, for the place of a registry |
//! | `{host}` | the host without the port, for a path, which has no colon |
//! | `{date}` | the day in UTC on which the template is parsed: `2026-01-31` |
//! | `{tag}`, `{1}`…`{9}` | tag, and the groups of its expression; only in the name of a tag |

mod claims;
mod error;
mod filter;
mod limits;
mod parts;
mod rename;
mod tag;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use image_syncer_registry::Registry;

use crate::Repository;
use crate::rule::{CopyOptions, Naming, RuleDestination, RuleError, RuleSource, Selection};
use crate::store::{Endpoint, FileKind};

pub use claims::DestinationClaims;
pub use error::TemplateError;
use parts::{Field, Part, Parts, Values};
pub use rename::{Rename, RenamePattern};
pub use tag::TagTemplate;

/// A destination of many sources. Displays as the user wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationTemplate {
    text: Arc<str>,
    repository: Parts,
    tag: Option<Arc<TagTemplate>>,
    rename: Arc<[Rename]>,
    /// True if the registry is known to be Harbor.
    pub is_harbor: bool,
    /// Options of the copies to this destination, if they are not those of the rule.
    pub options: Option<Arc<CopyOptions>>,
}

impl DestinationTemplate {
    /// Parses a destination of the classic files without fields, or `registry/template[:tag template]`. The empty
    /// destination is [`Defaults::template`](crate::config::Defaults::template).
    ///
    /// # Errors
    /// For a text that is no destination of any source.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let without_fields = !text.contains(['{', '}']);
        let (repository, tag) = if without_fields {
            RuleDestination::check(text).map_err(|error| TemplateError::new(0, error.0))?;
            (Parts::parse(text)?, None)
        } else {
            if let Some((scheme, rest)) = text.split_once("://") {
                let why =
                    format!("a scheme precedes the registry. Remove {scheme}:// and write {rest}.");
                return Err(TemplateError::new(0, why));
            }
            let (repository, tag) = split_tag(text)?;
            let parts = Parts::parse(repository)?;
            check_fields(repository, &parts)?;
            if FileKind::strip(repository).is_none() {
                check_registry(text, repository)?;
            }
            let tag = tag.map(|tag| {
                let template = TagTemplate::parse(tag);
                template.map_err(|error| error.after(repository.len() + 1))
            });
            (parts, tag.transpose()?)
        };
        Ok(Self {
            text: text.into(),
            repository,
            tag: tag.map(Arc::new),
            rename: Arc::default(),
            is_harbor: false,
            options: None,
        })
    }

    /// Returns the destination with a name for tags.
    ///
    /// # Errors
    /// If the destination has one already.
    pub fn with_tag(self, tag: TagTemplate) -> Result<Self, RuleError> {
        if self.tag.is_some() || has_tag(&self.text) {
            return Err(RuleError(format!(
                "the tag is given twice: in {self} and in `tag`. Remove one of them."
            )));
        }
        Ok(Self {
            tag: Some(Arc::new(tag)),
            ..self
        })
    }

    /// Returns the destination with changes of paths, of which the first that is found is made.
    ///
    /// # Errors
    /// If the destination does not depend on the path.
    pub fn with_rename(self, rename: Vec<Rename>) -> Result<Self, RuleError> {
        let uses_path = self.repository.fields().any(Field::is_of_path)
            || self.tag.as_ref().is_some_and(|tag| tag.uses_path());
        if !uses_path && !rename.is_empty() {
            return Err(RuleError(format!(
                "{self}: rename changes the path of the source, which the destination does not have. Write {{repository}} in it, or remove `rename`."
            )));
        }
        Ok(Self {
            rename: rename.into(),
            ..self
        })
    }

    /// Returns the destination with options of its own.
    #[must_use]
    pub fn with_options(self, options: Arc<CopyOptions>) -> Self {
        Self {
            options: Some(options),
            ..self
        }
    }

    /// Returns true if both lead every source to the same place, with any options.
    pub(crate) fn is_same_place(&self, other: &Self) -> bool {
        let place = |it: &Self| (it.text.clone(), it.tag.clone(), it.rename.clone());
        place(self) == place(other)
    }

    /// Returns the name of tags; `None` if they keep their names, or the text of the destination has it.
    pub fn tag(&self) -> Option<&TagTemplate> {
        self.tag.as_deref()
    }

    /// Returns the endpoint; `None` if it depends on the source.
    pub fn endpoint(&self) -> Option<Endpoint> {
        let Some(Part::Text(first)) = self.repository.as_slice().first() else {
            return None;
        };
        if self.repository.as_text().is_some() {
            let source = RuleSource::parse(first).ok()?;
            return Some(source.repository.endpoint().clone());
        }
        if FileKind::strip(first).is_some() {
            let (file, _) = first.split_once('#')?;
            return Endpoint::from_name(file);
        }
        let (host, _) = first.split_once('/')?;
        Registry::parse(host).ok().map(Endpoint::Registry)
    }

    /// Returns the destination of `source`.
    ///
    /// # Errors
    /// If it is no legal repository, exceeds a limit of its registry, is the source itself, or cannot name its tags.
    pub fn destination(&self, source: &RuleSource) -> Result<RuleDestination, RuleError> {
        let refused = |why: String| {
            RuleError(format!(
                "no destination {self} for {}: {why}",
                source.repository
            ))
        };
        let mut destination = self.rendered(source).map_err(refused)?;
        limits::check(&destination.repository, self.is_harbor).map_err(refused)?;
        if is_same(source, &destination) {
            return Err(refused("it is the source itself.".to_owned()));
        }
        destination.options.clone_from(&self.options);
        Ok(destination)
    }

    fn rendered(&self, source: &RuleSource) -> Result<RuleDestination, String> {
        let name = SourceName::new(&source.repository, &self.rename);
        let values = name.values();
        let text = match self.repository.as_text() {
            Some(text) => text.to_owned(),
            None => self.rendered_text(&values)?,
        };
        let parsed = RuleDestination::parse(&text, source);
        let mut destination = parsed.map_err(|error| error.0)?;
        if let Some(tag) = &self.tag {
            let repository = &destination.repository;
            let naming = tag.naming(&values, source, repository);
            destination.naming = naming.map_err(|error| error.0)?;
        }
        Ok(destination)
    }

    /// Renders the reference without a tag.
    fn rendered_text(&self, values: &Values<'_>) -> Result<String, String> {
        if values.path.is_empty() {
            return Err("the image has no name. Write the destination without braces.".to_owned());
        }
        let text = self.repository.render(values)?;
        if FileKind::strip(&text).is_some() {
            return Ok(text);
        }
        let (host, path) = text.split_once('/').unwrap_or((&text, ""));
        if !is_host(host) {
            return Err(format!(
                "{host} is no registry. Write the registry of the destination."
            ));
        }
        if path.contains(':') {
            return Err("the registry has a port, and no path has a colon. Write {host} for the host alone.".to_owned());
        }
        Ok(text)
    }
}

/// Checks the repository of a destination that is known to be at Harbor.
///
/// # Errors
/// The limit that it exceeds.
pub(crate) fn check_at_harbor(repository: &Repository) -> Result<(), RuleError> {
    limits::check(repository, true).map_err(|why| RuleError(format!("{repository}: {why}")))
}

impl fmt::Display for DestinationTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Name of a source, apart from its endpoint: that of the images of a layout has a registry as well.
struct SourceName<'a> {
    registry: Cow<'a, str>,
    path: Cow<'a, str>,
}

impl<'a> SourceName<'a> {
    fn new(source: &'a Repository, rename: &[Rename]) -> Self {
        let (registry, path) = match source.endpoint() {
            Endpoint::Registry(registry) => (registry.as_str(), source.path()),
            Endpoint::Layout(_) | Endpoint::Archive(..) => {
                source.path().split_once('/').unwrap_or_default()
            }
        };
        let renamed = rename.iter().find_map(|rename| rename.apply(path));
        Self {
            registry: Cow::Borrowed(registry),
            path: renamed.map_or(Cow::Borrowed(path), Cow::Owned),
        }
    }

    fn values(&self) -> Values<'_> {
        // The colons of an IPv6 address are within brackets.
        let port = self.registry.rfind(':');
        let port = port.filter(|_| !self.registry.ends_with(']'));
        Values {
            registry: &self.registry,
            host: port
                .and_then(|port| self.registry.get(..port))
                .unwrap_or(&self.registry),
            path: &self.path,
        }
    }
}

/// Returns true if an image of `source` would be copied onto itself, or, for a list of tags, onto another tag of the
/// list.
fn is_same(source: &RuleSource, destination: &RuleDestination) -> bool {
    if source.repository != destination.repository {
        return false;
    }
    match (&source.select, &destination.naming) {
        (_, Naming::Keep) => true,
        (Selection::Tags(tags), Naming::Tags(names)) => {
            tags.iter().zip(names).any(|(tag, name)| tag == name)
        }
        (Selection::Tags(_) | Selection::Digest { .. }, _) => false,
        _ => true,
    }
}

/// Returns true if the first component of a reference is its registry.
fn is_host(component: &str) -> bool {
    component == "localhost" || component.contains(['.', ':'])
}

/// Splits the name of tags from a template: it follows the first colon after the last slash, both outside braces.
fn split_tag(text: &str) -> Result<(&str, Option<&str>), TemplateError> {
    let start = match (FileKind::strip(text), text.find('#')) {
        (Some(_), Some(hash)) => hash,
        (Some(_), None) => return Ok((text, None)),
        (None, _) => 0,
    };
    let (mut depth, mut colon) = (0_usize, None);
    for (offset, character) in text
        .char_indices()
        .skip_while(|(offset, _)| *offset < start)
    {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            '@' => {
                let why = "a template has no digest. Remove it: images that are named by digest keep theirs.";
                return Err(TemplateError::new(offset, why));
            }
            '/' if colon.is_some_and(|colon| colon + 1 == offset) => {
                let why = "a destination has no expression. Write {tag}, and the expression as `tags` of the rule.";
                return Err(TemplateError::new(offset, why));
            }
            '/' => colon = None,
            ':' if colon.is_none() => colon = Some(offset),
            _ => {}
        }
    }
    let Some((repository, tag)) = colon.and_then(|colon| text.split_at_checked(colon)) else {
        return Ok((text, None));
    };
    Ok((repository, tag.strip_prefix(':')))
}

/// Returns true if a destination without fields names tags or a digest.
fn has_tag(text: &str) -> bool {
    let name = match FileKind::strip(text) {
        Some((_, rest)) => rest.split_once('#').map_or("", |(_, name)| name),
        None => text,
    };
    let last = name.rsplit('/').next().unwrap_or_default();
    !text.contains('{') && (last.contains(':') || name.contains('@'))
}

/// Refuses fields of the tag in the name of a repository.
fn check_fields(text: &str, parts: &Parts) -> Result<(), TemplateError> {
    let Some(field) = parts.fields().find(|field| field.is_of_tag()) else {
        return Ok(());
    };
    let name = match field {
        Field::Group(number) => format!("{{{number}"),
        _ => "{tag".to_owned(),
    };
    let why = format!(
        "a repository cannot depend on the tag. Write {name}}} after a colon behind the repository."
    );
    Err(TemplateError::new(
        text.find(&name).unwrap_or_default(),
        why,
    ))
}

/// Checks that a template with fields begins with a registry.
fn check_registry(text: &str, repository: &str) -> Result<(), TemplateError> {
    let mut depth = 0_usize;
    let slash = repository.find(|character| {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && character == '/'
    });
    let Some((first, _)) = slash.and_then(|slash| repository.split_at_checked(slash)) else {
        let why = format!("the destination has no registry. Write HOST/{text}.");
        return Err(TemplateError::new(0, why));
    };
    let parts = Parts::parse(first)?;
    if let Some(host) = parts.as_text() {
        if !is_host(host) {
            let why = format!(
                "the destination has no registry. Write docker.io/{text} for Docker Hub, or HOST/{text}."
            );
            return Err(TemplateError::new(0, why));
        }
        let checked = Registry::parse(host);
        return checked
            .map(drop)
            .map_err(|why| TemplateError::new(0, format!("{why}.")));
    }
    if parts
        .fields()
        .any(|field| !matches!(field, Field::Registry | Field::Host))
    {
        let why = format!(
            "the destination begins with its registry, which does not depend on the path. Write HOST/{text}."
        );
        return Err(TemplateError::new(0, why));
    }
    Ok(())
}

//! Names of tags at a destination: `{tag}-mirror`.

use std::fmt;
use std::sync::Arc;

use image_syncer_registry::Tag;

use crate::Repository;
use crate::rule::destination::renamed;
use crate::rule::source::parse_tags;
use crate::rule::template::error::TemplateError;
use crate::rule::template::parts::{Field, Part, Parts, Values};
use crate::rule::{Naming, Pattern, RuleError, RuleSource, Selection};

/// Name of a tag at a destination. Displays as the user wrote it.
///
/// Fields are those of a repository, `{tag}`, and `{1}` to `{9}`: the groups of the first expression of the rule's
/// `tags` that is found in the tag. A group without a part in the match is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagTemplate {
    text: Arc<str>,
    parts: Parts,
    expressions: Arc<[Pattern]>,
}

impl TagTemplate {
    /// Parses a template, or the tags of a source that names its tags (`v1,v2`).
    ///
    /// # Errors
    /// For a mistake in the braces, or a character that no tag has.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.is_empty() {
            let why = "the tag is empty. Write one, such as {tag}.";
            return Err(TemplateError::new(0, why));
        }
        let parts = Parts::parse(text)?;
        if parts.as_text().is_some() {
            let tags = parse_tags(text, "REPOSITORY", text);
            tags.map_err(|error| TemplateError::new(0, error.0))?;
        } else {
            let mut within = 0_usize;
            for (offset, character) in text.char_indices() {
                match character {
                    '{' => within += 1,
                    '}' => within = within.saturating_sub(1),
                    _ if within > 0 || is_in_tag(character) => {}
                    _ => {
                        let why = format!(
                            "no tag has {character:?} in it. Write letters, digits, dots, dashes and underscores beside the braces."
                        );
                        return Err(TemplateError::new(offset, why));
                    }
                }
            }
        }
        Ok(Self {
            text: text.into(),
            parts,
            expressions: Arc::default(),
        })
    }

    /// Renders the name of `tag`.
    ///
    /// # Errors
    /// If the name is no tag.
    pub fn render(&self, tag: &Tag) -> Result<Tag, RuleError> {
        let refused = |why: String| RuleError(format!("cannot name {tag} by {self}: {why}"));
        let mut expressions = self.expressions.iter();
        let groups = expressions.find_map(|expression| expression.captures(tag.as_str()));
        let name = self.parts.render_tag(|field| match (field, &groups) {
            (Field::Group(number), Some(groups)) => {
                let group = groups.get(usize::from(number));
                Ok(group.map_or_else(String::new, |group| group.as_str().to_owned()))
            }
            (Field::Group(number), None) => Err(format!("no expression has a group {number}")),
            _ => Ok(tag.as_str().to_owned()),
        });
        Tag::parse(&name.map_err(refused)?).map_err(|error| refused(error.to_string()))
    }

    /// Returns true if a field is that of the path of the repository.
    pub(super) fn uses_path(&self) -> bool {
        self.parts.fields().any(Field::is_of_path)
    }

    /// Returns the names of the images of `source` in `repository`.
    ///
    /// # Errors
    /// If the source has no value for a field, or fewer or more tags than names.
    pub(super) fn naming(
        self: &Arc<Self>,
        values: &Values<'_>,
        source: &RuleSource,
        repository: &Repository,
    ) -> Result<Naming, RuleError> {
        let refused = |why: String| RuleError(format!("{self}: {why}"));
        let is_bound = self.parts.fields().all(Field::is_of_tag);
        let parts = if is_bound {
            self.parts.clone()
        } else {
            self.parts.bind(values).map_err(refused)?
        };
        if let Some(text) = parts.as_text() {
            let tags = parse_tags(text, "REPOSITORY", text)?;
            return renamed(text, repository, tags, source);
        }
        let groups = parts.fields().filter_map(|field| match field {
            Field::Group(number) => Some(number),
            _ => None,
        });
        let expressions = match groups.max() {
            Some(last) => expressions(&source.select, last).map_err(refused)?,
            None => Vec::new(),
        };
        if is_bound && expressions.is_empty() {
            return self.applied(source, repository);
        }
        let bound = Self {
            text: Arc::clone(&self.text),
            parts,
            expressions: expressions.into(),
        };
        Arc::new(bound).applied(source, repository)
    }

    fn applied(
        self: &Arc<Self>,
        source: &RuleSource,
        repository: &Repository,
    ) -> Result<Naming, RuleError> {
        let tags = match &source.select {
            Selection::Tags(tags) => tags.iter().collect(),
            Selection::Digest { tag: Some(tag), .. } => vec![tag],
            Selection::Digest { tag: None, .. } => {
                return Err(RuleError(format!(
                    "{self}: the source names a digest without a tag. Write the tag before the @."
                )));
            }
            _ if self.keeps_tags() => return Ok(Naming::Keep),
            _ => return Ok(Naming::Template(Arc::clone(self))),
        };
        let names = tags.into_iter().map(|tag| self.render(tag));
        let names = names.collect::<Result<Vec<Tag>, RuleError>>()?;
        renamed(&self.text, repository, names, source)
    }

    /// Returns a text that is the same for templates with equal names only.
    pub(super) fn key(&self) -> String {
        let mut text = self.parts.key();
        for expression in &*self.expressions {
            text.push('\n');
            text.push_str(expression.as_str());
        }
        text
    }

    /// Returns the tag that gets the name `name`; `None` if that is unknown, or none does. It is known for a tag between
    /// texts.
    pub(crate) fn source_of(&self, name: &Tag) -> Option<Tag> {
        let mut rest = name.as_str();
        let mut parts = self.parts.as_slice();
        while let [Part::Text(text), after @ ..] = parts {
            (rest, parts) = (rest.strip_prefix(&**text)?, after);
        }
        while let [before @ .., Part::Text(text)] = parts {
            (rest, parts) = (rest.strip_suffix(&**text)?, before);
        }
        match parts {
            [
                Part::Field {
                    field: Field::Tag,
                    filters,
                },
            ] if filters.is_empty() => Tag::parse(rest).ok(),
            _ => None,
        }
    }

    /// Returns true if no two tags get the same name.
    pub(crate) fn keeps_apart(&self) -> bool {
        let mut fields = self.parts.as_slice().iter().filter_map(|part| match part {
            Part::Field { field, filters } => Some((*field, filters.is_empty())),
            Part::Text(_) => None,
        });
        fields.next() == Some((Field::Tag, true)) && fields.next().is_none()
    }

    /// Returns true if every tag keeps its name.
    fn keeps_tags(&self) -> bool {
        let [Part::Field { field, filters }] = self.parts.as_slice() else {
            return false;
        };
        *field == Field::Tag && filters.is_empty()
    }
}

impl fmt::Display for TagTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn is_in_tag(character: char) -> bool {
    character.is_ascii_alphanumeric() || "_.-".contains(character)
}

/// Returns the expressions of a selection, each with a group `last`.
fn expressions(select: &Selection, last: u8) -> Result<Vec<Pattern>, String> {
    let expressions = match select {
        Selection::Matching(expression) => vec![expression.clone()],
        Selection::Policy(policy) => {
            let include = policy.include.iter().map(|pattern| {
                pattern.expression().cloned().ok_or_else(|| {
                    format!("{{{last}}} is a group of an expression, and tags that {pattern} matches have none. Write expressions only.")
                })
            });
            include.collect::<Result<_, _>>()?
        }
        Selection::All | Selection::Tags(_) | Selection::Digest { .. } => Vec::new(),
    };
    if expressions.is_empty() {
        return Err(format!(
            "{{{last}}} is a group of an expression. Write one as `tags`, such as /^v([0-9]+)$/."
        ));
    }
    for expression in &expressions {
        let count = expression.group_count();
        if count < usize::from(last) {
            let groups = if count == 1 { "group" } else { "groups" };
            return Err(format!(
                "the expression /{}/ has {count} {groups}, not {last}.",
                expression.as_str()
            ));
        }
    }
    Ok(expressions)
}

#[cfg(test)]
#[path = "tag_tests.rs"]
mod tests;

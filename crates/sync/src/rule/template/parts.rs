//! Texts with fields: `mirror/{repository|flatten}`.

use std::fmt::Write as _;

use crate::rule::template::error::TemplateError;
use crate::rule::template::filter::Filter;
use crate::text::nearest;

/// Maximum length of a template.
const MAX_TEMPLATE: usize = 1_024;

/// A text with fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Parts(Box<[Part]>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    Text(Box<str>),
    Field {
        field: Field,
        filters: Box<[Filter]>,
    },
}

/// A value of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Field {
    /// The path of the repository.
    Repository,
    /// Its last component.
    Name,
    /// The components before that.
    Namespace,
    /// The host of its registry, without the port.
    Host,
    /// Its registry as in references, with the port.
    Registry,
    /// The tag.
    Tag,
    /// A group of the expression that selected the tag.
    Group(u8),
}

/// Values of a source.
#[derive(Clone, Debug, Default)]
pub(super) struct Values<'a> {
    /// The registry, with its port.
    pub(super) registry: &'a str,
    /// The host, without the port.
    pub(super) host: &'a str,
    /// The path of the repository.
    pub(super) path: &'a str,
}

/// Names of the fields besides `{1}` to `{9}`.
const NAMES: [&str; 7] = [
    "repository",
    "name",
    "namespace",
    "host",
    "registry",
    "date",
    "tag",
];
/// The fields.
const USAGE: &str =
    "{repository}, {name}, {namespace}, {host}, {registry}, {date}, {tag} or {1} to {9}";
/// Name of the field that is the day on which the text is parsed.
const DATE: &str = "date";

impl Field {
    fn parse(name: &str) -> Result<Self, String> {
        Ok(match name {
            "repository" => Self::Repository,
            "name" => Self::Name,
            "namespace" => Self::Namespace,
            "host" => Self::Host,
            "registry" => Self::Registry,
            "tag" => Self::Tag,
            "" => return Err(format!("the braces are empty. Write {USAGE}.")),
            _ => {
                if let [digit @ b'1'..=b'9'] = name.as_bytes() {
                    return Ok(Self::Group(digit - b'0'));
                }
                return Err(if name.contains(',') {
                    format!(
                        "{{{name}}}: a destination has no alternatives. Write one entry of `to` for each."
                    )
                } else if name.bytes().all(|byte| byte.is_ascii_digit()) {
                    format!("{{{name}}}: the groups of an expression are {{1}} to {{9}}.")
                } else if let Some(near) = nearest(name, &NAMES) {
                    format!(
                        "unknown name {{{name}}}. Did you mean {{{near}}}? The names are {USAGE}."
                    )
                } else {
                    format!("unknown name {{{name}}}. Write {USAGE}.")
                });
            }
        })
    }

    /// Returns true if the value belongs to the tag.
    pub(super) fn is_of_tag(self) -> bool {
        matches!(self, Self::Tag | Self::Group(_))
    }

    /// Returns true if the value is that of the path.
    pub(super) fn is_of_path(self) -> bool {
        matches!(self, Self::Repository | Self::Name | Self::Namespace)
    }

    fn value<'a>(self, values: &Values<'a>) -> Option<&'a str> {
        let (namespace, name) = values.path.rsplit_once('/').unwrap_or(("", values.path));
        match self {
            Self::Repository => Some(values.path),
            Self::Name => Some(name),
            Self::Namespace => Some(namespace),
            Self::Host => Some(values.host),
            Self::Registry => Some(values.registry),
            Self::Tag | Self::Group(_) => None,
        }
    }
}

impl Parts {
    /// Parses a text. `{` begins a field in any place, since no reference has a brace. `{date}` becomes a text.
    ///
    /// # Errors
    /// For braces without counterpart, and unknown names and filters.
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.len() > MAX_TEMPLATE {
            let why = format!(
                "the text has {} characters, more than {MAX_TEMPLATE}.",
                text.len()
            );
            return Err(TemplateError::new(0, why));
        }
        let mut parts = Vec::new();
        let mut offset = 0;
        while let Some(rest) = text.get(offset..).filter(|rest| !rest.is_empty()) {
            let literal = rest.split('{').next().unwrap_or_default();
            if let Some(brace) = literal.find('}') {
                let why =
                    "a closing brace has no opening one, and a reference has no brace. Remove it.";
                return Err(TemplateError::new(offset + brace, why));
            }
            add_text(&mut parts, literal);
            offset += literal.len();
            let Some(field) = rest
                .get(literal.len()..)
                .and_then(|it| it.strip_prefix('{'))
            else {
                break;
            };
            let Some((field, _)) = field.split_once('}') else {
                let why = "an opening brace has no closing one. Write a name between braces, such as {repository}.";
                return Err(TemplateError::new(offset, why));
            };
            if let Some(brace) = field.find('{') {
                let why = "a brace follows an opening one, and a reference has no brace. Write one pair of braces around a name, such as {repository}.";
                return Err(TemplateError::new(offset + 1 + brace, why));
            }
            match Part::parse(field).map_err(|error| error.after(offset + 1))? {
                Part::Text(text) => add_text(&mut parts, &text),
                field @ Part::Field { .. } => parts.push(field),
            }
            offset += field.len() + 2;
        }
        Ok(Self(parts.into()))
    }

    /// Returns the fields.
    pub(super) fn fields(&self) -> impl Iterator<Item = Field> {
        self.0.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Field { field, .. } => Some(*field),
        })
    }

    /// Returns the parts.
    pub(super) fn as_slice(&self) -> &[Part] {
        &self.0
    }

    /// Returns the text, if there is no field.
    pub(super) fn as_text(&self) -> Option<&str> {
        match &*self.0 {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Renders the text for a repository. An empty `{namespace}` between slashes leaves one of them out.
    ///
    /// # Errors
    /// If a value becomes too long.
    pub(super) fn render(&self, values: &Values<'_>) -> Result<String, String> {
        let mut text = String::new();
        let mut skip_slash = false;
        for part in &self.0 {
            match part {
                Part::Text(literal) => {
                    let shortened = literal.strip_prefix('/').filter(|_| skip_slash);
                    text.push_str(shortened.unwrap_or(literal));
                    skip_slash = false;
                }
                Part::Field { field, filters } => {
                    let value = field.value(values).unwrap_or_default();
                    let value = filtered(value, filters)?;
                    text.push_str(&value);
                    let is_empty = *field == Field::Namespace && value.is_empty();
                    skip_slash = is_empty && text.ends_with('/');
                }
            }
        }
        Ok(text)
    }

    /// Returns the parts with the values of a repository in place, so that only fields of the tag are left.
    ///
    /// # Errors
    /// If a value becomes too long.
    pub(super) fn bind(&self, values: &Values<'_>) -> Result<Self, String> {
        let mut parts: Vec<Part> = Vec::with_capacity(self.0.len());
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Field { field, filters } => {
                    if let Some(value) = field.value(values) {
                        text.push_str(&filtered(value, filters)?);
                        continue;
                    }
                    if !text.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut text).into()));
                    }
                    parts.push(part.clone());
                }
            }
        }
        if !text.is_empty() {
            parts.push(Part::Text(text.into()));
        }
        Ok(Self(parts.into()))
    }

    /// Renders the text for a tag with the values of `value`.
    ///
    /// # Errors
    /// If a value is missing or becomes too long.
    pub(super) fn render_tag(
        &self,
        value: impl Fn(Field) -> Result<String, String>,
    ) -> Result<String, String> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Field { field, filters } => {
                    text.push_str(&filtered(&value(*field)?, filters)?);
                }
            }
        }
        Ok(text)
    }

    /// Returns a text that is the same for equal parts only.
    pub(super) fn key(&self) -> String {
        let mut text = String::new();
        for part in &self.0 {
            let _ = match part {
                Part::Text(literal) => write!(text, "{literal}"),
                Part::Field { field, filters } => write!(text, "{{{field:?}{filters:?}}}"),
            };
        }
        text
    }
}

impl Part {
    fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut pieces = text.split('|');
        let name = pieces.next().unwrap_or_default();
        if let Some((before, _)) = name.split_once(':') {
            let why = format!(
                "a bar precedes a filter. Write {{{before}|{}}}.",
                after_colon(name)
            );
            return Err(TemplateError::new(before.len(), why));
        }
        let field = match name {
            DATE => None,
            _ => Some(Field::parse(name).map_err(|why| TemplateError::new(0, why))?),
        };
        let mut offset = name.len();
        let mut filters = Vec::new();
        for piece in pieces {
            offset += 1;
            filters.push(Filter::parse(piece).map_err(|error| error.after(offset))?);
            offset += piece.len();
        }
        let Some(field) = field else {
            let today = filtered(&today(), &filters).map_err(|why| TemplateError::new(0, why))?;
            return Ok(Self::Text(today.into()));
        };
        Ok(Self::Field {
            field,
            filters: filters.into(),
        })
    }
}

/// Appends a text, in one part with a text before it.
fn add_text(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(Part::Text(last)) => *last = format!("{last}{text}").into(),
        _ => parts.push(Part::Text(text.into())),
    }
}

/// Returns the present day in UTC: `2026-01-31`.
fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}

fn after_colon(text: &str) -> &str {
    text.split_once(':').map_or("", |(_, rest)| rest)
}

fn filtered(value: &str, filters: &[Filter]) -> Result<String, String> {
    let mut value = value.to_owned();
    for filter in filters {
        value = filter.apply(&value)?;
    }
    Ok(value)
}

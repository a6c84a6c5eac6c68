//! Patterns for tags.

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};
use image_syncer_registry::Tag;

use crate::rule::{Pattern, RuleError};

/// Pattern for tags: an expression between slashes, as in rules, or a glob.
#[derive(Clone, Debug)]
pub struct TagPattern(Kind);

#[derive(Clone, Debug)]
enum Kind {
    /// Matches the whole tag: `v*`, `v[0-9]*`, `{1,2}.*`.
    Glob(GlobMatcher),
    /// Found anywhere in the tag, as in rules: `/^v[0-9.]+$/`.
    Expression(Pattern),
}

impl PartialEq for TagPattern {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Kind::Glob(one), Kind::Glob(other)) => one.glob() == other.glob(),
            (Kind::Expression(one), Kind::Expression(other)) => one == other,
            (Kind::Glob(_) | Kind::Expression(_), _) => false,
        }
    }
}
impl Eq for TagPattern {}

impl std::hash::Hash for TagPattern {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match &self.0 {
            Kind::Glob(glob) => glob.glob().glob().hash(state),
            Kind::Expression(pattern) => pattern.hash(state),
        }
    }
}

impl TagPattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// For an invalid pattern, or one that no tag can match: why, and what to write.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        Self::parse_text(text).map_err(RuleError)
    }
    fn parse_text(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err(
                "the pattern is empty. Write a glob such as v*, or * for every tag.".into(),
            );
        }
        if let Some(rest) = text.strip_prefix('/') {
            let Some(expression) = rest.strip_suffix('/') else {
                return Err(format!(
                    "the expression has no closing slash. Write {text}/."
                ));
            };
            let pattern = Pattern::new(expression);
            return pattern
                .map(|pattern| Self(Kind::Expression(pattern)))
                .map_err(|why| format!("{why}. Write one in RE2 syntax, such as /^v[0-9]/."));
        }
        if let Some(stranger) = impossible_char(text) {
            return Err(format!(
                "no tag has {stranger:?} in it. Write a pattern for the tag alone, such as v*."
            ));
        }
        let glob = GlobBuilder::new(text).backslash_escape(true).build();
        let glob = glob.map_err(|why| {
            format!(
                "not a glob: {}. Write one such as v* or v[0-9]*, or an expression such as /^v[0-9]/.",
                why.kind()
            )
        })?;
        Ok(Self(Kind::Glob(glob.compile_matcher())))
    }
    /// Returns the expression; `None` for a glob.
    pub(crate) fn expression(&self) -> Option<&Pattern> {
        match &self.0 {
            Kind::Glob(_) => None,
            Kind::Expression(pattern) => Some(pattern),
        }
    }
    /// Returns true if the pattern matches `tag`.
    pub fn matches(&self, tag: &Tag) -> bool {
        self.matches_text(tag.as_str())
    }
    /// Returns true if the pattern matches `text`, a tag or a part of one.
    pub(crate) fn matches_text(&self, text: &str) -> bool {
        match &self.0 {
            Kind::Glob(glob) => glob.is_match(text),
            Kind::Expression(pattern) => pattern.matches_text(text),
        }
    }
}

/// Writes the pattern as it is written in files.
impl fmt::Display for TagPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Glob(glob) => f.write_str(glob.glob().glob()),
            Kind::Expression(pattern) => write!(f, "/{}/", pattern.as_str()),
        }
    }
}

/// Returns a literal character of the glob that no tag can have. Characters between brackets and braces are not
/// checked.
fn impossible_char(glob: &str) -> Option<char> {
    let mut within = 0_usize;
    glob.chars().find(|character| {
        match character {
            '{' | '[' => within += 1,
            '}' | ']' => within = within.saturating_sub(1),
            _ => {}
        }
        within == 0 && !character.is_ascii_alphanumeric() && !"_.-*?[]{}\\".contains(*character)
    })
}

//! Changes of paths before templates: `rename: {"/^coreos\/(.+)$/": "core/$1"}`.

use crate::rule::Pattern;
use crate::rule::template::error::TemplateError;

/// Change of the path of a repository: an expression and the replacement of its first match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    pattern: RenamePattern,
    replacement: Vec<Piece>,
}

/// Expression of a [`Rename`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenamePattern(Pattern);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Group(usize),
}

impl RenamePattern {
    /// Parses an expression between slashes.
    ///
    /// # Errors
    /// Without slashes, or for an invalid expression.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let refused = |why: String| TemplateError::new(0, format!("{text}: {why}"));
        let inner = text.strip_prefix('/').and_then(|it| it.strip_suffix('/'));
        let Some(expression) = inner.filter(|inner| !inner.is_empty()) else {
            return Err(refused(format!(
                "rename needs an expression between slashes. Write /^{}$/.",
                text.trim_matches('/')
            )));
        };
        let pattern = Pattern::new(expression).map_err(|error| TemplateError::new(0, error.0))?;
        Ok(Self(pattern))
    }

    /// Returns the change of what is found to `replacement`, in which `$1` to `$9` are the groups of the expression,
    /// and `$0` is the whole match.
    ///
    /// # Errors
    /// For a group that the expression does not have, and characters that no path has.
    pub fn to(self, replacement: &str) -> Result<Rename, TemplateError> {
        let groups = self.0.group_count();
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut characters = replacement.char_indices();
        while let Some((offset, character)) = characters.next() {
            if character != '$' {
                if !(is_in_path(character)) {
                    let why = format!("no path has {character:?} in it.");
                    return Err(TemplateError::new(offset, why));
                }
                text.push(character);
                continue;
            }
            let rest = characters.as_str();
            let (number, length) = group(rest).ok_or_else(|| {
                let why = "a dollar sign begins a group. Write $1 to $9.";
                TemplateError::new(offset, why)
            })?;
            if number > groups {
                let count = if groups == 1 {
                    "1 group".to_owned()
                } else {
                    format!("{groups} groups")
                };
                let why = format!(
                    "the expression /{}/ has {count}, not {number}.",
                    self.0.as_str()
                );
                return Err(TemplateError::new(offset, why));
            }
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
            }
            pieces.push(Piece::Group(number));
            for _ in 0..length {
                characters.next();
            }
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Ok(Rename {
            pattern: self,
            replacement: pieces,
        })
    }
}

impl Rename {
    /// Returns the changed path; `None` if the expression is not found.
    pub(super) fn apply(&self, path: &str) -> Option<String> {
        let groups = self.pattern.0.captures(path)?;
        let found = groups.get(0)?;
        let mut renamed = path.get(..found.start())?.to_owned();
        for piece in &self.replacement {
            match piece {
                Piece::Text(text) => renamed.push_str(text),
                Piece::Group(number) => {
                    renamed.push_str(groups.get(*number).map_or("", |group| group.as_str()));
                }
            }
        }
        renamed.push_str(path.get(found.end()..)?);
        Some(renamed)
    }
}

/// Returns the number of `1` or `{1}`, and its length in the text.
fn group(text: &str) -> Option<(usize, usize)> {
    let (digit, length) = match text.as_bytes() {
        [digit @ b'0'..=b'9', ..] => (digit, 1),
        [b'{', digit @ b'0'..=b'9', b'}', ..] => (digit, 3),
        _ => return None,
    };
    Some((usize::from(digit - b'0'), length))
}

fn is_in_path(character: char) -> bool {
    character.is_ascii_lowercase() || character.is_ascii_digit() || "._-/".contains(character)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn renamed(pattern: &str, replacement: &str, path: &str) -> Option<String> {
        let pattern = RenamePattern::parse(pattern).unwrap();
        pattern.to(replacement).unwrap().apply(path)
    }

    #[test]
    fn the_first_match_is_replaced() {
        for (pattern, replacement, path, expected) in [
            (
                r"/^coreos\/(.+)$/",
                "core/$1",
                "coreos/etcd",
                Some("core/etcd"),
            ),
            (r"/^coreos\/(.+)$/", "core/$1", "x/coreos/etcd", None),
            ("/-/", "_", "a-b-c", Some("a_b-c")),
            ("/^(a)(x)?/", "${1}$2", "ab", Some("ab")),
            ("/^(.)(.)/", "$2$1", "abc", Some("bac")),
            ("/^(.)/", "$10", "abc", Some("a0bc")),
            ("/b/", "$0$0", "abc", Some("abbc")),
            ("/^team/", "", "team-a", Some("-a")),
        ] {
            assert_eq!(
                renamed(pattern, replacement, path).as_deref(),
                expected,
                "{pattern}"
            );
        }
    }

    #[test]
    fn mistakes_have_a_place() {
        for (pattern, why) in [
            (
                "coreos/(.+)",
                "coreos/(.+): rename needs an expression between slashes. Write /^coreos/(.+)$/.",
            ),
            (
                "/coreos",
                "/coreos: rename needs an expression between slashes. Write /^coreos$/.",
            ),
            ("/(/", "the expression /(/ cannot be used: unclosed group"),
        ] {
            assert_eq!(RenamePattern::parse(pattern).unwrap_err().message, why);
        }
        for (replacement, offset, why) in [
            ("a$2", 1, "the expression /(.)/ has 1 group, not 2."),
            ("a$", 1, "a dollar sign begins a group. Write $1 to $9."),
            ("a$name", 1, "a dollar sign begins a group. Write $1 to $9."),
            ("aB", 1, "no path has 'B' in it."),
        ] {
            let error = RenamePattern::parse("/(.)/").unwrap().to(replacement);
            assert_eq!(error.unwrap_err(), TemplateError::new(offset, why));
        }
    }
}

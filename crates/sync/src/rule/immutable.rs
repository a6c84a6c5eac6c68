//! Tags that the user declares immutable.

use std::fmt;

use image_syncer_registry::Tag;

use crate::rule::{RuleError, TagPattern};

/// Patterns of `--immutable`. A tag is immutable if one of them matches it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Immutable(Vec<TagPattern>);

impl Immutable {
    /// Parses the patterns: an expression between slashes, as in rules, or a glob.
    ///
    /// # Errors
    /// For an invalid pattern, or one that no tag can match.
    pub fn parse(patterns: &[String]) -> Result<Self, RuleError> {
        let patterns = patterns.iter().map(|text| {
            TagPattern::parse(text).map_err(|why| {
                let hint = if text.contains(',') {
                    " Write the flag once for each pattern."
                } else {
                    ""
                };
                RuleError(format!("--immutable {text}: {why}{hint}"))
            })
        });
        Ok(Self(patterns.collect::<Result<_, _>>()?))
    }
    /// Returns true if there are no patterns.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// Returns whether `tag` is immutable.
    pub fn matches(&self, tag: &Tag) -> bool {
        self.0.iter().any(|pattern| pattern.matches(tag))
    }
}

/// Writes the patterns as they are written in files.
impl fmt::Display for Immutable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&patterns.join(", "))
    }
}

impl From<Vec<TagPattern>> for Immutable {
    fn from(patterns: Vec<TagPattern>) -> Self {
        Self(patterns)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn matching(patterns: &[&str], tags: &[&str]) -> Vec<String> {
        let patterns: Vec<String> = patterns.iter().map(|text| (*text).to_owned()).collect();
        let immutable = Immutable::parse(&patterns).unwrap();
        let tags = tags.iter().map(|tag| Tag::parse(tag).unwrap());
        tags.filter(|tag| immutable.matches(tag))
            .map(|tag| tag.to_string())
            .collect()
    }

    #[test]
    fn a_glob_matches_the_whole_tag_and_an_expression_is_found_in_it() {
        let tags = ["v1", "v1.2", "dev1", "latest", "1.2-rc1"];
        assert_eq!(matching(&["v*"], &tags), ["v1", "v1.2"]);
        assert_eq!(matching(&["v?"], &tags), ["v1"]);
        assert_eq!(matching(&["{v1,latest}"], &tags), ["v1", "latest"]);
        assert_eq!(matching(&["v[0-9].*"], &tags), ["v1.2"]);
        assert_eq!(matching(&["/v1/"], &tags), ["v1", "v1.2", "dev1"]);
        assert_eq!(matching(&["/^v[0-9,]{1,2}$/"], &tags), ["v1"]);
        assert_eq!(matching(&["latest", "/rc/"], &tags), ["latest", "1.2-rc1"]);
        assert_eq!(matching(&["*"], &tags).len(), 5);
        assert_eq!(matching(&[], &tags), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_what_to_write() {
        let refused = |text: &str| {
            let error = Immutable::parse(&["v*".to_owned(), text.to_owned()]);
            error.unwrap_err().to_string()
        };
        let alone = "Write a pattern for the tag alone, such as v*.";
        let expected = [
            ("", "the pattern is empty. Write a glob such as v*, or * for every tag.".to_owned()),
            ("/v", "the expression has no closing slash. Write /v/.".to_owned()),
            (
                "/(/",
                "the expression /(/ cannot be used: unclosed group. Write one in RE2 syntax, such as /^v[0-9]/.".to_owned(),
            ),
            (
                "v[",
                "not a glob: unclosed character class; missing ']'. Write one such as v* or v[0-9]*, or an expression such as /^v[0-9]/."
                    .to_owned(),
            ),
            (
                "v1,v2",
                format!("no tag has ',' in it. {alone} Write the flag once for each pattern."),
            ),
            ("app:v*", format!("no tag has ':' in it. {alone}")),
            ("v 1", format!("no tag has ' ' in it. {alone}")),
        ];
        for (pattern, why) in expected {
            assert_eq!(refused(pattern), format!("--immutable {pattern}: {why}"));
        }
    }
}

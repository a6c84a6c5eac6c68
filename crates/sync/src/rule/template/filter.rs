//! Filters of the fields of templates: `{repository|strip:team/|flatten:_}`.

use crate::rule::template::error::TemplateError;
use crate::text::nearest;

/// Maximum length of a value.
const MAX_VALUE: usize = 4_096;

/// Change of the value of a field.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Filter {
    /// Removes a prefix if the value has it, and a slash that is first then.
    Strip(Box<str>),
    /// Replaces slashes.
    Flatten(Box<str>),
    /// Keeps the last components.
    Last(usize),
    /// Changes letters to lower case.
    Lower,
    /// Replaces every occurrence of a text.
    Replace(Box<str>, Box<str>),
}

/// Names of the filters.
const NAMES: [&str; 5] = ["flatten", "last", "lower", "replace", "strip"];
/// The filters with their arguments.
const USAGE: &str = "|strip:PREFIX, |flatten, |flatten:SEPARATOR, |last:N, |lower or |replace:A:B";

impl Filter {
    /// Parses a filter without the bar before it.
    ///
    /// # Errors
    /// For an unknown name, or a missing or wrong argument.
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        let refused = |why: String| Err(TemplateError::new(0, why));
        let (name, argument) = match text.split_once(':') {
            Some((name, argument)) => (name, Some(argument)),
            None => (text, None),
        };
        match (name, argument) {
            ("strip", Some(prefix)) if !prefix.is_empty() => Ok(Self::Strip(prefix.into())),
            ("strip", _) => refused("the filter strip needs a prefix. Write |strip:PREFIX.".to_owned()),
            ("flatten", None) => Ok(Self::Flatten("-".into())),
            ("flatten", Some(separator)) if !separator.contains('/') => {
                Ok(Self::Flatten(separator.into()))
            }
            ("flatten", Some(_)) => refused(
                "the filter flatten removes slashes, so that its separator has none. Write |flatten:- or |flatten:_.".to_owned(),
            ),
            ("last", argument) => match argument.unwrap_or_default().parse() {
                Ok(count) if count > 0 => Ok(Self::Last(count)),
                _ => refused(
                    "the filter last needs a number of components. Write |last:1 for the last one.".to_owned(),
                ),
            },
            ("lower", None) => Ok(Self::Lower),
            ("lower", Some(_)) => refused("the filter lower has no argument. Write |lower.".to_owned()),
            ("replace", Some(argument)) => match argument.split_once(':') {
                Some((old, new)) if !old.is_empty() && !new.contains(':') => {
                    Ok(Self::Replace(old.into(), new.into()))
                }
                _ => refused(REPLACE.to_owned()),
            },
            ("replace", None) => refused(REPLACE.to_owned()),
            ("", _) => refused(format!("no filter follows the bar. Write {USAGE}.")),
            (other, _) => refused(match nearest(other, &NAMES) {
                Some(name) => format!("unknown filter {other}. Did you mean {name}? The filters are {USAGE}."),
                None => format!("unknown filter {other}. Write {USAGE}."),
            }),
        }
    }

    /// Applies the filter.
    ///
    /// # Errors
    /// If the value becomes too long.
    pub(super) fn apply(&self, value: &str) -> Result<String, String> {
        let value = match self {
            Self::Strip(prefix) => match value.strip_prefix(&**prefix) {
                Some(rest) => rest.strip_prefix('/').unwrap_or(rest).to_owned(),
                None => value.to_owned(),
            },
            Self::Flatten(separator) => value.replace('/', separator),
            Self::Last(count) => {
                let components: Vec<&str> = value.rsplitn(count.saturating_add(1), '/').collect();
                let last: Vec<&str> = components.into_iter().take(*count).collect();
                last.into_iter().rev().collect::<Vec<&str>>().join("/")
            }
            Self::Lower => value.to_lowercase(),
            Self::Replace(old, new) => value.replace(&**old, new),
        };
        if value.len() > MAX_VALUE {
            return Err(format!("a value has more than {MAX_VALUE} characters"));
        }
        Ok(value)
    }
}

/// Error of `replace` without two arguments.
const REPLACE: &str = "the filter replace needs a text and its replacement. Write |replace:A:B.";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn filters_change_values() {
        for (filter, value, expected) in [
            ("strip:team-", "team-a/b", "a/b"),
            ("strip:team", "team/b", "b"),
            ("strip:team/", "team/b", "b"),
            ("strip:team", "other/team", "other/team"),
            ("strip:a/b", "a/b", ""),
            ("flatten", "a/b/c", "a-b-c"),
            ("flatten:__", "a/b/c", "a__b__c"),
            ("flatten:", "a/b", "ab"),
            ("last:1", "a/b/c", "c"),
            ("last:2", "a/b/c", "b/c"),
            ("last:9", "a/b/c", "a/b/c"),
            ("last:18446744073709551615", "a/b", "a/b"),
            ("lower", "V1-RC", "v1-rc"),
            ("replace:a:bb", "a/ca", "bb/cbb"),
            ("replace:-:", "a-b", "ab"),
        ] {
            let filter = Filter::parse(filter).unwrap();
            assert_eq!(filter.apply(value).unwrap(), expected, "{filter:?}");
        }
        let long = Filter::parse(&format!("replace:a:{}", "b".repeat(100))).unwrap();
        let why = long.apply(&"a".repeat(255)).unwrap_err();
        assert_eq!(why, "a value has more than 4096 characters");
    }

    #[test]
    fn mistakes_in_filters_are_named() {
        for (filter, why) in [
            (
                "strip",
                "the filter strip needs a prefix. Write |strip:PREFIX.",
            ),
            (
                "strip:",
                "the filter strip needs a prefix. Write |strip:PREFIX.",
            ),
            (
                "flatten:/",
                "the filter flatten removes slashes, so that its separator has none. Write |flatten:- or |flatten:_.",
            ),
            (
                "last",
                "the filter last needs a number of components. Write |last:1 for the last one.",
            ),
            (
                "last:0",
                "the filter last needs a number of components. Write |last:1 for the last one.",
            ),
            ("lower:x", "the filter lower has no argument. Write |lower."),
            ("replace", REPLACE),
            ("replace:a", REPLACE),
            ("replace::a", REPLACE),
            ("replace:a:b:c", REPLACE),
            (
                "flaten",
                "unknown filter flaten. Did you mean flatten? The filters are |strip:PREFIX, |flatten, |flatten:SEPARATOR, |last:N, |lower or |replace:A:B.",
            ),
            (
                "upper",
                "unknown filter upper. Write |strip:PREFIX, |flatten, |flatten:SEPARATOR, |last:N, |lower or |replace:A:B.",
            ),
            (
                "",
                "no filter follows the bar. Write |strip:PREFIX, |flatten, |flatten:SEPARATOR, |last:N, |lower or |replace:A:B.",
            ),
        ] {
            assert_eq!(Filter::parse(filter).unwrap_err().message, why, "{filter}");
        }
    }
}

//! Texts of policies, for descriptions of rules.

use std::fmt;

use crate::rule::tag_policy::age::age_text;
use crate::rule::tag_policy::{AgeLimit, AgeSource, Newest, TagPolicy, VariantPattern};

/// Writes the stages of the policy in their order: `include v*; semver >=1.30; older than 3 d; newest 5 per minor`.
impl fmt::Display for TagPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut stages = Vec::new();
        let mut add = |name: &str, items: Vec<String>| {
            if !items.is_empty() {
                stages.push(format!("{name} {}", items.join(", ")));
            }
        };
        add("include", texts(&self.include));
        add("exclude", texts(&self.exclude));
        add(
            "semver",
            self.semver.iter().map(ToString::to_string).collect(),
        );
        if self.uses_versions() && self.prerelease {
            add("with prereleases", vec![String::new()]);
        }
        add("variants", texts(&self.variants));
        add(
            "older than",
            self.older_than.iter().map(limit_text).collect(),
        );
        add(
            "newer than",
            self.newer_than.iter().map(limit_text).collect(),
        );
        add(
            "newest",
            self.newest.iter().map(ToString::to_string).collect(),
        );
        if self.at_least > 0 {
            add("at least", vec![self.at_least.to_string()]);
        }
        let stages: Vec<&str> = stages.iter().map(|stage| stage.trim_end()).collect();
        if stages.is_empty() {
            return f.write_str("every tag");
        }
        f.write_str(&stages.join("; "))
    }
}

/// Writes the pattern as in files; the empty one in quotes.
impl fmt::Display for VariantPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("\"\""),
            Some(pattern) => pattern.fmt(f),
        }
    }
}

/// Writes `5 pushed per minor`; the default order and group are left out.
impl fmt::Display for Newest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (by, per) = (self.by.suffix(), self.per.suffix());
        write!(f, "{}{by}{per}", self.count)
    }
}

fn texts(items: &[impl ToString]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn limit_text(limit: &AgeLimit) -> String {
    let age = age_text(limit.age);
    match limit.by {
        AgeSource::Auto => age,
        by => format!("{age} by {by}"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::rule::TagPattern;
    use crate::rule::tag_policy::{NewestBy, NewestPer, VersionRange, parse_age};

    #[test]
    fn a_policy_is_written_stage_by_stage() {
        assert_eq!(TagPolicy::default().to_string(), "every tag");
        let patterns = |texts: &[&str]| -> Vec<TagPattern> {
            texts
                .iter()
                .map(|it| TagPattern::parse(it).unwrap())
                .collect()
        };
        let limit = |age: &str, by| {
            Some(AgeLimit {
                age: parse_age(age).unwrap(),
                by,
            })
        };
        let policy = TagPolicy {
            include: patterns(&["v*", "/^1/"]),
            exclude: patterns(&["*-perl"]),
            semver: Some(VersionRange::parse(">=1.20 <2").unwrap()),
            prerelease: true,
            variants: ["", "alpine*"]
                .map(|it| VariantPattern::parse(it).unwrap())
                .to_vec(),
            older_than: limit("3d", AgeSource::Auto),
            newer_than: limit("12h", AgeSource::Created),
            newest: Some(Newest {
                count: NonZeroUsize::new(5).unwrap(),
                by: NewestBy::Pushed,
                per: NewestPer::Minor,
            }),
            at_least: 2,
        };
        assert_eq!(
            policy.to_string(),
            "include v*, /^1/; exclude *-perl; semver >=1.20 <2; with prereleases; variants \"\", alpine*; older than 3 d; \
             newer than 12 h by created; newest 5 pushed per minor; at least 2"
        );
    }
}

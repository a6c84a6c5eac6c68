//! The key `tags` of a rule.

use std::num::NonZeroUsize;
use std::sync::Arc;

use image_syncer_registry::Tag;

use super::fields::{Fields, items, pairs, text};
use super::findings::Findings;
use super::options::pattern;
use super::reading::Source;
use super::secret_value::is_map;
use super::{scalar, tables};
use crate::config::document::Node;
use crate::rule::tag_policy::{
    AgeLimit, AgeSource, Newest, NewestBy, NewestPer, VariantPattern, VersionRange, parse_age,
};
use crate::rule::{RuleError, TagPattern, TagPolicy};

/// Selection of tags by the key `tags`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TagChoice {
    /// Every tag: there is no such key.
    All,
    /// Plain tags, without patterns. They need no list of the source's tags, and a missing one is a failure.
    Tags(Vec<Tag>),
    /// Patterns and further conditions.
    Policy(Arc<TagPolicy>),
}

/// Reads `tags`.
pub(super) fn read(source: &Source<'_>, rule: &Fields<'_>, findings: &mut Findings) -> TagChoice {
    let Some(node) = rule.node("tags") else {
        return TagChoice::All;
    };
    if is_map(node) {
        if pairs(node).is_empty() {
            let message = "`tags` is empty. Write `*` for every tag, or remove the key.";
            findings.mistake(&source.file, node.at, message);
            return TagChoice::All;
        }
        return TagChoice::Policy(Arc::new(Reader { source, findings }.policy(node)));
    }
    if let Some(tags) = plain_tags(items(node)) {
        return TagChoice::Tags(tags);
    }
    let mut reader = Reader { source, findings };
    TagChoice::Policy(Arc::new(TagPolicy {
        include: reader.patterns(items(node)),
        ..TagPolicy::default()
    }))
}

/// Returns the tags of a list without patterns, each once.
fn plain_tags(nodes: &[Node]) -> Option<Vec<Tag>> {
    let mut tags = Vec::with_capacity(nodes.len());
    for node in nodes {
        let tag = Tag::parse(text(node)?).ok()?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    Some(tags)
}

struct Reader<'a> {
    source: &'a Source<'a>,
    findings: &'a mut Findings,
}

impl Reader<'_> {
    fn policy(&mut self, node: &Node) -> TagPolicy {
        let fields = Fields::new(&tables::TAGS, node);
        let patterns = |key| fields.node(key).map(items).unwrap_or_default();
        let policy = TagPolicy {
            include: self.patterns(patterns("include")),
            exclude: self.patterns(patterns("exclude")),
            semver: self.parsed(fields.node("semver"), VersionRange::parse),
            prerelease: fields.boolean("prerelease").unwrap_or_default(),
            variants: self.variants(patterns("variants")),
            older_than: fields.node("older-than").and_then(|node| self.age(node)),
            newer_than: fields.node("newer-than").and_then(|node| self.age(node)),
            newest: fields.node("newest").and_then(newest),
            at_least: fields.text("at-least").and_then(number).unwrap_or_default(),
        };
        if fields.node("prerelease").is_some() && !policy.uses_versions() {
            let message = "`prerelease` has no effect without versions. Add `semver`, such as `\">=0\"`, or `newest`.";
            self.mistake_at_key(&fields, "prerelease", message);
        }
        if let (Some(older), Some(newer)) = (policy.older_than, policy.newer_than)
            && older.by == newer.by
            && older.age >= newer.age
        {
            let message = "no tag is older than `older-than` and newer than `newer-than`. Write a smaller `older-than`.";
            self.mistake_at_key(&fields, "older-than", message);
        }
        policy
    }

    fn mistake_at_key(&mut self, fields: &Fields<'_>, key: &str, message: &str) {
        let at = fields.key_at(key);
        self.findings.mistake(&self.source.file, at, message);
    }

    fn patterns(&mut self, nodes: &[Node]) -> Vec<TagPattern> {
        let patterns = nodes.iter();
        let patterns = patterns.filter_map(|node| pattern(self.source, node, self.findings));
        patterns.collect()
    }

    fn variants(&mut self, nodes: &[Node]) -> Vec<VariantPattern> {
        let variants = nodes.iter();
        let variants = variants.filter_map(|node| self.parsed(Some(node), VariantPattern::parse));
        variants.collect()
    }

    fn age(&mut self, node: &Node) -> Option<AgeLimit> {
        if !is_map(node) {
            return Some(AgeLimit {
                age: self.parsed(Some(node), parse_age)?,
                by: AgeSource::Auto,
            });
        }
        let fields = Fields::new(&tables::AGE, node);
        let by = fields.text("by").map(AgeSource::parse);
        Some(AgeLimit {
            age: self.parsed(fields.node("age"), parse_age)?,
            by: by.and_then(Result::ok).unwrap_or_default(),
        })
    }

    /// Returns the value of a text, or reports why it has none.
    fn parsed<T>(
        &mut self,
        node: Option<&Node>,
        parse: impl FnOnce(&str) -> Result<T, RuleError>,
    ) -> Option<T> {
        let node = node?;
        parse(text(node)?)
            .map_err(|RuleError(why)| self.findings.mistake(&self.source.file, node.at, why))
            .ok()
    }
}

fn newest(node: &Node) -> Option<Newest> {
    let count = |text: &str| number(text).and_then(NonZeroUsize::new);
    if let Some(written) = text(node) {
        return Some(Newest {
            count: count(written)?,
            by: NewestBy::default(),
            per: NewestPer::default(),
        });
    }
    let fields = Fields::new(&tables::NEWEST, node);
    let by = fields.text("by").map(NewestBy::parse);
    let per = fields.text("per").map(NewestPer::parse);
    Some(Newest {
        count: count(fields.text("count")?)?,
        by: by.and_then(Result::ok).unwrap_or_default(),
        per: per.and_then(Result::ok).unwrap_or_default(),
    })
}

fn number(text: &str) -> Option<usize> {
    let number = scalar::count(text, 0, 1_000_000)?;
    usize::try_from(number).ok()
}

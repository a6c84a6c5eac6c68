//! The keys `from` and `except` of a rule.

use super::fields::Fields;
use super::findings::Findings;
use super::reading::Source;
use crate::config::document::Node;
use crate::rule::{
    RepositoryFilter, RepositoryPattern, RuleError, RuleSource, Selection, SourcePattern,
};

/// The sources of a rule.
pub(super) struct Sources<'a> {
    /// `from` as written.
    pub(super) text: String,
    /// Repositories that are named.
    pub(super) named: Vec<(RuleSource, &'a Node)>,
    /// Patterns.
    pub(super) listed: Vec<RepositoryPattern>,
    /// Sources with tags or a digest.
    with_tags: Vec<&'a Node>,
}

/// Reads `from`.
pub(super) fn read<'a>(
    source: &Source<'_>,
    fields: &Fields<'a>,
    findings: &mut Findings,
) -> Sources<'a> {
    let texts = fields.texts("from");
    let written: Vec<&str> = texts.iter().map(|(text, _)| *text).collect();
    let mut sources = Sources {
        text: written.join(", "),
        named: Vec::new(),
        listed: Vec::new(),
        with_tags: Vec::new(),
    };
    for (text, node) in texts {
        match SourcePattern::parse(&source.reference(text)) {
            Ok(SourcePattern { named, listed }) => {
                let selections = named.iter().map(|source| &source.select);
                let mut selections = selections.chain(listed.iter().map(RepositoryPattern::select));
                if selections.any(|select| *select != Selection::All) {
                    sources.with_tags.push(node);
                }
                sources.add(source, node, named, findings);
                sources.listed.extend(listed);
            }
            Err(RuleError(why)) => findings.mistake(&source.file, node.at, why),
        }
    }
    sources
}

impl<'a> Sources<'a> {
    fn add(
        &mut self,
        source: &Source<'_>,
        node: &'a Node,
        named: Vec<RuleSource>,
        findings: &mut Findings,
    ) {
        for one in named {
            if self.named.iter().any(|(other, _)| *other == one) {
                let message = format!("{} is given twice. It counts once.", one.repository);
                findings.warn(&source.file, node.at, message);
            } else {
                self.named.push((one, node));
            }
        }
    }

    /// Refuses tags in a source beside the key `tags`.
    pub(super) fn check_without_tags(
        &self,
        source: &Source<'_>,
        fields: &Fields<'_>,
        findings: &mut Findings,
    ) {
        for node in &self.with_tags {
            let line = fields.key_at("tags").line;
            let message = format!(
                "the tag is given twice: in `from` and in `tags` (line {line}). Remove one of the two."
            );
            findings.mistake(&source.file, node.at, message);
        }
    }
}

/// Reads `except`, and leaves out the named sources that match.
pub(super) fn except(
    source: &Source<'_>,
    fields: &Fields<'_>,
    sources: &mut Sources<'_>,
    findings: &mut Findings,
) -> Vec<RepositoryFilter> {
    let mut filters = Vec::new();
    for (text, node) in fields.texts("except") {
        match RepositoryFilter::parse(text) {
            Ok(filter) => {
                let matches = |(one, _): &(RuleSource, &Node)| filter.matches(&one.repository);
                if sources.listed.is_empty() && !sources.named.iter().any(matches) {
                    let message =
                        format!("`{text}` leaves out nothing that `from` names. Remove it.");
                    findings.mistake(&source.file, node.at, message);
                }
                filters.push(filter);
            }
            Err(RuleError(why)) => findings.mistake(&source.file, node.at, why),
        }
    }
    let is_kept = |(one, _): &(RuleSource, &Node)| {
        let mut filters = filters.iter();
        !filters.any(|filter| filter.matches(&one.repository))
    };
    let before = sources.named.len();
    sources.named.retain(is_kept);
    if sources.named.is_empty() && sources.listed.is_empty() && before > 0 {
        let message = "`except` leaves out all sources. Remove it, or the rule.";
        findings.mistake(&source.file, fields.key_at("except"), message);
    }
    filters
}

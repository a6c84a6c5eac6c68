//! The key `to` of a rule.

use std::sync::Arc;

use super::fields::{Fields, items, pairs, text};
use super::findings::Findings;
use super::rules::Context;
use super::{options, tables};
use crate::config::document::Node;
use crate::rule::{
    DestinationTemplate, OptionOverrides, Rename, RenamePattern, RuleError, TagTemplate,
    TemplateError,
};

/// A destination with its node, and its own options.
pub(super) type Read<'a> = ((DestinationTemplate, &'a Node), OptionOverrides);

/// Reads the destinations of a rule. `layers` are the options below those of a destination.
pub(super) fn read<'a>(
    context: &Context<'_>,
    fields: &Fields<'a>,
    layers: &[&OptionOverrides],
    findings: &mut Findings,
) -> Vec<Read<'a>> {
    let nodes = fields.node("to").map(items).unwrap_or_default();
    let read = nodes.iter().filter_map(|node| {
        let mut reader = Reader { context, findings };
        match text(node) {
            Some(written) => {
                let template = reader.template(written, node)?;
                Some(((template, node), OptionOverrides::default()))
            }
            None => reader.with_options(node, layers),
        }
    });
    read.collect()
}

struct Reader<'a> {
    context: &'a Context<'a>,
    findings: &'a mut Findings,
}

impl Reader<'_> {
    fn template(&mut self, written: &str, node: &Node) -> Option<DestinationTemplate> {
        if written.is_empty() {
            let template = self.context.destination.template();
            return template
                .map_err(|why| self.mistake(node, why.to_string()))
                .ok();
        }
        let reference = self.context.source.reference(written);
        let added = reference.len() - written.len();
        DestinationTemplate::parse(&reference)
            .map_err(|why| {
                let offset = why.offset.saturating_sub(added);
                self.misplaced(node, &TemplateError { offset, ..why });
            })
            .ok()
    }

    fn with_options<'a>(
        &mut self,
        node: &'a Node,
        layers: &[&OptionOverrides],
    ) -> Option<Read<'a>> {
        let fields = Fields::new(&tables::DESTINATION, node);
        let overrides = options::destination_options(self.context.source, &fields, self.findings);
        let tag = fields.node("tag").and_then(|node| self.tag(node));
        let rename = fields.node("rename").map(|node| self.rename(node));
        let repository = fields.node("repository")?;
        let mut template = self.template(text(repository)?, repository)?;
        if let Some((tag, node)) = tag {
            let named = template.with_tag(tag);
            template = named
                .map_err(|RuleError(why)| self.mistake(node, why))
                .ok()?;
        }
        if let Some(rename) = rename {
            let at = fields.node("rename").unwrap_or(node);
            let renamed = template.with_rename(rename);
            template = renamed
                .map_err(|RuleError(why)| self.mistake(at, why))
                .ok()?;
        }
        if !overrides.is_empty() {
            let layers = layers.iter().copied().chain([&overrides]);
            template = template.with_options(Arc::new(OptionOverrides::resolve(layers)));
        }
        Some(((template, repository), overrides))
    }

    fn tag<'a>(&mut self, node: &'a Node) -> Option<(TagTemplate, &'a Node)> {
        let parsed = TagTemplate::parse(text(node)?);
        let tag = parsed.map_err(|why| self.misplaced(node, &why)).ok()?;
        Some((tag, node))
    }

    fn rename(&mut self, node: &Node) -> Vec<Rename> {
        let mut renames = Vec::new();
        for (key, value) in pairs(node) {
            let (Some(pattern), Some(replacement)) = (text(key), text(value)) else {
                continue;
            };
            match RenamePattern::parse(pattern) {
                Ok(pattern) => match pattern.to(replacement) {
                    Ok(rename) => renames.push(rename),
                    Err(why) => self.misplaced(value, &why),
                },
                Err(why) => self.misplaced(key, &why),
            }
        }
        renames
    }

    fn mistake(&mut self, node: &Node, message: String) {
        self.findings
            .mistake(&self.context.source.file, node.at, message);
    }

    /// Reports a mistake at its place in the text.
    fn misplaced(&mut self, node: &Node, why: &TemplateError) {
        let file = &self.context.source.file;
        let rest = text(node).and_then(|text| text.get(why.offset..));
        let length = rest.map_or(0, |rest| rest.find(['}', '|', ':']).unwrap_or(rest.len()));
        if why.offset == 0 {
            self.findings.mistake(file, node.at, why.to_string());
        } else {
            let part = (why.offset, length.max(1));
            self.findings
                .mistake_in_text(file, node, part, why.to_string());
        }
    }
}

//! The key `rules`.

use std::collections::HashMap;
use std::sync::Arc;

use super::destinations;
use super::fields::{Fields, items};
use super::findings::Findings;
use super::merged_rules::MergedRules;
use super::options::{self, Defaults};
use super::reading::Source;
use super::tag_choice::{self, TagChoice};
use super::{sources, tables};
use crate::config::Schedule;
use crate::config::document::{Node, Position};
use crate::id::RuleId;
use crate::rule::{
    DestinationClaims, DestinationTemplate, IfEmpty, Location, OptionOverrides, PatternRule,
    RepositoryFilter, RepositoryPattern, Rule, RuleDestination, RuleError, RuleSource, Selection,
};

/// Values that the rules of a file have in common.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) defaults: &'a Defaults,
    pub(super) flags: &'a OptionOverrides,
    /// The default destination.
    pub(super) destination: &'a crate::config::Defaults,
}

/// The rules of all files.
#[derive(Default)]
pub(super) struct Rules {
    names: HashMap<String, Location>,
    schedules: HashMap<Arc<str>, Schedule>,
    pub(super) set: MergedRules,
}

/// A rule without mistakes, before it is divided by its sources.
struct ParsedRule<'a> {
    name: Arc<str>,
    at: Position,
    named: Vec<(RuleSource, &'a Node)>,
    listed: Vec<RepositoryPattern>,
    except: Vec<RepositoryFilter>,
    tags: TagChoice,
    destinations: Vec<(DestinationTemplate, &'a Node)>,
    options: Arc<crate::rule::CopyOptions>,
    if_empty: IfEmpty,
}

impl Rules {
    /// Reads the rules of a file.
    pub(super) fn read(&mut self, context: &Context<'_>, node: &Node, findings: &mut Findings) {
        self.set.add_list(context.source, node);
        for node in items(node) {
            let before = findings.count();
            if let Some(rule) = self.rule(context, node, findings)
                && findings.count() == before
            {
                self.add(context, &rule, findings);
            }
        }
    }

    /// Returns the rules, and their schedules by name.
    pub(super) fn into_parts(self) -> (MergedRules, HashMap<Arc<str>, Schedule>) {
        (self.set, self.schedules)
    }

    /// Reads a rule. Returns `None` after a mistake that leaves nothing to check.
    fn rule<'a>(
        &mut self,
        context: &Context<'_>,
        node: &'a Node,
        findings: &mut Findings,
    ) -> Option<ParsedRule<'a>> {
        let fields = Fields::new(&tables::RULE, node);
        let mut from = sources::read(context.source, &fields, findings);
        let except = sources::except(context.source, &fields, &mut from, findings);
        let tags = tag_choice::read(context.source, &fields, findings);
        if tags != TagChoice::All {
            from.check_without_tags(context.source, &fields, findings);
        }
        let own = options::rule_options(context.source, &fields, findings);
        let schedule = options::schedule(context.source, &fields, findings);
        let name = self.name(context, &fields, &from.text, findings)?;
        if let Some(schedule) = schedule.or_else(|| context.defaults.schedule.clone()) {
            self.schedules.insert(Arc::clone(&name), schedule);
        }
        let location = context.source.location(fields.at);
        self.set.overridden(context.flags, &own, &name, &location);
        let layers = [&context.defaults.overrides, context.flags, &own];
        let options = OptionOverrides::resolve(layers);
        let destinations = destinations::read(context, &fields, &layers, findings);
        for (_, overrides) in &destinations {
            self.set
                .overridden(context.flags, overrides, &name, &location);
        }
        let is_filtered = destinations.iter().any(|((template, _), _)| {
            let own = template.options.as_ref();
            own.map_or(options.is_filtered(), |own| own.is_filtered())
        });
        if own.sparse == Some(true) && !is_filtered && !destinations.is_empty() {
            let message = "`sparse` has no effect without a filter. Add `platforms` or `attestations: strip`.";
            findings.mistake(&context.source.file, fields.key_at("sparse"), message);
        }
        let _ = fields.node("name");
        Some(ParsedRule {
            name,
            at: fields.at,
            named: from.named,
            listed: from.listed,
            except,
            tags,
            destinations: destinations.into_iter().map(|(read, _)| read).collect(),
            options: Arc::new(options),
            if_empty: options::if_empty(&fields).unwrap_or(context.defaults.if_empty),
        })
    }

    /// Returns the name of a rule, which no other rule has.
    fn name(
        &mut self,
        context: &Context<'_>,
        fields: &Fields<'_>,
        from: &str,
        findings: &mut Findings,
    ) -> Option<Arc<str>> {
        let given = fields.text("name");
        let key = if given.is_some() { "name" } else { "from" };
        let at = fields.key_at(key);
        let name = given.unwrap_or(from);
        if name.is_empty() {
            if given.is_some() {
                let message = "the name is empty. Write one, or remove the key.";
                findings.mistake(&context.source.file, at, message);
            }
            return None;
        }
        let here = context.source.location(at);
        if let Some(first) = self.names.get(name) {
            let place = context.source.place(first);
            let message = match given {
                Some(_) => {
                    format!("the rule name `{name}` is used {place} already. Write another name.")
                }
                None => format!(
                    "the rule has the same name as the one {place}: `from` as written. Write a `name`."
                ),
            };
            findings.mistake(&context.source.file, at, message);
        } else {
            self.names.insert(name.to_owned(), here);
        }
        Some(name.into())
    }

    /// Divides a rule by its sources: one for each repository that it names, and one for all patterns.
    fn add(&mut self, context: &Context<'_>, rule: &ParsedRule<'_>, findings: &mut Findings) {
        let location = context.source.location(rule.at);
        let id = RuleId::new(&rule.name, Some((&location.file, location.line)));
        let mut claims = DestinationClaims::default();
        for (source, node) in &rule.named {
            let source = rule.tags.select(source.clone());
            let destinations = rule.destinations_of(&source, context.source, findings);
            if !destinations.is_empty() {
                let one = Rule {
                    id,
                    name: Arc::clone(&rule.name),
                    location: Some(location.clone()),
                    source,
                    destinations,
                    options: Arc::clone(&rule.options),
                    if_empty: rule.if_empty,
                    tag_parts: None,
                };
                // Images of tags that are named are compared one by one.
                if one.source.select.is_listed()
                    && let Err(RuleError(why)) = claims.claim(&one)
                {
                    findings.mistake(&context.source.file, node.at, why);
                }
                self.set.add(context.source, node, one, findings);
            }
        }
        if rule.listed.is_empty() {
            return;
        }
        let templates = rule.destinations.iter();
        let pattern = PatternRule {
            id,
            name: Arc::clone(&rule.name),
            location: Some(location),
            from: rule.listed.clone(),
            except: rule.except.clone(),
            select: rule.tags.selection(),
            destinations: templates.map(|(template, _)| template.clone()).collect(),
            options: Arc::clone(&rule.options),
            if_empty: rule.if_empty,
        };
        let mistakes = pattern.mistakes();
        for (number, RuleError(why)) in &mistakes {
            let node = rule.destinations.get(*number).map(|(_, node)| node.at);
            findings.mistake(&context.source.file, node.unwrap_or(rule.at), why);
        }
        if mistakes.is_empty() {
            self.set
                .add_pattern(context.source, rule.at, pattern, findings);
        }
    }
}

impl ParsedRule<'_> {
    /// Returns the destinations of a source, without duplicates.
    fn destinations_of(
        &self,
        source: &RuleSource,
        file: &Source<'_>,
        findings: &mut Findings,
    ) -> Vec<RuleDestination> {
        let mut destinations: Vec<RuleDestination> = Vec::new();
        for (template, node) in &self.destinations {
            match template.destination(source) {
                Ok(destination) if !destinations.contains(&destination) => {
                    destinations.push(destination);
                }
                Ok(_) => findings.warn(
                    &file.file,
                    node.at,
                    format!(
                        "the destination is given twice for {}. It counts once.",
                        source.repository
                    ),
                ),
                Err(RuleError(why)) => findings.mistake(&file.file, node.at, why),
            }
        }
        destinations
    }
}

impl TagChoice {
    /// Returns the selection for patterns over repositories.
    fn selection(&self) -> Selection {
        match self {
            Self::All => Selection::All,
            Self::Tags(tags) => Selection::Tags(tags.clone()),
            Self::Policy(policy) => Selection::Policy(Arc::clone(policy)),
        }
    }

    /// Returns a source with these tags, unless it has its own.
    fn select(&self, source: RuleSource) -> RuleSource {
        match source.select {
            Selection::All => RuleSource {
                select: self.selection(),
                ..source
            },
            _ => source,
        }
    }
}

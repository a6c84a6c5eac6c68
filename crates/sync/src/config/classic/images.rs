//! The `images` map (docs/files.md#rules).

use std::collections::HashMap;
use std::sync::Arc;

use crate::Repository;

use super::super::document::{Node, NodeValue, Position};
use super::super::error::Problem;
use super::super::file::ConfigFile;
use super::super::{Defaults, Environment, variables};
use super::map_kind::MapKind;
use super::{Key, Told, entries};
use crate::rule::{Location, NamedTags, Rule, RuleDestination, RuleError, RuleSource};

/// The rules of all files. One that selects what an earlier one selects only adds its destinations to that, so that the
/// source is read once.
#[derive(Default)]
pub(super) struct ImagesMap {
    rules: Vec<Rule>,
    by_source: HashMap<RuleSource, usize>,
    tags: NamedTags<Location>,
    /// Destinations of empty texts, each with its first source.
    defaults: HashMap<Repository, (RuleSource, Location)>,
    /// Files that name no image.
    empty: Vec<Problem>,
}

impl ImagesMap {
    /// Reads the rules of a file, in order. A mistake leaves its rule out.
    pub(super) fn read(
        &mut self,
        file: &ConfigFile,
        node: Node,
        defaults: &Defaults,
        environment: Environment<'_>,
        told: &mut Told,
    ) {
        let at = node.at;
        // An explicit empty map is no mistake: a list of failed images may be empty.
        let is_meant = matches!(&node.value, NodeValue::Map(pairs) if pairs.is_empty());
        let before = told.problems.len();
        let entries = entries(file, node, MapKind::Images, told);
        if is_meant {
            let text = "no image is named. There is nothing to do.";
            told.warn(file.hidden(at, text));
        } else if entries.is_empty() && told.problems.len() == before {
            let text = "no image is named. Write `source: destination`.";
            self.empty.push(file.hidden(at, text));
        }
        for (key, value) in entries {
            let mut reader = ImagesReader {
                file,
                defaults,
                environment,
                problems: &mut told.problems,
            };
            let by_default = match &value.value {
                NodeValue::Null => true,
                NodeValue::Text(text) => text.is_empty(),
                NodeValue::List(_) | NodeValue::Map(_) => false,
            };
            if let Some(rule) = reader.rule(&key, value) {
                self.check_tags(&rule, file, &key, told);
                if by_default {
                    self.check_default(&rule, file, &key, told);
                }
                self.add(rule);
            }
        }
    }

    /// Returns the rules of all files.
    pub(super) fn finish(self, told: &mut Told) -> Vec<Arc<Rule>> {
        for problem in self.empty {
            // One of several files may be empty.
            if self.rules.is_empty() {
                told.problems.push(problem);
            } else {
                told.warn(problem);
            }
        }
        self.rules.into_iter().map(Arc::new).collect()
    }

    fn add(&mut self, rule: Rule) {
        let earlier = self.by_source.get(&rule.source).copied();
        let Some(earlier) = earlier.and_then(|at| self.rules.get_mut(at)) else {
            self.by_source.insert(rule.source.clone(), self.rules.len());
            self.rules.push(rule);
            return;
        };
        for destination in rule.destinations {
            if !earlier.destinations.contains(&destination) {
                earlier.destinations.push(destination);
            }
        }
    }

    /// Refuses a rule that writes a tag which another image has already.
    fn check_tags(&mut self, rule: &Rule, file: &ConfigFile, key: &Key, told: &mut Told) {
        let place = location(file, key);
        for destination in &rule.destinations {
            if let Some(conflict) = self.tags.insert(&rule.source, destination, &place) {
                let message = format!(
                    "{} gets two images, {} here and {} {}. Give one of them another tag or repository.",
                    conflict.destination,
                    conflict.second,
                    conflict.first,
                    describe_location(&conflict.place, file)
                );
                told.problems.push(file.shown(key.at, message));
            }
        }
    }

    /// Warns of two sources whose tags, known only to their registries, go to one repository by default.
    fn check_default(&mut self, rule: &Rule, file: &ConfigFile, key: &Key, told: &mut Told) {
        let Some(destination) = rule.destinations.first() else {
            return;
        };
        let is_listed = |source: &RuleSource| source.select.is_listed();
        let Some((first, place)) = self.defaults.get(&destination.repository) else {
            let place = (rule.source.clone(), location(file, key));
            self.defaults.insert(destination.repository.clone(), place);
            return;
        };
        let is_open = is_listed(first) || is_listed(&rule.source);
        if is_open && first.repository != rule.source.repository {
            let message = format!(
                "the empty destination means {} here, as for {} {}. Of two images with one tag, the second fails. Write a destination for one of them.",
                destination.repository,
                first.repository,
                describe_location(place, file)
            );
            told.warn(file.shown(key.at, message));
        }
    }
}

fn location(file: &ConfigFile, key: &Key) -> Location {
    Location {
        file: file.path().to_owned(),
        line: key.at.line,
    }
}

/// A place as seen from `file`: `in line 3`, or `in images.yaml:3`.
fn describe_location(place: &Location, file: &ConfigFile) -> String {
    if place.file == file.path() {
        return format!("in line {}", place.line);
    }
    format!("in {place}")
}

struct ImagesReader<'a> {
    file: &'a ConfigFile,
    defaults: &'a Defaults,
    environment: Environment<'a>,
    problems: &'a mut Vec<Problem>,
}

impl ImagesReader<'_> {
    fn rule(&mut self, key: &Key, value: Node) -> Option<Rule> {
        let before = self.problems.len();
        let destinations = self.destinations(key, value);
        let source = match RuleSource::parse(&key.text) {
            Ok(source) => source,
            Err(why) => {
                self.problems.push(self.file.shown(key.at, why.to_string()));
                for (text, at) in destinations.iter().filter(|(text, _)| !text.is_empty()) {
                    if let Err(why) = RuleDestination::check(text) {
                        self.problems.push(self.file.shown(*at, why.to_string()));
                    }
                }
                return None;
            }
        };
        for (text, at) in &destinations {
            if let Err(why) = self.check(text, &source) {
                self.problems.push(if self.file.lacks_colon(key.at) {
                    let form = MapKind::Images.form();
                    let message = format!("no `: ` follows this source. Write {form}.");
                    self.file.shown(key.at, message)
                } else {
                    self.file.shown(*at, why.to_string())
                });
            }
        }
        if self.problems.len() > before {
            return None;
        }
        let texts: Vec<&str> = destinations.iter().map(|(text, _)| text.as_str()).collect();
        let default = |source: &Repository| self.defaults.destination(source);
        match Rule::parse(&key.text, &texts, &default) {
            Ok(rule) => Some(rule.located_at(location(self.file, key))),
            Err(why) => {
                self.problems.push(self.file.shown(key.at, why.to_string()));
                None
            }
        }
    }

    /// Checks that `text` can be a destination of `source`.
    fn check(&self, text: &str, source: &RuleSource) -> Result<(), RuleError> {
        if text.is_empty() {
            self.defaults.destination(&source.repository).map(drop)
        } else {
            RuleDestination::parse(text, source).map(drop)
        }
    }

    /// The destinations as texts, with the variables in them replaced.
    fn destinations(&mut self, key: &Key, value: Node) -> Vec<(String, Position)> {
        let nodes = match value.value {
            NodeValue::List(nodes) if nodes.is_empty() => {
                let message = "the list of destinations is empty. Write at least one, or \"\" for the default.";
                self.problems.push(self.file.shown(key.at, message));
                return Vec::new();
            }
            NodeValue::List(nodes) => nodes,
            _ => vec![value],
        };
        let mut texts = Vec::with_capacity(nodes.len());
        for node in nodes {
            let text = match node.value {
                NodeValue::Text(text) => text,
                // Null means the default destination, as in the Go tool.
                NodeValue::Null => String::new(),
                NodeValue::List(_) | NodeValue::Map(_) => {
                    self.problems
                        .push(self.file.shown(key.at, not_a_destination(&key.text)));
                    continue;
                }
            };
            match variables::destination(&text, self.environment) {
                Ok(text) => texts.push((text, node.at)),
                Err(why) => self.problems.push(self.file.shown(node.at, why)),
            }
        }
        texts
    }
}

fn not_a_destination(source: &str) -> String {
    let hint = match source {
        "images" | "auth" => " Use a combined file with --config.",
        _ => "",
    };
    format!("a destination must be a text or a list of texts.{hint}")
}

//! The `images` map (docs/files.md#rules).

use std::collections::HashMap;
use std::sync::Arc;

use registry::Repository;

use super::super::document::{Node, Place, Value};
use super::super::error::Problem;
use super::super::file::File;
use super::super::{Config, Defaults, Environment, variables};
use super::{Key, entries};
use crate::rule::{Destination, Location, Rule, RuleError, Source};

/// Reads the rules into `config`, in order. What is wrong becomes a problem, and its rule is left out.
pub(super) fn read(
    file: &File,
    node: Node,
    defaults: &Defaults,
    environment: Environment<'_>,
    config: &mut Config,
    problems: &mut Vec<Problem>,
) {
    let at = node.at;
    // A map that is written down as empty is meant, such as that of what failed where nothing did.
    let is_meant = matches!(&node.value, Value::Map(pairs) if pairs.is_empty());
    let before = problems.len();
    let mut rules = Rules::default();
    let mut reader = Reader {
        file,
        defaults,
        environment,
        problems,
    };
    let wanted = "a map from source to destination, or to a list of destinations";
    let entries = entries(file, node, wanted, reader.problems);
    for (key, value) in entries {
        if let Some(rule) = reader.rule(&key, value) {
            rules.add(rule);
        }
    }
    if is_meant {
        let text = "no image is named, so there is nothing to do";
        config.warnings.push(file.hidden(at, text));
    } else if rules.rules.is_empty() && problems.len() == before {
        problems.push(file.hidden(at, "no image is named: write `source: destination`"));
    }
    config.rules = rules.rules.into_iter().map(Arc::new).collect();
}

/// The rules so far. One that selects what an earlier one selects only adds its destinations to that, so that the
/// source is read once.
#[derive(Default)]
struct Rules {
    rules: Vec<Rule>,
    by_source: HashMap<Source, usize>,
}

impl Rules {
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
}

struct Reader<'a> {
    file: &'a File,
    defaults: &'a Defaults,
    environment: Environment<'a>,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn rule(&mut self, key: &Key, value: Node) -> Option<Rule> {
        let before = self.problems.len();
        let destinations = self.destinations(key, value);
        let source = match Source::parse(&key.text) {
            Ok(source) => source,
            Err(why) => {
                self.problems.push(self.file.shown(key.at, why.to_string()));
                for (text, at) in destinations.iter().filter(|(text, _)| !text.is_empty()) {
                    if let Err(why) = Destination::check(text) {
                        self.problems.push(self.file.shown(*at, why.to_string()));
                    }
                }
                return None;
            }
        };
        for (text, at) in &destinations {
            if let Err(why) = self.check(text, &source) {
                self.problems.push(self.file.shown(*at, why.to_string()));
            }
        }
        if self.problems.len() > before {
            return None;
        }
        let texts: Vec<&str> = destinations.iter().map(|(text, _)| text.as_str()).collect();
        let default = |source: &Repository| self.defaults.destination(source);
        match Rule::parse(&key.text, &texts, &default) {
            Ok(mut rule) => {
                rule.location = Some(Location {
                    file: self.file.path().to_owned(),
                    line: key.at.line,
                });
                Some(rule)
            }
            Err(why) => {
                self.problems.push(self.file.shown(key.at, why.to_string()));
                None
            }
        }
    }

    /// Whether `text` can be a destination of `source`.
    fn check(&self, text: &str, source: &Source) -> Result<(), RuleError> {
        if text.is_empty() {
            self.defaults.destination(&source.repository).map(drop)
        } else {
            Destination::parse(text, source).map(drop)
        }
    }

    /// The destinations as texts, with the variables in them replaced.
    fn destinations(&mut self, key: &Key, value: Node) -> Vec<(String, Place)> {
        let nodes = match value.value {
            Value::List(nodes) if nodes.is_empty() => {
                let message = "the list of destinations is empty: write at least one, or \"\" for the default";
                self.problems.push(self.file.shown(key.at, message));
                return Vec::new();
            }
            Value::List(nodes) => nodes,
            _ => vec![value],
        };
        let mut texts = Vec::with_capacity(nodes.len());
        for node in nodes {
            let text = match node.value {
                Value::Text(text) => text,
                // As the Go tool has it: nothing stands for the default.
                Value::Null => String::new(),
                Value::List(_) | Value::Map(_) => {
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
        "images" | "auth" => ": a combined file is given with --config",
        _ => "",
    };
    format!("a destination is a text, or a list of texts{hint}")
}

//! What rules that overlap have in common: an image that two rules send to one place goes there once; two images for
//! one place are said.
//!
//! Only destinations at which such a thing can happen are watched, so that a run of a hundred thousand tags in
//! repositories of their own remembers none of them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use registry::{Repository, Tag, Target};

use crate::lock::lock;

use crate::discover::Place;
use crate::rule::{Naming, Rule};

/// What was sent off to the destinations that are watched.
pub(super) struct Seen {
    /// A destination's names, each with what was sent there first.
    names: Mutex<HashMap<Repository, HashMap<Name, Origin>>>,
    /// The pairs of rules that were warned of.
    warned: Mutex<HashSet<(Arc<str>, Arc<str>)>>,
}

/// A name at a destination. Content without a tag cannot be in the way of other content.
#[derive(PartialEq, Eq, Hash)]
enum Name {
    Tag(Tag),
    Untagged(Repository, Target),
}

struct Origin {
    rule: Arc<Rule>,
    target: Target,
}

/// What to do with an image for a place.
pub(super) enum Verdict {
    /// Send it off.
    New,
    /// It was sent there before.
    Repeated,
    /// Another image was sent there before; send it off all the same.
    Contested {
        /// What to say, once for two rules.
        warning: Option<String>,
    },
}

impl Seen {
    /// Nothing was sent off yet by `rules`.
    pub(super) fn new(rules: &[Arc<Rule>]) -> Self {
        let mut watched = HashSet::new();
        let mut once = HashSet::new();
        for destination in rules.iter().flat_map(|rule| &rule.destinations) {
            // Names that a rule lists may repeat within the rule.
            let lists_names = matches!(destination.naming, Naming::Tags(_));
            if !once.insert(&destination.repository) || lists_names {
                watched.insert(destination.repository.clone());
            }
        }
        let names = watched
            .into_iter()
            .map(|repository| (repository, HashMap::new()));
        Self {
            names: Mutex::new(names.collect()),
            warned: Mutex::default(),
        }
    }

    /// Notes that `rule` sends what `target` names at its source to `place`.
    pub(super) fn note(&self, rule: &Arc<Rule>, target: &Target, place: &Place) -> Verdict {
        let mut names = lock(&self.names);
        let Some(names) = names.get_mut(&place.repository) else {
            return Verdict::New;
        };
        let source = &rule.source.repository;
        let name = match &place.tag {
            Some(tag) => Name::Tag(tag.clone()),
            None => Name::Untagged(source.clone(), target.clone()),
        };
        let Some(first) = names.get(&name) else {
            let origin = Origin {
                rule: Arc::clone(rule),
                target: target.clone(),
            };
            names.insert(name, origin);
            return Verdict::New;
        };
        if first.target == *target && first.rule.source.repository == *source {
            return Verdict::Repeated;
        }
        Verdict::Contested {
            warning: self.warn(&first.rule, rule, place),
        }
    }

    fn warn(&self, first: &Arc<Rule>, second: &Arc<Rule>, place: &Place) -> Option<String> {
        let pair = (Arc::clone(&first.name), Arc::clone(&second.name));
        let mut warned = lock(&self.warned);
        if !warned.insert(pair) {
            return None;
        }
        let repository = &place.repository;
        let tag = place.tag.as_ref().map_or("", Tag::as_str);
        let who = if Arc::ptr_eq(first, second) {
            format!("{} copies two images", named(first))
        } else {
            format!(
                "{} and {} copy different images",
                named(first),
                named(second)
            )
        };
        Some(format!(
            "{who} to {repository}:{tag}; which of them stands there in the end is left to chance: \
             give one of them another tag"
        ))
    }
}

/// A rule by its name, and where it was written.
fn named(rule: &Rule) -> String {
    match &rule.location {
        Some(location) => format!(
            "{} ({}:{})",
            rule.name,
            location.file.display(),
            location.line
        ),
        None => rule.name.to_string(),
    }
}

//! Repositories between which a rule copies, in the order in which a plan shows them.

use std::cmp::Ordering;
use std::collections::HashMap;

use image_syncer_sync::event::RuleDescription;

use crate::ui::plan::order::by_name;

/// Repositories of a rule: a source and a destination each. Those of a rule without a pattern are known from the start.
#[derive(Debug)]
pub(super) struct Places {
    all: Vec<Place>,
    positions: HashMap<(Box<str>, Box<str>), usize>,
}

/// A source, a destination, and what a plan counts of them.
#[derive(Debug)]
pub(super) struct Place {
    /// Source repository.
    pub(super) source: Box<str>,
    /// Destination repository.
    pub(super) destination: Box<str>,
    /// Number of unchanged images.
    pub(super) unchanged: u64,
}

impl Places {
    /// Returns the places of a rule before its start.
    pub(super) fn new(rule: &RuleDescription) -> Self {
        let mut places = Self {
            all: Vec::new(),
            positions: HashMap::new(),
        };
        if !rule.is_pattern {
            for destination in &rule.destinations {
                places.position(&rule.source, destination);
            }
        }
        places
    }

    /// Returns the position of the place, which is added if it is new.
    pub(super) fn position(&mut self, source: &str, destination: &str) -> usize {
        let key = (source.into(), destination.into());
        if let Some(position) = self.positions.get(&key) {
            return *position;
        }
        self.all.push(Place {
            source: source.into(),
            destination: destination.into(),
            unchanged: 0,
        });
        let position = self.all.len() - 1;
        self.positions.insert(key, position);
        position
    }

    /// Returns the place at `position`.
    pub(super) fn get(&self, position: usize) -> Option<&Place> {
        self.all.get(position)
    }

    /// Returns the place at `position`.
    pub(super) fn get_mut(&mut self, position: usize) -> Option<&mut Place> {
        self.all.get_mut(position)
    }

    /// Returns the positions in the order of a plan: the order of the rule, or by name if a pattern found them.
    pub(super) fn in_order(&self, rule: &RuleDescription) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.all.len()).collect();
        if rule.is_pattern {
            let name = |position: &usize| self.get(*position);
            order.sort_by(|one, other| match (name(one), name(other)) {
                (Some(one), Some(other)) => by_name(&one.source, &other.source)
                    .then_with(|| by_name(&one.destination, &other.destination)),
                _ => Ordering::Equal,
            });
        }
        order
    }
}

/// Splits a reference into the repository and the rest: `a.example:5000/x` and `:v1`, `oci:dir#x` and `@sha256:…`.
pub(crate) fn split_reference(reference: &str) -> (&str, &str) {
    let path = reference.rfind(['/', '#']).map_or(0, |at| at + 1);
    let name = reference.get(path..).unwrap_or_default();
    let rest = name.find([':', '@']).map(|at| path + at);
    rest.and_then(|at| reference.split_at_checked(at))
        .unwrap_or((reference, ""))
}

#[cfg(test)]
mod tests {
    use super::split_reference;

    #[test]
    fn a_reference_is_its_repository_and_a_rest() {
        for (repository, rest) in [
            ("a.example:5000/x", ":v1"),
            ("a.example/x/y", "@sha256:aa"),
            ("a.example/x", ":v1@sha256:aa"),
            ("oci:dir#team/app", ":v1"),
            ("oci:dir#app", ":v1"),
            ("a.example/x", ""),
        ] {
            assert_eq!(
                split_reference(&format!("{repository}{rest}")),
                (repository, rest)
            );
        }
    }
}

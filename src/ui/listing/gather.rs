//! Selection of the rules of a run, from its events.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use image_syncer_sync::event::{LISTED, RuleDescription};
use image_syncer_sync::rule::tag_policy::TagExplanation;
use image_syncer_sync::{Event, ImageId, Outcome, RuleId};

use crate::ui::plan::split_reference;

/// Everything that was gathered.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// In the order of the run.
    pub(super) rules: Vec<RuleListing>,
    positions: HashMap<RuleId, usize>,
}

/// Selection of one rule.
#[derive(Debug)]
pub(super) struct RuleListing {
    pub(super) rule: Arc<RuleDescription>,
    /// By source repository.
    pub(super) repositories: BTreeMap<String, RepositoryListing>,
    /// Reason for an empty rule.
    pub(super) empty: Option<String>,
    /// Reason why its repositories could not be listed.
    pub(super) failure: Option<String>,
}

/// Selection of one repository.
#[derive(Debug, Default)]
pub(super) struct RepositoryListing {
    /// Result of the rule's tag policy, if it has one.
    pub(super) explanation: Option<TagExplanation>,
    /// Selected images: a tag or `@digest`.
    pub(super) images: BTreeSet<String>,
    /// Names of the images at each destination, in the order of the rule.
    pub(super) destinations: Vec<DestinationListing>,
    /// Images that are not copied now, each with the reason.
    pub(super) skipped: BTreeMap<String, String>,
    /// Reason why nothing is selected.
    pub(super) empty: Option<String>,
    /// Reason why the tags could not be listed.
    pub(super) failure: Option<String>,
}

/// Names at one destination.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DestinationListing {
    pub(super) repository: String,
    /// Name of each image there.
    pub(super) names: BTreeMap<String, String>,
}

impl DestinationListing {
    /// Returns true if the images have other names than at the source.
    pub(super) fn is_renamed(&self) -> bool {
        self.names.iter().any(|(image, name)| image != name)
    }
}

impl Gathered {
    pub(super) fn new(rules: &[Arc<RuleDescription>]) -> Self {
        let ids = rules.iter().enumerate();
        Self {
            positions: ids.map(|(position, rule)| (rule.id, position)).collect(),
            rules: rules.iter().map(RuleListing::new).collect(),
        }
    }

    pub(super) fn add(&mut self, event: &Event) {
        let rule = event.rule().and_then(|id| self.positions.get(&id));
        let Some(rule) = rule.and_then(|position| self.rules.get_mut(*position)) else {
            return;
        };
        match event {
            Event::TagsSelected {
                repository,
                explanation,
                ..
            } => rule.repository(repository).explanation = Some(explanation.clone()),
            Event::ImageFinished { image, outcome, .. } => rule.image(image, outcome),
            Event::RepositoryDiscovered {
                repository, empty, ..
            } => rule.repository(repository).empty.clone_from(empty),
            Event::RepositoryFailed {
                repository,
                failure,
                ..
            } => rule.repository(repository).failure = Some(failure.reason.clone()),
            Event::RuleDiscovered { empty, .. } => rule.end(empty.as_ref()),
            Event::RuleFailed { failure, .. } => rule.failure = Some(failure.reason.clone()),
            _ => {}
        }
    }
}

impl RuleListing {
    fn new(rule: &Arc<RuleDescription>) -> Self {
        Self {
            rule: Arc::clone(rule),
            repositories: BTreeMap::new(),
            empty: None,
            failure: None,
        }
    }

    fn repository(&mut self, name: &str) -> &mut RepositoryListing {
        self.repositories.entry(name.to_owned()).or_default()
    }

    fn end(&mut self, empty: Option<&String>) {
        if self.rule.is_pattern {
            self.empty = empty.cloned();
        } else {
            let source = self.rule.source.clone();
            self.repository(&source).empty = empty.cloned();
        }
    }

    fn image(&mut self, image: &ImageId, outcome: &Outcome) {
        let (source, rest) = split_reference(&image.source);
        let (destination, name) = split_reference(&image.destination);
        let [selected, name] = [rest, name].map(|rest| rest.trim_start_matches(':').to_owned());
        let repository = self.repository(source);
        let reason = match outcome {
            Outcome::Failed(failure) => Some(&failure.reason),
            Outcome::Skipped { why } if why != LISTED => Some(why),
            _ => None,
        };
        if let Some(reason) = reason {
            repository.skipped.insert(selected, reason.clone());
            return;
        }
        repository.images.insert(selected.clone());
        let known = repository
            .destinations
            .iter()
            .position(|known| known.repository == destination);
        let known = known.and_then(|at| repository.destinations.get_mut(at));
        match known {
            Some(known) => drop(known.names.insert(selected, name)),
            None => repository.destinations.push(DestinationListing {
                repository: destination.to_owned(),
                names: BTreeMap::from([(selected, name)]),
            }),
        }
    }
}

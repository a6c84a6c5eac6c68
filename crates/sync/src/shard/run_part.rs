//! Part of a run that one process carries out.

use std::sync::Arc;

use crate::Repository;
use crate::rule::{Naming, Rule};
use crate::shard::{Shard, ShardPlan, TagParts};

/// Part of a run that one process carries out.
#[derive(Clone, Debug, Default)]
pub enum RunPart {
    /// All of it.
    #[default]
    Everything,
    /// Repositories of a shard.
    Shard(Arc<ShardPlan>),
    /// Parts of the tags of every repository.
    Tags(TagParts),
}

/// Images of a repository that belong to a part of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepositoryShare {
    /// No image.
    Nothing,
    /// All images.
    Whole,
    /// The images of these parts of its tags.
    Tags(TagParts),
}

impl RunPart {
    /// Returns the images of `repository` that belong to the part.
    pub fn share(&self, repository: &Repository) -> RepositoryShare {
        match self {
            Self::Everything => RepositoryShare::Whole,
            Self::Shard(plan) => plan.share(&repository.to_string()),
            Self::Tags(parts) if parts.is_everything() => RepositoryShare::Whole,
            Self::Tags(parts) => RepositoryShare::Tags(parts.clone()),
        }
    }

    /// Returns true if the part reports for all parts of `repository`: one process does.
    pub(crate) fn leads(&self, repository: &Repository) -> bool {
        match self.share(repository) {
            RepositoryShare::Nothing => false,
            RepositoryShare::Whole => true,
            RepositoryShare::Tags(parts) => parts.has_first(),
        }
    }

    /// Returns the shard.
    pub fn shard(&self) -> Option<Shard> {
        match self {
            Self::Shard(plan) => Some(plan.shard()),
            Self::Everything | Self::Tags(_) => None,
        }
    }

    /// Returns true if the part has images of `rule`.
    pub(crate) fn carries_out(&self, rule: &Rule) -> bool {
        self.share_of_rule(rule) != RepositoryShare::Nothing
    }

    /// Returns the images of `rule` that belong to the part.
    ///
    /// Tags that get the same name at a destination must be compared by one process. If the names of a rule may do so,
    /// the first part gets all of its tags.
    fn share_of_rule(&self, rule: &Rule) -> RepositoryShare {
        match self.share(&rule.source.repository) {
            RepositoryShare::Tags(parts) if merges_names(rule) => {
                if parts.has_first() {
                    RepositoryShare::Whole
                } else {
                    RepositoryShare::Nothing
                }
            }
            share => share,
        }
    }

    /// Returns the part of `rule` that belongs to this part of the run; `None` for nothing.
    pub(crate) fn narrow(&self, rule: &Arc<Rule>) -> Option<Arc<Rule>> {
        match self.share_of_rule(rule) {
            RepositoryShare::Nothing => None,
            RepositoryShare::Whole => Some(Arc::clone(rule)),
            RepositoryShare::Tags(parts) => {
                let mut rule = Rule::clone(rule);
                rule.tag_parts = Some(parts);
                Some(Arc::new(rule))
            }
        }
    }
}

/// Returns true if two listed tags of `rule` may get one name.
fn merges_names(rule: &Rule) -> bool {
    let mut destinations = rule.destinations.iter();
    destinations.any(|destination| match &destination.naming {
        Naming::Template(template) => !template.keeps_apart(),
        Naming::Keep | Naming::Tags(_) | Naming::Untagged => false,
    })
}

//! A rule becomes images: names that stand at the source now.

use std::sync::Arc;

use registry::{Repository, Tag, Target};

use crate::rule::Rule;

/// One image of one rule, and where it goes.
#[derive(Debug, Clone)]
pub struct Image {
    /// The rule that wants it.
    pub rule: Arc<Rule>,
    /// Where it is.
    pub source: Repository,
    /// What is fetched.
    pub target: Target,
    /// Where it goes; never empty.
    pub places: Vec<Place>,
}

/// A name at a destination.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The repository.
    pub repository: Repository,
    /// The tag, or `None` to push by digest only.
    pub tag: Option<Tag>,
}

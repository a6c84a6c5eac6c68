//! What a rule copies.

use registry::{Digest, Repository, Tag};

use crate::rule::RuleError;

/// A repository and which of its images.
#[derive(Debug, Clone)]
pub struct Source {
    /// The repository.
    pub repository: Repository,
    /// Which images.
    pub select: Select,
}

/// Which images of a repository.
#[derive(Debug, Clone)]
pub enum Select {
    /// Every tag.
    All,
    /// These tags, in this order, each once.
    Tags(Vec<Tag>),
    /// Tags in which the expression is found.
    Matching(Pattern),
    /// One image by its digest; the tag, if written, names it at the destination.
    Digest {
        /// Decides what is fetched.
        digest: Digest,
        /// The tag written beside it.
        tag: Option<Tag>,
    },
}

/// An unanchored expression in RE2 syntax.
#[derive(Debug, Clone)]
pub struct Pattern(regex::Regex);

impl Pattern {
    /// Compiles what stood between the slashes.
    pub fn new(_expression: &str) -> Result<Self, RuleError> {
        todo!()
    }
    /// What stood between the slashes.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
    /// Whether the expression is found in the tag.
    pub fn matches(&self, tag: &Tag) -> bool {
        self.0.is_match(tag.as_str())
    }
}

impl Source {
    /// Reads `registry/repository[:tags | :/regex/ | @digest]`.
    pub fn parse(_text: &str) -> Result<Self, RuleError> {
        todo!()
    }
}

//! Repositories that the rules of a sharded run select.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::Repository;
use crate::shard::{RunPart, Shard, hash};

/// Number of repositories of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardRepositories {
    /// The shard.
    pub shard: Shard,
    /// Repositories of which the shard copies images.
    pub own: u64,
    /// Repositories that the rules select, in all shards together.
    pub selected: u64,
}

/// Counter of the repositories that the rules select, each once.
#[derive(Debug)]
pub(crate) struct SelectedRepositories {
    counts: ShardRepositories,
    seen: HashSet<u64>,
}

impl SelectedRepositories {
    /// Returns an empty counter; `None` unless `part` is a shard.
    pub(crate) fn new(part: &RunPart) -> Option<Self> {
        let counts = ShardRepositories {
            shard: part.shard()?,
            own: 0,
            selected: 0,
        };
        Some(Self {
            counts,
            seen: HashSet::new(),
        })
    }

    /// Counts `repository`, which the shard copies images of if `is_own`.
    pub(crate) fn add(&mut self, repository: &Repository, is_own: bool) {
        if self.seen.insert(hash::key(&repository.to_string())) {
            self.counts.selected += 1;
            self.counts.own += u64::from(is_own);
        }
    }

    /// Returns the numbers so far.
    pub(crate) fn counts(&self) -> ShardRepositories {
        self.counts
    }
}

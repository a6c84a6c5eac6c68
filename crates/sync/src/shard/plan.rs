//! Division of repositories among shards.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use image_syncer_registry::{Algorithm, Digest, Hasher};

use crate::shard::{RepositoryShare, Shard, TagParts, hash};

/// Work of repositories, by their names. The unit is the same for all, such as milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weights(BTreeMap<String, u64>);

/// Division of repositories among shards, as one of them sees it.
///
/// A repository without a weight belongs to the shard that its hash chooses. Repositories with a weight are placed
/// before: the heaviest first, each on the shard with the least work (LPT); of equal ones, the first by name goes first,
/// on the shard with the lowest number. A repository that weighs more than an equal share of the total is placed in
/// parts.
#[derive(Clone, Debug)]
pub struct ShardPlan {
    shard: Shard,
    /// Shards of the parts of each repository with a weight.
    placed: HashMap<String, Box<[u32]>>,
}

/// A repository, or a part of one, that is placed.
struct Piece<'a> {
    weight: u64,
    repository: &'a str,
    part: usize,
}

impl Weights {
    /// Adds work of `repository`.
    pub fn add(&mut self, repository: &str, weight: u64) {
        match self.0.get_mut(repository) {
            Some(sum) => *sum = sum.saturating_add(weight),
            None => drop(self.0.insert(repository.to_owned(), weight)),
        }
    }

    /// Keeps the repositories that `keep` returns true for.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.0.retain(|repository, _| keep(repository));
    }

    /// Returns true without any repository.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the number of repositories.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true if the weight of `repository` is known.
    pub fn knows(&self, repository: &str) -> bool {
        self.0.contains_key(repository)
    }

    /// Returns a digest of all weights, which is the same for equal ones.
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::with_algorithm(Algorithm::Sha256);
        for (repository, weight) in &self.0 {
            hasher.update(format!("{repository}\n{weight}\n").as_bytes());
        }
        hasher.finish()
    }
}

impl ShardPlan {
    /// Returns the division by hash alone.
    pub fn by_hash(shard: Shard) -> Self {
        Self {
            shard,
            placed: HashMap::new(),
        }
    }

    /// Returns the division by `weights`. `others` are known repositories without a weight: each counts as the average
    /// of the others on the shard that its hash chooses.
    pub fn by_weight<'a>(
        shard: Shard,
        weights: &Weights,
        others: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let count = u128::from(shard.count());
        let sum: u128 = weights.0.values().map(|weight| u128::from(*weight)).sum();
        let average = sum.checked_div(weights.len() as u128).unwrap_or_default();
        let mut loads: Vec<u128> = vec![0; shard.count() as usize];
        let mut total = sum;
        for repository in others {
            let owner = hash::owner(repository, shard.count()) as usize;
            if let Some(load) = loads.get_mut(owner) {
                *load += average;
                total += average;
            }
        }
        let mut placed = HashMap::with_capacity(weights.len());
        let mut pieces = Vec::with_capacity(weights.len());
        for (repository, weight) in &weights.0 {
            let parts = (u128::from(*weight) * count)
                .div_ceil(total.max(1))
                .clamp(1, count);
            let parts = usize::try_from(parts).unwrap_or(1);
            placed.insert(repository.clone(), vec![0; parts].into_boxed_slice());
            pieces.extend((0..parts).map(|part| Piece {
                weight: weight / parts as u64,
                repository,
                part,
            }));
        }
        pieces.sort_by_key(|piece| (Reverse(piece.weight), piece.repository, piece.part));
        // The least work first, then the lowest number.
        let mut queue: std::collections::BTreeSet<(u128, u32)> =
            loads.into_iter().zip(0..).collect();
        for piece in pieces {
            let Some((load, owner)) = queue.pop_first() else {
                break;
            };
            queue.insert((load + u128::from(piece.weight), owner));
            let place = placed.get_mut(piece.repository);
            if let Some(place) = place.and_then(|parts| parts.get_mut(piece.part)) {
                *place = owner;
            }
        }
        Self { shard, placed }
    }

    /// Returns the shard.
    pub fn shard(&self) -> Shard {
        self.shard
    }

    /// Returns the images of the repository `name` that belong to the shard.
    pub fn share(&self, name: &str) -> RepositoryShare {
        let index = self.shard.index();
        let Some(owners) = self.placed.get(name) else {
            let is_own = hash::owner(name, self.shard.count()) == index;
            return if is_own {
                RepositoryShare::Whole
            } else {
                RepositoryShare::Nothing
            };
        };
        let own = owners.iter().zip(0..).filter(|(owner, _)| **owner == index);
        let count = u32::try_from(owners.len()).unwrap_or_default();
        match TagParts::new(own.map(|(_, part)| part), count) {
            None => RepositoryShare::Nothing,
            Some(parts) if parts.is_everything() => RepositoryShare::Whole,
            Some(parts) => RepositoryShare::Tags(parts),
        }
    }
}

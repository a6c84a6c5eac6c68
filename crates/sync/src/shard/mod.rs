//! Parts of a run, for several processes that share its rules (docs/many-machines.md#shards).
//!
//! A [`RunPart`] says which repositories, and which of their tags, one process copies. It depends on the rules alone and
//! never on another process, so that processes need no server between them: each computes the same parts.
//!
//! # Owners
//!
//! A repository belongs to the shard with the highest score (rendezvous hashing): `mix(key ^ mix(shard))`, with the first
//! eight bytes of the SHA-256 digest of its name as `key`, big-endian, and the finalizer of `SplitMix64` as `mix`. With one
//! more shard, only repositories move that the new shard gets. The function is part of the interface: shards of
//! different versions must agree.
//!
//! # Parts of repositories
//!
//! The tags of a repository are divided by the same key of their names ([`TagParts`]). A tag that names referrers of a
//! manifest (`sha256-….sig`) belongs to the part of its subject.

mod hash;
mod index;
mod plan;
mod run_part;
#[cfg(test)]
mod run_tests;
mod selected;
mod tag_parts;
#[cfg(test)]
mod tests;

pub use index::{JOB_INDEX, MAX_SHARDS, Shard, ShardError};
pub use plan::{ShardPlan, Weights};
pub use run_part::{RepositoryShare, RunPart};
pub(crate) use selected::SelectedRepositories;
pub use selected::ShardRepositories;
pub use tag_parts::TagParts;

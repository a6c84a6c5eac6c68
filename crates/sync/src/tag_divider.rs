//! Division of the tags of a large repository among processes.

use std::collections::HashSet;
use std::fmt::Debug;

use futures_util::future::BoxFuture;
use image_syncer_registry::Tag;

use crate::rule::Rule;

/// Hands over tags of a repository to other processes, before a run copies them.
///
/// A run offers the tags that its rule selects in the order of their list, as its pages arrive, except those that lists
/// of both ends show as unchanged. It copies those that it keeps, and reports no others. Another run copies the rest: that of a part of the rule with exactly these tags
/// ([`RuleScope::chosen`](crate::rule::RuleScope::chosen)), without a divider.
///
/// The run that divides keeps everything that needs the whole list: the selection by a policy, tags in quarantine, and
/// tags of referrers without an image. A run offers nothing if its tags depend on each other in a way that parts would
/// not know: with several rules, which may have tags in common, and with a minimum age of tags, whose digests are fixed
/// when they are selected.
pub trait TagDivider: Debug + Send + Sync {
    /// Returns those of `tags`, which are not empty, that were handed over. The run keeps the others.
    fn divide<'a>(&'a self, rule: &'a Rule, tags: &'a [Tag]) -> BoxFuture<'a, HashSet<Tag>>;
}

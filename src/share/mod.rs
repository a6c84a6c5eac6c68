//! Work that several processes share.
//!
//! A run consists of units: its start, a list of repositories, the copy of some rules or of one repository, or some tags of a large
//! one. A [`Worker`] claims units, carries them out as runs of its session, and ends them. The registries stay the
//! state: every unit can be repeated, since images are compared by digest and tags come last.
//!
//! [`Share`] has two implementations. In one process a run is one unit ([`LocalShare`]). With `PostgreSQL`
//! (`postgres`, feature `share`) the units of a run are rows that any number of workers claim.

#![cfg_attr(not(feature = "share"), allow(dead_code))]

mod backlog;
mod divider;
mod error;
mod local;
#[cfg(feature = "share")]
pub(crate) mod postgres;
#[cfg(feature = "share")]
mod run_events;
#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::unwrap_used)]
mod simulation;
mod unit;
mod unit_rules;
mod worker;

use std::collections::{HashMap, HashSet};

use futures_util::future::BoxFuture;

pub(crate) use error::ShareError;
pub(crate) use local::LocalShare;
#[cfg(feature = "share")]
pub(crate) use run_events::{FinishedUnit, RunEvents};
pub(crate) use unit::{ClaimedUnit, NewUnit, RunKey, RunWork, UnitCost, UnitEnd, UnitSpec};
#[cfg(all(feature = "service", feature = "share"))]
pub(crate) use unit_rules::of_run as rules_of_run;
pub(crate) use worker::Worker;

/// Units of runs, which workers claim and end.
pub(crate) trait Share: Send + Sync {
    /// Claims at most `free` units of runs that this worker may join: those with the largest weight first. Waits until
    /// there is one, or returns `None` if none will follow: the runs that it works for are over.
    ///
    /// # Errors
    /// The server refuses, or could not be reached for too long.
    fn claim(&self, free: usize) -> BoxFuture<'_, Result<Option<Vec<ClaimedUnit>>, ShareError>>;

    /// Adds units to the run of `unit`. Units with a key that the run has are left out, so this may be repeated. Returns
    /// false, and adds nothing, if the lease of `unit` has ended.
    ///
    /// # Errors
    /// The server refuses, or could not be reached for too long.
    fn add<'a>(
        &'a self,
        unit: &'a ClaimedUnit,
        units: Vec<NewUnit>,
    ) -> BoxFuture<'a, Result<bool, ShareError>>;

    /// Returns the tags that units have which `unit` added, in this attempt or an earlier one.
    ///
    /// # Errors
    /// The server refuses, or could not be reached for too long.
    fn parts<'a>(
        &'a self,
        unit: &'a ClaimedUnit,
    ) -> BoxFuture<'a, Result<HashSet<String>, ShareError>>;

    /// Returns what units with these keys cost in the last run of the same work, as far as that is known.
    fn costs<'a>(
        &'a self,
        unit: &'a ClaimedUnit,
        keys: Vec<String>,
    ) -> BoxFuture<'a, HashMap<String, UnitCost>>;

    /// Ends a unit. The last one ends its run. Returns false, and changes nothing, if the lease of `unit` has ended:
    /// another worker carries it out.
    ///
    /// # Errors
    /// The server refuses, or could not be reached for too long.
    fn end<'a>(
        &'a self,
        unit: &'a ClaimedUnit,
        end: UnitEnd,
    ) -> BoxFuture<'a, Result<bool, ShareError>>;
}

//! The client against registries in this process: requests, bytes and outcomes, exactly.

mod blobs;
mod breaks;
mod challenges;
mod copy;
mod environment;
mod giants;
pub(crate) mod kit;
mod manifests;
mod profiles;
mod pushes;
mod quota;
mod ranges;
mod real;
mod referrers;
mod refusals;
mod registry_check;
mod tags;
mod uploads;
mod vanity;

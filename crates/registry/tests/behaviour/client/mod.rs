//! The client against registries in this process: requests, bytes and outcomes, exactly.

mod blobs;
mod breaks;
mod catalog;
mod challenges;
mod copy;
mod copy_blob;
mod delete;
mod environment;
mod giants;
pub(crate) mod kit;
mod listings;
mod manifests;
mod ping;
mod profiles;
mod pushes;
mod quota;
mod ranges;
mod real;
mod real_registry;
mod referrers;
mod refusals;
mod registry_check;
mod rotation;
mod tags;
mod uploads;
mod vanity;

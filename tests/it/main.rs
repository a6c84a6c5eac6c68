//! The program as a process, against registries in this process, and against real ones if they are installed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

mod archive_faults;
mod archives;
mod arguments;
mod bombs;
mod certificates;
mod check;
mod classic_files;
mod collisions;
mod compat_auth;
mod compat_flags;
mod compat_images;
mod compat_never;
mod compat_platforms;
mod compiler;
mod completions;
mod conflict_policy;
mod container_image;
mod convert;
mod copy_command;
mod copying;
mod counts;
mod destinations;
mod docs;
mod flags;
mod help;
mod hidden_text;
mod history;
mod host_counts;
mod immutable;
mod interruption;
mod layouts;
mod log;
mod logins;
mod machine;
mod man_pages;
mod memory;
mod messages;
#[cfg(feature = "service")]
mod metrics;
mod mistakes;
mod native;
mod native_files;
mod outcomes;
mod output;
mod packaging;
mod plan;
mod readme;
mod real_registry;
mod records;
mod reference;
mod referrers;
mod registries;
mod registry_secrets;
mod report;
mod schema;
mod secrets;
mod service;
mod service_hooks;
mod service_page;
mod shards;
#[cfg(feature = "share")]
mod share;
#[cfg(feature = "share")]
mod sharing;
mod signature_counts;
mod signatures;
mod slow_readers;
mod survival;
mod tag_conflicts;
mod tag_policies;
mod tags_command;
mod templates;
mod terminal;
mod time_limits;
mod validate;
mod vendor_lists;
mod verifying;

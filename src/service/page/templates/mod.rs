//! The pages: pure functions of a reader and a view.

pub(super) mod differences;
pub(super) mod error;
pub(super) mod image;
pub(super) mod login;
pub(super) mod parts;
pub(super) mod registries;
pub(super) mod reload;
pub(super) mod rule;
pub(super) mod rules;
pub(super) mod run;
pub(super) mod run_failures;
pub(super) mod run_images;
pub(super) mod runs;
pub(super) mod workers;

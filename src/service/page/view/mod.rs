//! Content of the pages, as plain data. It is made from the state of the service, so that the templates are pure functions.

pub(super) mod differences;
pub(super) mod list;
pub(super) mod reload;
pub(super) mod rules;
pub(super) mod run;
pub(super) mod runs;

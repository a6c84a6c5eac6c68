//! Native files end to end: patterns, tag policies, templates, and several destinations.

pub(crate) mod commands;
mod copying;
mod support;

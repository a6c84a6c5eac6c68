//! Tests of the hooks: payloads as vendors document them, callers, rules, and bodies from anywhere.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod calls;
mod payloads;

//! The service: runs by schedule, request and hook, and everything that shows them.
#![allow(dead_code, reason = "the command that uses it follows")]

mod events;
mod observer;
mod rule_book;
mod run;
mod runs;
mod state;

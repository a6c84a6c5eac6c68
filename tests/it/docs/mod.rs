//! Checks of the documents: every command in them parses, every file in them is valid.

mod code;
mod commands;
mod fences;
mod files;
mod flags;
mod languages;
mod links;
mod pictures;
mod recipes;
pub(crate) mod shell;
mod units;

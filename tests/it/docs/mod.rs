//! What the documents show is what the program takes: every command in them parses, every file in them is right.

mod code;
mod commands;
mod fences;
mod files;
mod flags;
mod languages;
mod links;
mod pictures;
mod recipes;
mod shell;
mod units;

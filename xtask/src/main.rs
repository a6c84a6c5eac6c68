//! `cargo run --locked --package xtask -- container-image …`: docs/container-image.md.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use xtask::Task;

fn main() -> Result<()> {
    let text = Task::parse().run()?;
    writeln!(std::io::stdout(), "{text}").context("cannot write to stdout")
}

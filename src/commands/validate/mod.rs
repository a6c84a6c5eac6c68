//! The command `validate`.

mod options;
mod registries;
mod rules;

use std::collections::HashSet;
use std::fmt::Write;

use image_syncer_sync::config::Config;
use image_syncer_sync::rule::PlatformFilter;

use crate::cli::ValidateArgs;
use crate::commands::option_flags::OptionFlags;
use crate::commands::run_flags::RunFlags;
use crate::commands::setup;
use crate::escape;
use crate::exit::Exit;
use crate::problems::Problems;
use crate::ui::listing::ListingForm;
use crate::ui::{Printer, units};

use registries::Registries;

/// Reads the files and prints their rules and logins to stdout.
pub(super) fn execute(
    arguments: ValidateArgs,
    mut problems: Problems,
    printer: &Printer,
) -> anyhow::Result<Exit> {
    let inputs = setup::input_files(&arguments.files);
    let config = setup::config(
        arguments.files,
        &arguments.selection,
        &arguments.defaults,
        &OptionFlags::platforms(&arguments.platforms),
        &mut problems,
    );
    let platforms = problems.collect(setup::platforms(&arguments.platforms));
    let registries = Registries::new(&config, &mut problems);
    problems.print(printer)?;
    let platforms = platforms.unwrap_or_default();
    let meaning = describe(&config, &platforms, &registries.describe());
    drop(registries);
    printer.out(&escape::block(&meaning));
    if !arguments.list {
        return Ok(Exit::Done);
    }
    printer.out("\n");
    let flags = RunFlags::listing("validate", config, inputs, ListingForm::Repositories);
    flags.run(Problems::default(), printer)
}

/// Returns the rules in the order of the files, then the logins.
fn describe(config: &Config, platforms: &PlatformFilter, logins: &[String]) -> String {
    let mut text = String::new();
    for rule in &config.rules {
        rules::describe(rule, platforms, &mut text);
    }
    for pattern in &config.patterns {
        rules::describe_pattern(pattern, platforms, &mut text);
    }
    if !platforms.is_empty() {
        let _ = writeln!(text, "of every image only {platforms}");
    }
    for login in logins {
        let _ = writeln!(text, "{login}");
    }
    let counted = if config.registries.is_empty() {
        units::count(config.credentials.len() as u64, "credential")
    } else {
        registry_count(config.registries.len())
    };
    let rules = units::count(rule_count(config), "rule");
    let _ = writeln!(text, "{rules}, {counted}: no mistakes");
    text
}

/// Returns the number of rules in the files. A rule with several sources is several rules of a run.
fn rule_count(config: &Config) -> u64 {
    let names = config.rules.iter().map(|rule| &rule.name);
    let patterns = config.patterns.iter().map(|pattern| &pattern.name);
    names.chain(patterns).collect::<HashSet<_>>().len() as u64
}

fn registry_count(number: usize) -> String {
    match number {
        1 => "1 registry".to_owned(),
        number => format!("{} registries", units::grouped(number as u64)),
    }
}

//! The command `man`: manual pages from the texts of `--help`.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use clap::CommandFactory;
use image_syncer_registry::io_clause;

use crate::cli::{Cli, ManArgs};
use crate::exit::Exit;
use crate::replacement;
use crate::ui::Printer;

mod page;

/// Name of the program, with which the names of all pages begin.
const PROGRAM: &str = "image-syncer";

/// Prints one page to stdout, or writes all of them to a directory.
pub(super) fn execute(arguments: &ManArgs, printer: &Printer) -> anyhow::Result<Exit> {
    // The help commands have no page.
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    if let Some(directory) = &arguments.out {
        write_all(&program, directory)?;
    } else {
        printer.out(&page::man_page(find(&program, &arguments.command)?)?);
    }
    Ok(Exit::Done)
}

/// Returns the command of `words`; the program, if there are none.
fn find<'a>(program: &'a clap::Command, words: &[String]) -> anyhow::Result<&'a clap::Command> {
    let mut found = program;
    for word in words {
        let Some(next) = found.find_subcommand(word) else {
            let names: Vec<&str> = found
                .get_subcommands()
                .map(clap::Command::get_name)
                .collect();
            let of = found.get_bin_name().unwrap_or(PROGRAM);
            match names.as_slice() {
                [] => bail!("{of} has no command `{word}`, and no other commands"),
                names => bail!(
                    "{of} has no command `{word}`. Its commands are {}.",
                    names.join(", ")
                ),
            }
        };
        found = next;
    }
    Ok(found)
}

/// Writes the pages of `program` and all its commands, or none if a link decides on the place of one.
fn write_all(program: &clap::Command, directory: &Path) -> anyhow::Result<()> {
    let mut pages = Vec::new();
    add_pages(program, directory, &mut pages)?;
    for (file, _) in &pages {
        replacement::refuse_foreign_link("--out", file)?;
    }
    pages.iter().try_for_each(|(file, page)| {
        std::fs::write(file, page).map_err(|error| {
            anyhow!(
                "--out: cannot write {}: {}. Name a directory that exists and that you may write to.",
                file.display(),
                io_clause(&error)
            )
        })
    })
}

/// Adds the file and the text of each page.
fn add_pages(
    command: &clap::Command,
    directory: &Path,
    pages: &mut Vec<(PathBuf, String)>,
) -> anyhow::Result<()> {
    let file = directory.join(format!("{}.1", page::name(command)));
    pages.push((file, page::man_page(command)?));
    command
        .get_subcommands()
        .try_for_each(|below| add_pages(below, directory, pages))
}

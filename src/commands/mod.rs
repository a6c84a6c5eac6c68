//! One thin file for each command: from arguments to calls of the `sync` crate.

mod check;
mod collisions;
mod completions;
mod concurrency;
mod copy;
mod in_flight;
mod job;
mod listeners;
mod man;
mod observers;
mod outputs;
mod plan;
mod problems;
mod rates;
mod records;
mod run;
mod run_outputs;
mod setup;
mod stdout_output;
mod sync;
mod validate;

use crate::cli::{Cli, Command};
use crate::commands::problems::Problems;
use crate::exit::Exit;
use crate::ui::Printer;

/// Executes the command. An error before the first request is bad usage.
pub fn execute(cli: Cli, printer: &Printer) -> Exit {
    let problems = Problems::new(cli.mistakes, cli.warnings);
    let done = match cli.command {
        Some(Command::Copy(copy)) => copy::execute(*copy, problems, printer),
        Some(Command::Plan(plan)) => plan::execute(*plan, problems, printer),
        Some(Command::Check(check)) => check::execute(*check, problems, printer),
        Some(Command::Validate(validate)) => validate::execute(validate, problems, printer),
        Some(Command::Records(records)) => problems
            .print(printer)
            .and_then(|()| records::execute(&records.action, printer)),
        Some(Command::Completions(completions)) => problems
            .print(printer)
            .map(|()| completions::execute(&completions, printer)),
        Some(Command::Man(man)) => problems
            .print(printer)
            .and_then(|()| man::execute(&man, printer)),
        None => sync::execute(cli.sync, problems, printer),
    };
    done.unwrap_or_else(|error| {
        printer.error(&format!("{error:#}"));
        Exit::Usage
    })
}

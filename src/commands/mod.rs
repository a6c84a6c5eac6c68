//! One thin file for each command: from arguments to calls of the `sync` crate.

mod check;
#[cfg(any(feature = "service", feature = "share"))]
mod columns;
mod completions;
mod connection_flags;
mod convert;
mod copy;
#[cfg(feature = "service")]
mod history;
mod limit_share;
mod man;
mod option_flags;
mod plan;
mod rates;
mod records;
mod registry_settings;
mod report;
mod run_flags;
mod schema;
#[cfg(feature = "service")]
mod serve;
mod setup;
mod shard_flags;
#[cfg(feature = "share")]
mod shared_report;
mod sync;
mod tags;
mod validate;
#[cfg(feature = "share")]
mod work;

use crate::cli::{Cli, Command};
use crate::exit::Exit;
use crate::problems::Problems;
use crate::share::ShareError;
use crate::ui::Printer;

/// Executes the command. An error before the first request is bad usage.
pub fn execute(cli: Cli, printer: &Printer) -> Exit {
    let problems = Problems::new(cli.mistakes, cli.warnings);
    let done = match cli.command {
        Some(Command::Copy(copy)) => copy::execute(*copy, problems, printer),
        Some(Command::Plan(plan)) => plan::execute(*plan, problems, printer),
        Some(Command::Check(check)) => check::execute(*check, problems, printer),
        #[cfg(feature = "service")]
        Some(Command::Serve(serve)) => serve::execute(*serve, problems, printer),
        #[cfg(feature = "service")]
        Some(Command::History(history)) => problems
            .print(printer)
            .and_then(|()| history::execute(history, printer)),
        #[cfg(feature = "share")]
        Some(Command::Work(work)) => work::execute(*work, problems, printer),
        Some(Command::Validate(validate)) => validate::execute(validate, problems, printer),
        Some(Command::Tags(tags)) => tags::execute(tags, problems, printer),
        Some(Command::Convert(convert)) => convert::execute(convert, problems, printer),
        Some(Command::Schema) => problems
            .print(printer)
            .and_then(|()| schema::execute(printer)),
        Some(Command::Report(report)) => problems
            .print(printer)
            .and_then(|()| report::execute(&report, printer)),
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
        // A server that is away is no mistake of the command line.
        match error.downcast_ref::<ShareError>() {
            Some(_) => Exit::Failed,
            None => Exit::Usage,
        }
    })
}

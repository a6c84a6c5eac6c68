//! The user interface of image-syncer: arguments, commands and output.
//!
//! [`run`] is the whole program. [`cli`] has the arguments, [`commands`] turns them into calls of the `sync` crate,
//! and [`ui`] prints events. There is no logic of copying here.

pub mod cli;
pub mod commands;
mod convert;
mod escape;
mod exit;
#[cfg(all(feature = "service", any(test, feature = "fuzzing")))]
#[doc(hidden)]
pub mod fuzzing;
mod hint;
mod host_counts;
mod images_file;
mod interrupt;
mod lock;
mod login;
#[cfg(feature = "service")]
mod metrics;
mod problems;
mod replacement;
mod report;
mod run;
mod run_summary;
#[cfg(feature = "service")]
mod service;
mod share;
pub mod ui;

use std::ffi::OsString;

pub use exit::Exit;

/// Runs the program as if it had been called with `args`, the program's name first; prints to this process's stdout
/// and stderr, and reads its environment. Must not be called from within an asynchronous runtime, as it starts one.
pub fn run<A>(args: impl IntoIterator<Item = A>) -> Exit
where
    A: Into<OsString> + Clone,
{
    interrupt::survive_file_size_limits();
    let printer = ui::Printer::new();
    let args = args.into_iter().map(Into::into).collect();
    let args = cli::without_empty_values(args);
    match cli::parse(&args) {
        Ok(cli) => commands::execute(cli, &printer),
        Err(refusal) => {
            if !refusal.error.use_stderr() {
                printer.clap(&refusal.error);
                return Exit::Done;
            }
            if !refusal.mistakes.is_empty() {
                printer.error(&format!("{}\n", refusal.mistakes.join("\n\n")));
            }
            printer.clap(&refusal.error);
            Exit::Usage
        }
    }
}

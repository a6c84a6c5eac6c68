//! The command `check`.

use crate::cli::{CheckArgs, Copying, Output, Transfer};
use crate::commands::option_flags::OptionFlags;
use crate::commands::run_flags::RunFlags;
use crate::commands::setup;
use crate::exit::Exit;
use crate::problems::Problems;
use crate::ui::Printer;

/// Reads the files and shows differences.
pub(super) fn execute(
    arguments: CheckArgs,
    mut problems: Problems,
    printer: &Printer,
) -> anyhow::Result<Exit> {
    let inputs = setup::input_files(&arguments.files);
    let config = setup::config(
        arguments.files,
        &arguments.selection,
        &arguments.defaults,
        &OptionFlags::new(&arguments.common, Copying::default()),
        &mut problems,
    );
    let archives = setup::archives(&arguments.common.archives);
    let flags = RunFlags {
        command: "check",
        config,
        inputs,
        purpose: setup::check_purpose(arguments.differences),
        transfer: Transfer::default(),
        output: Output {
            reporting: arguments.reporting,
            ..Output::default()
        },
        common: arguments.common,
        logging: arguments.logging,
        progress: arguments.progress.progress,
        insecure: Vec::new(),
        archives,
        sharding: arguments.sharding,
        #[cfg(feature = "share")]
        share: None,
    };
    flags.run(problems, printer)
}

//! The command `plan`.

use crate::cli::{Output, PlanArgs, Transfer};
use crate::commands::option_flags::OptionFlags;
use crate::commands::run_flags::RunFlags;
use crate::commands::setup;
use crate::exit::Exit;
use crate::problems::Problems;
use crate::ui::Printer;

/// Reads the files and shows what their rules would copy.
pub(super) fn execute(
    arguments: PlanArgs,
    mut problems: Problems,
    printer: &Printer,
) -> anyhow::Result<Exit> {
    let inputs = setup::input_files(&arguments.files);
    let config = setup::config(
        arguments.files,
        &arguments.selection,
        &arguments.defaults,
        &OptionFlags::new(&arguments.common, arguments.copying),
        &mut problems,
    );
    let archives = setup::archives(&arguments.common.archives);
    let flags = RunFlags {
        command: "plan",
        config,
        inputs,
        purpose: setup::plan_purpose(arguments.showing),
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

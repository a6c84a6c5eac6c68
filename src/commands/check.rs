//! The command `check`.

use crate::cli::{CheckArgs, Copying, Output, Transfer};
use crate::commands::collisions::Inputs;
use crate::commands::problems::Problems;
use crate::commands::stdout_output::Purpose;
use crate::commands::{job, setup};
use crate::exit::Exit;
use crate::ui::Printer;

/// Reads the files and shows differences.
pub(super) fn execute(
    arguments: CheckArgs,
    mut problems: Problems,
    printer: &Printer,
) -> anyhow::Result<Exit> {
    image_syncer_registry::transport::prepare();
    let inputs = Inputs::new(&arguments.files);
    let config = setup::config(arguments.files, &arguments.defaults, &mut problems);
    let job = job::RunJob {
        command: "check",
        rules: config.rules,
        credentials: config.credentials,
        inputs,
        problems,
        purpose: Purpose::check(arguments.differences),
        copying: Copying::default(),
        transfer: Transfer::default(),
        output: Output {
            reporting: arguments.reporting,
            ..Output::default()
        },
        common: arguments.common,
        logging: arguments.logging,
    };
    job.run(printer)
}

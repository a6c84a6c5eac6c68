//! The sync of all rules in files.

use crate::cli::SyncArgs;
use crate::commands::collisions::Inputs;
use crate::commands::problems::Problems;
use crate::commands::stdout_output::Purpose;
use crate::commands::{job, setup};
use crate::exit::Exit;
use crate::ui::Printer;

/// Reads the files and copies the images of their rules.
pub(super) fn execute(
    arguments: SyncArgs,
    mut problems: Problems,
    printer: &Printer,
) -> anyhow::Result<Exit> {
    image_syncer_registry::transport::prepare();
    let inputs = Inputs::new(&arguments.files);
    let config = setup::config(arguments.files, &arguments.defaults, &mut problems);
    let job = job::RunJob {
        command: "sync",
        rules: config.rules,
        credentials: config.credentials,
        inputs,
        problems,
        purpose: Purpose::sync(arguments.dry_run),
        copying: arguments.copying,
        transfer: arguments.transfer,
        output: arguments.output,
        common: arguments.common,
        logging: arguments.logging,
    };
    job.run(printer)
}

//! The command `plan`.

use crate::cli::{Output, PlanArgs, Transfer};
use crate::commands::collisions::Inputs;
use crate::commands::problems::Problems;
use crate::commands::stdout_output::Purpose;
use crate::commands::{job, setup};
use crate::exit::Exit;
use crate::ui::Printer;

/// Reads the files and shows what their rules would copy.
pub(super) fn execute(
    arguments: PlanArgs,
    mut problems: Problems,
    printer: &Printer,
) -> anyhow::Result<Exit> {
    image_syncer_registry::transport::prepare();
    let inputs = Inputs::new(&arguments.files);
    let config = setup::config(arguments.files, &arguments.defaults, &mut problems);
    let job = job::RunJob {
        command: "plan",
        rules: config.rules,
        credentials: config.credentials,
        inputs,
        problems,
        purpose: Purpose::plan(arguments.showing),
        copying: arguments.copying,
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

//! A worker of shared runs.

use std::time::Duration;

use crate::cli::WorkArgs;
use crate::commands::connection_flags::ConnectionFlags;
use crate::commands::option_flags::OptionFlags;
use crate::commands::run_flags::{listing, records};
use crate::commands::setup;
use crate::exit::Exit;
use crate::problems::Problems;
use crate::run::{self, ShareSpec, WorkSpec};
use crate::ui::Printer;

/// Reads the files, and works until a signal.
pub(super) fn execute(
    arguments: WorkArgs,
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
    let asking = &arguments.common.asking;
    let connections = ConnectionFlags {
        asking,
        safety: &arguments.common.safety,
        transfer: &arguments.transfer,
        insecure: &[],
    };
    let registries = connections.access(&config, &mut problems);
    let spec = WorkSpec {
        rules: config.rule_set(),
        share: ShareSpec {
            url: arguments.sharing.share,
            timeout: arguments.sharing.limits.timeout(),
        },
        idle: arguments.sharing.idle,
        registries,
        transfers: arguments.transfer.proc.and_then(setup::bound),
        listing: listing(asking.listing),
        grace: Duration::from_secs(asking.grace),
        records: records(arguments.common.remembering),
        logging: arguments.logging,
    };
    run::work(spec, &inputs, problems, printer)
}

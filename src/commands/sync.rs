//! The sync of all rules in files.

use crate::cli::SyncArgs;
use crate::commands::option_flags::OptionFlags;
use crate::commands::run_flags::RunFlags;
use crate::commands::setup;
use crate::exit::Exit;
use crate::problems::Problems;
#[cfg(feature = "share")]
use crate::run::ShareSpec;
use crate::ui::Printer;

/// Reads the files and copies the images of their rules.
pub(super) fn execute(
    arguments: SyncArgs,
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
    #[cfg(feature = "share")]
    let share = arguments.sharing.share.map(|url| ShareSpec {
        url,
        timeout: arguments.sharing.limits.timeout(None),
    });
    let archives = setup::archives(&arguments.common.archives);
    let flags = RunFlags {
        command: "sync",
        config,
        inputs,
        purpose: setup::copy_purpose(arguments.dry_run),
        transfer: arguments.transfer,
        output: arguments.output,
        common: arguments.common,
        logging: arguments.logging,
        progress: arguments.progress.progress,
        insecure: Vec::new(),
        archives,
        sharding: arguments.sharding,
        #[cfg(feature = "share")]
        share,
    };
    flags.run(problems, printer)
}

//! The service.

use std::time::Duration;

use image_syncer_sync::Config;

use crate::cli::ServeArgs;
use crate::commands::connection_flags::ConnectionFlags;
use crate::commands::option_flags::OptionFlags;
use crate::commands::run_flags::{listing, records};
use crate::commands::setup;
use crate::exit::Exit;
use crate::problems::Problems;
use crate::run::RegistryAccess;
#[cfg(feature = "share")]
use crate::run::ShareSpec;
use crate::service::{self, FileReader, LoadedFiles, ServiceSpec};
use crate::ui::Printer;

/// Reads the files, and serves until a signal.
pub(super) fn execute(
    arguments: ServeArgs,
    mut problems: Problems,
    printer: &Printer,
) -> anyhow::Result<Exit> {
    let inputs = setup::input_files(&arguments.files);
    let files = &arguments.files;
    let all = files.config.iter().chain(&files.images).chain(&files.auth);
    if all.into_iter().any(|path| path.as_os_str() == "-") {
        problems.add_mistake(
            "serve reads its files again when they change, so none can be standard input. Name a file instead of `-`.",
        );
        problems.finish()?;
        return Ok(Exit::Usage);
    }
    let transfers = arguments.transfer.proc.and_then(setup::bound);
    let asking = &arguments.common.asking;
    let spec = ServiceSpec {
        listen: arguments.service.listen.clone(),
        state: arguments.service.state.clone(),
        sync_at_start: arguments.service.sync_at_start,
        has_page: !arguments.service.no_page,
        listing: listing(asking.listing),
        grace: Duration::from_secs(asking.grace),
        stall: Duration::from_secs(asking.stall_timeout),
        transfers,
        archives: setup::archives(&arguments.common.archives),
        records: records(arguments.common.remembering.clone()),
        logging: arguments.logging.clone(),
        inputs,
        #[cfg(feature = "share")]
        share: arguments.sharing.share.clone().map(|url| ShareSpec {
            url,
            timeout: arguments.sharing.limits.timeout(None),
        }),
    };
    let reader: FileReader = Box::new(move |problems| {
        let (config, access) = read(&arguments, problems);
        LoadedFiles { config, access }
    });
    service::serve(spec, reader, problems, printer)
}

/// Reads the files, with the options of the flags.
fn read(arguments: &ServeArgs, problems: &mut Problems) -> (Config, RegistryAccess) {
    let config = setup::config(
        arguments.files.clone(),
        &arguments.selection,
        &arguments.defaults,
        &OptionFlags::new(&arguments.common, arguments.copying),
        problems,
    );
    let connections = ConnectionFlags {
        asking: &arguments.common.asking,
        safety: &arguments.common.safety,
        transfer: &arguments.transfer,
        insecure: &[],
    };
    let access = connections.access(&config, problems);
    (config, access)
}

//! A worker of shared runs.

use std::time::Duration;

use image_syncer_sync::config::Config;

use crate::cli::{WorkArgs, WorkSharing};
use crate::commands::connection_flags::ConnectionFlags;
use crate::commands::option_flags::OptionFlags;
use crate::commands::run_flags::{listing, records};
use crate::commands::setup;
use crate::exit::Exit;
use crate::problems::Problems;
use crate::run::{self, ShareSpec, WorkSpec};
use crate::ui::Printer;

/// Mistake without a server.
const MISSING: &str = "work needs the PostgreSQL server of the runs. Write --share postgres://USER@HOST/DATABASE, or the key `share` into the file: share: {url: \"postgres://USER@HOST/DATABASE\"}";

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
    let idle = arguments.sharing.idle;
    let share = share(arguments.sharing, &config, &mut problems);
    let Some(share) = share else {
        problems.finish()?;
        return Ok(Exit::Usage);
    };
    let spec = WorkSpec {
        rules: config.rule_set(),
        share,
        idle,
        registries,
        transfers: arguments.transfer.proc.and_then(setup::bound),
        archives: setup::archives(&arguments.common.archives),
        listing: listing(asking.listing),
        grace: Duration::from_secs(asking.grace),
        records: records(arguments.common.remembering),
        logging: arguments.logging,
        #[cfg(feature = "service")]
        metrics: arguments.metrics,
    };
    run::work(spec, &inputs, problems, printer)
}

/// Returns the server of the flag, or of the file. Without any, that is a mistake.
fn share(flags: WorkSharing, config: &Config, problems: &mut Problems) -> Option<ShareSpec> {
    let of_flags = flags.limits.share_timeout.map(Duration::from_secs);
    if let Some(url) = flags.share {
        let of_file = config.share.as_ref().and_then(|share| share.timeout);
        let timeout = flags.limits.timeout(of_file);
        return Some(ShareSpec { url, timeout });
    }
    let file = problems.collect(ShareSpec::from_config(config, setup::environment))?;
    // A file with mistakes may have the key.
    if file.is_none() && !problems.has_mistakes() {
        problems.add_mistake(MISSING);
    }
    file.map(|file| ShareSpec {
        timeout: of_flags.unwrap_or(file.timeout),
        ..file
    })
}

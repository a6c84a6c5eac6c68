//! Flags of the commands that start a run, and their conversion to its specification.

use std::time::Duration;

use image_syncer_sync::settings::Listing;
use image_syncer_sync::{Archives, Config};

use crate::cli;
use crate::commands::connection_flags::ConnectionFlags;
use crate::commands::limit_share::LimitShare;
use crate::commands::{setup, shard_flags};
use crate::exit::Exit;
use crate::problems::Problems;
#[cfg(feature = "share")]
use crate::run::ShareSpec;
use crate::run::{
    Inputs, OutputPaths, Purpose, RecordsChoice, RunSpec, TerminalOptions, TerminalRunner,
};
use crate::ui::Printer;
use crate::ui::listing::ListingForm;

/// Flags of a run.
pub(super) struct RunFlags {
    /// Name of the command.
    pub(super) command: &'static str,
    /// Rules to carry out with their options, and credentials of the files.
    pub(super) config: Config,
    /// Files that were read.
    pub(super) inputs: Inputs,
    /// Purpose of the run.
    pub(super) purpose: Purpose,
    /// Flags of the group.
    pub(super) transfer: cli::Transfer,
    /// Flags of the group.
    pub(super) output: cli::Output,
    /// Flags of the group.
    pub(super) common: cli::Common,
    /// Flags of the group.
    pub(super) logging: cli::Logging,
    /// Display of the progress.
    pub(super) progress: cli::ProgressMode,
    /// Hosts without a trusted certificate.
    pub(super) insecure: Vec<String>,
    /// Archives of images, of which some may be open.
    pub(super) archives: Archives,
    /// Flags of the group.
    pub(super) sharding: cli::Sharding,
    /// Server that workers share the run on.
    #[cfg(feature = "share")]
    pub(super) share: Option<ShareSpec>,
}

impl RunFlags {
    /// Returns the flags of a run that shows what the rules of `config` select.
    pub(super) fn listing(
        command: &'static str,
        config: Config,
        inputs: Inputs,
        form: ListingForm,
    ) -> Self {
        Self {
            command,
            config,
            inputs,
            purpose: Purpose::List(form),
            transfer: cli::Transfer::default(),
            output: cli::Output::default(),
            common: cli::Common::default(),
            logging: cli::Logging::default(),
            progress: cli::ProgressMode::default(),
            insecure: Vec::new(),
            archives: Archives::default(),
            sharding: cli::Sharding::default(),
            #[cfg(feature = "share")]
            share: None,
        }
    }

    /// Carries out the run.
    ///
    /// # Errors
    /// All mistakes that were found before the first request, together with those in `problems`.
    pub(super) fn run(mut self, mut problems: Problems, printer: &Printer) -> anyhow::Result<Exit> {
        if let Some(weights) = &self.sharding.shard_weights {
            self.inputs
                .add("--shard-weights", std::slice::from_ref(weights));
        }
        let rules = self.config.rule_set();
        let part = shard_flags::part(&self.sharding, &rules, &mut problems);
        #[cfg(feature = "share")]
        if let (Some(_), Some(shard)) = (&self.share, part.run.shard()) {
            problems.add_mistake(format!(
                "--shard {shard}: the run is shared on a server (--share or IMAGE_SYNCER_SHARE), whose workers divide it themselves. Use one of the two."
            ));
        }
        let mut notes = Vec::new();
        let connections = ConnectionFlags {
            asking: &self.common.asking,
            safety: &self.common.safety,
            transfer: &self.transfer,
            insecure: &self.insecure,
        };
        let limits = LimitShare::new(part.run.shard(), &mut notes);
        let registries = connections.access_for(&self.config, limits, &mut problems);
        // Events of other workers have these ids.
        #[cfg(feature = "share")]
        let rules = self
            .share
            .as_ref()
            .map_or(rules.clone(), |_| rules.numbered());
        let spec = RunSpec {
            command: self.command,
            shard: part.record(&rules),
            rules: rules.with_part(part.run),
            notes,
            intent: self.purpose.intent(),
            transfers: self.transfer.proc.and_then(setup::bound),
            listing: listing(self.common.asking.listing),
            registries,
            records: records(self.common.remembering),
            archives: self.archives,
            grace: Duration::from_secs(self.common.asking.grace),
            outputs: output_paths(self.output),
            #[cfg(feature = "share")]
            share: self.share,
        };
        let options = TerminalOptions {
            logging: self.logging,
            progress: self.progress,
            purpose: self.purpose,
        };
        TerminalRunner::prepare(spec, options, &self.inputs, problems)?.run(printer)
    }
}

/// Returns the use of lists with digests that the flag chooses.
pub(super) fn listing(choice: cli::ListingChoice) -> Listing {
    match choice {
        cli::ListingChoice::Auto => Listing::Auto,
        cli::ListingChoice::Off => Listing::Off,
    }
}

/// Returns the records that the flags choose.
pub(super) fn records(flags: cli::Remembering) -> RecordsChoice {
    match flags.records {
        _ if flags.no_records => RecordsChoice::Unused,
        Some(path) => RecordsChoice::Named(path),
        None => RecordsChoice::from_env(),
    }
}

/// Returns the files that the flags name.
fn output_paths(flags: cli::Output) -> OutputPaths {
    OutputPaths {
        report: flags.reporting.report,
        success_images: flags.output_success_images,
        success_format: setup::images_format(flags.output_images_format),
        failed_images: flags.failed_images,
        #[cfg(feature = "service")]
        metrics: flags.reporting.metrics,
    }
}

//! Specification of a run.

use std::time::Duration;

use image_syncer_registry::Listings;
use image_syncer_registry::auth::Keychain;
use image_syncer_registry::transport::{RetryPolicy, TransportOptions};
use image_syncer_sync::Archives;
use image_syncer_sync::rule::{CopyOptions, RuleSet};
use image_syncer_sync::settings::{Intent, Listing};

use crate::run::output_files::OutputPaths;
use crate::run::records::RecordsChoice;
#[cfg(feature = "share")]
use crate::run::shared::ShareSpec;
use crate::run_summary::ShardRecord;

/// Specification of a run: plain data, from flags and files or from another program. It has no flags, no terminal and
/// nothing that is open.
pub(crate) struct RunSpec {
    /// Name of the command, for reports.
    pub(crate) command: &'static str,
    /// Rules to carry out, with the options of their copies.
    pub(crate) rules: RuleSet,
    /// Part of a run that several processes share, for its report.
    pub(crate) shard: Option<ShardRecord>,
    /// Lines to print at the start.
    pub(crate) notes: Vec<String>,
    /// Purpose of the run.
    pub(crate) intent: Intent,
    /// Maximum number of blob downloads in flight; `None` for the limits of the hosts alone.
    pub(crate) transfers: Option<usize>,
    /// Use of lists with digests.
    pub(crate) listing: Listing,
    /// Connections and logins.
    pub(crate) registries: RegistryAccess,
    /// Records of earlier runs.
    pub(crate) records: RecordsChoice,
    /// Archives of images, of which some may be open.
    pub(crate) archives: Archives,
    /// Maximum time that images may go on after a request to stop.
    pub(crate) grace: Duration,
    /// Files to write for other programs.
    pub(crate) outputs: OutputPaths,
    /// Server that workers share the run on; `None` for a run of this process.
    #[cfg(feature = "share")]
    pub(crate) share: Option<ShareSpec>,
}

/// Connections and logins of a run.
#[derive(Default)]
pub(crate) struct RegistryAccess {
    /// Limits and addresses of requests. The observer is set when the run starts.
    pub(crate) transport: TransportOptions,
    /// Credentials by registry.
    pub(crate) keychain: Keychain,
    /// APIs that list repositories and tags.
    pub(crate) listings: Listings,
    /// Policy for retries.
    pub(crate) retry: RetryPolicy,
}

impl RunSpec {
    /// Returns a warning for each option without an effect on a run that has no records.
    pub(crate) fn warnings_without_records(&self) -> Vec<&'static str> {
        let mut warnings = Vec::new();
        // A run that writes nothing creates no records.
        if self.intent != Intent::Copy {
            return warnings;
        }
        if self.any_options(|options| !options.immutable.is_empty()) {
            warnings.push("--immutable has no effect: this run has no records, so the registries are asked for these tags");
        }
        let waits = |options: &CopyOptions| {
            let referrers = options.referrers.as_ref();
            referrers.is_some_and(|referrers| !referrers.interval.is_zero())
        };
        if self.any_options(waits) {
            warnings.push("--referrers-interval has no effect: this run has no records, so the referrers of every unchanged image are looked up");
        }
        warnings
    }

    /// Returns true if the options of a destination have a property.
    fn any_options(&self, has: impl Fn(&CopyOptions) -> bool) -> bool {
        self.rules.options().any(has)
    }
}

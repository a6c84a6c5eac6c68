//! Arguments of `work`.

use clap::Args;

use crate::cli::args::WorkSharing;
use crate::cli::{Common, Copying, Defaults, Files, Logging, RuleSelection, Transfer};

/// Arguments of `work`.
#[derive(Debug, Args)]
pub struct WorkArgs {
    /// The files.
    #[command(flatten)]
    pub files: Files,
    /// Rules of the files.
    #[command(flatten)]
    pub selection: RuleSelection,
    /// Default destination.
    #[command(flatten)]
    pub defaults: Defaults,
    /// The server.
    #[command(flatten)]
    pub sharing: WorkSharing,
    /// Common flags.
    #[command(flatten)]
    pub common: Common,
    /// Content that is copied again.
    #[command(flatten)]
    pub copying: Copying,
    /// Limits of transfers.
    #[command(flatten)]
    pub transfer: Transfer,
    /// Output for people.
    #[command(flatten)]
    pub logging: Logging,
}

//! Arguments of `work`.

use clap::Args;

use crate::cli::args::WorkSharing;
#[cfg(feature = "service")]
use crate::cli::args::path;
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
    /// Write metrics of the worker for Prometheus
    ///
    /// In a directory of the textfile collector of `node_exporter`, with a name that ends with `.prom`. The file is
    /// replaced every 15 seconds, and at the end. docs/monitoring.md describes the metrics.
    #[cfg(feature = "service")]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, value_parser = path(), help_heading = "Output")]
    pub metrics: Option<std::path::PathBuf>,
    /// Limits of transfers.
    #[command(flatten)]
    pub transfer: Transfer,
    /// Output for people.
    #[command(flatten)]
    pub logging: Logging,
}

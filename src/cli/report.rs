//! Arguments of `report`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use crate::cli::args::path;

/// Arguments of `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The action.
    #[command(subcommand)]
    pub action: ReportAction,
}

/// Actions on reports.
#[derive(Debug, Subcommand)]
pub enum ReportAction {
    /// Merge the reports of all shards of a run into one
    Merge(ReportMerge),
}

/// Arguments of `report merge`.
#[derive(Debug, Args)]
pub struct ReportMerge {
    /// Reports of the shards: files of --report
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath, value_parser = path())]
    pub files: Vec<PathBuf>,
    /// File for the merged report
    ///
    /// The same format as a report of one process. Without it, stdout.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = path())]
    pub output: Option<PathBuf>,
    /// Exit with the worst exit code of the shards
    ///
    /// Instead of 0 after a successful merge. Without the report of a shard, at least 1.
    #[arg(long)]
    pub exit_code: bool,
}

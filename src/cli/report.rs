//! Arguments of `report`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use crate::cli::args::path;

/// Arguments of `report`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct ReportArgs {
    /// The action; without one, runs of a server are read.
    #[command(subcommand)]
    pub action: Option<ReportAction>,
    /// Runs of a server.
    #[cfg(feature = "share")]
    #[command(flatten)]
    pub shared: ReportShared,
}

/// Flags of `report` about runs that workers share.
#[cfg(feature = "share")]
#[derive(Debug, Args)]
#[allow(
    clippy::doc_markdown,
    reason = "help texts have no backticks around names"
)]
pub struct ReportShared {
    /// PostgreSQL server of the runs
    ///
    /// Its URL: `postgres://user@host/database`. The password is in `PGPASSWORD`, or in a file that `PGPASSFILE` names.
    #[arg(
        long,
        value_name = "URL",
        env = "IMAGE_SYNCER_SHARE",
        hide_env_values = true,
        required = true
    )]
    pub share: Option<String>,
    /// Run of which the report is written
    ///
    /// Without it, the latest 100 runs are listed.
    #[arg(long, value_name = "RUN", value_parser = clap::value_parser!(i64).range(1..))]
    pub run: Option<i64>,
    /// File of the report; for the list, table or json
    ///
    /// With --run: a file for the report; without it or with `json`, stdout. Without --run: `table`, columns on a
    /// terminal and elsewhere a line for each run with tabs between columns, or `json`, a list of objects.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = path())]
    pub output: Option<PathBuf>,
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

//! Arguments of `history`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use crate::cli::args::path;

/// Arguments of `history`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct HistoryArgs {
    /// The action; without one, runs are listed.
    #[command(subcommand)]
    pub action: Option<HistoryAction>,
    /// Flags of the list.
    #[command(flatten)]
    pub list: HistoryList,
}

/// Queries of the history.
#[derive(Debug, Subcommand)]
pub enum HistoryAction {
    /// List runs, the newest first
    List(HistoryList),
    /// Show one run, and its failures by cause with the remedy
    Show {
        /// Id of the run
        #[arg(value_name = "RUN")]
        run: String,
        /// Output and file.
        #[command(flatten)]
        common: HistoryCommon,
    },
    /// Show where a digest is, or what a tag named and when
    Where {
        /// Digest, or reference of a tag at its source or destination
        #[arg(value_name = "DIGEST|REFERENCE")]
        place: String,
        /// Output and file.
        #[command(flatten)]
        common: HistoryCommon,
    },
}

/// Flags of the list of runs.
#[derive(Debug, Args)]
pub struct HistoryList {
    /// Only runs of the rules with this name: a glob
    ///
    /// Repeatable.
    #[arg(long, value_name = "GLOB")]
    pub rule: Vec<String>,
    /// Only runs in this state
    ///
    /// `queued`, `running`, `succeeded`, `failed`, `cancelled`, or `interrupted`: the service ended before the run did.
    #[arg(long, value_name = "STATE", value_enum, hide_possible_values = true)]
    pub outcome: Option<HistoryOutcome>,
    /// Maximum number of runs, up to 1,000
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: u16,
    /// Output and file.
    #[command(flatten)]
    pub common: HistoryCommon,
}

/// Flags of all queries.
#[derive(Debug, Args)]
pub struct HistoryCommon {
    /// Format of the output
    ///
    /// `table`: columns on a terminal, elsewhere a line for each row, with tabs between columns. `json`: a document.
    #[arg(long, value_name = "table|json", value_enum, hide_possible_values = true, default_value_t = HistoryFormat::Table)]
    pub output: HistoryFormat,
    /// Directory of the history
    ///
    /// Default: `image-syncer` in `$XDG_STATE_HOME` or `~/.local/state`.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, value_parser = path())]
    pub state: Option<PathBuf>,
}

/// Format of the history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum HistoryFormat {
    /// Columns on a terminal, lines with tabs elsewhere.
    #[default]
    Table,
    /// A document.
    Json,
}

/// State of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HistoryOutcome {
    /// It waits.
    Queued,
    /// It is in progress.
    Running,
    /// Everything is at its destination.
    Succeeded,
    /// An image or the rule failed.
    Failed,
    /// A person stopped it.
    Cancelled,
    /// The service ended before the run did.
    Interrupted,
}

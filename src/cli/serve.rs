//! Arguments of `serve`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

#[cfg(feature = "share")]
use crate::cli::Sharing;
use crate::cli::args::path;
use crate::cli::{Common, Copying, Defaults, Files, Logging, RuleSelection, Transfer};

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The files.
    #[command(flatten)]
    pub files: Files,
    /// Rules of the files.
    #[command(flatten)]
    pub selection: RuleSelection,
    /// Default destination.
    #[command(flatten)]
    pub defaults: Defaults,
    /// The service.
    #[command(flatten)]
    pub service: ServiceFlags,
    /// Common flags.
    #[command(flatten)]
    pub common: Common,
    /// Content that is copied again.
    #[command(flatten)]
    pub copying: Copying,
    /// Limits of transfers.
    #[command(flatten)]
    pub transfer: Transfer,
    /// Server that replicas share their runs on.
    #[cfg(feature = "share")]
    #[command(flatten)]
    pub sharing: Sharing,
    /// Output for people.
    #[command(flatten)]
    pub logging: Logging,
}

/// Flags of the service alone.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Service")]
pub struct ServiceFlags {
    /// Address of the API and the page; repeatable
    ///
    /// Default: `service.listen` of the file, or 127.0.0.1:8080. Port 0 is any free port. On another address than this
    /// machine's own, clients need the tokens of `service.tokens`.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Vec<String>,
    /// Directory of the history
    ///
    /// It gets the file history.sqlite3, and the records file unless --records names one. Default: the directory of the
    /// records file.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, value_parser = path())]
    pub state: Option<PathBuf>,
    /// Start a run of every rule when the service starts
    #[arg(long)]
    pub sync_at_start: bool,
    /// Serve the API and metrics without the page
    #[arg(long)]
    pub no_page: bool,
}

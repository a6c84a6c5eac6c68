//! Flags of runs that several workers share.

use std::time::Duration;

use clap::Args;

use crate::cli::args::values::{duration, limit};

/// Default of `--share-timeout`, in seconds.
const SHARE_TIMEOUT: u64 = 600;

/// Server that workers share their runs on.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Sharing")]
#[allow(
    clippy::doc_markdown,
    reason = "help texts have no backticks around names"
)]
pub struct Sharing {
    /// Share the run with workers by PostgreSQL
    ///
    /// URL of the server: `postgres://user@host/database`. All workers with the same files carry it out. The
    /// password is in `PGPASSWORD`, or in a file that `PGPASSFILE` names.
    #[arg(
        long,
        value_name = "URL",
        env = "IMAGE_SYNCER_SHARE",
        hide_env_values = true
    )]
    pub share: Option<String>,
    /// Time limits.
    #[command(flatten)]
    pub limits: ShareLimits,
}

/// Time limits of the server.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Sharing")]
pub struct ShareLimits {
    /// Maximum time without the server, in seconds
    ///
    /// Transfers go on meanwhile, and no tag is written. After that, images end as interrupted. Default: 600.
    #[arg(long, value_name = "SECONDS", value_parser = limit)]
    pub share_timeout: Option<u64>,
}

impl ShareLimits {
    /// Returns the maximum time without the server: that of the flag, or of the file.
    pub fn timeout(self, of_file: Option<Duration>) -> Duration {
        let flag = self.share_timeout.map(Duration::from_secs);
        let default = Duration::from_secs(SHARE_TIMEOUT);
        flag.or(of_file).unwrap_or(default)
    }
}

/// Server of a worker.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Sharing")]
#[allow(
    clippy::doc_markdown,
    reason = "help texts have no backticks around names"
)]
pub struct WorkSharing {
    /// PostgreSQL server of the runs
    ///
    /// Its URL: `postgres://user@host/database`. The password is in `PGPASSWORD`, or in a file that `PGPASSFILE` names. Default: the key `share` of the file.
    #[arg(
        long,
        value_name = "URL",
        env = "IMAGE_SYNCER_SHARE",
        hide_env_values = true
    )]
    pub share: Option<String>,
    /// Time limits.
    #[command(flatten)]
    pub limits: ShareLimits,
    /// End after this time without work, such as 30s or 10m
    ///
    /// Default: never.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub idle: Option<Duration>,
}

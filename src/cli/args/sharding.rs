//! Flags for runs that several processes share.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::cli::args::values::path;

/// Part of a run.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Shards")]
pub struct Sharding {
    /// Copy only a part of the repositories
    ///
    /// Part INDEX, from 0, of COUNT: every source repository belongs to one part, on all machines the same. `auto/COUNT`
    /// reads the index from `JOB_COMPLETION_INDEX`, which Kubernetes sets. Limits of registries are divided by COUNT.
    #[arg(long, value_name = "INDEX/COUNT")]
    pub shard: Option<String>,
    /// Divide repositories by the times of a former report
    ///
    /// A file of --report, the same for all parts. Without it, parts have equal numbers of repositories.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = path(), requires = "shard")]
    pub shard_weights: Option<PathBuf>,
}

//! What is to be copied, and how.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueHint};

use crate::cli::args::values::{boolean, limit, path, proc};

/// What `--commit-timeout` is where nothing is said.
const COMMIT_TIMEOUT: u64 = 600;

/// What is copied of images, beside what is missing of them.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Copying")]
pub struct Copying {
    /// Push manifests that are there already, too
    ///
    /// Even where the destination has the same digest.
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        default_value = "false",
        hide_default_value = true,
        hide_possible_values = true,
        action = ArgAction::Set,
        value_parser = boolean
    )]
    pub force: bool,
    /// Look for all that unchanged images consist of
    ///
    /// For every manifest and blob of images that are unchanged; what a destination has lost is sent again.
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        default_value = "false",
        hide_default_value = true,
        hide_possible_values = true,
        action = ArgAction::Set,
        value_parser = boolean
    )]
    pub verify: bool,
    /// Bring foreign and non-distributable layers along
    ///
    /// From the source, else from the URLs that they name.
    #[arg(long)]
    pub foreign_layers: bool,
}

/// What is known without asking registries.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Records")]
pub struct Remembering {
    /// Tags that never change: a glob or /expression/
    ///
    /// Such as `v*` or `/^v[0-9]/`. Those copied before are not asked about again while they stand at the
    /// destination. Repeatable.
    #[arg(long, value_name = "PATTERN")]
    pub immutable: Vec<String>,
    /// Remember in this file what destinations hold
    ///
    /// Between runs; else in `image-syncer/records.sqlite3` below `$XDG_STATE_HOME` or `~/.local/state`.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = path())]
    pub records: Option<PathBuf>,
    /// Remember nothing, and ask the registries
    #[arg(long, conflicts_with = "records")]
    pub no_records: bool,
}

/// Which records file.
#[derive(Debug, Args)]
pub struct RecordsFile {
    /// Which records file
    ///
    /// Else `image-syncer/records.sqlite3` below `$XDG_STATE_HOME` or `~/.local/state`.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = path())]
    pub records: Option<PathBuf>,
}

/// What bounds the bytes that flow; a transfer as a whole may take as long as it likes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Transfer")]
pub struct Transfer {
    /// At most N blob transfers at a time
    ///
    /// 0 or less: only the program's own limits per registry. Small requests are not counted.
    #[arg(short, long, value_name = "N", allow_negative_numbers = true, value_parser = proc)]
    pub proc: Option<i64>,
    /// At most RATE bytes a second for each registry
    ///
    /// In bodies to and from each registry together (`50MiB`, `10MB`), or HOST, with what it leads to. Repeatable.
    #[arg(long, value_name = "[HOST[:PORT]=]RATE")]
    pub max_rate: Vec<String>,
    /// Time for a registry to store a blob
    ///
    /// Try again where the last request of a blob or manifest has no answer for this long: a registry may digest and
    /// copy before it gives one.
    #[arg(long, value_name = "SECONDS", default_value_t = COMMIT_TIMEOUT, value_parser = limit)]
    pub commit_timeout: u64,
}

impl Default for Transfer {
    fn default() -> Self {
        Self {
            proc: None,
            max_rate: Vec::new(),
            commit_timeout: COMMIT_TIMEOUT,
        }
    }
}

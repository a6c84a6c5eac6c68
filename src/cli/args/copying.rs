//! What is to be copied, and how.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use crate::cli::args::values::{limit, path};

/// What `--commit-timeout` is where nothing is said.
const COMMIT_TIMEOUT: u64 = 600;

/// What is copied of images that are unchanged.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Copying")]
pub struct Copying {
    /// Push manifests even where the destination has the same digest
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
        value_parser = clap::builder::BoolishValueParser::new()
    )]
    pub force: bool,
    /// Look for every manifest and blob of images that are unchanged, too, and send again what is lost
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
        value_parser = clap::builder::BoolishValueParser::new()
    )]
    pub verify: bool,
}

/// What is known without asking registries.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Records")]
pub struct Remembering {
    /// Tags that never change, as a glob (`v*`) or an expression (`/^v[0-9]/`): those copied before are not asked about
    /// again while they stand at the destination; repeatable
    #[arg(long, value_name = "PATTERN")]
    pub immutable: Vec<String>,
    /// Remember between runs in this file what destinations hold; else in image-syncer/records.sqlite3 below
    /// `$XDG_STATE_HOME` or `~/.local/state`
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub records: Option<PathBuf>,
    /// Remember nothing, and ask the registries
    #[arg(long, conflicts_with = "records")]
    pub no_records: bool,
}

/// Which records file.
#[derive(Debug, Args)]
pub struct RecordsFile {
    /// The file; else image-syncer/records.sqlite3 below `$XDG_STATE_HOME` or `~/.local/state`
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub records: Option<PathBuf>,
}

/// What bounds the bytes that flow; a transfer as a whole may take as long as it likes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Transfer")]
pub struct Transfer {
    /// At most N blob transfers at a time; 0 or less: only the program's own limits per registry
    #[arg(short, long, value_name = "N", allow_negative_numbers = true)]
    pub proc: Option<i64>,
    /// At most RATE bytes a second (50MiB, 10MB) to and from each registry together, or HOST, with the storage that
    /// it redirects to; repeatable
    #[arg(long, value_name = "[HOST[:PORT]=]RATE")]
    pub max_rate: Vec<String>,
    /// Try again where the last request of a blob or manifest has no answer for this long: a registry may digest and
    /// copy before it gives one
    #[arg(long, value_name = "SECONDS", default_value_t = COMMIT_TIMEOUT, value_parser = limit())]
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

impl Remembering {
    /// The paths among them.
    pub(in crate::cli) fn paths(&mut self) -> [&mut Option<PathBuf>; 1] {
        [&mut self.records]
    }
}

//! Flags for copying, records and transfers.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum, ValueHint};

use crate::cli::args::values::{boolean, limit, path, proc};

/// Default of `--commit-timeout`, in seconds.
const COMMIT_TIMEOUT: u64 = 600;

/// Tags that exist at the destination.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Copying")]
pub struct Conflicts {
    /// Existing tags with another digest
    ///
    /// `overwrite`, the default: the tag moves to the new image. `skip`: the tag stays, and the image is skipped. `fail`: the tag
    /// stays, and the image fails. With `skip` and `fail`, every tag is looked up at the destination before it is
    /// written, and `--force` overwrites nothing else.
    #[arg(
        long,
        value_name = "overwrite|skip|fail",
        value_enum,
        hide_possible_values = true
    )]
    pub conflict: Option<ConflictAction>,
}

/// Action if a tag exists with another digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ConflictAction {
    /// Move the tag.
    #[default]
    Overwrite,
    /// Skip the image.
    Skip,
    /// Fail the image.
    Fail,
}

/// Content that is copied although it is not missing.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Copying")]
pub struct Copying {
    /// Push manifests that exist already
    ///
    /// Even if the destination has the same digest.
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
    /// Verify all content of unchanged images
    ///
    /// Looks up every manifest and blob of unchanged images. Missing content is uploaded again.
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
    /// Copy foreign and non-distributable layers
    ///
    /// From the source, or from the URLs in the manifest.
    #[arg(long)]
    pub foreign_layers: bool,
}

/// Knowledge of earlier runs.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Records")]
pub struct Remembering {
    /// Tags that never change: a glob or /expression/
    ///
    /// Such as `v*` or `/^v[0-9]/`. A tag that was copied before and still exists at the destination needs no request.
    /// Repeatable.
    #[arg(long, value_name = "PATTERN")]
    pub immutable: Vec<String>,
    /// File for records of destinations
    ///
    /// Records save requests and bytes in later runs. Default: `image-syncer/records.sqlite3` in `$XDG_STATE_HOME` or
    /// `~/.local/state`.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = path())]
    pub records: Option<PathBuf>,
    /// Use no records
    #[arg(long, conflicts_with = "records")]
    pub no_records: bool,
}

/// The records file.
#[derive(Debug, Args)]
pub struct RecordsFile {
    /// Records file
    ///
    /// Default: `image-syncer/records.sqlite3` in `$XDG_STATE_HOME` or `~/.local/state`.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = path())]
    pub records: Option<PathBuf>,
}

/// Limits of transfers. The total time of a transfer has no limit.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Transfer")]
pub struct Transfer {
    /// Maximum number of blob transfers at a time
    ///
    /// With 0 or less, only the program's own limits per registry apply. Small requests are not counted.
    #[arg(short, long, value_name = "N", allow_negative_numbers = true, value_parser = proc)]
    pub proc: Option<i64>,
    /// Maximum bytes per second for each registry
    ///
    /// Bodies in both directions count together (`50MiB`, `10MB`). With HOST, the limit of that registry and of the
    /// hosts that it redirects to. Repeatable.
    #[arg(long, value_name = "[HOST[:PORT]=]RATE")]
    pub max_rate: Vec<String>,
    /// Time for a registry to store a blob
    ///
    /// The last request of an upload is retried if it has no response within this time. A registry may verify and copy
    /// the content before it responds.
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

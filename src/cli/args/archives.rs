//! Flags of archives of images.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::values::path;

/// Flags of archives of images.
#[derive(Clone, Debug, Default, Args)]
pub struct ArchiveFlags {
    /// Directory for temporary data of archives
    ///
    /// Compressed archives and standard input are unpacked there, by default in TMPDIR or /tmp. The blobs of an archive that
    /// is written are gathered there, by default beside the archive.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, value_parser = path())]
    pub temp: Option<PathBuf>,
    /// Read truncated archives as far as they go
    ///
    /// Images that are complete are copied.
    #[arg(long)]
    pub partial: bool,
}

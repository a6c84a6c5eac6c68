//! Flags for platforms, parts and referrers of images.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::cli::args::values::duration;

/// The platform filter.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Platforms")]
pub struct Platforms {
    /// Only these operating systems: `os[:os.version]`
    ///
    /// Repeatable, or comma-separated. An item without a version accepts all versions. A platform without an operating
    /// system is accepted.
    #[arg(long, value_name = "LIST")]
    pub os: Vec<String>,
    /// Only these architectures: `arch[:variant]`
    ///
    /// Repeatable, or comma-separated. An item without a variant accepts all variants. A platform without an
    /// architecture is accepted.
    #[arg(long, value_name = "LIST")]
    pub arch: Vec<String>,
}

/// Parts of images, besides platforms.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Platforms")]
pub struct Parts {
    /// Remove the attestations of buildx
    ///
    /// For registries that refuse them. Indexes get other digests than at the source.
    #[arg(long)]
    pub strip_attestations: bool,
    /// Keep indexes and their digests when filtering
    ///
    /// Indexes stay unchanged if --os, --arch or --strip-attestations leaves children out. Few registries accept that.
    #[arg(long)]
    pub sparse: bool,
}

/// Referrers that are copied with an image.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Referrers")]
pub struct Referrers {
    /// Do not copy signatures, attestations and SBOMs
    ///
    /// No referrers are copied. If a rule copies all tags, tags of referrers (`sha256-…`, `sha256-….sig`) count as
    /// usual tags.
    #[arg(long, conflicts_with_all = ["referrers", "referrers_type", "referrers_interval"])]
    pub no_referrers: bool,
    /// Referrers to look up for unchanged images
    ///
    /// `root`, the default: referrers of the image itself. `deep`: also referrers of its children and of its referrers. All
    /// referrers of images that are copied are copied in any case.
    #[arg(
        long,
        value_name = "root|deep",
        value_enum,
        hide_possible_values = true
    )]
    pub referrers: Option<WhichReferrers>,
    /// Copy only referrers of this artifact type
    ///
    /// `cosign` means the tags of cosign (`sha256-….sig`, `.att`, `.sbom`). Repeatable, or comma-separated.
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    pub referrers_type: Vec<String>,
    /// Minimum time between two lookups of referrers
    ///
    /// An unchanged image whose referrers were looked up within this time (`30s`, `15m`, `12h`, `7d`), by the records,
    /// needs no request; 0, the default, looks up always.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub referrers_interval: Option<Duration>,
}

/// Manifests of an unchanged image that are checked for new referrers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum WhichReferrers {
    /// The root.
    #[default]
    Root,
    /// The root, its children and its referrers.
    Deep,
}

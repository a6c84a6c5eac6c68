//! Which parts of images, and what comes along with them.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::cli::args::values::duration;

/// The platform filter.
#[derive(Debug, Args)]
#[command(next_help_heading = "Platforms")]
pub struct Platforms {
    /// Only these operating systems: `os[:os.version]`
    ///
    /// Repeatable, or comma separated. An item without a version takes all of them; a platform that does not say its
    /// own is taken.
    #[arg(long, value_name = "LIST")]
    pub os: Vec<String>,
    /// Only these architectures: `arch[:variant]`
    ///
    /// Repeatable, or comma separated. An item without a variant takes all of them; a platform that does not say its
    /// own is taken.
    #[arg(long, value_name = "LIST")]
    pub arch: Vec<String>,
}

/// Which parts of an image, beside its platforms.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Platforms")]
pub struct Parts {
    /// Leave the attestations of buildx out
    ///
    /// For registries that refuse them. Indexes get digests of their own.
    #[arg(long)]
    pub strip_attestations: bool,
    /// Keep indexes and their digests when filtering
    ///
    /// Indexes stay as they are where --os, --arch or --strip-attestations leaves children out; few registries take
    /// that.
    #[arg(long)]
    pub sparse: bool,
}

/// What comes along with an image.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Referrers")]
pub struct Referrers {
    /// Leave signatures, attestations and SBOMs behind
    ///
    /// Nothing that refers to an image comes along. Where all tags are copied, those that name such (`sha256-…`,
    /// `sha256-….sig`) are tags like any other then.
    #[arg(long, conflicts_with_all = ["referrers", "referrers_type", "referrers_interval"])]
    pub no_referrers: bool,
    /// Look for them at unchanged images
    ///
    /// `root`: what refers to the image itself. `deep`: what refers to its children and to its referrers, as well.
    /// Those of images that are copied come along in any case.
    #[arg(long, value_name = "root|deep", value_enum, hide_possible_values = true, default_value_t = WhichReferrers::Root)]
    pub referrers: WhichReferrers,
    /// Bring only those of this artifact type
    ///
    /// `cosign` stands for the tags that cosign makes (`sha256-….sig`, `.att`, `.sbom`). Repeatable, or comma
    /// separated.
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    pub referrers_type: Vec<String>,
    /// Look at each unchanged image only so often
    ///
    /// Nothing is asked for unchanged images that were asked about within this (`30s`, `15m`, `12h`, `7d`), as the
    /// records tell; 0 asks always.
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = duration)]
    pub referrers_interval: Duration,
}

/// Of what of an unchanged image it is asked what refers to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum WhichReferrers {
    /// Its root.
    #[default]
    Root,
    /// Everything that it consists of.
    Deep,
}

//! Flags for dry runs, plans and checks.

use clap::{Args, ValueEnum};

/// A run that writes nothing.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Dry run")]
pub struct DryRun {
    /// Show the copies of a run, and write nothing
    ///
    /// On stdout, as `plan` does. Nothing is written to any registry.
    #[arg(long)]
    pub dry_run: bool,
    /// Format of --dry-run
    ///
    /// `table`: columns on a terminal, a complete line for each image elsewhere. `json`: the document of --report.
    #[arg(
        long,
        value_name = "table|json",
        value_enum,
        hide_possible_values = true,
        requires = "dry_run"
    )]
    pub output: Option<PlanFormat>,
    /// With --dry-run: exit with 3 if not in sync
    ///
    /// If an image would be copied.
    #[arg(long, requires = "dry_run")]
    pub exit_code: bool,
}

/// Format of a plan.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct Showing {
    /// Format of the plan on stdout
    ///
    /// `table`: columns on a terminal, a complete line for each image elsewhere. `json`: the document of --report.
    #[arg(long, value_name = "table|json", value_enum, hide_possible_values = true, default_value_t = PlanFormat::Table)]
    pub output: PlanFormat,
    /// Exit with 3 if something would be copied
    ///
    /// Instead of 0.
    #[arg(long)]
    pub exit_code: bool,
}

/// Format of differences.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct Differences {
    /// Format of the differences on stdout
    ///
    /// `lines`: one for each difference. `json`: the document of --report.
    #[arg(long, value_name = "lines|json", value_enum, hide_possible_values = true, default_value_t = CheckFormat::Lines)]
    pub output: CheckFormat,
}

/// The format of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// Columns on a terminal, a complete line for each image elsewhere.
    #[default]
    Table,
    /// The document of --report.
    Json,
}

/// The format of differences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// One line for each difference.
    #[default]
    Lines,
    /// The document of --report.
    Json,
}

/// Details of a list of images.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct TagsDetail {
    /// Show platforms and sizes
    ///
    /// Reads the manifests: a request for each image and platform, and for the config of an image for one platform.
    /// Files show them in any case.
    #[arg(short, long, requires = "source", conflicts_with = "names")]
    pub long: bool,
    /// Show names alone
    ///
    /// Without a request for each tag, which a digest needs if the registry does not list digests.
    #[arg(long, requires = "source")]
    pub names: bool,
}

/// The format of tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TagsFormat {
    /// Columns on a terminal, a line for each image elsewhere.
    #[default]
    Table,
    /// An array of objects.
    Json,
}

impl DryRun {
    /// Returns the flags of the plan if `--dry-run` is set.
    pub fn showing(self) -> Option<Showing> {
        self.dry_run.then(|| Showing {
            output: self.output.unwrap_or_default(),
            exit_code: self.exit_code,
        })
    }
}

//! How it is shown what would be copied.

use clap::{Args, ValueEnum};

/// A run that writes nothing.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Dry run")]
pub struct DryRun {
    /// Say what would be copied, and write nothing
    ///
    /// On stdout, as `plan` does for this command line; nothing is written anywhere.
    #[arg(long)]
    pub dry_run: bool,
    /// Form in which --dry-run says it
    ///
    /// `table`, for people: columns on a terminal, a whole line for each image elsewhere. `json`, for programs: the
    /// document of --report.
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
    /// Where something would be copied.
    #[arg(long, requires = "dry_run")]
    pub exit_code: bool,
}

/// How a plan is shown.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct Showing {
    /// Form of the plan on stdout
    ///
    /// `table`, for people: columns on a terminal, a whole line for each image elsewhere. `json`, for programs: the
    /// document of --report.
    #[arg(long, value_name = "table|json", value_enum, hide_possible_values = true, default_value_t = PlanFormat::Table)]
    pub output: PlanFormat,
    /// Exit with 3 where something would be copied
    ///
    /// In place of 0.
    #[arg(long)]
    pub exit_code: bool,
}

/// How differences are shown.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct Differences {
    /// Form of the differences on stdout
    ///
    /// `lines`, one for each difference. `json`, for programs: the document of --report.
    #[arg(long, value_name = "lines|json", value_enum, hide_possible_values = true, default_value_t = CheckFormat::Lines)]
    pub output: CheckFormat,
}

/// The form of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// For people: columns on a terminal, a whole line for each image elsewhere.
    #[default]
    Table,
    /// For programs: the document of --report.
    Json,
}

/// The form of differences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// One line for each difference.
    #[default]
    Lines,
    /// For programs: the document of --report.
    Json,
}

impl DryRun {
    /// What is asked for, where nothing is to be written.
    pub fn showing(self) -> Option<Showing> {
        self.dry_run.then(|| Showing {
            output: self.output.unwrap_or_default(),
            exit_code: self.exit_code,
        })
    }
}

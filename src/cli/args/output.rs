//! What is written for other programs, and what is told to people.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum, ValueHint};

use crate::cli::args::values::path;

/// What is written for other programs.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct Output {
    /// The report.
    #[command(flatten)]
    pub reporting: Reporting,
    /// Write what failed in the form of --images
    ///
    /// And what was interrupted, so that it can be given there again.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = path())]
    pub failed_images: Option<PathBuf>,
    /// Write a map of what is at its destinations
    ///
    /// From source to list of destinations, after the run: what was copied now, and what was there.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = path())]
    pub output_success_images: Option<PathBuf>,
    /// Format of that map
    #[arg(long, value_name = "yaml|json", value_enum, hide_possible_values = true, default_value_t = ImagesFormat::Yaml)]
    pub output_images_format: ImagesFormat,
}

impl Output {
    /// The paths among them.
    pub(in crate::cli) fn paths(&mut self) -> [&mut Option<PathBuf>; 3] {
        [
            &mut self.reporting.report,
            &mut self.failed_images,
            &mut self.output_success_images,
        ]
    }
}

/// What is written for other programs of every image, whether it was copied or only looked at.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct Reporting {
    /// Write what happened to each image as JSON
    ///
    /// Every image and destination, rules, hosts, totals: docs/report.md says what is in it.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = path())]
    pub report: Option<PathBuf>,
}

/// How the map of images is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ImagesFormat {
    /// YAML.
    #[default]
    Yaml,
    /// JSON.
    Json,
}

/// What is told to people.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct Logging {
    /// Append the log to a file
    ///
    /// On stderr remain warnings, failures and the summary.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = path())]
    pub log: Option<PathBuf>,
    /// Tell of unchanged images; -vv, -vvv: of more
    ///
    /// Of images that were there, too; `-vv`: and log every request; `-vvv`: and what the program thinks.
    #[arg(short, long, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// How it is shown how far a run is
    ///
    /// `auto`: a view on a terminal that can draw one, else `plain`; `plain`: a line every 30 s; `none`: nothing.
    #[arg(long, value_name = "auto|plain|none", value_enum, hide_possible_values = true, default_value_t = ProgressMode::Auto)]
    pub progress: ProgressMode,
    /// Only warnings and failures
    ///
    /// And the summary where something is wrong: nothing at all when all is well.
    #[arg(short, long)]
    pub quiet: bool,
}

/// How it is shown how far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ProgressMode {
    /// A view on a terminal that can draw one, else as `Plain`.
    #[default]
    Auto,
    /// A line now and then.
    Plain,
    /// Not at all.
    None,
}

impl Logging {
    /// The paths among them.
    pub(in crate::cli) fn paths(&mut self) -> [&mut Option<PathBuf>; 1] {
        [&mut self.log]
    }
}

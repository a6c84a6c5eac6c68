//! Flags for output files, the log and the terminal.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum, ValueHint};

use crate::cli::args::values::path;

/// Output files for programs.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct Output {
    /// The report.
    #[command(flatten)]
    pub reporting: Reporting,
    /// Write failed images in the form of --images
    ///
    /// With those that were interrupted, so that the file can be used for --images again.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = path())]
    pub failed_images: Option<PathBuf>,
    /// Write a map of images at their destinations
    ///
    /// From source to list of destinations, after the run: images that were copied, and images that existed.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = path())]
    pub output_success_images: Option<PathBuf>,
    /// Format of that map
    #[arg(long, value_name = "yaml|json", value_enum, hide_possible_values = true, default_value_t = ImagesFormat::Yaml)]
    pub output_images_format: ImagesFormat,
}

/// The report file, for all commands that compare images.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct Reporting {
    /// Write the result of each image as JSON
    ///
    /// Images, destinations, rules, hosts and totals. docs/report.md describes the format.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = path())]
    pub report: Option<PathBuf>,
    /// Write metrics of the run for Prometheus
    ///
    /// In a directory of the textfile collector of `node_exporter`, with a name that ends with `.prom`. The file is
    /// replaced at the end of each run. docs/monitoring.md describes the metrics.
    #[cfg(feature = "service")]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = path())]
    pub metrics: Option<PathBuf>,
}

/// Format of the map of images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ImagesFormat {
    /// YAML.
    #[default]
    Yaml,
    /// JSON.
    Json,
}

/// Output for people.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct Logging {
    /// Append the log to a file
    ///
    /// Warnings, failures and the summary stay on stderr.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = path())]
    pub log: Option<PathBuf>,
    /// Format of the log
    ///
    /// `text` for people, or `json` with one flat object per line. Without `--log`, `json` writes the log to stderr.
    #[arg(long, value_name = "text|json", value_enum, hide_possible_values = true, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Minimum level of the log
    ///
    /// Each level includes the ones before it: `error`, failures; `warn`, warnings; `info`, the result of each image
    /// (default); `debug`, every request (as with `-vv`); `trace`, internal decisions (as with `-vvv`). Without
    /// `--log`, it applies to the lines on stderr.
    #[arg(long, value_name = "LEVEL", value_enum, hide_possible_values = true)]
    pub log_level: Option<LogLevel>,
    /// Show unchanged images; -vv and -vvv show more
    ///
    /// `-vv` also logs every request, `-vvv` also internal decisions.
    #[arg(short, long, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Show only warnings and failures
    ///
    /// With the summary if something failed. Without a failure there is no output.
    #[arg(short, long)]
    pub quiet: bool,
}

/// Display of the progress of one run.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct Progress {
    /// Display of the progress
    ///
    /// `auto`: a live view on a capable terminal, otherwise `plain`; `plain`: a line every 30 s; `none`: nothing.
    #[arg(long, value_name = "auto|plain|none", value_enum, hide_possible_values = true, default_value_t = ProgressMode::Auto)]
    pub progress: ProgressMode,
}

/// Display of the progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ProgressMode {
    /// A live view on a capable terminal, otherwise as `Plain`.
    #[default]
    Auto,
    /// A line every 30 s.
    Plain,
    /// No display.
    None,
}

/// Format of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Time, level, a sentence, and fields as `name=value`.
    #[default]
    Text,
    /// One object per line.
    Json,
}

/// Minimum level of the log. Each level includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum LogLevel {
    /// Failures.
    Error,
    /// Warnings.
    Warn,
    /// Results of images.
    Info,
    /// Every request.
    Debug,
    /// Internal decisions.
    Trace,
}

impl LogLevel {
    /// Returns the name of the level.
    pub fn text(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl Logging {
    /// Returns whether stderr is the log in JSON, so that lines for people and the live view must not be mixed into
    /// it.
    pub fn takes_stderr(&self) -> bool {
        self.log.is_none() && self.log_format == LogFormat::Json
    }
}

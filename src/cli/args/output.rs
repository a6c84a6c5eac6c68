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
    /// Format of the log
    ///
    /// `text` for people, or `json`, one flat object a line; without `--log`, `json` makes stderr the log.
    #[arg(long, value_name = "text|json", value_enum, hide_possible_values = true, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// What the log takes
    ///
    /// Each level takes those before it as well: `error`, what failed; `warn`, what needs attention; `info`, what became
    /// of each image (the default); `debug`, every request (as with `-vv`); `trace`, what the program thinks (as with
    /// `-vvv`). Without `--log`, of what people are told on stderr, too.
    #[arg(long, value_name = "LEVEL", value_enum, hide_possible_values = true)]
    pub log_level: Option<LogLevel>,
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

/// How lines of the log look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A time, a level, a sentence, and fields as `name=value`.
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// How much the log takes; each takes what is before it as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum LogLevel {
    /// What failed.
    Error,
    /// What needs attention.
    Warn,
    /// What became of each image.
    Info,
    /// Every request.
    Debug,
    /// What the program thinks.
    Trace,
}

impl LogLevel {
    /// As it is written.
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
    /// Whether stderr is the log, and for machines: lines for people, and what is drawn, would be in their way.
    pub fn takes_stderr(&self) -> bool {
        self.log.is_none() && self.log_format == LogFormat::Json
    }
}
